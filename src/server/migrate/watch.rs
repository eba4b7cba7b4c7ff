//! Waiting for a fleet migration, and showing how far it is.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::link::{self, Cells, Fault, Link, quoted};
use super::progress::{self, Lines};
use super::view::{End, View};
use crate::admin::{AdminAnswer, AdminTable, AdminValue, ColumnKind};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A proxy that restarts is waited for so long.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// Databases that failed or drifted, at most, in one screen.
const TROUBLED_SHOWN: usize = 10;
/// Characters of a terminal's line when the terminal does not say.
const WIDTH: usize = 80;

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// A bar that is drawn again and again.
    Bar {
        /// Characters of a line.
        width: usize,
    },
    /// Lines, on standard error.
    Lines,
}

impl Tell {
    /// A bar where standard error is a terminal.
    pub(super) fn of_terminal() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        Self::Bar { width: columns.filter(|width| *width >= 40).unwrap_or(WIDTH) - 1 }
    }
}

/// Waits until it ends, however long that takes. Progress is told on standard error, the end on standard
/// output.
pub(super) async fn wait(link: &mut Link<'_>, id: &str, is_json: bool) -> Result<u8, Fault> {
    let tell = Tell::of_terminal();
    tokio::select! {
        ended = until_end(link, id, tell) => {
            let (view, end) = ended?;
            say_end(&view, end, is_json)?;
            Ok(if end == End::Done { link::DONE } else { link::FAILED })
        }
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\n{}", goes_on(id));
            Ok(link::INTERRUPTED)
        }
    }
}

/// What is said when the wait ends before what it is for.
pub(super) fn goes_on(id: &str) -> String {
    format!(
        "fleet migration {id} goes on: `bulkhead migrate status {id} --watch` shows it, `bulkhead migrate \
         cancel {id}` ends it"
    )
}

