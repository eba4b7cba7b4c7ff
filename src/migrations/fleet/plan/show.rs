//! Plans as text and as JSON: what `--dry-run` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::summary::{ClusterPlan, GroupPlan, Summary, Verdict};
use crate::ddl::Level;
use crate::ids::ClusterName;
use crate::migrations::fleet::ledger::Wave;

/// For people. `waves` are as they were laid out; the pauses between them come on top of the clusters' times.
pub fn to_text(plan: &Summary, waves: &[Wave]) -> String {
    let mut out = String::new();
    let databases: u32 = plan.groups.iter().map(GroupPlan::databases).sum();
    let _ = writeln!(
        out,
        "{} databases: {} to change, {} done already, {} drifted, {} refused, {} without the table, \
         {} not read",
        databases + plan.missing + plan.unread,
        plan.count(|verdict| *verdict == Verdict::Change),
        plan.count(|verdict| *verdict == Verdict::Done),
        plan.count(|verdict| matches!(verdict, Verdict::Drifted(_))),
        plan.count(|verdict| *verdict == Verdict::Refused),
        plan.missing,
        plan.unread,
    );
    plan.groups.iter().for_each(|group| write_group(&mut out, group));
    for (cluster, part) in &plan.clusters {
        let _ = writeln!(
            out,
            "cluster {cluster}: {} to change ({} copied), about {} at {:.1} statements a second",
            part.to_change,
            part.copied,
            time_text(part.time),
            part.statements_per_second,
        );
    }
    for wave in waves {
        let soak = if wave.soak_ms > 0 {
            format!(", then {} of waiting", time_text(wave.soak()))
        } else {
            String::new()
        };
        let _ = writeln!(out, "wave {}: {} databases{soak}", wave.name, wave.databases);
    }
    if plan.count(|verdict| *verdict == Verdict::Change) > 1 {
        out.push_str(
            "meanwhile some databases have the new definition and some the old: code has to cope with both\n",
        );
    }
    if plan.breaks_code {
        out.push_str("code that runs can break: see the rules\n");
    }
    out
}

fn write_group(out: &mut String, group: &GroupPlan) {
    let (print, count) = (group.definition.fingerprint().short(), group.databases());
    let what = match &group.verdict {
        Verdict::Change => format!("route {}", group.decision.route.word()),
        Verdict::Done => "done already".to_owned(),
        Verdict::Drifted(why) => format!("drifted, left as they are: {why}"),
        Verdict::Refused => "refused".to_owned(),
    };
    let _ = writeln!(out, "  {print}  {count} databases  {what}");
    if group.verdict == Verdict::Refused {
        for finding in group.decision.all_findings().filter(|finding| finding.level == Level::Refusal) {
            let rule = finding.rule;
            let _ = writeln!(out, "    {} {}: {}; {}", rule.id, rule.name, finding.why, rule.remedy);
        }
    }
    if !group.differences.is_empty() {
        let more = if (count as usize) > group.names.len() { ", …" } else { "" };
        let _ = writeln!(out, "    {}{more}", group.names.join(", "));
    }
    for difference in &group.differences {
        let _ = writeln!(out, "    {}", difference.words());
    }
}

/// Seconds, minutes, hours, whichever reads best.
fn time_text(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 120.0 => format!("{seconds:.0} s"),
        _ if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

impl ClusterPlan {
    /// One object: databases by what becomes of them, statements, seconds.
    pub fn to_json(&self) -> Value {
        json!({
            "to_change": self.to_change,
            "copied": self.copied,
            "done": self.done,
            "left": self.left,
            "statements": self.statements,
            "seconds": self.time.as_secs_f64(),
            "statements_per_second": self.statements_per_second,
        })
    }
}

/// For programs.
pub fn to_json(plan: &Summary, waves: &[Wave]) -> Value {
    let groups: Vec<Value> = plan
        .groups
        .iter()
        .map(|group| {
            let (verdict, why) = match &group.verdict {
                Verdict::Change => ("change", None),
                Verdict::Done => ("done", None),
                Verdict::Drifted(why) => ("drifted", Some(why)),
                Verdict::Refused => ("refused", None),
            };
            json!({
                "fingerprint": group.definition.fingerprint(),
                "to": group.to,
                "databases": group.databases(),
                "clusters": group.clusters,
                "names": group.names,
                "verdict": verdict,
                "why": why,
                "route": group.decision.route.word(),
                "differences": group.differences.iter().map(|d| d.words()).collect::<Vec<_>>(),
            })
        })
        .collect();
    let clusters: BTreeMap<&ClusterName, Value> =
        plan.clusters.iter().map(|(cluster, part)| (cluster, part.to_json())).collect();
    json!({
        "groups": groups,
        "clusters": clusters,
        "waves": waves,
        "missing": plan.missing,
        "unread": plan.unread,
        "statements_per_database": plan.statements,
        "breaks_code": plan.breaks_code,
    })
}
