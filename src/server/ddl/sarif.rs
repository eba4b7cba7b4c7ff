//! Findings as SARIF 2.1.0 (OASIS), which code scanning services read.

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
            "artifactLocation": { "uri": file },
            "region": {
                "startLine": placed.start.0,
                "startColumn": placed.start.1,
                "endLine": placed.end.0,
                "endColumn": placed.end.1,
            },
        } }],
    })
}
