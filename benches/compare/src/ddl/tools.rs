//! The tools that are compared: how each is told to change a table.
//!
//! Each runs with its own defaults, on the same server, and keeps the old table, which the harness drops when
//! nothing is measured. An adapter is the command line of a program (`Tool::arguments`); to add one, name it
//! in [`Tool`]. Bulkhead and the server itself are sent the statement by our own client.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::process;

/// Lines of a failed program's output that are shown.
const LAST_LINES: usize = 12;
/// gh-ost reads the binary log as a replica of this number.
const GH_OST_SERVER_ID: &str = "99999";

/// What changes a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Tool {
    /// This project: the statement is sent through it.
    Bulkhead,
    /// pt-online-schema-change of Percona Toolkit: triggers.
    PtOsc,
    /// gh-ost, if it is on PATH.
    GhOst,
    /// spirit, if it is on PATH.
    Spirit,
    /// The server's own ALTER TABLE, which blocks writes: ALGORITHM=COPY, LOCK=SHARED.
    Direct,
}

/// Where a program finds the table.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's port on 127.0.0.1.
    pub port: u16,
    /// An option file with user and password, so that they are not in the list of processes.
    pub login: PathBuf,
    /// A socket that gh-ost may listen on.
    pub socket: PathBuf,
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// What is asked for, behind `ALTER TABLE name`.
    pub clause: String,
}

impl Tool {
    /// The order in which tools take turns.
    pub const ALL: [Self; 5] = [Self::Bulkhead, Self::PtOsc, Self::GhOst, Self::Spirit, Self::Direct];

    /// As in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bulkhead => "bulkhead",
            Self::PtOsc => "pt-osc",
            Self::GhOst => "gh-ost",
            Self::Spirit => "spirit",
            Self::Direct => "direct",
        }
    }

    /// The program that must be on PATH.
    pub fn program(self) -> Option<&'static str> {
        match self {
            Self::Bulkhead | Self::Direct => None,
            Self::PtOsc => Some("pt-online-schema-change"),
            Self::GhOst => Some("gh-ost"),
            Self::Spirit => Some("spirit"),
        }
    }

    /// Its program is there.
    pub fn is_installed(self) -> bool {
        self.program().is_none_or(|program| process::on_path(program).is_some())
    }

    /// It lets writers go on.
    pub fn is_online(self) -> bool {
        self != Self::Direct
    }

    /// What its program is told.
    fn arguments(self, target: &Target) -> Vec<String> {
        let Target { port, login, socket, database, table, clause } = target;
        let (login, socket) = (login.display(), socket.display());
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        match self {
            // Replicas are looked for by SHOW SLAVE HOSTS, which MySQL 9 does not know; there are none here.
            // Without the form of EXPLAIN that it reads it takes every table for empty, and copies it by one
            // statement.
            Self::PtOsc => strings(&[
                "--execute",
                "--alter",
                clause,
                "--no-drop-old-table",
                "--recursion-method=none",
                "--set-vars=explain_format=TRADITIONAL",
                "--no-version-check",
                &format!("F={login},h=127.0.0.1,P={port},D={database},t={table}"),
            ]),
            Self::GhOst => strings(&[
                "--execute",
                "--allow-on-master",
                "--host=127.0.0.1",
                &format!("--port={port}"),
                &format!("--conf={login}"),
                &format!("--database={database}"),
                &format!("--table={table}"),
                &format!("--alter={clause}"),
                "--initially-drop-ghost-table",
                "--initially-drop-old-table",
                &format!("--replica-server-id={GH_OST_SERVER_ID}"),
                &format!("--serve-socket-file={socket}"),
            ]),
            Self::Spirit => strings(&[
                "migrate",
                &format!("--host=127.0.0.1:{port}"),
                &format!("--conf={login}"),
                &format!("--database={database}"),
                &format!("--statement=ALTER TABLE {table} {clause}"),
                "--skip-drop-after-cutover",
            ]),
            Self::Bulkhead | Self::Direct => Vec::new(),
        }
    }

    /// Runs its program to the end, its output in the log. Must be awaited on the main thread, as the kernel
    /// ends the program with the thread that started it.
    ///
    /// # Errors
    /// It has no program, cannot be started, or fails; with its last words.
    pub async fn run(self, target: &Target, log: &Path) -> io::Result<()> {
        let named = self.program().ok_or_else(|| io::Error::other("no program"))?;
        let program =
            process::on_path(named).ok_or_else(|| io::Error::other(format!("no {named} on PATH")))?;
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(self.arguments(target));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let status = command.spawn()?.wait().await?;
        if status.success() {
            return Ok(());
        }
        let words = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = words.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        Err(io::Error::other(format!("{named} failed ({status}): {last}")))
    }

    /// Its version, for the report.
    pub fn version(self) -> String {
        let Some(path) = self.program().and_then(process::on_path) else { return "not installed".to_owned() };
        let printed = process::run(std::process::Command::new(path).arg("--version"));
        let line = printed.ok().and_then(|text| text.lines().next().map(str::to_owned));
        line.unwrap_or_else(|| "unknown".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_told_server_table_and_change() {
        let target = Target {
            port: 4711,
            login: "/run/login.cnf".into(),
            socket: "/run/gh-ost.sock".into(),
            database: "ws_7".to_owned(),
            table: "parts".to_owned(),
            clause: "MODIFY part_id BIGINT NOT NULL".to_owned(),
        };
        for tool in Tool::ALL {
            let line = tool.arguments(&target).join(" ");
            let Some(_) = tool.program() else {
                assert_eq!(line, "");
                continue;
            };
            for word in ["4711", "/run/login.cnf", "ws_7", "parts", &target.clause] {
                assert!(line.contains(word), "{}: {word} is not in {line}", tool.name());
            }
        }
    }
}
