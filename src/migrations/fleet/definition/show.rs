//! Drift as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::drift::{Drift, DriftGroup};
use super::repair::Repair;
use crate::ddl::Level;
use crate::ids::ClusterName;

/// For people.
pub fn to_text(drift: &Drift) -> String {
    let mut out = String::new();
    let databases: u32 = drift.groups.iter().map(DriftGroup::databases).sum();
    let all = databases + drift.missing.0 + drift.unread.0;
    let _ = writeln!(out, "{}: {} of {all} databases differ", drift.table, drift.drifted());
    if drift.is_tie {
        let _ = writeln!(out, "  as many databases have another definition: --like says which is wanted");
    }
    for group in &drift.groups {
        let print = group.definition.fingerprint();
        let mark = if drift.wanted == Some(print) { "  wanted" } else { "" };
        let count = group.databases();
        let on = clusters_text(&group.clusters);
        let _ = writeln!(out, "  {}  {count} databases{on}{mark}", print.short());
        if group.differences.is_empty() {
            continue;
        }
        let _ = writeln!(out, "    {}", names_text(count, &group.names));
        for difference in &group.differences {
            let _ = writeln!(out, "    {}", difference.words());
        }
        if let Some(repair) = &group.repair {
            write_repair(&mut out, repair);
        }
    }
    for (what, (count, names)) in [("without the table", &drift.missing), ("not read", &drift.unread)] {
        if *count > 0 {
            let _ = writeln!(out, "  {count} databases {what}: {}", names_text(*count, names));
        }
    }
    for (database, why) in &drift.faults {
        let _ = writeln!(out, "    {database}: {why}");
    }
    out
}

fn write_repair(out: &mut String, repair: &Repair) {
    if let Some(statement) = &repair.statement {
        let _ = writeln!(out, "    repair: {statement}");
    }
    if let Some(decision) = &repair.decision {
        let _ = writeln!(out, "      route {}", decision.route.word());
        let refusals = decision.all_findings().filter(|finding| finding.level == Level::Refusal);
        for finding in refusals {
            let rule = finding.rule;
            let _ = writeln!(out, "      refused by {} {}: {}", rule.id, rule.name, rule.remedy);
        }
    }
    for what in &repair.by_hand {
        let _ = writeln!(out, "    by hand: {what}");
    }
}

fn clusters_text(clusters: &BTreeMap<ClusterName, u32>) -> String {
    let parts: Vec<String> = clusters.iter().map(|(cluster, count)| format!("{cluster} {count}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn names_text(count: u32, names: &[String]) -> String {
    let more = (count as usize).saturating_sub(names.len());
    let listed = names.join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}

/// For programs.
pub fn to_json(drift: &Drift) -> Value {
    let groups: Vec<Value> = drift
        .groups
        .iter()
        .map(|group| {
            json!({
                "fingerprint": group.definition.fingerprint(),
                "is_wanted": drift.wanted == Some(group.definition.fingerprint()),
                "databases": group.databases(),
                "clusters": group.clusters,
                "names": group.names,
                "definition": group.definition.text,
                "differences": group.differences.iter().map(|difference| json!({
                    "part": difference.kind.words(),
                    "name": difference.name,
                    "what": difference.words(),
                })).collect::<Vec<_>>(),
                "repair": group.repair.as_ref().map(repair_json),
            })
        })
        .collect();
    let faults: Vec<Value> =
        drift.faults.iter().map(|(database, why)| json!({ "database": database, "why": why })).collect();
    json!({
        "table": drift.table,
        "wanted": drift.wanted,
        "is_tie": drift.is_tie,
        "drifted": drift.drifted(),
        "groups": groups,
        "missing": { "databases": drift.missing.0, "names": drift.missing.1 },
        "unread": { "databases": drift.unread.0, "names": drift.unread.1, "faults": faults },
    })
}

fn repair_json(repair: &Repair) -> Value {
    let rules = repair.decision.iter().flat_map(|decision| decision.all_findings());
    let refused: Vec<&str> =
        rules.filter(|finding| finding.level == Level::Refusal).map(|finding| finding.rule.id).collect();
    json!({
        "statement": repair.statement,
        "route": repair.decision.as_ref().map(|decision| decision.route.word()),
        "refused_by": refused,
        "by_hand": repair.by_hand,
    })
}
