//! Statements routed by the names in their text alone: those that could not be read, and the bodies of
//! routines.
//!
//! The guard here is by tokens: a word before a dot that is a workspace's database or a keyspace counts as
//! one, whatever else it may be. So more is refused than would be wrong, never less.

use crate::error::Code;
use crate::sql::{Lexer, ScanFlags, Span, Token, TokenKind};
use crate::vschema::{DatabaseTarget, Layout};

use super::PlanInput;
use crate::plan::Refusal;
use crate::plan::functions::{FunctionKind, function_kind};
use crate::plan::names::{SystemSchema, unknown_database};
use crate::plan::route::{DatabaseRoute, Route};

/// A name before a dot.
pub(crate) struct Qualifier {
    pub(crate) name: String,
    pub(crate) at: usize,
}

/// The tokens of the statement, comments left out.
pub(crate) fn tokens<'a>(input: &PlanInput<'a>) -> impl Iterator<Item = Token> + use<'a> {
    tokens_of(input.text, input.scan.body, input.mode)
}

/// The tokens of a span, comments left out.
pub(crate) fn tokens_of(
    text: &[u8],
    span: Span,
    mode: crate::sql::SqlMode,
) -> impl Iterator<Item = Token> + use<'_> {
    let mut lexer = Lexer::at(text, span.start as usize, mode);
    std::iter::from_fn(move || Some(lexer.next_token()))
        .take_while(move |token| token.kind != TokenKind::End && token.span.start < span.end)
}

/// A name without its quotes.
pub(crate) fn name_of(text: &[u8], token: Token) -> String {
    let raw = String::from_utf8_lossy(token.span.of(text)).into_owned();
    if token.kind != TokenKind::QuotedName {
        return raw;
    }
    let quote = raw.chars().next().unwrap_or('`');
    let inner = raw.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).unwrap_or(&raw);
    inner.replace(&format!("{quote}{quote}"), &quote.to_string())
}

fn is_name(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Word | TokenKind::Name | TokenKind::QuotedName)
}

/// Every name that stands before a dot and not behind one.
pub(crate) fn qualifiers(input: &PlanInput<'_>) -> Vec<Qualifier> {
    let mut found = Vec::new();
    let mut last: [Option<Token>; 2] = [None, None];
    for token in tokens(input) {
        let [before, name] = last;
        let behind_dot = before.is_some_and(|token| token.kind == TokenKind::Dot);
        if let (TokenKind::Dot, Some(word)) = (token.kind, name)
            && is_name(word.kind)
            && !behind_dot
        {
            let at = word.span.start as usize;
            found.push(Qualifier { name: name_of(input.text, word), at });
        }
        last = [name, Some(token)];
    }
    found
}

/// Numbers of the tokens that start at these offsets, in the offsets' order.
pub(crate) fn token_numbers(input: &PlanInput<'_>, offsets: &[usize]) -> Result<Vec<u32>, Refusal> {
    if offsets.is_empty() {
        return Ok(Vec::new());
    }
    let mut numbers: Vec<Option<u32>> = vec![None; offsets.len()];
    let mut order: Vec<usize> = (0..offsets.len()).collect();
    order.sort_by_key(|at| offsets[*at]);
    let mut wanted = order.into_iter().peekable();
    for (number, token) in tokens(input).enumerate() {
        while wanted.peek().is_some_and(|at| offsets[*at] == token.span.start as usize) {
            if let Some(at) = wanted.next() {
                numbers[at] = Some(number as u32);
            }
        }
    }
    let lost = || Refusal::because(Code::UnreadStatement, "a place in the text was lost");
    numbers.into_iter().map(|number| number.ok_or_else(lost)).collect()
}

/// Storage engines whose tables are elsewhere, by what a string says.
const REMOTE_ENGINES: [&str; 4] = ["CONNECT", "FEDERATED", "MROONGA", "SPIDER"];

/// Refuses what reaches other databases by text that is not SQL yet: statements that a body prepares, the
/// `sys` schema's helpers for that, tables that lead to another server.
pub(crate) fn check_dynamic(input: &PlanInput<'_>) -> Result<(), Refusal> {
    if input.target.may_cross {
        return Ok(());
    }
    let mut engine_follows = false;
    for (number, token) in tokens(input).enumerate() {
        let word = token.span.of(input.text);
        let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        let at = token.span.start as usize;
        let refuse = |what: &str| Err(Refusal::because(Code::NotSupported, what.to_owned()).at(at));
        if token.kind == TokenKind::Word && number > 0 && (is("PREPARE") || is("EXECUTE")) {
            return refuse("a routine that runs text as SQL may reach any database");
        }
        let is_text = is_name(token.kind) || token.kind == TokenKind::String;
        if engine_follows && is_text {
            let name = name_of(input.text, token);
            let name = name.trim_matches(['\'', '"']);
            if REMOTE_ENGINES.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                return refuse("a table of an engine that reaches other servers");
            }
        }
        let is_equal = token.kind == TokenKind::Operator && word == b"=";
        engine_follows = (token.kind == TokenKind::Word && is("ENGINE")) || (engine_follows && is_equal);
    }
    match qualifiers(input).into_iter().find(|qualifier| qualifier.name.eq_ignore_ascii_case("sys")) {
        Some(found) => {
            let what = "`sys` shows other sessions' work and runs text as SQL";
            Err(Refusal::because(Code::NotSupported, what).at(found.at))
        }
        None => Ok(()),
    }
}

