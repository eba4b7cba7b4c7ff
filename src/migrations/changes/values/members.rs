//! Labels of an ENUM or SET.

/// Labels of an ENUM or SET, in UTF-8, in the order of the definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members(Box<[Box<str>]>);

impl Members {
    /// Reads the part behind the type's name: `('a','it''s')`, as `information_schema` writes it. `None` if
    /// it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut labels = Vec::new();
        let mut rest = text.strip_prefix('(')?;
        loop {
            let (label, behind) = quoted(rest.strip_prefix('\'')?)?;
            labels.push(label.into_boxed_str());
            match behind.strip_prefix(',') {
                Some(more) => rest = more,
                None => return behind.starts_with(')').then(|| Self(labels.into())),
            }
        }
    }

    /// The label with this ordinal, counted from 1.
    pub fn label(&self, ordinal: u64) -> Option<&str> {
        let at = usize::try_from(ordinal.checked_sub(1)?).ok()?;
        self.0.get(at).map(|label| &**label)
    }

    /// The labels of the set bits, first member first; `None` if a bit has no member.
    pub fn labels(&self, bits: u64) -> Option<impl Iterator<Item = &str>> {
        let known = self.0.len() >= 64 || bits >> self.0.len() == 0;
        let is_set = move |at: usize| at < 64 && bits & (1 << at) != 0;
        known.then(|| self.0.iter().enumerate().filter(move |(at, _)| is_set(*at)).map(|(_, label)| &**label))
    }
}

/// The text up to the closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut label = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_some() => label.push('\''),
            '\'' => return Some((label, &text[at + 1..])),
            '\\' => label.push(match characters.next()?.1 {
                '0' => '\0',
                'n' => '\n',
                'r' => '\r',
                'Z' => '\u{1a}',
                other => other,
            }),
            other => label.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read() {
        let members = Members::parse(r"('a','it''s','x,y','','\\','ä\n') NOT NULL").unwrap();
        let labels: Vec<_> = (0..=7).map(|ordinal| members.label(ordinal)).collect();
        let expected = [None, Some("a"), Some("it's"), Some("x,y"), Some(""), Some("\\"), Some("ä\n"), None];
        assert_eq!(labels, expected);
        assert_eq!(members.labels(0b101).unwrap().collect::<Vec<_>>(), ["a", "x,y"]);
        assert!(members.labels(1 << 6).is_none());
        for fault in ["", "(", "()", "('a'", "('a',)", "('a' 'b')"] {
            assert!(Members::parse(fault).is_none(), "{fault}");
        }
    }

    #[test]
    fn sixty_four_members() {
        let text: Vec<_> = (0..64).map(|n| format!("'m{n}'")).collect();
        let members = Members::parse(&format!("({})", text.join(","))).unwrap();
        assert_eq!(members.labels(u64::MAX).unwrap().count(), 64);
        assert_eq!(members.labels(1 << 63).unwrap().collect::<Vec<_>>(), ["m63"]);
    }
}
