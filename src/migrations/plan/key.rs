//! Keys of rows as bytes, and ranges of them as conditions.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The key of one row: the literals of its columns, each behind its length.
///
/// **Shape**: for each column four bytes of length (little endian), then an SQL literal. Equal bytes mean the
/// same row; they are not in the server's order. A key read from the table and one from the binary log are
/// the same bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// From bytes of that shape.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Reads bytes that were written down; `None` when they are not of that shape with so many columns.
    pub fn parse(bytes: &[u8], columns: usize) -> Option<Self> {
        let mut rest = bytes;
        for _ in 0..columns {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            rest = behind.get(u32::from_le_bytes(*length) as usize..)?;
        }
        rest.is_empty().then(|| Self(bytes.into()))
    }

    /// All bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The literals in the order of the key.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        literals(&self.0)
    }

    /// The numbers of a key of integers; `None` for a key of anything else.
    pub fn integers(&self) -> Option<Vec<i128>> {
        self.literals().map(|literal| std::str::from_utf8(literal).ok()?.parse().ok()).collect()
    }
}

/// The literals of a key's bytes.
pub fn literals(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (literal, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind;
        Some(literal)
    })
}

/// Appends one literal, which `write` puts behind its length.
pub fn push_literal(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - at - 4).expect("a key is shorter than 4 GiB");
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Hash and order are those of the bytes.
impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of rows are not printed.
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// Keys behind one and up to another; an absent end is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// Behind this one.
    pub after: Option<Key>,
    /// Up to this one, itself included.
    pub through: Option<Key>,
}

impl KeyRange {
    /// Says whether a key is in the range. What only the server could say (how texts are sorted) counts as
    /// yes.
    pub fn may_hold(&self, key: &Key) -> bool {
        let Some(key) = key.integers() else { return true };
        let is_behind = self.after.as_ref().and_then(Key::integers).is_none_or(|after| key > after);
        let is_up_to = self.through.as_ref().and_then(Key::integers).is_none_or(|through| key <= through);
        is_behind && is_up_to
    }

    /// The condition over these columns (quoted), which are those of the key, in its order; `TRUE` for all
    /// rows.
    ///
    /// Rows are compared column by column in words that servers use an index for, which they do not for
    /// `(a, b) > (1, 2)`.
    pub fn condition(&self, columns: &[&str], out: &mut Vec<u8>) {
        let mut is_first = true;
        if let Some(after) = &self.after {
            bound(columns, after, (">", ">", ">="), out);
            is_first = false;
        }
        if let Some(through) = &self.through {
            if !is_first {
                out.extend_from_slice(b" AND ");
            }
            bound(columns, through, ("<", "<=", "<="), out);
            is_first = false;
        }
        if is_first {
            out.extend_from_slice(b"TRUE");
        }
    }
}

/// `(a > 1) OR (a = 1 AND b > 2)`, with `a >= 1` in front: alone it already bounds the index.
fn bound(columns: &[&str], key: &Key, (inner, last, coarse): (&str, &str, &str), out: &mut Vec<u8>) {
    let literals: Vec<&[u8]> = key.literals().collect();
    let compare = |out: &mut Vec<u8>, at: usize, operator: &str| {
        out.extend_from_slice(columns[at].as_bytes());
        out.push(b' ');
        out.extend_from_slice(operator.as_bytes());
        out.push(b' ');
        out.extend_from_slice(literals[at]);
    };
    if columns.len() == 1 {
        return compare(out, 0, last);
    }
    out.push(b'(');
    compare(out, 0, coarse);
    out.extend_from_slice(b" AND (");
    for at in 0..columns.len() {
        if at > 0 {
            out.extend_from_slice(b" OR ");
        }
        out.push(b'(');
        for before in 0..at {
            compare(out, before, "=");
            out.extend_from_slice(b" AND ");
        }
        compare(out, at, if at + 1 == columns.len() { last } else { inner });
        out.push(b')');
    }
    out.extend_from_slice(b"))");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(literals: &[&str]) -> Key {
        let mut bytes = Vec::new();
        for literal in literals {
            push_literal(&mut bytes, |out| out.extend_from_slice(literal.as_bytes()));
        }
        Key::from_bytes(&bytes)
    }

    #[test]
    fn integers_are_told_in_or_out_of_a_range() {
        let range = KeyRange { after: Some(key(&["-5", "7"])), through: Some(key(&["10", "0"])) };
        for inside in [["-5", "8"], ["-4", "-9"], ["9", "18446744073709551615"], ["10", "0"]] {
            assert!(range.may_hold(&key(&inside)), "{inside:?}");
        }
        for outside in [["-5", "7"], ["-6", "99"], ["10", "1"], ["100", "0"]] {
            assert!(!range.may_hold(&key(&outside)), "{outside:?}");
        }
        assert!(KeyRange::default().may_hold(&key(&["1"])));
        // What is no integer is in every range.
        assert!(range.may_hold(&key(&["'zz'", "1"])) && range.may_hold(&key(&["100.5", "0"])));
        let texts = KeyRange { after: Some(key(&["'a'"])), through: Some(key(&["'b'"])) };
        assert!(texts.may_hold(&key(&["7"])));
    }
}
