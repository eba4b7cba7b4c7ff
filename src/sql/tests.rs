//! Properties of the lexer, the scanner and the parsers, on random bytes and on the corpus.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use sqlparser::ast::{Expr, Spanned, Visit, Visitor};

use super::*;

const FRAGMENTS: &[&str] = &[
    "select",
    "SELECT",
    "from",
    "where",
    "insert into",
    "values",
    "update",
    "set",
    "delete",
    "with",
    "create table",
    "(",
    ")",
    ",",
    ".",
    ";",
    "=",
    "<=>",
    ":=",
    "->>",
    "||",
    "*",
    "-",
    "--",
    "-- ",
    "#",
    "/*",
    "*/",
    "/*!",
    "/*!80000",
    "/*!99999",
    "/*+",
    "'",
    "\"",
    "`",
    "\\",
    "'a'",
    "\"b\"",
    "`c`",
    "x'41'",
    "n'x'",
    "_utf8mb4",
    "0x1f",
    "b'01'",
    "1",
    "2.5",
    ".5",
    "1e5",
    "1e",
    "@",
    "@@",
    "@x",
    "@@session.y",
    "?",
    "\\N",
    "t",
    "T",
    "t1",
    "workspace_id",
    "42",
    "and",
    "or",
    "not",
    "in",
    "is null",
    "between",
    "like",
    "union",
    "order by",
    "limit",
    "for update",
    "into",
    "lock in share mode",
    "case when",
    "end",
    "begin",
    "cast(a as",
    "interval",
    "day",
    "json_table(",
    "match",
    "é",
    "\u{0}",
    "\n",
    " ",
    "{",
    "}",
    "table",
    "show",
    "grant",
    "lock tables",
    "partition(",
    "use index (",
    "exists",
    "binary",
    "collate",
    "mod",
    "div",
    "convert(",
    "trim(",
    "over (",
    "window w as (",
    "replace",
    "on duplicate key update",
];

fn modes() -> impl Strategy<Value = SqlMode> {
    let charset = prop_oneof![Just(ClientCharset::Utf8), Just(ClientCharset::Gbk), Just(ClientCharset::Sjis)];
    (any::<[bool; 6]>(), charset).prop_map(|(bits, charset)| SqlMode {
        ansi_quotes: bits[0],
        no_backslash_escapes: bits[1],
        ignore_space: bits[2],
        pipes_as_concat: bits[3],
        high_not_precedence: bits[4],
        charset,
        server: ServerVersion { mariadb: bits[5], number: if bits[5] { 101_106 } else { 80_408 } },
    })
}

fn fragments() -> impl Strategy<Value = String> {
    let piece = (prop::sample::select(FRAGMENTS), prop::sample::select(&["", " ", "  "][..]));
    prop::collection::vec(piece, 0..40)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(a, b)| [a, b]).collect())
}

fn scanned(text: &[u8], mode: SqlMode) -> Scan {
    let mut found = Scan::default();
    scan(text, mode, &mut found);
    found
}

