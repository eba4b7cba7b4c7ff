//! `bulkhead migrate submit`: from options to the admin statement.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Reach;
use super::link::{self, Fault, Link, quoted};
use super::watch;

/// Largest file of statements; the admin port reads no longer ones.
const FILE_BYTES_MAX: u64 = 512 * 1024;

/// What is to be changed, and how.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["sql", "file"])))]
pub(in crate::server) struct SubmitArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    /// The keyspace.
    #[arg(short, long)]
    keyspace: String,
    /// The statement, or several with semicolons between them.
    #[arg(long, value_name = "TEXT")]
    sql: Option<String>,
    /// A file with the statements; `-` is standard input.
    #[arg(long, value_name = "F.sql")]
    file: Option<PathBuf>,
    /// Only says what would be done: which databases, by which way, how long it takes.
    #[arg(long)]
    dry_run: bool,
    /// The databases that are changed first: a number, or names of databases or workspaces.
    #[arg(long, value_name = "N|ws_1,ws_2")]
    canary: Option<String>,
    /// The share of all databases that is done when each of the next waves is.
    #[arg(long, value_name = "1%,10%,100%")]
    waves: Option<String>,
    /// After each wave but the last nothing is begun for so long.
    #[arg(long, value_name = "5m")]
    soak: Option<String>,
    /// The order within a wave: size, name, or a file with a name on each line; what it does not name comes
    /// last.
    #[arg(long, value_name = "size|name|FILE")]
    order: Option<String>,
    /// Databases at once, on each cluster, at most.
    #[arg(long, value_name = "N")]
    at_once: Option<u32>,
    /// Statements in a second, on each cluster, at most.
    #[arg(long, value_name = "N")]
    per_second: Option<f64>,
    /// Failures that a wave bears before it stops.
    #[arg(long, value_name = "N")]
    failures: Option<u32>,
    /// Changes databases that are not like most too, where the statements fit them.
    #[arg(long)]
    drifted: bool,
    /// It is known that running code breaks.
    #[arg(long)]
    acknowledge: bool,
    /// Scans the rows first, where values can be lost.
    #[arg(long)]
    prove: bool,
    /// Waits until it ends, and shows how far it is. Ctrl-C ends the wait, not the migration.
    #[arg(long)]
    wait: bool,
}

impl SubmitArgs {
    /// The admin statement. `read` gives a file's text.
    fn statement(&self, read: impl Fn(&Path) -> Result<String, Fault>) -> Result<String, Fault> {
        let text = match (&self.sql, &self.file) {
            (Some(sql), _) => sql.clone(),
            (None, Some(file)) => read(file)?,
            (None, None) => return Err(Fault::Usage("give --sql or --file".to_owned())),
        };
        let mut statement = format!("SUBMIT MIGRATION ON {} {}", quoted(&self.keyspace), quoted(&text));
        let mut add = |words: String| {
            // Writing to a String cannot fail.
            let _ = write!(statement, " {words}");
        };
        if let Some(canary) = &self.canary {
            let is_count = canary.bytes().all(|byte| byte.is_ascii_digit());
            add(format!("CANARY {}", if is_count { canary.clone() } else { quoted(canary) }));
        }
        if let Some(waves) = &self.waves {
            add(format!("WAVES {}", quoted(waves)));
        }
        if let Some(soak) = &self.soak {
            add(format!("SOAK {}", quoted(soak)));
        }
        match self.order.as_deref() {
            None => {}
            Some("size") => add("ORDER SIZE".to_owned()),
            Some("name") => add("ORDER NAME".to_owned()),
            Some(file) => {
                let names = read(Path::new(file))?;
                let names: Vec<&str> = names.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                add(format!("ORDER {}", quoted(&names.join(","))));
            }
        }
        self.at_once.iter().for_each(|number| add(format!("AT ONCE {number}")));
        self.per_second.iter().for_each(|number| add(format!("PER SECOND {number}")));
        self.failures.iter().for_each(|number| add(format!("FAILURES {number}")));
        let flags = [
            (self.drifted, "DRIFTED"),
            (self.acknowledge, "ACKNOWLEDGED"),
            (self.prove, "PROVE"),
            (self.dry_run, "DRY RUN"),
            (self.dry_run && self.reach.json, "JSON"),
        ];
        flags.iter().filter(|(is_set, _)| *is_set).for_each(|(_, words)| add((*words).to_owned()));
        Ok(statement)
    }
}

