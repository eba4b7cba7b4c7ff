//! Where the statements of a file begin and end.
//!
//! As the servers' command line clients cut a file: at each `;`, or, behind a line such as `DELIMITER $$`, at
//! what that line names. What is between two of those goes to the server at once, and may hold several
//! statements itself; the body of a routine or trigger is part of one.

use crate::sql::{self, Lexer, Scan, ScanFlags, SqlMode, TokenKind};

/// A statement, found in a text.
pub(super) struct Found<'a> {
    /// Where it begins in the text.
    pub(super) start: usize,
    /// Its own text, the semicolon included; spans of the scan count from its beginning.
    pub(super) text: &'a [u8],
    /// What the scan found.
    pub(super) scan: Scan,
}

/// The statements of a text, in order.
pub(super) struct Statements<'a> {
    text: &'a [u8],
    mode: SqlMode,
    at: usize,
    /// What a DELIMITER line named last; empty for `;`.
    delimiter: &'a [u8],
    /// Where ends what is sent at once: the text's end with `;`.
    part_end: usize,
    /// More of that part follows.
    is_within: bool,
}

impl<'a> Statements<'a> {
    pub(super) fn of(text: &'a [u8], mode: SqlMode) -> Self {
        Self { text, mode, at: 0, delimiter: b"", part_end: text.len(), is_within: false }
    }

    /// Follows DELIMITER lines that stand here, and finds the end of what is sent at once.
    fn begin_part(&mut self) {
        while let Some((delimiter, end)) = delimiter_line(self.text, self.at, self.mode) {
            self.delimiter = if delimiter == b";" { b"" } else { delimiter };
            self.at = end;
        }
        let end = (!self.delimiter.is_empty())
            .then(|| find(self.text, self.at, self.delimiter, self.mode))
            .flatten();
        self.part_end = end.unwrap_or(self.text.len());
    }
}

impl<'a> Iterator for Statements<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        if !self.is_within {
            self.begin_part();
        }
        if self.at >= self.text.len() {
            return None;
        }
        let mut scan = Scan::default();
        sql::scan(&self.text[self.at..self.part_end], self.mode, &mut scan);
        let (start, end) = (self.at, self.at + scan.end);
        let has_more = scan.flags.contains(ScanFlags::MORE) && scan.end > 0;
        self.is_within = has_more && !self.delimiter.is_empty();
        self.at = if has_more { end } else { self.part_end + self.delimiter.len() };
        Some(Found { start, text: &self.text[start..end], scan })
    }
}

/// What a line of `DELIMITER` names, when the next statement is none but that, and where the line ends.
fn delimiter_line(text: &[u8], at: usize, mode: SqlMode) -> Option<(&[u8], usize)> {
    let token = Lexer::at(text, at, mode).next_token();
    if token.kind != TokenKind::Word || !token.span.of(text).eq_ignore_ascii_case(b"DELIMITER") {
        return None;
    }
    let start = token.span.end as usize;
    let line = text[start..].split_inclusive(|byte| *byte == b'\n').next()?;
    let named = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    Some((named, start + line.len()))
}

/// The first place of a delimiter outside quotes and comments.
fn find(text: &[u8], from: usize, delimiter: &[u8], mode: SqlMode) -> Option<usize> {
    let mut lexer = Lexer::at(text, from, mode);
    loop {
        let token = lexer.next_with_comments();
        match token.kind {
            TokenKind::End => return None,
            TokenKind::String | TokenKind::NationalString | TokenKind::QuotedName => continue,
            kind if kind.is_comment() => continue,
            _ => {}
        }
        let mut places = token.span.start as usize..token.span.end as usize;
        if let Some(at) = places.find(|at| text[*at..].starts_with(delimiter)) {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let all = Statements::of(text.as_bytes(), SqlMode::default());
        all.map(|found| std::str::from_utf8(found.text).unwrap().trim())
            .filter(|one| !one.is_empty())
            .collect()
    }

    #[test]
    fn a_text_is_cut_at_semicolons() {
        assert_eq!(found(""), [""; 0]);
        assert_eq!(found("-- nothing"), ["-- nothing"]);
        assert_eq!(found("a;;b 'x;y' ; -- c"), ["a;", ";", "b 'x;y' ; -- c"]);
    }

    #[test]
    fn a_delimiter_line_says_what_ends_a_statement() {
        let text = "A;\n-- why\ndelimiter $$\nCREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN\n  B; \
                    C;\nEND$$\nD '$$' /* $$ */$$\nE; F $$\r\nDELIMITER ;\r\nG;\nDELIMITER //\nH//";
        assert_eq!(
            found(text),
            [
                "A;",
                "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN\n  B; C;\nEND",
                "D '$$' /* $$ */",
                "E;",
                "F",
                "G;",
                "H"
            ]
        );
        assert_eq!(found("DELIMITER ;;\nA; B;;\nDELIMITER ;\nC"), ["A;", "B", "C"]);
        // Not closed, or naming nothing: what follows is still read.
        assert_eq!(found("DELIMITER $$\nA"), ["A"]);
        assert_eq!(found("DELIMITER\nA; B"), ["DELIMITER\nA;", "B"]);
        assert_eq!(found("SELECT delimiter; A"), ["SELECT delimiter;", "A"]);
    }
}
