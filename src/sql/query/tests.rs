use super::*;
use crate::sql::scan::scan;

fn parse(text: &str) -> Result<Statement, Unread> {
    let mut found = Scan::default();
    scan(text.as_bytes(), SqlMode::default(), &mut found);
    parse_query(text.as_bytes(), &found, SqlMode::default()).map(|statement| *statement)
}

#[test]
fn precedence_is_mysqls() {
    let same = [
        ("select a = 1 || b = 2", "select (a = 1) or (b = 2)"),
        ("select a and b xor c or d", "select ((a and b) xor c) or d"),
        ("select binary a = b or c", "select ((binary a) = b) or c"),
        ("select !a = b", "select (!a) = b"),
        ("select not a = b and c", "select (not (a = b)) and c"),
        ("select @a := b or c", "select @a := (b or c)"),
        ("select a = b in (1)", "select a = (b in (1))"),
        ("select a mod b div c + 1", "select ((a mod b) div c) + 1"),
        ("select a | b & c << d + e", "select a | (b & (c << (d + e)))"),
        ("select -a ^ b", "select (-a) ^ b"),
    ];
    for (flat, nested) in same {
        let shape = |text: &str| {
            format!("{:?}", parse(text).unwrap_or_else(|e| panic!("{text}: {e}")))
                .replace("Nested(", "")
                .replace(')', "")
        };
        assert_eq!(spanless(&shape(flat)), spanless(&shape(nested)), "{flat}");
    }
}

/// The debug form without spans.
fn spanless(tree: &str) -> String {
    tree.split(", ")
        .filter(|part| !part.contains("span") && !part.contains("Span"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn chains_are_bounded() {
    let text = format!("select 1{}", "+1".repeat(60_000));
    assert!(matches!(parse(&text).unwrap_err().why, UnreadReason::TooComplex { .. }));
    let text = format!("select 1{}", " is null".repeat(60_000));
    assert!(matches!(parse(&text).unwrap_err().why, UnreadReason::TooComplex { .. }));
    let text = format!("select {}1", "(".repeat(10_000));
    assert!(parse(&text).is_err());
    let text = format!("select 1{}", " union select 1, 2".repeat(60_000));
    assert!(parse(&text).is_err());
}