async fn until_end(link: &mut Link<'_>, id: &str, tell: Tell) -> Result<(View, End), Fault> {
    let began = Instant::now();
    let (mut lines, mut seen) = (Lines::default(), Instant::now());
    loop {
        match link.view(id).await {
            Ok(view) => {
                seen = Instant::now();
                show(&view, tell, lines.is_due(&view, began.elapsed()));
                if let Some(end) = view.end() {
                    if let Tell::Bar { .. } = tell {
                        eprintln!();
                    }
                    return Ok((view, end));
                }
            }
            // The proxy may be starting again; the migration goes on with it.
            Err(Fault::Unreachable(why)) if seen.elapsed() < AWAY_MAX => {
                tracing::debug!(why, "the proxy does not answer");
            }
            Err(Fault::Unreachable(why)) => {
                return Err(Fault::Unreachable(format!("{why}\n{}", goes_on(id))));
            }
            Err(fault) => return Err(fault),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn show(view: &View, tell: Tell, is_due: bool) {
    match tell {
        Tell::Bar { width } => {
            eprint!("\r{}\x1b[K", progress::bar(view, width));
            // Progress that cannot be shown is not worth an error.
            let _ = std::io::stderr().flush();
        }
        Tell::Lines if is_due => eprintln!("{}", progress::line(view, SystemTime::now())),
        Tell::Lines => {}
    }
}

fn say_end(view: &View, end: End, is_json: bool) -> Result<(), Fault> {
    let text = if is_json { json_of(view, Some(end)).to_string() } else { progress::verdict(view, end) };
    say(&text)
}

/// Writes a line to standard output.
pub(super) fn say(text: &str) -> Result<(), Fault> {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    written.map_err(|error| Fault::Usage(format!("the answer cannot be written: {error}")))
}

fn json_of(view: &View, end: Option<End>) -> Value {
    json!({
        "migration_id": view.id,
        "keyspace": view.keyspace,
        "statement": view.statement,
        "state": view.state,
        "step": view.step,
        "ended": end.map(|end| match end {
            End::Done => "done",
            End::Incomplete => "incomplete",
            End::Stopped => "stopped",
        }),
        "by": view.by,
        "waits_for": view.waits_for,
        "wave": view.wave,
        "waves": view.waves,
        "wave_name": view.wave_name,
        "databases": view.databases,
        "over": view.over,
        "changed": view.changed,
        "there": view.there,
        "failed": view.failed,
        "drifted": view.drifted,
        "skipped": view.skipped,
        "later": view.later,
        "databases_per_s": view.per_second,
        "eta_s": view.remaining.map(|left| left.as_secs()),
        "both_definitions_in_use": view.is_mixed,
    })
}

/// One screen about a fleet migration.
pub(super) async fn status(link: &mut Link<'_>, id: &str, is_json: bool) -> Result<u8, Fault> {
    let view = link.view(id).await?;
    let of = |part: &str, tail: &str| format!("SHOW MIGRATION {part} {}{tail}", quoted(id));
    let waves = link.ask(&of("WAVES", "")).await?.rows;
    let clusters = link.ask(&of("CLUSTERS", "")).await?.rows;
    let mut troubled = Vec::new();
    for state in ["failed", "drifted"] {
        let tail = format!(" STATE {state} LIMIT {TROUBLED_SHOWN}");
        troubled.extend(link.ask(&of("DATABASES", &tail)).await?.rows);
    }
    if is_json {
        let mut object = json_of(&view, view.end());
        object["by_wave"] = waves.iter().map(object_of).collect();
        object["by_cluster"] = clusters.iter().map(object_of).collect();
        object["troubled"] = troubled.iter().map(object_of).collect();
        say(&object.to_string())?;
    } else {
        say(screen(&view, &waves, &clusters, &troubled).trim_end())?;
    }
    Ok(match view.end() {
        None | Some(End::Done) => link::DONE,
        Some(End::Incomplete | End::Stopped) => link::FAILED,
    })
}

fn object_of(cells: &Cells) -> Value {
    let object: Map<String, Value> =
        cells.iter().map(|(name, value)| (name.to_owned(), value.map_or(Value::Null, Into::into))).collect();
    Value::Object(object)
}

fn screen(view: &View, waves: &[Cells], clusters: &[Cells], troubled: &[Cells]) -> String {
    let View { id, keyspace, statement, state, step, .. } = view;
    let mut text = format!("fleet migration {id} of keyspace {keyspace}: {state}, {step}\n  {statement}\n");
    text.push_str(&progress::bar(view, usize::MAX));
    text.push('\n');
    if view.is_mixed {
        text.push_str("both definitions are in use: running code has to cope with both\n");
    }
    let wave_columns =
        ["wave", "name", "state", "databases", "over", "running", "failed", "drifted", "soak_s"];
    let cluster_columns =
        ["cluster", "lane", "share", "statements_per_s", "databases", "over", "running", "failed", "foreign"];
    for (rows, columns) in [(waves, &wave_columns), (clusters, &cluster_columns)] {
        text.push('\n');
        text.push_str(&table(rows, columns));
    }
    if !troubled.is_empty() {
        text.push('\n');
        text.push_str(&table(troubled, &["database", "cluster", "state", "attempts", "error"]));
    }
    text
}

/// Some columns of rows, aligned.
fn table(rows: &[Cells], columns: &[&str]) -> String {
    let mut table = AdminTable::new(columns.iter().map(|column| (*column, ColumnKind::Text)));
    for row in rows {
        table.push(columns.iter().map(|column| AdminValue::optional(row.get(column))));
    }
    AdminAnswer::Rows(table).to_text()
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::sample;
    use super::*;

    #[test]
    fn a_screen_has_all_parts() {
        let wave = Cells::of(&[
            ("wave", Some("1")),
            ("name", Some("canary")),
            ("state", Some("over")),
            ("databases", Some("3")),
            ("over", Some("3")),
            ("running", Some("0")),
            ("failed", Some("1")),
            ("drifted", Some("0")),
            ("soak_s", Some("300")),
        ]);
        let cluster = Cells::of(&[
            ("cluster", Some("c1")),
            ("lane", Some("closed: it is suspect")),
            ("databases", Some("1500")),
            ("over", Some("120")),
        ]);
        let failed = Cells::of(&[
            ("database", Some("ws_7")),
            ("cluster", Some("c1")),
            ("state", Some("failed")),
            ("attempts", Some("5")),
            ("error", Some("Lock wait timeout exceeded")),
        ]);
        let view = View { is_mixed: true, failed: 1, ..sample() };
        assert_eq!(
            screen(&view, &[wave], &[cluster], &[failed]),
            "\
fleet migration 018f00000000dddd of keyspace workspaces: active, working
  ALTER TABLE issues ADD a INT
[#-----------------------] 243/3,000 8.1 %  wave 3/4 10 %  12.3/s, 3m44s left  1 failed
both definitions are in use: running code has to cope with both

wave  name    state  databases  over  running  failed  drifted  soak_s
1     canary  over   3          3     0        1       0        300

cluster  lane                   share  statements_per_s  databases  over  running  failed  foreign
c1       closed: it is suspect  -      -                 1500       120   -        -       -

database  cluster  state   attempts  error
ws_7      c1       failed  5         Lock wait timeout exceeded
"
        );
        assert_eq!(json_of(&view, Some(End::Done))["ended"], "done");
        assert_eq!(json_of(&view, None)["ended"], Value::Null);
    }

    #[test]
    fn a_wait_that_ends_says_what_goes_on() {
        let said = goes_on("018f00000000dddd");
        assert!(said.contains("goes on") && said.contains("status 018f00000000dddd --watch"));
    }
}
