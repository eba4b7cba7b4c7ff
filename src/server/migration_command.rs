//! `bulkhead migration …`: schema changes, by way of the admin port.

use clap::{Args, Subcommand};

use super::cli::{AdminLogin, ConfigArgs};
use super::commands::{self, Asked};

// What the commands' --help ends with.
pub(super) const MIGRATION_HELP: &str = "\
Examples:
  bulkhead migration list
  bulkhead migration list --state copying --json
  bulkhead migration show 018f00000000aaaa
  bulkhead migration pause 018f00000000aaaa
  bulkhead migration cut-over 018f00000000aaaa --force

Ends with 1 when there is no such migration, or it is in a state in which that cannot be done.";
const LIST_HELP: &str = "\
Examples:
  bulkhead migration list
  bulkhead migration list --cluster c3 --state failed
  bulkhead migration list --json";
const SHOW_HELP: &str = "\
Example:
  bulkhead migration show 018f00000000aaaa";
const PAUSE_HELP: &str = "\
Example:
  bulkhead migration pause 018f00000000aaaa

The copy stops at the next chunk and holds no lock. Changes of the table go on to be applied, so it can be
resumed whenever you like.";
const RESUME_HELP: &str = "\
Example:
  bulkhead migration resume 018f00000000aaaa";
const THROTTLE_HELP: &str = "\
Example:
  bulkhead migration throttle 018f00000000aaaa --for 600";
const CANCEL_HELP: &str = "\
Example:
  bulkhead migration cancel 018f00000000aaaa

The table is as it was; the shadow table is dropped. Once the tables are exchanged use `revert`.";
const POSTPONE_HELP: &str = "\
Example:
  bulkhead migration postpone 018f00000000aaaa

Everything is copied and compared, and kept up to date, but the tables are exchanged only by `cut-over`.";
const CUT_OVER_HELP: &str = "\
Examples:
  bulkhead migration cut-over 018f00000000aaaa
  bulkhead migration cut-over 018f00000000aaaa --force

--force ends connections whose transactions hold the table, except large ones and holders of table locks.";
const RETRY_HELP: &str = "\
Example:
  bulkhead migration retry 018f00000000cccc";
const REVERT_HELP: &str = "\
Example:
  bulkhead migration revert 018f00000000bbbb

Possible while the old table is kept. Changes made since the exchange are applied to it first.";
const RETIRE_HELP: &str = "\
Example:
  bulkhead migration retire 018f00000000bbbb

The change cannot be reverted afterwards.";

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
pub(super) enum MigrationCommand {
    /// Lists migrations, newest first.
    #[command(after_help = LIST_HELP)]
    List {
        #[command(flatten)]
        reach: Reach,
        /// Only those on this cluster.
        #[arg(long)]
        cluster: Option<String>,
        /// Only those in this state: queued, preparing, copying, verifying, postponed, cutting_over, done,
        /// failed, cancelled, unknown.
        #[arg(long)]
        state: Option<String>,
    },
    /// Shows everything that is known of one.
    #[command(after_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        one: One,
    },
    /// Copies no further.
    #[command(after_help = PAUSE_HELP)]
    Pause {
        #[command(flatten)]
        one: One,
    },
    /// Ends a pause or a throttling.
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
    /// Ends it without a change of the table.
    #[command(after_help = CANCEL_HELP)]
    Cancel {
        #[command(flatten)]
        one: One,
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
    /// Begins one again that failed or was cancelled.
    #[command(after_help = RETRY_HELP)]
    Retry {
        #[command(flatten)]
        one: One,
    },
    /// Puts the old table back, with the changes made since.
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

/// `bulkhead migration …`.
pub(super) fn migration(command: MigrationCommand) -> Result<(), String> {
    let (one, verb, more) = match command {
        MigrationCommand::List { reach, cluster, state } => {
            return list(&reach, cluster.as_deref(), state.as_deref());
        }
        MigrationCommand::Show { one } => (one, "SHOW", String::new()),
        MigrationCommand::Pause { one } => (one, "PAUSE", String::new()),
        MigrationCommand::Resume { one } => (one, "RESUME", String::new()),
        MigrationCommand::Throttle { one, seconds } => (one, "THROTTLE", format!(" FOR {seconds}")),
        MigrationCommand::Cancel { one } => (one, "CANCEL", String::new()),
        MigrationCommand::Postpone { one } => (one, "POSTPONE", String::new()),
        MigrationCommand::CutOver { one, force: true } => (one, "CUT OVER", " FORCE".to_owned()),
        MigrationCommand::CutOver { one, force: false } => (one, "CUT OVER", String::new()),
        MigrationCommand::Retry { one } => (one, "RETRY", String::new()),
        MigrationCommand::Revert { one } => (one, "REVERT", String::new()),
        MigrationCommand::Retire { one } => (one, "RETIRE", String::new()),
    };
    run(&one.reach, &format!("{verb} MIGRATION {}{more}", quoted(&one.id)))
}

fn list(reach: &Reach, cluster: Option<&str>, state: Option<&str>) -> Result<(), String> {
    let wanted = [("cluster", cluster), ("state", state)];
    let wanted = wanted.iter().filter_map(|(name, value)| Some(format!("{name} = {}", quoted((*value)?))));
    let wanted: Vec<String> = wanted.collect();
    let tail = if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) };
    run(reach, &format!("SHOW MIGRATIONS{tail}"))
}

/// Runs a statement and prints its rows; what was done is said in words.
fn run(reach: &Reach, statement: &str) -> Result<(), String> {
    let asked = Asked { path: &reach.config.config, user: &reach.login.user };
    let (rows, info) = commands::ask_one(&asked, statement)?;
    if rows.is_empty() && !info.is_empty() {
        let line = if reach.json { serde_json::json!({ "info": info }).to_string() } else { info };
        println!("{line}");
        return Ok(());
    }
    commands::print_rows(&rows, reach.json)
}

/// Text as the admin port reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
