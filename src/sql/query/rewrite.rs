//! MySQL's forms that `sqlparser` does not know, rewritten in the token stream.
//!
//! Dropped: what does not matter to routing (modifiers, partitions, index hints, lock options, INTO a file or
//! variable). Replaced: other spellings of what the tree can hold. Every value and name keeps its offset.

use std::collections::HashMap;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token as Target, TokenWithSpan, Word};

use super::tokens::{at, convert, keyword};
use crate::sql::lexer::keywords::{Tag, lookup};
use crate::sql::lexer::{SqlMode, Token, TokenKind};
use crate::sql::span::Span;

const SELECT_MODIFIERS: &[&str] = &[
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_NO_CACHE",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
];

const COMPOUND_UNITS: &[&str] = &[
    "DAY_HOUR",
    "DAY_MICROSECOND",
    "DAY_MINUTE",
    "DAY_SECOND",
    "HOUR_MICROSECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "MINUTE_MICROSECOND",
    "MINUTE_SECOND",
    "SECOND_MICROSECOND",
    "YEAR_MONTH",
    "SQL_TSI_SECOND",
    "SQL_TSI_MINUTE",
    "SQL_TSI_HOUR",
    "SQL_TSI_DAY",
    "SQL_TSI_WEEK",
    "SQL_TSI_MONTH",
    "SQL_TSI_QUARTER",
    "SQL_TSI_YEAR",
];

/// Turns our tokens into `sqlparser`'s.
pub(super) fn rewrite(text: &[u8], tokens: &[Token], mode: SqlMode) -> Vec<TokenWithSpan> {
    let mut rewriter = Rewriter {
        text,
        tokens,
        mode,
        behind: behind_parentheses(tokens),
        out: Vec::with_capacity(tokens.len()),
        edits: HashMap::new(),
        depth: 0,
        joined: Vec::new(),
        verb: Verb::Other,
        head: false,
        head_mixes: false,
    };
    let mut index = 0;
    while index < tokens.len() {
        index = rewriter.step(index);
    }
    rewriter.out
}

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Other,
    Insert,
    Update,
    Delete,
}

/// What stands in the place of some tokens.
struct Edit {
    end: usize,
    words: &'static [&'static str],
}

struct Rewriter<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    mode: SqlMode,
    /// For every token that opens a parenthesis: the index behind it.
    behind: Vec<u32>,
    out: Vec<TokenWithSpan>,
    /// Edits further on, by the index of the first token.
    edits: HashMap<usize, Edit>,
    depth: usize,
    /// For every open parenthesis: whether it holds table references.
    joined: Vec<bool>,
    verb: Verb,
    /// Before SET of an UPDATE, before WHERE of a DELETE.
    head: bool,
    /// Among the tables of an UPDATE a join stands behind a comma.
    head_mixes: bool,
}

/// For every token that opens a parenthesis the index behind the one that closes it, or behind the last
/// token.
fn behind_parentheses(tokens: &[Token]) -> Vec<u32> {
    let mut behind = vec![tokens.len() as u32; tokens.len()];
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => open.push(at),
            TokenKind::Close => {
                if let Some(opened) = open.pop() {
                    behind[opened] = at as u32 + 1;
                }
            }
            _ => {}
        }
    }
    behind
}

