//! Findings as SARIF 2.1.0 (OASIS), which code scanning services read.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::lint::{Linted, Placed, name};
use crate::ddl::{Level, rules};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One run with every rule and every finding.
pub(super) fn report(linted: &[Linted]) -> Value {
    let rules: Vec<Value> = rules::all()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.name,
                "shortDescription": { "text": rule.sentence },
                "help": { "text": format!("{} (source: {})", rule.remedy, rule.source) },
            })
        })
        .collect();
    let results: Vec<Value> = linted
        .iter()
        .flat_map(|file| file.placed().map(|placed| result(&name(&file.path), &placed)))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bulkhead ddl lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(file: &str, placed: &Placed<'_>) -> Value {
    let finding = placed.finding;
    let level = if finding.level == Level::Refusal { "error" } else { "note" };
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": rules::all().position(|rule| rule.id == finding.rule.id),
        "level": level,
        "message": { "text": format!("{}; remedy: {}", finding.why, finding.rule.remedy) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": {
                "startLine": placed.start.0,
                "startColumn": placed.start.1,
                "endLine": placed.end.0,
                "endColumn": placed.end.1,
            },
        } }],
    })
}

/// A path as a reference by RFC 3986: every byte that means something there, or may not stand there, is
/// written by its number.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_path_is_a_reference() {
        assert_eq!(uri("db/migrate/20260101_x.sql"), "db/migrate/20260101_x.sql");
        assert_eq!(uri("../a b/100%#?ü.sql"), "../a%20b/100%25%23%3F%C3%BC.sql");
        // Not a scheme.
        assert_eq!(uri("a:b.sql"), "a%3Ab.sql");
    }
}