/// Reads a file, or standard input.
fn read(path: &Path) -> Result<String, Fault> {
    let unread = |error: &dyn std::fmt::Display| Fault::Usage(format!("{}: {error}", path.display()));
    let mut text = String::new();
    let bytes = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(|error| unread(&error))?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    };
    let bytes = bytes.map_err(|error| unread(&error))?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(unread(&format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Submits, and waits if asked to; gives the exit code.
pub(super) async fn submit(link: &mut Link<'_>, args: &SubmitArgs) -> Result<u8, Fault> {
    let statement = args.statement(read)?;
    let asking = link.ask_long(&statement);
    let answer = tokio::select! {
        answer = asking => answer?,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\nit may have been begun: `bulkhead migrate list` shows it");
            return Ok(link::INTERRUPTED);
        }
    };
    if args.dry_run {
        let lines: Vec<&str> = answer.rows.iter().filter_map(|row| row.get("plan")).collect();
        watch::say(&lines.join("\n"))?;
        return Ok(link::DONE);
    }
    let Some(row) = answer.rows.first() else {
        return Err(Fault::Unreachable("the proxy's answer is not understood".to_owned()));
    };
    let what = row.get("what").unwrap_or_default();
    match row.get("migration_id").map(str::to_owned) {
        Some(id) if args.wait => {
            eprintln!("fleet migration {id} has begun");
            watch::wait(link, &id, args.reach.json).await
        }
        id => {
            let text = match (&id, args.reach.json) {
                (_, true) => serde_json::json!({ "migration_id": id, "what": what }).to_string(),
                (Some(id), false) => id.clone(),
                (None, false) => what.to_owned(),
            };
            watch::say(&text)?;
            Ok(link::DONE)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        args: SubmitArgs,
    }

    fn statement(words: &[&str]) -> Result<String, String> {
        let typed = std::iter::once(&"submit").chain(words);
        let typed = Typed::try_parse_from(typed).map_err(|error| error.to_string())?;
        let files = |path: &Path| match path.to_str() {
            Some("x.sql") => Ok("ALTER TABLE a\n  ADD b VARCHAR(9) DEFAULT 'it''s';\n".to_owned()),
            Some("names") => Ok("ws_9\n\n ws_8 \n".to_owned()),
            _ => Err(Fault::Usage(format!("{}: not found", path.display()))),
        };
        typed.args.statement(files).map_err(|fault| fault.to_string())
    }

    #[test]
    fn options_become_a_statement() {
        assert_eq!(
            statement(&["--keyspace", "workspaces", "--sql", "DROP TABLE a"]).unwrap(),
            "SUBMIT MIGRATION ON 'workspaces' 'DROP TABLE a'"
        );
        assert_eq!(
            statement(&["-k", "workspaces", "--file", "x.sql", "--canary", "5", "--order", "size"]).unwrap(),
            "SUBMIT MIGRATION ON 'workspaces' 'ALTER TABLE a\n  ADD b VARCHAR(9) DEFAULT ''it''''s'';\n' \
             CANARY 5 ORDER SIZE"
        );
        assert_eq!(
            statement(&[
                "--keyspace=w",
                "--sql=x",
                "--canary=ws_1,7",
                "--waves=1%,10%",
                "--soak=30s",
                "--order=names",
                "--at-once=4",
                "--per-second=2.5",
                "--failures=0",
                "--drifted",
                "--acknowledge",
                "--prove",
                "--dry-run",
                "--json",
            ])
            .unwrap(),
            "SUBMIT MIGRATION ON 'w' 'x' CANARY 'ws_1,7' WAVES '1%,10%' SOAK '30s' ORDER 'ws_9,ws_8' \
             AT ONCE 4 PER SECOND 2.5 FAILURES 0 DRIFTED ACKNOWLEDGED PROVE DRY RUN JSON"
        );
    }

    #[test]
    fn wrong_usage_is_told() {
        assert!(statement(&["--keyspace", "w"]).unwrap_err().contains("--sql"));
        assert!(statement(&["--sql", "x"]).unwrap_err().contains("--keyspace"));
        assert!(statement(&["-k", "w", "--sql", "x", "--file", "x.sql"]).is_err());
        assert_eq!(statement(&["-k", "w", "--file", "nowhere"]).unwrap_err(), "nowhere: not found");
    }
}
