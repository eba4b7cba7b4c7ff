//! What a fleet migration would do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::error::ClientError;
use crate::ids::{ClusterName, Keyspace, MigrationId};
use crate::migrations::fleet::ledger::{StepKind, Wave};
use crate::migrations::fleet::plan::{self, ClusterPlan, Summary};

/// One statement's part of a plan.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// The statement.
    pub text: String,
    /// The table or view.
    pub table: String,
    /// What it is.
    pub kind: StepKind,
    /// What it would do: every definition once. Absent for tables and views that are made.
    pub summary: Option<Summary>,
}

/// What a fleet migration would do.
#[derive(Clone, Debug)]
pub struct FleetPlan {
    /// The keyspace.
    pub keyspace: Keyspace,
    /// Its databases.
    pub databases: u32,
    /// The statements.
    pub steps: Vec<StepPlan>,
    /// Databases in which something is to be done.
    pub to_change: u32,
    /// Databases that are as the statements would make them.
    pub done: u32,
    /// Databases that drifted from the others and are left as they are; names and why of the first 20.
    pub drifted: (u32, Vec<(String, String)>),
    /// Databases that could not be read, which are looked at again when their turn comes; names and why of
    /// the first 20.
    pub unread: (u32, Vec<(String, String)>),
    /// Databases whose workspace is moving or suspended: they are done when they can be.
    pub later: BTreeMap<&'static str, u32>,
    /// The clusters: time and load, all statements together.
    pub clusters: BTreeMap<ClusterName, ClusterPlan>,
    /// The waves, in order; none when there is nothing to change.
    pub waves: Vec<Wave>,
    /// Fleet migrations that change one of the tables and come first.
    pub behind: Vec<MigrationId>,
    /// What whoever submits it would be told instead: a statement is refused, or has to be acknowledged or
    /// proven.
    pub refused: Option<ClientError>,
    /// What people should know, a sentence each.
    pub warnings: Vec<String>,
}

impl FleetPlan {
    /// Says whether every database is as the statements would make it, and nobody is about to change that.
    pub fn is_all_there(&self) -> bool {
        let left = self.to_change + self.drifted.0 + self.unread.0;
        left == 0 && self.behind.is_empty() && self.refused.is_none()
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut out = format!("keyspace {}: {} databases\n", self.keyspace, self.databases);
        for (step, at) in self.steps.iter().zip(1..) {
            if self.steps.len() > 1 {
                let _ = writeln!(out, "statement {at}: {}", step.text);
            }
            match &step.summary {
                Some(summary) => {
                    let part = plan::to_text(&Summary { clusters: BTreeMap::new(), ..summary.clone() }, &[]);
                    // What is true of all statements comes behind them.
                    let own = part.lines().filter(|line| !is_general(line));
                    own.for_each(|line| out.push_str(&format!("{line}\n")));
                }
                None => {
                    let _ = writeln!(out, "  {} {}", words(step.kind), step.table);
                }
            }
        }
        let _ = writeln!(
            out,
            "{} to change, {} done already, {} drifted, {} not read",
            self.to_change, self.done, self.drifted.0, self.unread.0
        );
        for (what, (count, names)) in [("drifted", &self.drifted), ("not read", &self.unread)] {
            for (database, why) in names {
                let _ = writeln!(out, "  {what}: {database}: {why}");
            }
            let more = (*count as usize).saturating_sub(names.len());
            if more > 0 {
                let _ = writeln!(out, "  {what}: {more} more");
            }
        }
        for (why, count) in &self.later {
            let _ = writeln!(out, "{count} {why}: left for later");
        }
        self.write_course(&mut out);
        out
    }

    fn write_course(&self, out: &mut String) {
        for (cluster, part) in &self.clusters {
            let _ = writeln!(
                out,
                "cluster {cluster}: {} to change ({} copied), {} statements, about {:.0} s at {:.1} a second",
                part.to_change,
                part.copied,
                part.statements,
                part.time.as_secs_f64(),
                part.statements_per_second,
            );
        }
        for wave in &self.waves {
            let soak = wave.soak().as_secs();
            let soak = if soak > 0 { format!(", then {soak} s of waiting") } else { String::new() };
            let _ = writeln!(out, "wave {}: {} databases{soak}", wave.name, wave.databases);
        }
        for id in &self.behind {
            let _ = writeln!(out, "waits until fleet migration {id} is over: it changes the same table");
        }
        self.warnings.iter().for_each(|warning| out.push_str(&format!("{warning}\n")));
        if let Some(refused) = &self.refused {
            let _ = writeln!(out, "refused: {}", refused.wire_message());
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            json!({
                "statement": step.text,
                "table": step.table,
                "kind": step.kind,
                "plan": step.summary.as_ref().map(|summary| plan::to_json(summary, &[])),
            })
        });
        let list = |(count, names): &(u32, Vec<(String, String)>)| {
            let named = names.iter().map(|(database, why)| json!({ "database": database, "why": why }));
            json!({ "databases": count, "first": named.collect::<Vec<_>>() })
        };
        let clusters = self.clusters.iter().map(|(cluster, part)| (cluster.to_string(), part.to_json()));
        json!({
            "keyspace": self.keyspace,
            "databases": self.databases,
            "statements": steps.collect::<Vec<_>>(),
            "to_change": self.to_change,
            "done": self.done,
            "drifted": list(&self.drifted),
            "unread": list(&self.unread),
            "later": self.later,
            "clusters": clusters.collect::<serde_json::Map<_, _>>(),
            "waves": self.waves,
            "behind": self.behind,
            "refused": self.refused.as_ref().map(ClientError::wire_message),
            "warnings": self.warnings,
        })
    }
}

fn is_general(line: &str) -> bool {
    line.starts_with("meanwhile ") || line.starts_with("code that runs ")
}

fn words(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Alter => "changes",
        StepKind::CreateTable => "makes table",
        StepKind::DropTable => "puts away table",
        StepKind::CreateView => "makes view",
        StepKind::DropView => "drops view",
    }
}