/// Says whether a system schema may show what other sessions do.
fn is_private(name: &str) -> bool {
    SystemSchema::of(name).is_some_and(|schema| schema != SystemSchema::Information)
}

/// Routes the whole text to the session's database, checking every qualifier.
pub(crate) fn plan_whole(input: &PlanInput<'_>) -> Result<Route, Refusal> {
    let names = input.names();
    let Some(keyspace) = names.session_keyspace() else {
        return Err(Refusal::new(Code::NoDatabaseSelected));
    };
    let mut named = Vec::new();
    for qualifier in qualifiers(input) {
        let (text, at) = (&*qualifier.name, qualifier.at);
        match input.vschema.resolve_database(text) {
            Some(DatabaseTarget::Workspace(other, workspace)) if other.name == keyspace.name => {
                named.push(workspace);
            }
            Some(DatabaseTarget::Keyspace(other)) if other.name == keyspace.name => {
                if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_)) {
                    let detail =
                        format!("`{text}` is no database of a server, and the text cannot be edited");
                    return Err(Refusal::because(Code::UnreadStatement, detail).at(at));
                }
            }
            Some(_) => {
                return Err(Refusal::because(Code::CrossKeyspace, format!("`{text}`")).at(at));
            }
            None if is_private(text) && !input.target.may_cross => {
                let detail = format!("`{text}` shows other sessions' work");
                return Err(Refusal::because(Code::NotSupported, detail).at(at));
            }
            None => check_case(input, text, at)?,
        }
    }
    match keyspace.layout {
        Layout::Unsharded => Ok(Route::Unsharded(keyspace.name.clone())),
        Layout::DatabasePerWorkspace(_) => {
            let keyspace = std::sync::Arc::clone(keyspace);
            Ok(Route::Database(DatabaseRoute { keyspace, named, unnamed: true, logical: Vec::new() }))
        }
        Layout::SharedTables => Err(Refusal::new(Code::UnreadStatement)),
    }
}

/// Servers may take database names without case (lower_case_table_names): what is a known database but for
/// its case is refused.
pub(crate) fn check_case(input: &PlanInput<'_>, name: &str, at: usize) -> Result<(), Refusal> {
    let lower = name.to_lowercase();
    let alike = input.vschema.resolve_database(&lower).is_some()
        || input.vschema.keyspaces().any(|keyspace| keyspace.name.as_str().to_lowercase() == lower);
    if alike && SystemSchema::of(name).is_none() {
        return Err(unknown_database(name).at(at));
    }
    Ok(())
}

/// Checks an expression of SET that a server will compute, wherever the session is: it must read no tables.
pub(crate) fn check_expression(span: Span, input: &PlanInput<'_>) -> Result<(), Refusal> {
    let reads_tables = |token: &Token| {
        let word = token.span.of(input.text);
        let is = |known: &&str| word.eq_ignore_ascii_case(known.as_bytes());
        token.kind == TokenKind::Word && ["SELECT", "TABLE", "VALUES", "WITH"].iter().any(is)
    };
    let inside = |at: usize| at >= span.start as usize && at < span.end as usize;
    let read = tokens_of(input.text, span, input.mode).find(reads_tables);
    let read = read.map(|token| token.span.start as usize);
    let called = || qualifiers(input).iter().map(|qualifier| qualifier.at).find(|at| inside(*at));
    match read.or_else(called) {
        Some(at) => Err(super::not_supported("a subquery in SET: use SELECT … INTO @variable").at(at)),
        None => check_calls(span, input),
    }
}

/// Words that may stand in front of a parenthesis and call nothing.
const OPERATORS: [&str; 15] = [
    "AND", "BETWEEN", "CASE", "DIV", "ELSE", "IN", "IS", "LIKE", "NOT", "OR", "REGEXP", "RLIKE", "THEN",
    "WHEN", "XOR",
];

/// Refuses stored functions in a span: they would read tables of whichever database the connection is in.
pub(crate) fn check_calls(span: Span, input: &PlanInput<'_>) -> Result<(), Refusal> {
    let mut name: Option<Token> = None;
    for token in tokens_of(input.text, span, input.mode) {
        let called = name.filter(|_| token.kind == TokenKind::Open);
        if let Some(called) = called {
            let text = name_of(input.text, called);
            let is_operator = OPERATORS.iter().any(|word| text.eq_ignore_ascii_case(word));
            if !is_operator && function_kind(&text) == FunctionKind::Unknown {
                let detail = "a stored function here: use SELECT … INTO @variable";
                return Err(super::not_supported(detail).at(called.span.start as usize));
            }
        }
        name = is_name(token.kind).then_some(token);
    }
    Ok(())
}

/// A version comment that is skipped here may be code on a server of another version: it must name no other
/// database.
pub(crate) fn check_skipped_comments(input: &PlanInput<'_>) -> Result<(), Refusal> {
    if !input.scan.flags.contains(ScanFlags::VERSION_COMMENT_SKIPPED) {
        return Ok(());
    }
    let mut lexer = Lexer::at(input.text, 0, input.mode);
    loop {
        let token = lexer.next_with_comments();
        match token.kind {
            TokenKind::End => return Ok(()),
            TokenKind::VersionComment if token.span.of(input.text).contains(&b'.') => {
                let why = "a version comment with a qualified name, which some servers run and others do not";
                return Err(Refusal::because(Code::UnreadStatement, why).at(token.span.start as usize));
            }
            _ => {}
        }
    }
}