/// Everything that must hold of any bytes.
fn check(text: &[u8], mode: SqlMode) {
    let found = scanned(text, mode);
    assert!(found.end <= text.len() && found.body.end as usize <= text.len());
    assert!(found.body.start <= found.body.end);
    let mut last = 0;
    for literal in &found.literals {
        assert!(literal.span.start >= last && literal.span.start < literal.span.end);
        last = literal.span.end;
        let _value = literal.bytes(text, mode);
        let _charset = literal.charset(text);
    }
    assert!(last as usize <= found.end);
    assert!(found.placeholders.is_sorted() && found.leading_comments <= found.comments.len());
    let _tag = workspace_tag(text, &found, "workspace_id");
    let _directives = directives(text, &found);
    let _text = normalize(text, mode, &found);
    if let Err(unread) = parse(text, &found, mode) {
        assert!(unread.at <= text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_scanned(text in prop::collection::vec(any::<u8>(), 0..200), mode in modes()) {
        check(&text, mode);
    }

    #[test]
    fn any_fragments_are_scanned(text in fragments(), mode in modes()) {
        check(text.as_bytes(), mode);
    }

    #[test]
    fn tokens_tile_the_text(text in fragments(), mode in modes()) {
        let mut lexer = Lexer::new(text.as_bytes(), mode);
        let mut end = 0;
        loop {
            let token = lexer.next_with_comments();
            prop_assert!(token.span.start >= end);
            let gap = &text.as_bytes()[end as usize..token.span.start as usize];
            prop_assert!(gap.iter().all(|byte| lexer::is_space(*byte)));
            if token.kind == TokenKind::End {
                break;
            }
            prop_assert!(token.span.end > token.span.start);
            end = token.span.end;
        }
    }

    #[test]
    fn different_tokens_have_different_shapes(a in fragments(), b in fragments()) {
        let mode = SqlMode::default();
        let tokens = |text: &str| {
            let found = scanned(text.as_bytes(), mode);
            let body = &text.as_bytes()[..found.body.end as usize];
            let mut lexer = Lexer::at(body, found.body.start as usize, mode);
            let mut tokens = vec![(TokenKind::End, found.flags.planned().to_string())];
            loop {
                let token = lexer.next_token();
                let bytes = token.span.of(text.as_bytes());
                match token.kind {
                    TokenKind::End => break tokens,
                    kind if kind.is_literal() => tokens.push((TokenKind::Integer, String::new())),
                    kind => tokens.push((kind, String::from_utf8_lossy(bytes).to_ascii_lowercase())),
                }
            }
        };
        if tokens(&a) != tokens(&b) {
            prop_assert_ne!(scanned(a.as_bytes(), mode).shape, scanned(b.as_bytes(), mode).shape);
        }
    }

    #[test]
    fn space_and_comments_do_not_matter(
        index in any::<prop::sample::Index>(),
        gaps in prop::collection::vec(0usize..5, 64),
    ) {
        let corpus = corpus();
        let (text, mode) = index.get(&corpus);
        let Some(spaced) = respace(text, *mode, &gaps) else { return Ok(()) };
        let (before, after) = (scanned(text.as_bytes(), *mode), scanned(spaced.as_bytes(), *mode));
        prop_assert_eq!(before.shape, after.shape, "{} | {}", text, spaced);
        let name = |text: &str, found: &Scan| digest(text.as_bytes(), *mode, found);
        prop_assert_eq!(name(text, &before), name(&spaced, &after), "{} | {}", text, spaced);
        let normal = |text: &str, found: &Scan| normalize(text.as_bytes(), *mode, found);
        prop_assert_eq!(normal(text, &before), normal(&spaced, &after));
    }

    #[test]
    fn values_do_not_matter(
        index in any::<prop::sample::Index>(),
        number in any::<u32>(),
        text in "[a-z'\\\\]{0,8}",
    ) {
        let mut corpus = corpus();
        corpus.retain(|(text, mode)| scanned(text.as_bytes(), *mode).kind.is_query());
        let (statement, mode) = index.get(&corpus);
        let before = scanned(statement.as_bytes(), *mode);
        let string = quote::string(&text);
        prop_assume!(!string.starts_with('_'));
        let mut replaced = statement.clone();
        for literal in before.literals.iter().rev() {
            let span = literal.span.start as usize..literal.span.end as usize;
            match literal.kind {
                LiteralKind::Integer => replaced.replace_range(span, &number.to_string()),
                LiteralKind::String if replaced[..span.start].trim_end().ends_with(['=', '(', ',']) => {
                    replaced.replace_range(span, &string);
                }
                _ => {}
            }
        }
        let after = scanned(replaced.as_bytes(), *mode);
        prop_assert_eq!(before.shape, after.shape, "{} | {}", statement, replaced);
        prop_assert_eq!(before.literals.len(), after.literals.len());
    }
}

/// The statements of the corpus.
fn corpus() -> Vec<(String, SqlMode)> {
    static CORPUS: LazyLock<Vec<(String, SqlMode)>> = LazyLock::new(read_corpus);
    CORPUS.clone()
}

fn read_corpus() -> Vec<(String, SqlMode)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut statements = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let content = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut mode = SqlMode::default();
        for line in content.lines() {
            if let Some(version) = line.strip_prefix("# server: ") {
                mode.server = ServerVersion::parse(version).unwrap();
            }
            if !line.starts_with('#') && !line.trim().is_empty() {
                statements.push((line.to_owned(), mode));
            }
        }
    }
    statements
}

/// The statement with other space where it has space; `None` when it has comments, which may be code or
/// hints.
fn respace(text: &str, mode: SqlMode, gaps: &[usize]) -> Option<String> {
    let mut lexer = Lexer::new(text.as_bytes(), mode);
    let (mut out, mut end, mut kind) = (String::new(), 0, TokenKind::End);
    for count in 0.. {
        let token = lexer.next_with_comments();
        if token.kind.is_comment() {
            return None;
        }
        let apart = token.span.start > end && kind != TokenKind::Introducer;
        let gap = [" ", "\n\t", " /* c */ ", " -- c\n", " # c\n"][gaps[count % gaps.len()]];
        out.push_str(if apart { gap } else { &text[end as usize..token.span.start as usize] });
        if token.kind == TokenKind::End {
            return Some(out);
        }
        out.push_str(&text[token.span.start as usize..token.span.end as usize]);
        (end, kind) = (token.span.end, token.kind);
    }
    None
}

/// Collects the places of the values in a tree.
#[derive(Default)]
struct Values(Vec<(String, Option<Span>)>);

impl Visitor for Values {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr {
            self.0.push((value.value.to_string(), byte_span(value.span())));
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn values_in_trees_lead_back_to_literals() {
    let mut count = 0;
    for (text, mode) in corpus() {
        let found = scanned(text.as_bytes(), mode);
        let Ok(Parsed::Query(statement)) = parse(text.as_bytes(), &found, mode) else { continue };
        let mut values = Values::default();
        let _flow = statement.visit(&mut values);
        for (value, span) in values.0 {
            if value == "NULL" || value == "true" || value == "false" {
                continue;
            }
            let start = span.unwrap_or_else(|| panic!("no place: {value} in {text}")).start as usize;
            let known = if value == "?" { found.placeholder_at(start) } else { found.literal_at(start) };
            assert!(known.is_some(), "{value} at {start} in {text}");
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn nothing_grows_without_bound() {
    let mode = SqlMode::default();
    let text = format!("insert into t values {}", vec!["(1,'x')"; 50_000].join(","));
    let found = scanned(text.as_bytes(), mode);
    assert_eq!(found.literals.len(), 100_000);
    assert!(matches!(
        parse(text.as_bytes(), &found, mode),
        Err(Unread { why: UnreadReason::TooComplex { .. }, .. })
    ));
    let text = "/*a*/".repeat(100) + "select 1";
    assert!(scanned(text.as_bytes(), mode).comments.len() <= COMMENTS_MAX);
}
