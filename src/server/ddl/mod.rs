//! `bulkhead ddl`: the rules, what would become of a statement, migration files in CI, room of integers.
//! Servers are only asked where the arguments say so, and only read.

mod headroom;
mod lint;
mod live;
mod rooms;
mod sarif;

pub(super) use rooms::{Rooms, watch};

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use self::live::DatabaseArgs;
use crate::ddl::{self, Route, Script, ScriptError, rules};
use crate::sql::ServerVersion;

/// `--table-from live`.
const LIVE: &str = "live";
/// What some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What `bulkhead ddl --help` ends with.
pub(super) const DDL_HELP: &str = "\
Examples:
  bulkhead ddl rules
  bulkhead ddl explain --table-from users.sql 'ALTER TABLE users ADD COLUMN age INT'
  bulkhead ddl lint --schema structure.sql migrations/20260101_add_age.sql
  bulkhead ddl headroom --database ws_42

Nothing is changed on a server.";
const RULES_HELP: &str = "\
Examples:
  bulkhead ddl rules
  bulkhead ddl rules --json";
const EXPLAIN_HELP: &str = "\
Examples:
  bulkhead ddl explain --table-from users.sql 'ALTER TABLE users ADD COLUMN age INT'
  bulkhead ddl explain --table-from users.sql --flavour mariadb --version 10.11 --json 'DROP INDEX i ON users'

  bulkhead ddl explain --table-from live --database ws_42 'ALTER TABLE users ADD COLUMN age INT'

The file holds CREATE TABLE statements, as SHOW CREATE TABLE prints them. With `live` the definition, the
server's version and whether there are rows are asked of the cluster that holds the database, by its admin
login.
Ends with 0 when the statement would run or be copied, 1 when it would be refused, 2 when it or a file cannot
be read.";
const HEADROOM_HELP: &str = "\
Examples:
  bulkhead ddl headroom --database ws_42
  bulkhead ddl headroom --database ws_42 --all --format json
  bulkhead ddl headroom --database app --earlier last-week.json

Looks at integer columns near the end of their range: counters, sequences, and columns that refer to a key, by
foreign key or by a name such as order_id. Reads one database's dictionary and both ends of its indexes.
Ends with 0 when none is near its end, 1 when one is at 70 % or has less than 90 days, 2 when the database
cannot be read.";
const LINT_HELP: &str = "\
Examples:
  bulkhead ddl lint --schema structure.sql migrations/20260101_add_age.sql
  bulkhead ddl lint --format sarif --schema structure.sql migrations/20260101_add_age.sql

CREATE TABLE statements of the files count as definitions too, and each change is followed. A statement with
the comment /* bulkhead: ddl_acknowledged */ is known to break running code or to drop rows; one with
/* bulkhead: ddl_prove */ may be copied after a scan of the rows.
Ends with 0 when no statement would be refused, 1 when one would, 2 when a file cannot be read.";

/// What there is to do with schema changes.
#[derive(Debug, Subcommand)]
pub(super) enum DdlCommand {
    /// Lists the rules by which schema changes are decided.
    #[command(after_help = RULES_HELP)]
    Rules {
        /// Prints one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Says what would become of a statement, and why.
    #[command(after_help = EXPLAIN_HELP)]
    Explain {
        /// The statement.
        sql: String,
        /// A file with the table's CREATE TABLE, or `live`: the database's own.
        #[arg(long, value_name = "FILE|live")]
        table_from: Option<PathBuf>,
        /// Which database, for `--table-from live`.
        #[command(flatten)]
        database: DatabaseArgs,
        /// The server and what is allowed.
        #[command(flatten)]
        target: TargetArgs,
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Shows integer columns near the end of their range.
    #[command(after_help = HEADROOM_HELP)]
    Headroom {
        /// What is looked at.
        #[command(flatten)]
        args: headroom::HeadroomArgs,
    },
    /// Looks through migration files.
    #[command(after_help = LINT_HELP)]
    Lint {
        /// SQL files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Files with the CREATE TABLE of the tables that are there before.
        #[arg(long, value_name = "FILE")]
        schema: Vec<PathBuf>,
        /// The server and what is allowed.
        #[command(flatten)]
        target: TargetArgs,
        /// How the findings are printed.
        #[arg(long, value_enum, default_value = "human")]
        format: Format,
    },
}

/// The server that a change is for, and what is allowed.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// The kind of server.
    #[arg(long, value_enum, default_value = "mysql")]
    flavour: FlavourArg,
    /// The server's version, such as 8.4.3; without a third number the first release of that series. Default:
    /// 8.4 for MySQL, 10.11 for MariaDB.
    #[arg(long)]
    version: Option<String>,
    /// The rows may be scanned first: what loses nothing then is not refused.
    #[arg(long)]
    prove: bool,
    /// It is known that running code breaks or rows are dropped.
    #[arg(long)]
    acknowledge: bool,
}

/// Kinds of servers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FlavourArg {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A line for each finding.
    Human,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

impl TargetArgs {
    fn server(&self) -> Result<ServerVersion, String> {
        let (suffix, usual) = match self.flavour {
            FlavourArg::Mysql => ("", "8.4"),
            FlavourArg::Mariadb => ("-MariaDB", "10.11"),
        };
        let version = self.version.as_deref().unwrap_or(usual);
        ServerVersion::parse(&format!("{version}{suffix}"))
            .ok_or_else(|| format!("not a version: {version:?}; write 8.4 or 8.4.3"))
    }

