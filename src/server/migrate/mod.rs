//! `bulkhead migrate …`: schema changes, by way of the admin port.
//!
//! One family for both kinds: a change of one table that is copied, and a *fleet migration*, which is one
//! change of all databases of a keyspace. An id says which of the two it is; `bulkhead migration` is another
//! name for the same.
//!
//! - `submit`: from options to the admin statement.
//! - `watch`: waiting, and one screen about a fleet migration.
//! - `view`, `progress`: what is told of one, and how. Pure.
//! - `link`: the admin port.

mod link;
mod progress;
mod submit;
mod view;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use self::link::{Cells, Fault, Link, quoted};
use self::submit::SubmitArgs;
use self::watch::Awaited;
use super::cli::{AdminLogin, ConfigArgs};
use super::commands::Asked;

// What the commands' --help ends with.
pub(super) const MIGRATE_HELP: &str = "\
Examples:
  bulkhead migrate submit --keyspace workspaces --file add_age.sql --dry-run
  bulkhead migrate submit --keyspace workspaces --file add_age.sql --canary ws_1,ws_2 --wait
  bulkhead migrate status
  bulkhead migrate list --state copying --json
  bulkhead migrate pause 018f00000000aaaa

`bulkhead migration` is another name for it.

Exit codes: 0 done; 1 it ended with failures or was cancelled, or the order was refused; 2 wrong usage, or the
proxy cannot be reached; 130 interrupted: what was waited for goes on.";
const SUBMIT_HELP: &str = "\
Examples:
  bulkhead migrate submit --keyspace workspaces --sql 'ALTER TABLE users ADD age INT' --dry-run
  bulkhead migrate submit --keyspace workspaces --file add_age.sql --wait
  bulkhead migrate submit -k workspaces --file add_age.sql --canary 5 --waves 5%,50% --soak 2m --order size
  bulkhead migrate submit --keyspace workspaces --file add_age.sql --at-once 4 --per-second 2 --json

Prints the migration's id; with --wait, how it ended. What the rules of schema changes refuse is refused here
too: see `bulkhead ddl explain`. Submitted twice it is one migration, and databases that are as the statements
would make them are done.";
const STATUS_HELP: &str = "\
Examples:
  bulkhead migrate status
  bulkhead migrate status 018f00000000aaaa
  bulkhead migrate status 018f00000000aaaa --watch

--watch draws a bar on a terminal, and writes lines elsewhere; it ends when the migration does, with its exit
code.";
const LIST_HELP: &str = "\
Examples:
  bulkhead migrate list
  bulkhead migrate list --cluster c3 --state failed
  bulkhead migrate list --kind fleet --json";
const SHOW_HELP: &str = "\
Example:
  bulkhead migrate show 018f00000000aaaa";
const PAUSE_HELP: &str = "\
Example:
  bulkhead migrate pause 018f00000000aaaa

A copy stops at the next chunk and holds no lock; changes of its table go on to be applied. A fleet migration
begins no further database, and what is being changed comes to its end.";
const RESUME_HELP: &str = "\
Example:
  bulkhead migrate resume 018f00000000aaaa

Ends a pause or a throttling, and lets a fleet migration go on that stopped by itself.";
const THROTTLE_HELP: &str = "\
Example:
  bulkhead migrate throttle 018f00000000aaaa --for 600

For a fleet migration there is `bulkhead migrate pace`.";
const PACE_HELP: &str = "\
Examples:
  bulkhead migrate pace 018f00000000aaaa --at-once 2 --per-second 1
  bulkhead migrate pace 018f00000000aaaa --off

No faster than this on each cluster; the clusters' own budgets hold besides.";
const CANCEL_HELP: &str = "\
Examples:
  bulkhead migrate cancel 018f00000000aaaa
  bulkhead migrate cancel 018f00000000dddd --revert

The table of a copy is as it was. What a fleet migration has changed stays, unless --revert takes it back.";
const POSTPONE_HELP: &str = "\
Example:
  bulkhead migrate postpone 018f00000000aaaa

Everything is copied and compared, and kept up to date, but the tables are exchanged only by `cut-over`.";
const CUT_OVER_HELP: &str = "\
Examples:
  bulkhead migrate cut-over 018f00000000aaaa
  bulkhead migrate cut-over 018f00000000aaaa --force

--force ends connections whose transactions hold the table, except large ones and holders of table locks.";
const RETRY_HELP: &str = "\
Example:
  bulkhead migrate retry 018f00000000cccc

Of a fleet migration every database that failed is tried again.";
const SKIP_HELP: &str = "\
Examples:
  bulkhead migrate skip 018f00000000dddd ws_7
  bulkhead migrate skip 018f00000000dddd --workspace 7

The database is left as it is.";
const REVERT_HELP: &str = "\
Example:
  bulkhead migrate revert 018f00000000bbbb

