use super::*;

fn lex(text: &str, mode: SqlMode) -> Vec<(TokenKind, String)> {
    let mut lexer = Lexer::new(text.as_bytes(), mode);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            return tokens;
        }
        tokens.push((token.kind, String::from_utf8_lossy(token.span.of(text.as_bytes())).into_owned()));
    }
}

fn kinds(text: &str) -> Vec<TokenKind> {
    lex(text, SqlMode::default()).into_iter().map(|(kind, _)| kind).collect()
}

fn words(text: &str) -> Vec<String> {
    lex(text, SqlMode::default()).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn numbers_have_their_forms() {
    use TokenKind::*;
    assert_eq!(
        kinds("1 1.5 .5 1. 1e5 1.e5 1e-5 0x1F 0b01 x'4a' b'1'").as_slice(),
        &[Integer, Decimal, Decimal, Decimal, Float, Float, Float, Hex, Bit, Hex, Bit]
    );
    assert_eq!(kinds("1a 0xz 0b2 1e"), [Word; 4]);
    assert_eq!(kinds("t.1e5"), [Name, Dot, Name]);
    assert_eq!(kinds("t .5"), [Word, Decimal]);
    assert_eq!(kinds("x'4'"), [Invalid, Invalid]);
}

#[test]
fn strings_join_and_escape() {
    let text = br#"'a\'b' "c""d" -- x
 'e'"#;
    let mut lexer = Lexer::new(text, SqlMode::default());
    let token = lexer.next_token();
    assert_eq!((token.kind, token.span.len()), (TokenKind::String, text.len()));
    let literal =
        Literal { kind: LiteralKind::String, span: token.span, introducer: 0, introducer_distance: 0 };
    assert_eq!(&*literal.bytes(text, SqlMode::default()), b"a'bc\"de");
    let mode = SqlMode { no_backslash_escapes: true, ..SqlMode::default() };
    assert_eq!(lex(r"'a\' b", mode)[0].1, r"'a\'");
    let mode = SqlMode { ansi_quotes: true, ..SqlMode::default() };
    assert_eq!(lex("\"a\"", mode)[0].0, TokenKind::QuotedName);
}

#[test]
fn comments_and_versions() {
    assert_eq!(
        words("select 1 -- x\n+ 2 # y\n--3 /* a */ /*+ h */ --"),
        ["select", "1", "+", "2", "-", "-", "3"]
    );
    assert_eq!(words("/*!80013 a */ /*!99999 b /* c */ d */ /*! e*/ /*M! f */ g"), ["a", "e", "g"]);
    let mode = SqlMode { server: ServerVersion { mariadb: true, number: 101_106 }, ..SqlMode::default() };
    let texts: Vec<_> =
        lex("/*!80013 a */ /*!50101 b */ /*M!100100 c */", mode).into_iter().map(|t| t.1).collect();
    assert_eq!(texts, ["b", "c"]);
}

#[test]
fn names_next_to_dots_are_names() {
    use TokenKind::*;
    assert_eq!(kinds("select.from"), [Name, Dot, Name]);
    assert_eq!(kinds("a. select"), [Word, Dot, Word]);
    assert_eq!(kinds("`a`.select"), [QuotedName, Dot, Name]);
    assert_eq!(
        kinds("@@session.x @a.b @`c d` @'e' @"),
        [SystemVariable, Dot, Name, UserVariable, UserVariable, UserVariable, UserVariable]
    );
}

#[test]
fn operators_are_longest() {
    assert_eq!(
        words("a<=>b<>c!=d->>e->f:=g||h&&i<<j>=k"),
        [
            "a", "<=>", "b", "<>", "c", "!=", "d", "->>", "e", "->", "f", ":=", "g", "||", "h", "&&", "i",
            "<<", "j", ">=", "k"
        ]
    );
}

#[test]
fn introducers_need_a_string() {
    use TokenKind::*;
    assert_eq!(
        kinds("_utf8mb4'a' _binary x'41' _latin1 _foo 'x'"),
        [Introducer, String, Introducer, Hex, Word, Word, String]
    );
}

#[test]
fn two_byte_characters_hide_no_quote() {
    let text = b"'\xbf\x5c' or 1";
    let gbk = SqlMode { charset: ClientCharset::Gbk, ..SqlMode::default() };
    assert_eq!(Lexer::new(text, gbk).next_token().span.len(), 4);
    let mut plain = Lexer::new(text, SqlMode::default());
    assert_eq!(plain.next_token().kind, TokenKind::Invalid);
    assert!(plain.is_unterminated());
}
