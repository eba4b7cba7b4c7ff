//! Reading admin statements: words, quoted texts, symbols.

use crate::error::{ClientError, Code};

/// Longest admin statement in bytes.
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// One word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Letters, digits and what names are made of.
    Plain(String),
    /// Text in quotes of any kind, without them.
    Quoted(String),
    /// Any other character.
    Symbol(char),
}

/// A statement as words, read from the front.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    text: &'a str,
    /// Each with its first byte and the first one after it.
    words: Vec<(usize, usize, Word)>,
    at: usize,
}

impl<'a> Words<'a> {
    /// Cuts a statement into words; comments are left out, one semicolon at the end too.
    pub(super) fn read(text: &'a str) -> Result<Self, ClientError> {
        if text.len() > STATEMENT_BYTES_MAX {
            return Err(ClientError::new(Code::AdminSyntax, "the statement is longer than 1 MiB"));
        }
        let mut words = Vec::new();
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let rest = &text[at..];
            let (bytes, word) = match first {
                _ if first.is_whitespace() => (first.len_utf8(), None),
                '/' if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |end| end + 2), None),
                '#' => (rest.find('\n').unwrap_or(rest.len()), None),
                '-' if rest.starts_with("-- ") => (rest.find('\n').unwrap_or(rest.len()), None),
                // A quote that is not closed may be SQL that is only explained: it stays a symbol.
                '\'' | '"' | '`' => match quoted(rest, first) {
                    Some((text, bytes)) => (bytes, Some(Word::Quoted(text))),
                    None => (first.len_utf8(), Some(Word::Symbol(first))),
                },
                _ if is_name(first) => {
                    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                    (end, Some(Word::Plain(rest[..end].to_owned())))
                }
                _ => (first.len_utf8(), Some(Word::Symbol(first))),
            };
            words.extend(word.map(|word| (at, at + bytes, word)));
            at += bytes;
        }
        if words.last().is_some_and(|(_, _, word)| *word == Word::Symbol(';')) {
            words.pop();
        }
        Ok(Self { text, words, at: 0 })
    }

    /// Takes a keyword if it is next.
    pub(super) fn take(&mut self, keyword: &str) -> bool {
        let is_next = self.is_next(keyword);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes several keywords if they are next, all of them.
    pub(super) fn take_all(&mut self, keywords: &[&str]) -> bool {
        let at = self.at;
        let found = keywords.iter().all(|keyword| self.take(keyword));
        if !found {
            self.at = at;
        }
        found
    }

    /// Says whether a keyword is next.
    pub(super) fn is_next(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Word::Plain(word)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes a symbol if it is next.
    pub(super) fn take_symbol(&mut self, symbol: char) -> bool {
        let is_next = self.peek() == Some(&Word::Symbol(symbol));
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes a name or text, which `what` describes.
    pub(super) fn name(&mut self, what: &str) -> Result<String, ClientError> {
        match self.peek().cloned() {
            Some(Word::Plain(word) | Word::Quoted(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes a whole number.
    pub(super) fn number(&mut self, what: &str) -> Result<u64, ClientError> {
        let at = self.at;
        let number = self.name(what)?.parse();
        number.map_err(|_| {
            self.at = at;
            self.expected(what)
        })
    }

    /// Everything behind the last word taken, as it is written, comments included.
    pub(super) fn rest(&mut self) -> &'a str {
        let start = self.at.checked_sub(1).map_or(0, |last| self.words[last].1);
        self.at = self.words.len();
        &self.text[start..]
    }

    /// Says whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.words.len()
    }

    /// Refuses what is left.
    pub(super) fn end(&self) -> Result<(), ClientError> {
        if self.is_done() { Ok(()) } else { Err(self.expected("the end of the statement")) }
    }

    pub(super) fn peek(&self) -> Option<&Word> {
        self.words.get(self.at).map(|(_, _, word)| word)
    }

    /// The error that `what` should be next and is not.
    pub(super) fn expected(&self, what: &str) -> ClientError {
        let found = match self.words.get(self.at) {
            Some((at, _, Word::Plain(word) | Word::Quoted(word))) => format!("{word:?} at byte {at}"),
            Some((at, _, Word::Symbol(symbol))) => format!("{symbol:?} at byte {at}"),
            None => "the end".to_owned(),
        };
        syntax(format!("expected {what}, found {found}"))
    }
}

fn syntax(message: String) -> ClientError {
    ClientError::new(Code::AdminSyntax, message)
}

/// Characters of names: also `-` and `.` (shards, files), `@` and `$` (variables).
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '$')
}

/// The text between the quotes, and the bytes it took with them. A doubled quote stands for itself.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut at = 1;
    loop {
        let end = at + text[at..].find(quote)?;
        out.push_str(&text[at..end]);
        at = end + 1;
        if !text[at..].starts_with(quote) {
            return Some((out, at));
        }
        out.push(quote);
        at += 1;
    }
}