Of a copy, while the old table is kept: changes made since the exchange are applied to it first. A fleet
migration that is over is taken back by another one.";
const RETIRE_HELP: &str = "\
Example:
  bulkhead migrate retire 018f00000000bbbb

The change cannot be reverted afterwards.";

/// What is being changed comes to its end within this, before it is taken back.
const REST_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How to reach the proxy.
#[derive(Debug, Args)]
pub(super) struct Reach {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    login: AdminLogin,
    /// Prints JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// One migration.
#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    reach: Reach,
    /// Its id, as `list` shows it.
    id: String,
}

/// What is done about migrations.
#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// Changes all databases of a keyspace: a fleet migration.
    #[command(after_help = SUBMIT_HELP)]
    Submit(Box<SubmitArgs>),
    /// One screen: how far fleet migrations are, or one of them with its waves and clusters.
    #[command(after_help = STATUS_HELP)]
    Status {
        #[command(flatten)]
        reach: Reach,
        /// Its id; without it all that are not over.
        id: Option<String>,
        /// Goes on until it ends.
        #[arg(long, requires = "id")]
        watch: bool,
    },
    /// Lists migrations, newest first.
    #[command(after_help = LIST_HELP)]
    List {
        #[command(flatten)]
        reach: Reach,
        /// Only those of this kind: copy, fleet.
        #[arg(long)]
        kind: Option<String>,
        /// Only copies on this cluster.
        #[arg(long)]
        cluster: Option<String>,
        /// Only those in this state: queued, preparing, copying, verifying, postponed, cutting_over, done,
        /// failed, cancelled, unknown; of fleet migrations active, paused, stopped, cancelled, finished.
        #[arg(long)]
        state: Option<String>,
    },
    /// Shows everything that is known of one.
    #[command(after_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        one: One,
    },
    /// Goes no further until it is resumed.
    #[command(after_help = PAUSE_HELP)]
    Pause {
        #[command(flatten)]
        one: One,
    },
    /// Goes on.
    #[command(after_help = RESUME_HELP)]
    Resume {
        #[command(flatten)]
        one: One,
    },
    /// Copies nothing for a while, then goes on by itself.
    #[command(after_help = THROTTLE_HELP)]
    Throttle {
        #[command(flatten)]
        one: One,
        /// Seconds.
        #[arg(long = "for")]
        seconds: u64,
    },
    /// Sets how fast a fleet migration goes at most.
    #[command(after_help = PACE_HELP)]
    Pace {
        #[command(flatten)]
        one: One,
        /// Databases at once.
        #[arg(long, value_name = "N", required_unless_present_any = ["per_second", "off"])]
        at_once: Option<u32>,
        /// Statements in a second.
        #[arg(long, value_name = "N")]
        per_second: Option<f64>,
        /// As fast as the clusters' budgets allow.
        #[arg(long, conflicts_with_all = ["at_once", "per_second"])]
        off: bool,
    },
    /// Ends it.
    #[command(after_help = CANCEL_HELP)]
    Cancel {
        #[command(flatten)]
        one: One,
        /// Takes back what a fleet migration has changed, once it is at rest.
        #[arg(long)]
        revert: bool,
    },
    /// Exchanges the tables only when told.
    #[command(after_help = POSTPONE_HELP)]
    Postpone {
        #[command(flatten)]
        one: One,
    },
    /// Exchanges the tables of a postponed one.
    #[command(after_help = CUT_OVER_HELP)]
    CutOver {
        #[command(flatten)]
        one: One,
        /// Ends connections that hold the table.
        #[arg(long)]
        force: bool,
    },
    /// Tries again what failed.
    #[command(after_help = RETRY_HELP)]
    Retry {
        #[command(flatten)]
        one: One,
    },
    /// Leaves one database out of a fleet migration.
    #[command(after_help = SKIP_HELP)]
    Skip {
        #[command(flatten)]
        one: One,
        /// The database.
        #[arg(required_unless_present = "workspace")]
        database: Option<String>,
        /// The workspace whose database it is.
        #[arg(long, conflicts_with = "database")]
        workspace: Option<String>,
    },
    /// Takes back what was changed.
    #[command(after_help = REVERT_HELP)]
    Revert {
        #[command(flatten)]
        one: One,
    },
    /// Drops the kept old table now.
    #[command(after_help = RETIRE_HELP)]
    Retire {
        #[command(flatten)]
        one: One,
    },
}

