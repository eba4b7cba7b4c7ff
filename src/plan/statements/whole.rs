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
use crate::plan::route::{DatabaseRoute, Route, Unpinned};

/// A name before a dot.
pub(crate) struct Qualifier {
    pub(crate) name: String,
    pub(crate) at: usize,
    /// Behind the dot stands `*`, or a name and `=`: it is a table before columns.
    pub(crate) is_of_column: bool,
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
    let mut found: Vec<Qualifier> = Vec::new();
    // The last four tokens, the latest last.
    let mut last: [Option<Token>; 4] = [None; 4];
    for token in tokens(input) {
        let [qualified, dot, before, name] = last;
        let is_dot = |token: Option<Token>| token.is_some_and(|token| token.kind == TokenKind::Dot);
        if let (TokenKind::Dot, Some(word)) = (token.kind, name)
            && is_name(word.kind)
            && !is_dot(before)
        {
            let at = word.span.start as usize;
            found.push(Qualifier { name: name_of(input.text, word), at, is_of_column: false });
        }
        let text = token.span.of(input.text);
        let column_of = match text {
            b"*" if is_dot(name) => before,
            b"=" | b":=" if is_dot(before) && !is_dot(qualified) => dot,
            _ => None,
        };
        let at = column_of.map(|token| token.span.start as usize);
        if let Some(qualifier) = found.last_mut().filter(|qualifier| Some(qualifier.at) == at) {
            qualifier.is_of_column = true;
        }
        last = [dot, before, name, Some(token)];
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
pub const REMOTE_ENGINES: [&str; 4] = ["CONNECT", "FEDERATED", "MROONGA", "SPIDER"];
/// What bodies must not hold: text that becomes SQL, and what is about other sessions or the whole server.
const BODY_WORDS: [&str; 8] = ["EXECUTE", "FLUSH", "KILL", "PREPARE", "PURGE", "RESET", "SHOW", "SHUTDOWN"];

/// Refuses what reaches other databases or sessions past the reader: statements that a body prepares,
/// questions and commands about a whole server in it, system schemas, tables that lead to another server.
pub(crate) fn check_dynamic(input: &PlanInput<'_>, has_body: bool) -> Result<(), Refusal> {
    if input.target.may_cross {
        return Ok(());
    }
    if has_body && input.scan.flags.intersects(DISPUTED) {
        return Err(disputed(input.scan.body.start as usize));
    }
    let mut engine_follows = false;
    let mut before = TokenKind::End;
    for token in tokens(input) {
        let word = token.span.of(input.text);
        let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        let at = token.span.start as usize;
        let is_word = token.kind == TokenKind::Word && before != TokenKind::Dot;
        if has_body && is_word && BODY_WORDS.iter().any(|known| is(known)) {
            let what = "a routine that runs text as SQL, or is about the whole server";
            return Err(Refusal::because(Code::NotSupported, what).at(at));
        }
        let is_text = is_name(token.kind) || token.kind == TokenKind::String;
        if engine_follows && is_text {
            let name = name_of(input.text, token);
            let name = name.trim_matches(['\'', '"']);
            if REMOTE_ENGINES.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                let what = "a table of an engine that reaches other servers";
                return Err(Refusal::because(Code::NotSupported, what).at(at));
            }
        }
        let is_equal = token.kind == TokenKind::Operator && word == b"=";
        engine_follows = (token.kind == TokenKind::Word && is("ENGINE")) || (engine_follows && is_equal);
        before = token.kind;
    }
    match qualifiers(input).into_iter().find(|qualifier| SystemSchema::of(&qualifier.name).is_some()) {
        Some(found) => {
            let what = format!("`{}` shows what is not one workspace's", found.name);
            Err(Refusal::because(Code::NotSupported, what).at(found.at))
        }
        None => Ok(()),
    }
}

/// Refuses a text that changes tables somewhere in its middle, as MariaDB's compound statements do: nothing
/// could be decided about it.
pub(crate) fn check_alters_within(input: &PlanInput<'_>) -> Result<(), Refusal> {
    const VERBS: [&str; 3] = ["ALTER", "OPTIMIZE", "RENAME"];
    const BETWEEN: [&str; 5] = ["ONLINE", "OFFLINE", "IGNORE", "LOCAL", "NO_WRITE_TO_BINLOG"];
    let mut verb_at = None;
    for token in tokens(input) {
        let word = token.span.of(input.text);
        let is_any = |known: &[&str]| known.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
        if token.kind != TokenKind::Word {
            verb_at = None;
        } else if is_any(&VERBS) {
            verb_at = Some(token.span.start as usize);
        } else if let (Some(at), true) = (verb_at, is_any(&["TABLE", "TABLES"])) {
            let what = "a change of a table within another statement";
            return Err(Refusal::because(Code::NotSupported, what).at(at));
        } else if !is_any(&BETWEEN) {
            verb_at = None;
        }
    }
    Ok(())
}

/// Version comments that are code to some servers only.
const DISPUTED: ScanFlags = ScanFlags::VERSION_COMMENT_SKIPPED.union(ScanFlags::VERSION_COMMENT_DISPUTED);

fn disputed(at: usize) -> Refusal {
    let why = "a version comment that some servers run and others do not";
    Refusal::because(Code::UnreadStatement, why).at(at)
}

/// Routes the whole text to the session's database, checking every qualifier.
pub(crate) fn plan_whole(input: &PlanInput<'_>) -> Result<Route, Refusal> {
    let names = input.names();
    let Some(keyspace) = names.session_keyspace() else {
        return Err(Refusal::new(Code::NoDatabaseSelected));
    };
    let mut before = TokenKind::End;
    for token in tokens(input) {
        if token.kind == TokenKind::Dot && before == TokenKind::Invalid {
            let why = "a dot behind what is not read";
            return Err(Refusal::because(Code::UnreadStatement, why).at(token.span.start as usize));
        }
        before = token.kind;
    }
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
            None if SystemSchema::of(text).is_some() && !input.target.may_cross => {
                let detail = format!("`{text}` shows what is not one workspace's");
                return Err(Refusal::because(Code::NotSupported, detail).at(at));
            }
            None => check_case(input, text, at)?,
        }
    }
    match keyspace.layout {
        Layout::Unsharded => Ok(Route::Unsharded(keyspace.name.clone())),
        Layout::DatabasePerWorkspace(_) => {
            let keyspace = std::sync::Arc::clone(keyspace);
            let route = DatabaseRoute::of_session(keyspace, Unpinned::Refused);
            Ok(Route::Database(DatabaseRoute { named, ..route }))
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

/// Refuses LOAD_FILE: it reads the disk of one server, where the tables of every workspace are.
pub(crate) fn check_file_reads(input: &PlanInput<'_>) -> Result<(), Refusal> {
    const NAME: &[u8] = b"load_file";
    let is_named = input.text.windows(NAME.len()).any(|window| window.eq_ignore_ascii_case(NAME));
    if !is_named || input.target.may_cross {
        return Ok(());
    }
    let mut before = None;
    for token in tokens_of(input.text, input.scan.body, input.mode) {
        let called = before.filter(|_| token.kind == TokenKind::Open);
        if let Some(name) = called.filter(|name| name_of(input.text, *name).eq_ignore_ascii_case("load_file"))
        {
            return Err(
                super::not_supported("LOAD_FILE reads one server's disk").at(name.span.start as usize)
            );
        }
        before = is_name(token.kind).then_some(token);
    }
    Ok(())
}

/// A version comment that is code to some servers only must mean the same to the reader either way: it holds
/// nothing that opens or closes a string, a name or a comment, and no dot, and stands at none.
pub(crate) fn check_disputed_comments(input: &PlanInput<'_>) -> Result<(), Refusal> {
    if !input.scan.flags.intersects(DISPUTED) || input.target.may_cross {
        return Ok(());
    }
    let mut lexer = Lexer::at(input.text, 0, input.mode);
    let (mut before, mut found) = (TokenKind::End, None);
    loop {
        let token = lexer.next_with_comments();
        let at = token.span.start as usize;
        match token.kind {
            TokenKind::End => return Ok(()),
            TokenKind::VersionComment | TokenKind::VersionOpen => {
                let raw = input.text.get(at + 3..).unwrap_or_default();
                let end = raw.windows(2).position(|pair| pair == b"*/").unwrap_or(raw.len());
                let inside = &raw[..end];
                let opens = inside.windows(2).any(|pair| pair == b"/*" || pair == b"--");
                let marks = inside.iter().any(|byte| b"'\"`.#;[]".contains(byte));
                if opens || marks || before == TokenKind::Dot {
                    return Err(disputed(at));
                }
                found = Some(at);
            }
            TokenKind::Dot if found.is_some() && before == TokenKind::VersionClose => {
                return Err(disputed(at));
            }
            _ => {}
        }
        // A skipped one has no closing token.
        before = match token.kind {
            TokenKind::VersionComment => TokenKind::VersionClose,
            kind if kind.is_comment() && kind != TokenKind::VersionClose => before,
            kind => kind,
        };
    }
}