    fn permits(&self) -> ddl::Permits {
        ddl::Permits { prove: self.prove, acknowledged: self.acknowledge, ..ddl::Permits::default() }
    }
}

/// Runs a command: 0 nothing refused, 1 something refused, 2 something cannot be read.
pub(super) fn run(command: DdlCommand) -> ExitCode {
    let done = match command {
        DdlCommand::Rules { json } => print_rules(json),
        DdlCommand::Explain { sql, table_from, database, target, json } => {
            let from = match table_from {
                None => TableFrom::Nothing,
                Some(path) if path.as_os_str() == LIVE => TableFrom::Live(&database),
                Some(path) => TableFrom::File(path),
            };
            explain(&sql, from, &target, json)
        }
        DdlCommand::Headroom { args } => headroom::run(&args),
        DdlCommand::Lint { files, schema, target, format } => lint::run(&files, &schema, &target, format),
    };
    match done {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(1),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Writes to standard output; a reader that went away is no fault.
fn put(text: &str) -> Result<(), String> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn put_json(value: &serde_json::Value) -> Result<(), String> {
    put(&format!("{value:#}\n"))
}

fn print_rules(as_json: bool) -> Result<bool, String> {
    if as_json {
        let rules = rules::all().map(|rule| {
            json!({
                "id": rule.id, "name": rule.name, "sentence": rule.sentence,
                "remedy": rule.remedy, "source": rule.source,
            })
        });
        put_json(&rules.collect())?;
        return Ok(false);
    }
    for rule in rules::all() {
        let (id, name, sentence) = (rule.id, rule.name, rule.sentence);
        put(&format!("{id} {name}\n  {sentence}\n  remedy: {}\n  source: {}\n", rule.remedy, rule.source))?;
    }
    Ok(false)
}

/// Reads a file and its CREATE TABLE statements.
fn define_from(path: &Path, server: ServerVersion, known: &mut Script) -> Result<(), String> {
    let text = read_file(path)?;
    let found = ddl::read_definitions(&text, server).map_err(|error| at(path, &error))?;
    if found.is_empty() {
        return Err(format!("{}: no CREATE TABLE with columns is in it", path.display()));
    }
    known.extend(found);
    Ok(())
}

/// Reads a file, up to the bound; a byte order mark in front is no part of it.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let fault = |error: std::io::Error| format!("{}: {error}", path.display());
    let limit = u64::try_from(ddl::FILE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    let mut text = Vec::new();
    std::fs::File::open(path).map_err(fault)?.take(limit).read_to_end(&mut text).map_err(fault)?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

fn at(path: &Path, error: &ScriptError) -> String {
    format!("{}:{}:{}: {}", path.display(), error.line, error.column, error.why)
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

/// Where definitions come from.
enum TableFrom<'a> {
    /// Nowhere.
    Nothing,
    /// A file.
    File(PathBuf),
    /// A database.
    Live(&'a DatabaseArgs),
}

fn explain(sql: &str, from: TableFrom<'_>, target: &TargetArgs, as_json: bool) -> Result<bool, String> {
    let (mut server, mut known, mut permits) = (target.server()?, Script::default(), target.permits());
    let mut absent = Vec::new();
    match from {
        TableFrom::Nothing => {}
        TableFrom::File(path) => define_from(&path, server, &mut known)?,
        TableFrom::Live(database) => {
            let found = block_on(live::read(database, sql.as_bytes()))?;
            (server, known, permits.standing) = (found.server, found.known, found.standing);
            absent = found.absent;
        }
    }
    let steps =
        ddl::read_script(sql.as_bytes(), &mut known, server, permits).map_err(|error| error.to_string())?;
    if steps.is_empty() {
        return Err("the statement changes no table".to_owned());
    }
    for step in steps.iter().filter(|step| step.decision.offer.is_none()) {
        if let Some((_, why)) = absent.iter().find(|(name, _)| *name == step.table) {
            return Err(why.clone());
        }
    }
    for step in &steps {
        let text = &sql.as_bytes()[step.start..step.end];
        if as_json {
            put_json(&ddl::to_json(text, &step.decision))?;
        } else {
            put(&ddl::to_text(text, &step.decision))?;
        }
    }
    Ok(steps.iter().any(|step| step.decision.route == Route::Refuse))
}
