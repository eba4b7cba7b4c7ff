//! What Bulkhead answers itself: databases, the process list, KILL, statistics.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::error::{ClientError, Code};
use crate::ids::SessionId;
use crate::plan::{Effects, LocalAnswer, Plan, Route, Tables};
use crate::protocol::response::CommandKind;
use crate::protocol::result::{Column, TextResult};
use crate::sql::{self, KillTarget, Parsed, ShowStatement, StatementKind};
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::flow::{Failure, Flow};
use crate::session::query::{Said, Statement};
use crate::session::run::job::{Job, Payload};

impl Session {
    /// Answers a statement that no server is asked about, or whose meaning is the session's own.
    pub(in crate::session) async fn answer_locally(
        &mut self,
        answer: LocalAnswer,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Flow {
        self.forget_refusal();
        match answer {
            LocalAnswer::Transaction => self.transaction_statement(job, statement, snapshot).await,
            LocalAnswer::Set => self.set_statement(job, statement, snapshot).await,
            LocalAnswer::Use => match self.parse(statement)? {
                Parsed::Use { database } => {
                    self.use_database(&database.text)?;
                    self.send_ok().await
                }
                _ => Err(unread()),
            },
            LocalAnswer::Databases => match self.parse(statement)? {
                Parsed::Show(show) => self.show_databases(statement, &show, snapshot).await,
                _ => Err(unread()),
            },
            LocalAnswer::ProcessList => self.process_list(Some(statement.text)).await,
            LocalAnswer::Kill => match self.parse(statement)? {
                Parsed::Kill(kill) => match kill.target {
                    KillTarget::Id(id) => {
                        self.kill(id, kill.query_only).await?;
                        self.send_ok().await
                    }
                    KillTarget::Expression(_) => Err(ClientError::of(Code::NotSupported).into()),
                },
                _ => Err(unread()),
            },
            LocalAnswer::Prepare => self.text_prepare(job, statement, snapshot).await,
            LocalAnswer::Execute => self.text_execute(job, statement, snapshot).await,
            LocalAnswer::Deallocate => self.text_deallocate(job, statement).await,
        }
    }

    pub(in crate::session) fn parse(&self, statement: &Statement<'_>) -> Result<Parsed, Failure> {
        sql::parse(statement.text, statement.scan, self.state.mode).map_err(|_| unread())
    }

    /// The databases that the user may use: keyspaces, `information_schema`, the current workspace's.
    fn visible_databases(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut names: Vec<String> = vec!["information_schema".into()];
        let allowed = snapshot.vschema.keyspaces().filter(|schema| self.user.keyspaces.allows(&schema.name));
        names.extend(allowed.map(|schema| schema.name.to_string()));
        if self.state.target.workspace.is_some() {
            names.extend(self.state.target.database.as_ref().map(ToString::to_string));
        }
        names.sort();
        names.dedup();
        names
    }

    async fn show_databases(
        &mut self,
        statement: &Statement<'_>,
        show: &ShowStatement,
        snapshot: &Snapshot,
    ) -> Flow {
        if show.condition.is_some() {
            let message = "SHOW DATABASES takes LIKE, not WHERE, through the proxy";
            return Err(ClientError::new(Code::NotSupported, message).into());
        }
        let pattern = show.like.map(|span| unquote(&String::from_utf8_lossy(span.of(statement.text))));
        let title = match &pattern {
            Some(pattern) => format!("Database ({pattern})"),
            None => "Database".to_owned(),
        };
        let mut rows = self.start_rows(&[Column::text(&title, 64)]);
        for name in self.visible_databases(snapshot) {
            if pattern.as_deref().is_none_or(|pattern| is_like(&name, pattern)) {
                rows.text(&name);
            }
        }
        self.send_rows(rows).await
    }

    /// SHOW PROCESSLIST: the user's own sessions, all of them for an admin.
    /// `text` is what this session runs.
    pub(in crate::session) async fn process_list(&mut self, text: Option<&[u8]>) -> Flow {
        let mut rows = self.start_rows(&[
            Column::unsigned_bigint("Id"),
            Column::text("User", 32),
            Column::text("Host", 261),
            Column::text("db", 64),
            Column::text("Command", 16),
            Column::unsigned_bigint("Time"),
            Column::text("State", 64),
            Column::text("Info", 100),
        ]);
        for entry in self.services.registry.list() {
            if !self.user.admin && entry.user != self.user.name {
                continue;
            }
            let activity = entry.activity();
            let state = match &activity.running {
                Some(running) => format!("on {} ({})", running.cluster(), running.server()),
                None if activity.in_transaction => "in transaction".to_owned(),
                None => String::new(),
            };
            rows.display(entry.id.0).text(entry.user.as_str()).text(&entry.peer);
            rows.value(activity.database.as_ref().map(|name| name.as_bytes()));
            rows.text(activity.command).display(activity.since.elapsed().as_secs()).text(&state);
            rows.value(text.filter(|_| entry.id == self.entry.id).map(|text| &text[..text.len().min(100)]));
        }
        self.send_rows(rows).await
    }

    /// KILL and COM_PROCESS_KILL of a session of this proxy.
    pub(in crate::session) async fn kill(&mut self, id: u64, query_only: bool) -> Result<(), ClientError> {
        let no_such = || ClientError::new(Code::NoSuchThread, format!("Unknown thread id: {id}"));
        let id = SessionId(u32::try_from(id).map_err(|_| no_such())?);
        let entry = self.services.registry.get(id).ok_or_else(no_such)?;
        if entry.user != self.user.name && !self.user.admin {
            return Err(ClientError::new(Code::KillDenied, format!("You are not owner of thread {}", id.0)));
        }
        if !query_only {
            self.services.registry.kill(id);
            return Ok(());
        }
        entry.kill_query().await.map_err(|error| ClientError::new(Code::ShardUnreachable, error.to_string()))
    }

    /// COM_STATISTICS: one line, as the `mysql` shell's `status` shows it.
    pub(in crate::session) async fn statistics(&mut self) -> Flow {
        let registry = &self.services.registry;
        let statements: u64 =
            registry.list().iter().map(|entry| entry.statements.load(Ordering::Relaxed)).sum();
        let seconds = self.services.started.elapsed().as_secs();
        let line = format!(
            "Uptime: {seconds}  Threads: {}  Questions: {statements}  Slow queries: 0  Opens: 0  \
             Flush tables: 0  Open tables: 0  Queries per second avg: {:.3}",
            registry.connections(),
            statements as f64 / seconds.max(1) as f64,
        );
        self.client.queue_packet(line.as_bytes());
        Ok(self.client.flush().await?)
    }

    /// COM_FIELD_LIST: asks the shard of the session's target.
    pub(in crate::session) async fn field_list(&mut self, payload: &[u8]) -> Flow {
        let snapshot = self.snapshot();
        let (kind, effects) = (StatementKind::Show, Effects::default());
        let tables = Tables::Unread;
        let plan = Plan { kind, digest: 0, reads_only: true, route: Route::Any, effects, tables };
        let job = Job {
            payload: Payload::Raw(payload),
            kind: CommandKind::FieldList,
            plan: &plan,
            scan: None,
            text: &[],
            started: Instant::now(),
        };
        if self.state.target.database.is_none() {
            return Err(ClientError::of(Code::NoDatabaseSelected).into());
        }
        let place = self.any_place(&snapshot, &job, &Said::default())?;
        if place.database.is_none() {
            // The session holds a connection to another cluster than its database's.
            return Err(self.held_elsewhere().into());
        }
        self.run_job(&job, place).await
    }

    /// Starts a result set of our own.
    pub(in crate::session) fn start_rows(&self, columns: &[Column]) -> TextResult {
        TextResult::new(self.capabilities, columns, self.client.sequence(), self.status())
    }

    /// Sends a result set of our own.
    pub(in crate::session) async fn send_rows(&mut self, rows: TextResult) -> Flow {
        let next = rows.sequence().wrapping_add(1);
        let wire = rows.finish(self.status(), 0);
        self.client.queue_raw(&wire);
        self.client.set_sequence(next);
        Ok(self.client.flush().await?)
    }
}

pub(in crate::session) fn unread() -> Failure {
    ClientError::of(Code::UnreadStatement).into()
}

/// The value of a plain quoted string.
fn unquote(quoted: &str) -> String {
    let inner = quoted.trim().trim_matches(['\'', '"']);
    inner.replace("''", "'")
}

/// LIKE as it is on names: `%`, `_`, a backslash before either; case does not matter. Its time is at most
/// that of name times pattern.
fn is_like(name: &str, pattern: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (name, pattern) = (lower(name), lower(pattern));
    let (mut at, mut in_pattern) = (0, 0);
    // Where to go on when what follows the last `%` does not fit: one character further.
    let mut retry = None;
    while at < name.len() {
        let step = match pattern.get(in_pattern..).unwrap_or_default() {
            ['%', ..] => {
                retry = Some((at, in_pattern));
                in_pattern += 1;
                continue;
            }
            ['_', ..] => Some(1),
            ['\\', literal, ..] => (*literal == name[at]).then_some(2),
            [literal, ..] => (*literal == name[at]).then_some(1),
            [] => None,
        };
        match (step, retry) {
            (Some(length), _) => (at, in_pattern) = (at + 1, in_pattern + length),
            (None, Some((from, percent))) => {
                retry = Some((from + 1, percent));
                (at, in_pattern) = (from + 1, percent + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[in_pattern..].iter().all(|rest| *rest == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_names() {
        assert!(is_like("shop", "sh%") && is_like("Shop", "s_op") && is_like("a_b", "a\\_b"));
        assert!(!is_like("axb", "a\\_b") && !is_like("shop", "s"));
        assert!(is_like("", "%%") && is_like("abcabd", "%ab_"));
        assert!(is_like("aab", "%a%b") && !is_like("", "_"));
        assert!(!is_like("abc", "%d%") && is_like("a%b", "a\\%%") && !is_like("ab", "ab\\%"));
        assert!(!is_like(&"a".repeat(64), &"%a".repeat(60).replace("%a%a", "%a%ab")));
    }
}