impl MigrateCommand {
    fn reach(&self) -> &Reach {
        match self {
            Self::Submit(args) => &args.reach,
            Self::Status { reach, .. } | Self::List { reach, .. } => reach,
            Self::Show { one }
            | Self::Pause { one }
            | Self::Resume { one }
            | Self::Throttle { one, .. }
            | Self::Pace { one, .. }
            | Self::Cancel { one, .. }
            | Self::Postpone { one }
            | Self::CutOver { one, .. }
            | Self::Retry { one }
            | Self::Skip { one, .. }
            | Self::Revert { one }
            | Self::Retire { one } => &one.reach,
        }
    }

    /// The one admin statement that it is; absent where it takes several, or waits.
    fn statement(&self) -> Option<String> {
        let of =
            |verb: &str, one: &One, more: &str| Some(format!("{verb} MIGRATION {}{more}", quoted(&one.id)));
        match self {
            Self::Submit(_) | Self::Status { .. } | Self::Cancel { revert: true, .. } => None,
            Self::List { kind, cluster, state, .. } => {
                let wanted = [("kind", kind), ("cluster", cluster), ("state", state)];
                Some(format!("SHOW MIGRATIONS{}", tail(&wanted)))
            }
            Self::Show { one } => of("SHOW", one, ""),
            Self::Pause { one } => of("PAUSE", one, ""),
            Self::Resume { one } => of("RESUME", one, ""),
            Self::Throttle { one, seconds } => of("THROTTLE", one, &format!(" FOR {seconds}")),
            Self::Pace { one, off: true, .. } => of("PACE", one, " OFF"),
            Self::Pace { one, at_once, per_second, .. } => {
                let at_once = at_once.map(|number| format!(" AT ONCE {number}")).unwrap_or_default();
                let per_second = per_second.map(|number| format!(" PER SECOND {number}")).unwrap_or_default();
                of("PACE", one, &format!("{at_once}{per_second}"))
            }
            Self::Cancel { one, revert: false } => of("CANCEL", one, ""),
            Self::Postpone { one } => of("POSTPONE", one, ""),
            Self::CutOver { one, force } => of("CUT OVER", one, if *force { " FORCE" } else { "" }),
            Self::Retry { one } => of("RETRY", one, ""),
            Self::Skip { one, database, workspace } => {
                let (what, name) = match (database, workspace) {
                    (_, Some(workspace)) => ("WORKSPACE", workspace.as_str()),
                    (database, None) => ("DATABASE", database.as_deref().unwrap_or_default()),
                };
                Some(format!("SKIP {what} {} OF MIGRATION {}", quoted(name), quoted(&one.id)))
            }
            Self::Revert { one } => of("REVERT", one, ""),
            Self::Retire { one } => of("RETIRE", one, ""),
        }
    }
}

fn tail(wanted: &[(&str, &Option<String>)]) -> String {
    let wanted = wanted.iter().filter_map(|(name, value)| value.as_deref().map(|value| (name, value)));
    let wanted: Vec<String> = wanted.map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
    if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) }
}

/// `bulkhead migrate …`; gives the process's exit code.
pub(super) fn run(command: MigrateCommand) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| Fault::Usage(error.to_string()));
    match done.and_then(|runtime| runtime.block_on(carry_out(&command))) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            eprintln!("{fault}");
            fault.exit_code()
        }
    }
}

async fn carry_out(command: &MigrateCommand) -> Result<u8, Fault> {
    let reach = command.reach();
    let mut link = Link::new(Asked { path: &reach.config.config, user: &reach.login.user });
    let done = match (command, command.statement()) {
        (_, Some(statement)) => give(&mut link, &statement, reach.json).await,
        (MigrateCommand::Submit(args), None) => submit::submit(&mut link, args).await,
        (MigrateCommand::Status { id: Some(id), watch: true, .. }, None) => {
            watch::wait(&mut link, Awaited { id, is_known: false }, reach.json).await
        }
        (MigrateCommand::Status { id: Some(id), .. }, None) => status(&mut link, id, reach.json).await,
        (MigrateCommand::Cancel { one, .. }, None) => cancel_and_revert(&mut link, one).await,
        _ => all_under_way(&mut link, reach.json).await,
    };
    link.close().await;
    done
}

/// Gives a statement and prints its rows; what was done is said in words.
async fn give(link: &mut Link<'_>, statement: &str, is_json: bool) -> Result<u8, Fault> {
    let answer = link.ask(statement).await?;
    if answer.rows.is_empty() && !answer.info.is_empty() {
        let info = &answer.info;
        watch::say(&if is_json { serde_json::json!({ "info": info }).to_string() } else { info.clone() })?;
    }
    for row in &answer.rows {
        watch::say(&row_text(row, is_json))?;
    }
    Ok(link::DONE)
}

/// One row on one line.
fn row_text(row: &Cells, is_json: bool) -> String {
    if is_json {
        let object: serde_json::Map<String, serde_json::Value> = row
            .iter()
            .map(|(name, value)| (name.to_owned(), value.map_or(serde_json::Value::Null, Into::into)))
            .collect();
        return serde_json::Value::Object(object).to_string();
    }
    let cells: Vec<String> =
        row.iter().map(|(name, value)| format!("{name}={}", value.unwrap_or("NULL"))).collect();
    cells.join("  ")
}

