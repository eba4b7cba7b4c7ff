//! Holds the shipped Prometheus rules to what is exported: `tests/admin/metrics.txt`, which is golden.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::BTreeSet;

const RULES: &str = "docker/prometheus/alerts.yml";

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of metrics in an expression: words that begin as ours do.
fn metrics(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("bulkhead_"))
}

#[test]
fn every_metric_of_the_rules_is_exported() {
    let exported = read("tests/admin/metrics.txt");
    let exported: BTreeSet<&str> =
        exported.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(exported.len() > 20, "{exported:?}");
    let rules = read(RULES);
    let named: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).flat_map(metrics).collect();
    assert!(named.len() > 8, "{named:?}");
    let missing: Vec<_> = named.difference(&exported).collect();
    assert!(missing.is_empty(), "{RULES} names what is not exported: {missing:?}");
}

#[test]
fn every_rule_says_what_it_is_and_what_to_do() {
    let rules = read(RULES);
    let of = |key: &str| rules.lines().filter(|line| line.trim().starts_with(key)).count();
    let alerts = of("- alert: Bulkhead");
    assert!(alerts >= 10);
    assert_eq!(alerts, of("expr: "));
    assert_eq!(alerts, of("labels: { severity: "));
    assert_eq!(alerts, of("summary: "));
    assert_eq!(alerts, of("action: "));
}
