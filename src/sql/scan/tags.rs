//! What comments say: the workspace, as Rails writes it, and Bulkhead's own directives.

use crate::ids::WorkspaceId;

use super::{Scan, ScanFlags};

/// Why a comment's tag cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Two comments, or two tags of one, name different values.
    #[error("comments name two different values for `{key}`")]
    Conflict {
        /// The key.
        key: String,
    },
    /// The value is empty, too long or not UTF-8.
    #[error("the value of the comment tag `{key}` at byte {at} is not a workspace id")]
    BadValue {
        /// The key.
        key: String,
        /// Offset of the comment.
        at: u32,
    },
    /// More comments than are looked at.
    #[error("too many comments before or behind the statement")]
    TooManyComments,
    /// A Bulkhead directive that is not known.
    #[error("unknown bulkhead directive in the comment at byte {at}")]
    UnknownDirective {
        /// Offset of the comment.
        at: u32,
    },
}

/// Bulkhead's own directives: `/*bulkhead: replica */`; several are separated by commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Directives {
    /// Read from a replica.
    pub replica: bool,
    /// Read from the primary.
    pub primary: bool,
    /// Run on every shard.
    pub all_shards: bool,
    /// A schema change may scan the rows first to prove that nothing is lost.
    pub ddl_prove: bool,
    /// It is known that a schema change breaks running code or drops rows.
    pub ddl_acknowledged: bool,
}

/// The workspace that a leading or trailing comment names: `/*application:Shop,workspace_id:42*/` as
/// marginalia writes it, `/*workspace_id='42'*/` as sqlcommenter does (URL-encoded).
///
/// # Errors
/// [`TagError::Conflict`] when two tags disagree, [`TagError::BadValue`] when the value is no workspace id,
/// [`TagError::TooManyComments`] when not all comments were looked at.
pub fn workspace_tag(text: &[u8], scan: &Scan, key: &str) -> Result<Option<WorkspaceId>, TagError> {
    if scan.comments.is_empty() {
        return Ok(None);
    }
    if scan.flags.contains(ScanFlags::OVERFLOW) {
        return Err(TagError::TooManyComments);
    }
    let mut found: Option<WorkspaceId> = None;
    for span in &scan.comments {
        for (name, value) in tags(content(span.of(text))) {
            if name != key.as_bytes() {
                continue;
            }
            let bad = || TagError::BadValue { key: key.to_owned(), at: span.start };
            let id = WorkspaceId::parse_bytes(&decode(value)).ok_or_else(bad)?;
            if found.as_ref().is_some_and(|other| *other != id) {
                return Err(TagError::Conflict { key: key.to_owned() });
            }
            found = Some(id);
        }
    }
    Ok(found)
}

/// Bulkhead's directives in leading or trailing comments.
///
/// # Errors
/// [`TagError::UnknownDirective`] for a `bulkhead:` comment that says something else, [`TagError::Conflict`]
/// for replica and primary together, [`TagError::TooManyComments`] when not all comments were looked at.
pub fn directives(text: &[u8], scan: &Scan) -> Result<Directives, TagError> {
    let mut directives = Directives::default();
    for span in &scan.comments {
        let content = content(span.of(text));
        let Some(list) = content.strip_prefix(b"bulkhead:") else { continue };
        for word in list.split(|byte| *byte == b',') {
            match word.trim_ascii() {
                b"replica" => directives.replica = true,
                b"primary" => directives.primary = true,
                b"all_shards" => directives.all_shards = true,
                b"ddl_prove" => directives.ddl_prove = true,
                b"ddl_acknowledged" => directives.ddl_acknowledged = true,
                _ => return Err(TagError::UnknownDirective { at: span.start }),
            }
        }
    }
    if directives.replica && directives.primary {
        return Err(TagError::Conflict { key: "bulkhead".to_owned() });
    }
    if scan.flags.contains(ScanFlags::OVERFLOW) && !scan.comments.is_empty() {
        return Err(TagError::TooManyComments);
    }
    Ok(directives)
}

fn content(comment: &[u8]) -> &[u8] {
    comment.strip_prefix(b"/*").and_then(|rest| rest.strip_suffix(b"*/")).unwrap_or_default().trim_ascii()
}

/// The `key:value` and `key='value'` pairs of a comment; other text between commas is passed over.
fn tags(content: &[u8]) -> impl Iterator<Item = (&[u8], Value<'_>)> {
    let mut rest = content;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = tag_end(rest);
            let tag = rest[..end].trim_ascii();
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(pair) = split_tag(tag) {
                return Some(pair);
            }
        }
        None
    })
}

/// The comma that ends a tag, not one inside quotes.
fn tag_end(tags: &[u8]) -> usize {
    let mut quoted = false;
    let mut at = 0;
    while at < tags.len() {
        match tags[at] {
            b'\\' if quoted => at += 1,
            b'\'' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    tags.len()
}

#[derive(Clone, Copy)]
struct Value<'a> {
    bytes: &'a [u8],
    encoded: bool,
}

fn split_tag(tag: &[u8]) -> Option<(&[u8], Value<'_>)> {
    let at = tag.iter().position(|byte| matches!(byte, b':' | b'='))?;
    let (key, value) = (tag[..at].trim_ascii(), tag[at + 1..].trim_ascii());
    let unquoted = value.strip_prefix(b"'").and_then(|value| value.strip_suffix(b"'"));
    Some(match unquoted {
        Some(bytes) => (key, Value { bytes, encoded: true }),
        None => (key, Value { bytes: value, encoded: false }),
    })
}

/// Undoes sqlcommenter's encoding: `%27`, and a backslash before a quote.
fn decode(value: Value<'_>) -> Vec<u8> {
    if !value.encoded {
        return value.bytes.to_vec();
    }
    let mut decoded = Vec::with_capacity(value.bytes.len());
    let mut rest = value.bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let hex = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            (b'\\', ..) if tail.first() == Some(&b'\'') => {}
            _ => decoded.push(byte),
        }
    }
    decoded
}