/// One screen about one migration, of whichever kind.
async fn status(link: &mut Link<'_>, id: &str, is_json: bool) -> Result<u8, Fault> {
    let answer = link.ask(&format!("SHOW MIGRATION {}", quoted(id))).await?;
    if view::View::of(&answer.rows).is_some() {
        return watch::status(link, id, is_json).await;
    }
    for row in &answer.rows {
        let (name, value) = (row.get("name").unwrap_or_default(), row.get("value").unwrap_or_default());
        let text = if is_json { row_text(row, true) } else { format!("{name:<20} {value}") };
        watch::say(&text)?;
    }
    Ok(link::DONE)
}

/// Every fleet migration that is not over, a bar each.
async fn all_under_way(link: &mut Link<'_>, is_json: bool) -> Result<u8, Fault> {
    let rows = link.ask("SHOW MIGRATIONS WHERE kind = fleet").await?.rows;
    let is_over = |row: &Cells| matches!(row.get("state"), Some("finished" | "cancelled" | "refused"));
    let mut shown = 0;
    for row in rows.iter().filter(|row| !is_over(row)) {
        let Some(id) = row.get("id") else { continue };
        shown += 1;
        if is_json {
            watch::say(&row_text(row, true))?;
            continue;
        }
        let view = link.view(id).await?;
        watch::say(&format!("{id} {}: {}", view.state, view.statement))?;
        watch::say(&format!("  {}", progress::bar(&view, usize::MAX)))?;
    }
    if shown == 0 && !is_json {
        watch::say("no fleet migration is under way; `bulkhead migrate list` shows all of them")?;
    }
    Ok(link::DONE)
}

/// Cancels a fleet migration, waits until what was begun is at its end, and has what it changed taken back.
async fn cancel_and_revert(link: &mut Link<'_>, one: &One) -> Result<u8, Fault> {
    let (id, is_json) = (&one.id, one.reach.json);
    let view = link.view(id).await?;
    if !view.is_over {
        give(link, &format!("CANCEL MIGRATION {}", quoted(id)), is_json).await?;
    }
    let since = Instant::now();
    while !link.view(id).await?.is_over {
        if since.elapsed() >= REST_WITHIN {
            let seconds = REST_WITHIN.as_secs();
            return Err(Fault::Refused(format!(
                "fleet migration {id} is cancelled, and not at rest after {seconds} s: `bulkhead migrate \
                 status {id}` says why; then `bulkhead migrate revert {id}`"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    give(link, &format!("REVERT MIGRATION {}", quoted(id)), is_json).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(subcommand)]
        command: MigrateCommand,
    }

    fn statement(line: &str) -> Result<Option<String>, String> {
        let words = std::iter::once("migrate").chain(line.split(' '));
        let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(typed.command.statement())
    }

    #[test]
    fn commands_become_statements() {
        for (line, text) in [
            ("list", "SHOW MIGRATIONS"),
            ("list --kind fleet --state active", "SHOW MIGRATIONS WHERE kind = 'fleet' AND state = 'active'"),
            ("show 1a", "SHOW MIGRATION '1a'"),
            ("pause 1a", "PAUSE MIGRATION '1a'"),
            ("throttle 1a --for 60", "THROTTLE MIGRATION '1a' FOR 60"),
            ("pace 1a --at-once 2", "PACE MIGRATION '1a' AT ONCE 2"),
            ("pace 1a --at-once 2 --per-second 0.5", "PACE MIGRATION '1a' AT ONCE 2 PER SECOND 0.5"),
            ("pace 1a --off", "PACE MIGRATION '1a' OFF"),
            ("cancel 1a", "CANCEL MIGRATION '1a'"),
            ("cut-over 1a --force", "CUT OVER MIGRATION '1a' FORCE"),
            ("skip 1a ws_7", "SKIP DATABASE 'ws_7' OF MIGRATION '1a'"),
            ("skip 1a --workspace 7", "SKIP WORKSPACE '7' OF MIGRATION '1a'"),
            ("revert 1a'b", "REVERT MIGRATION '1a''b'"),
        ] {
            assert_eq!(statement(line).unwrap().as_deref(), Some(text), "{line}");
        }
        for line in ["status", "status 1a --watch", "cancel 1a --revert"] {
            assert_eq!(statement(line).unwrap(), None, "{line}");
        }
        for line in ["status --watch", "pace 1a", "pace 1a --off --at-once 1", "skip 1a", "pause"] {
            assert!(statement(line).is_err(), "{line}");
        }
    }
}