impl Rewriter<'_> {
    fn kind(&self, index: usize) -> TokenKind {
        self.tokens.get(index).map_or(TokenKind::End, |token| token.kind)
    }

    fn bytes(&self, index: usize) -> &[u8] {
        self.tokens.get(index).map_or(b"", |token| token.span.of(self.text))
    }

    fn span(&self, index: usize) -> Span {
        self.tokens.get(index).map_or_else(Span::default, |token| token.span)
    }

    fn is(&self, index: usize, word: &str) -> bool {
        self.kind(index) == TokenKind::Word && self.bytes(index).eq_ignore_ascii_case(word.as_bytes())
    }

    fn is_any(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(index, word))
    }

    fn are(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is(index + ahead, word))
    }

    fn keep(&mut self, index: usize) -> usize {
        if let Some(token) = self.tokens.get(index).and_then(|token| convert(self.text, *token, self.mode)) {
            self.out.push(token);
        }
        index + 1
    }

    fn put(&mut self, word: &str, index: usize) {
        self.out.push(keyword(word, self.span(index)));
    }

    /// A keyword that is a name here.
    fn put_name(&mut self, index: usize) {
        let value = String::from_utf8_lossy(self.bytes(index)).into_owned();
        self.put_token(Target::Word(Word { value, quote_style: None, keyword: Keyword::NoKeyword }), index);
    }

    fn put_token(&mut self, token: Target, index: usize) {
        self.out.push(at(token, self.span(index)));
    }

    /// The index behind the parenthesis that opens at `index`.
    fn behind_parentheses(&self, index: usize) -> usize {
        self.behind.get(index).map_or(self.tokens.len(), |behind| *behind as usize)
    }

    /// The first token inside the parenthesis at `open`, not in a nested one, for which `found` holds.
    fn find_inside(&self, open: usize, found: impl Fn(usize) -> bool) -> Option<usize> {
        let end = self.behind_parentheses(open) - 1;
        let mut index = open + 1;
        while index < end {
            if found(index) {
                return Some(index);
            }
            index =
                if self.kind(index) == TokenKind::Open { self.behind_parentheses(index) } else { index + 1 };
        }
        None
    }

    fn step(&mut self, index: usize) -> usize {
        if let Some(edit) = self.edits.remove(&index) {
            edit.words.iter().for_each(|word| self.put(word, index));
            return edit.end;
        }
        match self.kind(index) {
            TokenKind::Open => {
                self.depth += 1;
                self.joined.push(self.holds_tables(index));
                self.keep(index)
            }
            TokenKind::Close => {
                self.depth = self.depth.saturating_sub(1);
                self.joined.pop();
                self.keep(index)
            }
            TokenKind::Comma if self.separates_tables() => {
                self.put("CROSS", index);
                self.put("JOIN", index);
                index + 1
            }
            TokenKind::Dot if self.head && self.verb == Verb::Delete && self.bytes(index + 1) == b"*" => {
                index + 2
            }
            TokenKind::Operator => self.step_operator(index),
            TokenKind::Word => self.step_word(index).unwrap_or_else(|| self.keep(index)),
            _ => self.keep(index),
        }
    }

    /// Says whether the parenthesis at `open` holds table references: `LEFT JOIN (a, b)`, `FROM (a, b)`.
    fn holds_tables(&self, open: usize) -> bool {
        let query = self.is_any(open + 1, &["SELECT", "WITH", "VALUES", "TABLE"]);
        let is_modifier = open > 1
            && self.is(open - 1, "STRAIGHT_JOIN")
            && (self.is_any(open - 2, SELECT_MODIFIERS)
                || self.is_any(open - 2, &["SELECT", "ALL", "DISTINCT"]));
        let behind_join =
            open > 0 && !is_modifier && self.is_any(open - 1, &["JOIN", "STRAIGHT_JOIN", "FROM"]);
        let nested = open > 0 && self.kind(open - 1) == TokenKind::Open && self.joined.last() == Some(&true);
        !query && (behind_join || nested) && !self.mixes_joins(open + 1, self.behind_parentheses(open) - 1)
    }

    /// Says whether a list of tables has a join behind a comma: the comma binds looser, so that ON and USING
    /// do not see what stands before it. Such a list stays as it is, and unread.
    fn mixes_joins(&self, from: usize, end: usize) -> bool {
        let (mut index, mut comma) = (from, false);
        while index < end {
            comma |= self.kind(index) == TokenKind::Comma;
            if comma && self.is_any(index, &["JOIN", "STRAIGHT_JOIN"]) {
                return true;
            }
            index =
                if self.kind(index) == TokenKind::Open { self.behind_parentheses(index) } else { index + 1 };
        }
        false
    }

    /// A comma between the tables of an UPDATE or inside a parenthesis of tables.
    fn separates_tables(&self) -> bool {
        (self.head && self.verb == Verb::Update && self.depth == 0 && !self.head_mixes)
            || self.joined.last() == Some(&true)
    }

    /// ODBC's braces become parentheses: `{d '2020-01-01'}`, `{fn now()}`, `{oj a left join b on …}`.
    fn step_operator(&mut self, index: usize) -> usize {
        match self.bytes(index) {
            b"{" if self.kind(index + 1) == TokenKind::Word => {
                self.put_token(Target::LParen, index);
                index + 2
            }
            b"}" => {
                self.put_token(Target::RParen, index);
                index + 1
            }
            _ => self.keep(index),
        }
    }

    fn step_word(&mut self, index: usize) -> Option<usize> {
        self.step_verb(index)
            .or_else(|| self.step_clause(index))
            .or_else(|| self.step_lock(index))
            .or_else(|| self.step_operator_word(index))
            .or_else(|| self.step_call(index))
    }

    fn skip_any(&self, mut index: usize, words: &[&str]) -> usize {
        while self.is_any(index, words) {
            index += 1;
        }
        index
    }

    /// The verb of the statement, and its modifiers.
    fn step_verb(&mut self, index: usize) -> Option<usize> {
        if self.is(index, "SELECT") || (index == 0 && self.is(index, "DO")) {
            self.put("SELECT", index);
            return Some(self.step_select_modifiers(index + 1));
        }
        let is_first = self.depth == 0
            && self.verb == Verb::Other
            && (index == 0 || self.kind(index - 1) == TokenKind::Close);
        if !is_first {
            return None;
        }
        let (verb, dropped): (Verb, &[&str]) = if self.is(index, "UPDATE") {
            (Verb::Update, &["LOW_PRIORITY", "IGNORE"])
        } else if self.is(index, "DELETE") {
            (Verb::Delete, &["LOW_PRIORITY", "QUICK", "IGNORE", "HISTORY"])
        } else if self.is_any(index, &["INSERT", "REPLACE"]) {
            (Verb::Insert, &["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"])
        } else {
            return None;
        };
        self.verb = verb;
        self.head = true;
        if verb == Verb::Update {
            let set = (index..self.tokens.len()).find(|at| self.is(*at, "SET"));
            self.head_mixes = set.is_some_and(|set| self.mixes_joins(index + 1, set));
        }
        self.keep(index);
        Some(self.skip_any(index + 1, dropped))
    }

    fn step_select_modifiers(&mut self, mut index: usize) -> usize {
        loop {
            if self.is_any(index, SELECT_MODIFIERS) {
                index += 1;
            } else if self.is_any(index, &["DISTINCT", "DISTINCTROW"]) {
                self.put("DISTINCT", index);
                index = self.skip_any(index + 1, SELECT_MODIFIERS);
                return index;
            } else if self.is(index, "ALL") {
                index += 1;
            } else {
                return index;
            }
        }
    }

    fn step_clause(&mut self, index: usize) -> Option<usize> {
        let opens = self.kind(index + 1) == TokenKind::Open;
        if self.head && self.depth == 0 && self.is_any(index, &["SET", "WHERE"]) {
            self.head = false;
        }
        if self.is(index, "PARTITION") && opens {
            return Some(self.behind_parentheses(index + 1));
        }
        if self.is_any(index, &["USE", "FORCE", "IGNORE"]) && self.is_any(index + 1, &["INDEX", "KEY"]) {
            return Some(self.behind_index_hint(index + 2));
        }
        if self.is(index, "VALUE")
            && opens
            && self.verb == Verb::Insert
            && self.depth == 0
            && !self.is(index - 1, "INTO")
        {
            self.put("VALUES", index);
            return Some(index + 1);
        }
        if self.is(index, "INTO") {
            return self.behind_into(index + 1);
        }
        if self.is(index, "TABLE") {
            self.put("SELECT", index);
            self.put_token(Target::Mul, index);
            self.put("FROM", index);
            return Some(index + 1);
        }
        if self.are(index, &["ROWS", "EXAMINED"]) {
            return Some(index + 3);
        }
        if self.are(index, &["PROCEDURE", "ANALYSE"]) {
            return Some(self.behind_parentheses(index + 2));
        }
        if self.are(index, &["FOR", "SYSTEM_TIME", "ALL"]) {
            return Some(index + 3);
        }
        let behind = index + 2;
        let nulls = self.is_any(behind, &["RESPECT", "IGNORE"]) && self.is(behind + 1, "NULLS");
        let is_call = index > 0 && self.kind(index - 1) == TokenKind::Close;
        let window = is_call && (nulls || self.is(behind, "OVER"));
        if window && (self.are(index, &["FROM", "FIRST"]) || self.are(index, &["RESPECT", "NULLS"])) {
            return Some(index + 2);
        }
        None
    }

    fn behind_index_hint(&self, mut index: usize) -> usize {
        if self.is(index, "FOR") {
            index += if self.is(index + 2, "BY") { 3 } else { 2 };
        }
        self.behind_parentheses(index)
    }

    /// INTO @a, @b; INTO OUTFILE with its options.
    fn behind_into(&self, mut index: usize) -> Option<usize> {
        if self.kind(index) == TokenKind::UserVariable {
            index += 1;
            while self.kind(index) == TokenKind::Comma && self.kind(index + 1) == TokenKind::UserVariable {
                index += 2;
            }
            return Some(index);
        }
        if !self.is_any(index, &["OUTFILE", "DUMPFILE"]) {
            return None;
        }
        index += 2;
        if self.are(index, &["CHARACTER", "SET"]) {
            index += 3;
        }
        let options = [
            "FIELDS",
            "COLUMNS",
            "LINES",
            "OPTIONALLY",
            "TERMINATED",
            "ENCLOSED",
            "ESCAPED",
            "STARTING",
            "BY",
        ];
        while self.is_any(index, &options) || (self.is(index - 1, "BY") && self.kind(index).is_literal()) {
            index += 1;
        }
        Some(index)
    }

    /// FOR UPDATE and FOR SHARE without their options; LOCK IN SHARE MODE as FOR SHARE.
    fn step_lock(&mut self, index: usize) -> Option<usize> {
        if self.are(index, &["LOCK", "IN", "SHARE", "MODE"]) {
            self.put("FOR", index);
            self.put("SHARE", index + 2);
            return Some(self.behind_lock_options(index + 4));
        }
        if self.is(index, "FOR") && self.is_any(index + 1, &["UPDATE", "SHARE"]) {
            self.keep(index);
            self.keep(index + 1);
            return Some(self.behind_lock_options(index + 2));
        }
        None
    }

    fn behind_lock_options(&self, mut index: usize) -> usize {
        if self.is(index, "OF") {
            index += 2;
            while matches!(self.kind(index), TokenKind::Comma | TokenKind::Dot) {
                index += 2;
            }
        }
        if self.are(index, &["SKIP", "LOCKED"]) || self.is(index, "WAIT") {
            return index + 2;
        }
        if self.is(index, "NOWAIT") { index + 1 } else { index }
    }

    /// Operators that are words.
    fn step_operator_word(&mut self, index: usize) -> Option<usize> {
        if self.is(index, "DIV") && self.is_behind_operand(index) {
            self.put_token(Target::Div, index);
            return Some(index + 1);
        }
        if self.is(index, "MOD") && self.is_behind_operand(index) {
            self.put_token(Target::Mod, index);
            return Some(index + 1);
        }
        if self.are(index, &["SOUNDS", "LIKE"]) && self.is_behind_operand(index) {
            self.put_token(Target::CustomBinaryOperator("SOUNDS LIKE".to_owned()), index);
            return Some(index + 2);
        }
        if self.is_any(index, &["NEXT", "PREVIOUS"]) && self.are(index + 1, &["VALUE", "FOR"]) {
            self.put("NEXTVAL", index);
            self.put_token(Target::LParen, index);
            let mut index = self.keep(index + 3);
            while self.kind(index) == TokenKind::Dot {
                self.keep(index);
                index = self.keep(index + 1);
            }
            self.put_token(Target::RParen, index - 1);
            return Some(index);
        }
        let unit = self.is_any(index, COMPOUND_UNITS);
        if unit {
            self.put("DAY", index);
            return Some(index + 1);
        }
        None
    }

    /// Says whether the token before ends an operand, so that the word here is an operator.
    fn is_behind_operand(&self, index: usize) -> bool {
        let Some(before) = index.checked_sub(1) else { return false };
        match self.kind(before) {
            TokenKind::Word => lookup(self.bytes(before)).is_none_or(Tag::may_precede_alias),
            TokenKind::Name
            | TokenKind::QuotedName
            | TokenKind::Close
            | TokenKind::Placeholder
            | TokenKind::UserVariable
            | TokenKind::SystemVariable
            | TokenKind::NullEscape => true,
            kind => kind.is_literal(),
        }
    }

    /// Says whether what stands here follows the path of JSON_VALUE: `RETURNING …`, `… ON EMPTY`, `… ON
    /// ERROR`.
    fn ends_path(&self, index: usize) -> bool {
        let is_choice = self.is_any(index, &["NULL", "ERROR"]) && self.is(index + 1, "ON");
        let is_default = self.is(index, "DEFAULT") && self.kind(index + 1) != TokenKind::Open;
        is_choice || is_default || self.is(index, "RETURNING")
    }

    /// Says whether a query hides among these tokens: such a thing is never cut out of the reader's sight.
    fn holds_query(&self, from: usize, end: usize) -> bool {
        (from..end).any(|index| self.is_any(index, &["SELECT", "TABLE", "VALUES", "WITH"]))
    }

    /// Calls with a syntax of their own: what is not an argument is cut off.
    fn step_call(&mut self, index: usize) -> Option<usize> {
        let open = index + 1;
        if self.kind(open) != TokenKind::Open {
            return None;
        }
        let close = self.behind_parentheses(open) - 1;
        if self.is(index, "CAST") {
            let cut = self.find_inside(open, |at| self.is(at, "AS"))?;
            self.cut(cut, close, &["AS", "SIGNED"]);
            return None;
        }
        if self.is(index, "INTERVAL") {
            self.find_inside(open, |at| self.kind(at) == TokenKind::Comma)?;
            self.put_name(index);
            return Some(open);
        }
        if self.is(index, "TRIM")
            && self.is_any(open + 1, &["LEADING", "TRAILING", "BOTH"])
            && self.is(open + 2, "FROM")
        {
            self.edits.insert(open + 1, Edit { end: open + 3, words: &[] });
            return None;
        }
        if self.is(index, "CONVERT") {
            let is_cut = |at: usize| self.is(at, "USING") || self.kind(at) == TokenKind::Comma;
            let cut = self.find_inside(open, is_cut)?;
            self.cut(cut, close, &["AS", "SIGNED"]);
            self.put("CAST", index);
            return Some(index + 1);
        }
        let cut = if self.is(index, "CHAR") {
            self.find_inside(open, |at| self.is(at, "USING"))?
        } else if self.is_any(index, &["WEIGHT_STRING", "COLUMN_GET"]) {
            self.find_inside(open, |at| self.is_any(at, &["AS", "LEVEL"]))?
        } else if self.is(index, "JSON_VALUE") {
            self.find_inside(open, |at| self.ends_path(at))?
        } else if self.is(index, "EXTRACT") {
            self.edits.insert(open + 1, Edit { end: open + 2, words: &["DAY"] });
            return None;
        } else {
            return None;
        };
        self.cut(cut, close, &[]);
        None
    }

    /// Leaves out the tokens from `cut` to `close`, with words in their place; a query stays, and makes the
    /// call unreadable.
    fn cut(&mut self, cut: usize, close: usize, words: &'static [&'static str]) {
        if cut < close && !self.holds_query(cut, close) {
            self.edits.insert(cut, Edit { end: close, words });
        }
    }
}
