//! COM_QUERY: scan, plan, bind, resolve, run. Holds the crate's one retry loop.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{Access, Reads};
use crate::error::{ClientError, Code};
use crate::ids::{Keyspace, Role, WorkspaceId};
use crate::plan::{
    self, Address, Bound, Destination, LocalAnswer, NoParams, ParamValues, Plan, PlanInput, PlanKey, Planned,
    Route, TargetShape, TransactionEffect, WorkspacePins,
};
use crate::protocol::capability::Capabilities;
use crate::protocol::command::StmtExecute;
use crate::protocol::response::CommandKind;
use crate::sql::{self, Scan, ScanFlags, StatementKind};
use crate::topology::Snapshot;
use crate::vschema::Layout;

use crate::session::Session;
use crate::session::admit::ANEW_MAX;
use crate::session::flow::{Failure, Flow};
use crate::session::prepared::PreparedStatement;
use crate::session::run::job::{Job, Payload};
use crate::session::run::locks;
use crate::session::run::place::{Needs, Place, resolve_address};
use crate::session::statements::multi::has_comment_behind;

/// Attempts at one statement: the first, and one more when the first surely had no effect.
const ATTEMPTS_MAX: u32 = 2;

/// What a statement says about itself beside its SQL.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// `/*workspace_id:42*/`.
    pub workspace: Option<WorkspaceId>,
    /// `/*bulkhead: replica */`.
    pub role: Option<Role>,
    /// `/*bulkhead: all_shards */`.
    pub all_shards: bool,
    /// `/*bulkhead: ddl_prove */`.
    pub ddl_prove: bool,
    /// `/*bulkhead: ddl_acknowledged */`.
    pub ddl_acknowledged: bool,
}

/// One statement of a text, scanned.
pub(super) struct Statement<'a> {
    /// The query attributes of COM_QUERY, as bytes.
    pub attributes: &'a [u8],
    /// The statement.
    pub text: &'a [u8],
    /// What the lexer found in it.
    pub scan: &'a Scan,
    /// What its comments say.
    pub said: Said,
    /// When the command arrived.
    pub started: Instant,
}

/// What the retry loop repeats.
pub(super) enum Asked<'a> {
    /// A statement as text.
    Text(&'a Statement<'a>),
    /// An execution of a prepared statement.
    Execution(&'a mut PreparedStatement, StmtExecute<'a>),
}

impl Statement<'_> {
    /// A statement of comments is done at once, unlike one of nothing at all, which is an error.
    fn is_only_comment(&self) -> bool {
        let is_void = |byte: &u8| byte.is_ascii_whitespace() || *byte == b';';
        self.scan.kind == StatementKind::Empty && !self.text.iter().all(is_void)
    }
}

impl Session {
    /// Answers COM_QUERY; `attributes` and `text` are ranges of `self.command`.
    pub(super) async fn query(&mut self, attributes: Range<usize>, text: Range<usize>) -> Flow {
        let command = std::mem::take(&mut self.command);
        let mut scan = std::mem::take(&mut self.scan);
        let result = self.query_text(&command[attributes], &command[text], &mut scan).await;
        self.command = command;
        self.scan = scan;
        result
    }

    async fn query_text(&mut self, attributes: &[u8], text: &[u8], scan: &mut Scan) -> Flow {
        let started = self.started;
        sql::scan(text, self.state.mode, scan);
        let takes_several = self.capabilities.contains(Capabilities::MULTI_STATEMENTS);
        if scan.flags.contains(ScanFlags::MORE) || (takes_several && has_comment_behind(text, scan)) {
            return Box::pin(self.several_statements(attributes, text, scan, started)).await;
        }
        let said = self.read_comments(text, scan)?;
        let statement = Statement { attributes, text, scan, said, started };
        self.run_statement(&statement).await
    }

    /// Reads the workspace and the directives that a statement's comments carry.
    pub(super) fn read_comments(&self, text: &[u8], scan: &Scan) -> Result<Said, ClientError> {
        let mut said = Said::default();
        if scan.comments.is_empty() {
            return Ok(said);
        }
        let key = &self.serving.config.routing.comment_key;
        said.workspace = sql::workspace_tag(text, scan, key)
            .map_err(|error| ClientError::new(Code::WorkspaceConflict, error.to_string()))?;
        let directives = sql::directives(text, scan)
            .map_err(|error| ClientError::new(Code::NotSupported, error.to_string()))?;
        said.role = match (directives.replica, directives.primary) {
            (_, true) => Some(Role::Primary),
            (true, false) => Some(Role::Replica),
            (false, false) => None,
        };
        said.all_shards = directives.all_shards;
        said.ddl_prove = directives.ddl_prove;
        said.ddl_acknowledged = directives.ddl_acknowledged;
        Ok(said)
    }

    /// Runs one statement.
    pub(super) async fn run_statement(&mut self, statement: &Statement<'_>) -> Flow {
        self.repeat(Asked::Text(statement)).await
    }

    /// The one retry loop. Repeats only what was never sent, or what only reads, runs outside a transaction
    /// and gave no byte of an answer. A statement that a gate held is planned again; that is no attempt, for
    /// nothing failed. A schema change that surely did not get its table is planned again after a pause.
    pub(super) async fn repeat(&mut self, mut asked: Asked<'_>) -> Flow {
        let (mut attempt, mut anew) = (1, 0);
        self.asks_anew = false;
        self.carried = None;
        self.waits = None;
        loop {
            let done = match &mut asked {
                Asked::Text(statement) => self.try_statement(statement).await,
                Asked::Execution(statement, execute) => self.try_execution(statement, *execute).await,
            };
            match done {
                Err(Failure::Retry(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(Failure::Retry(error)) => return Err(Failure::Refused(error)),
                Err(Failure::Anew(held)) if anew < ANEW_MAX => {
                    anew += 1;
                    if let Some(held) = held {
                        Box::pin(self.wait_at_gate(*held, None)).await?;
                    }
                    self.asks_anew = true;
                }
                // It has waited already, and does so for a bounded time.
                Err(Failure::TableBusy) => {}
                done => return done,
            }
        }
    }

    async fn try_statement(&mut self, statement: &Statement<'_>) -> Flow {
        if statement.is_only_comment() {
            return self.send_ok().await;
        }
        let snapshot = self.snapshot();
        let planned = self.plan_statement(statement, &snapshot);
        let plan = planned.as_ref().as_ref().map_err(Clone::clone)?;
        let destination = self.bind(statement, plan, &NoParams, &snapshot)?;
        if plan.effects.changes_schema {
            // What few statements need is kept out of every session's memory.
            return Box::pin(self.change_by_text(statement, plan, destination, &snapshot)).await;
        }
        let job = Job {
            payload: Payload::Text { attributes: statement.attributes, text: statement.text },
            kind: CommandKind::Query,
            plan,
            scan: Some(statement.scan),
            text: statement.text,
            started: statement.started,
        };
        match destination {
            Destination::Local(answer) => {
                Box::pin(self.answer_locally(answer, &job, statement, &snapshot)).await
            }
            Destination::Any => {
                let place = self.any_place(&snapshot, &job, &statement.said)?;
                self.run_job(&job, place).await
            }
            Destination::One(address) if address.is_of_keyspace() => {
                Box::pin(self.run_of_keyspace(&snapshot, address, &job, &statement.said)).await
            }
            Destination::One(address) => {
                let place = self.place_of(&snapshot, &address, &job, &statement.said)?;
                self.run_job(&job, place).await
            }
            Destination::Edited { address, text } => {
                let place = self.place_of(&snapshot, &address, &job, &statement.said)?;
                let payload = Payload::Text { attributes: statement.attributes, text: &text };
                self.run_job(&Job { payload, ..job }, place).await
            }
            Destination::Split(pieces) => Box::pin(self.run_split(&job, pieces, &snapshot)).await,
            Destination::All(keyspace) => Box::pin(self.run_everywhere(&job, &keyspace, &snapshot)).await,
            // Only schema changes go there, and those went another way.
            Destination::Fleet(_) => Err(ClientError::of(Code::WideDdl).into()),
        }
    }

    /// The workspace ids that do not come from the statement itself.
    pub(super) fn workspace_pins<'a>(&'a self, said: &'a Said) -> WorkspacePins<'a> {
        WorkspacePins {
            database: self.state.target.workspace.as_ref(),
            variable: self.state.workspace_variable.as_ref(),
            comment: said.workspace.as_ref(),
        }
    }

    pub(super) fn target_shape(&self, said: &Said) -> TargetShape {
        TargetShape {
            keyspace: self.state.target.keyspace.clone(),
            workspace_pinned: self.workspace_pins(said).is_pinned(),
            pinned_by_database: self.state.target.workspace.is_some(),
            may_cross: self.user.may_cross_workspaces,
            confined: self.user.keyspaces != Access::All,
            all_shards: said.all_shards,
        }
    }

    /// The plan of a statement, from the cache or made now.
    pub(super) fn plan_statement(&self, statement: &Statement<'_>, snapshot: &Snapshot) -> Arc<Planned> {
        let target = self.target_shape(&statement.said);
        let mode = self.state.mode;
        let key = PlanKey { shape: statement.scan.shape, mode, target, generation: snapshot.generation };
        let found = self.services.plans.get(&key);
        self.services.plan_lookups.count(found.is_some());
        if let Some(planned) = found {
            return planned;
        }
        let input = PlanInput {
            text: statement.text,
            scan: statement.scan,
            mode,
            vschema: &snapshot.vschema,
            target: &key.target,
        };
        let planned = Arc::new(plan::plan_text(&input));
        self.services.plans.insert(key, planned.clone());
        planned
    }

    fn bound<'a>(
        &'a self,
        statement: &'a Statement<'_>,
        params: &'a dyn ParamValues,
        snapshot: &'a Snapshot,
    ) -> Bound<'a> {
        Bound {
            text: statement.text,
            scan: statement.scan,
            mode: self.state.mode,
            vschema: &snapshot.vschema,
            params,
            pins: self.workspace_pins(&statement.said),
            may_cross: self.user.may_cross_workspaces,
        }
    }

    /// Ties a plan to this statement's values and checks that the user may use the keyspace.
    pub(super) fn bind(
        &self,
        statement: &Statement<'_>,
        plan: &Plan,
        params: &dyn ParamValues,
        snapshot: &Snapshot,
    ) -> Result<Destination, ClientError> {
        self.check_access(plan.bind(&self.bound(statement, params, snapshot))?)
    }

    /// Binds a statement whose parameters are not known yet.
    pub(super) fn bind_prepare(
        &self,
        statement: &Statement<'_>,
        plan: &Plan,
        snapshot: &Snapshot,
    ) -> Result<Destination, ClientError> {
        self.check_access(plan.bind_prepare(&self.bound(statement, &NoParams, snapshot))?)
    }

    fn check_access(&self, destination: Destination) -> Result<Destination, ClientError> {
        let keyspace = match &destination {
            Destination::One(address) | Destination::Edited { address, .. } => Some(address.keyspace()),
            Destination::Split(pieces) => pieces.first().map(|piece| piece.address.keyspace()),
            Destination::All(keyspace) | Destination::Fleet(keyspace) => Some(keyspace),
            Destination::Any | Destination::Local(_) => None,
        };
        match keyspace {
            Some(keyspace) if !self.user.keyspaces.allows(keyspace) => {
                let user = &self.user.name;
                let message = format!("Access denied for user '{user}'@'%' to database '{keyspace}'");
                Err(ClientError::new(Code::DatabaseAccessDenied, message))
            }
            _ => Ok(destination),
        }
    }

    /// The role a statement is to run on: the held connection's, the comment's, the session's, the user's.
    /// Reads go to replicas only outside transactions.
    pub(super) fn role_for(&self, job: &Job<'_>, said: &Said) -> Result<Role, ClientError> {
        let effects = &job.plan.effects;
        let on_replicas = self.state.target.role == Some(Role::Replica);
        if on_replicas && (effects.writes || effects.locks_rows) {
            return Err(ClientError::of(Code::ReadOnlyTarget));
        }
        if let Some(held) = &self.state.held {
            return Ok(held.role);
        }
        if on_replicas {
            return Ok(Role::Replica);
        }
        let begins = effects.transaction != TransactionEffect::None;
        if !job.plan.reads_only || begins || !self.state.is_outside_transaction() {
            return Ok(Role::Primary);
        }
        let default = match self.user.reads {
            Reads::Primary => Role::Primary,
            Reads::Replica => Role::Replica,
        };
        Ok(said.role.or(self.state.target.role).unwrap_or(default))
    }

    /// Says whether statements without a workspace of their own can only go to one shard: the target is an
    /// unsharded keyspace or one workspace of a directory.
    pub(super) fn is_target_one_place(&self, said: &Said) -> bool {
        let Some(keyspace) = &self.state.target.keyspace else { return false };
        let snapshot = self.services.snapshots.peek();
        match snapshot.vschema.keyspace(keyspace.as_str()).map(|schema| &schema.layout) {
            Some(Layout::Unsharded) => true,
            Some(Layout::DatabasePerWorkspace(_)) => self.workspace_pins(said).is_pinned(),
            Some(Layout::SharedTables) | None => false,
        }
    }

    pub(super) fn place_of(
        &mut self,
        snapshot: &Snapshot,
        address: &Address,
        job: &Job<'_>,
        said: &Said,
    ) -> Result<Place, ClientError> {
        if let Some(held) = &self.state.held
            && job.plan.effects.only_locks
            && locks::only_releases(job.text)
        {
            // The locks are where they were taken, wherever the session's target leads by now.
            let (cluster, role) = (held.cluster.clone(), held.role);
            return Ok(Place { cluster, shard: None, database: None, owner: 0, role, begins: true });
        }
        let role = self.role_for(job, said)?;
        let writes = job.plan.effects.writes || job.plan.effects.locks_rows;
        let place = resolve_address(snapshot, &mut self.state, address, Needs { writes, role })?;
        Ok(self.move_read(snapshot, address.keyspace(), job, (place, said)))
    }

    /// The same place, or the replicas of a drained cluster for a read that nothing ties to the primary,
    /// where its keyspace allows that. A session that is to read its own writes stays.
    fn move_read(
        &mut self,
        snapshot: &Snapshot,
        keyspace: &Keyspace,
        job: &Job<'_>,
        (mut place, said): (Place, &Said),
    ) -> Place {
        let is_tied = place.role == Role::Replica
            || !job.plan.reads_only
            || job.plan.effects.transaction != TransactionEffect::None
            || said.role == Some(Role::Primary)
            || self.state.target.role == Some(Role::Primary)
            || self.state.held.is_some()
            || !self.state.is_outside_transaction();
        if is_tied {
            return place;
        }
        let admission = self.entrance.of(&self.services.admissions, &place.cluster);
        let Some(behind) = admission.replicas_behind() else { return place };
        let Some(config) = snapshot.config.keyspaces.get(keyspace) else { return place };
        let late_max = config.replica_reads_when_drained;
        let reads_own = config.reads_after_writes && self.state.wrote.contains(&place.cluster);
        if !late_max.is_zero() && behind <= late_max && !reads_own {
            place.role = Role::Replica;
        }
        place
    }

    /// A place for a statement that needs no table: where the session already is, else where its target is,
    /// else any cluster.
    pub(super) fn any_place(
        &mut self,
        snapshot: &Snapshot,
        job: &Job<'_>,
        said: &Said,
    ) -> Result<Place, ClientError> {
        let role = self.role_for(job, said)?;
        let target = self.target_place(snapshot, job, said, role)?;
        if let Some(held) = &self.state.held {
            let cluster = held.cluster.clone();
            // On another cluster the target's database does not exist: any will do.
            let elsewhere = Place { cluster, shard: None, database: None, owner: 0, role, begins: true };
            return Ok(target.filter(|place| place.cluster == elsewhere.cluster).unwrap_or(elsewhere));
        }
        if let Some(place) = target {
            return Ok(place);
        }
        let database = self.state.target.database.clone();
        let clusters = &snapshot.config.clusters;
        let at = self.admission.id.0 as usize % clusters.len().max(1);
        let cluster = clusters.keys().nth(at).ok_or_else(|| ClientError::of(Code::NoShard))?.clone();
        Ok(Place { cluster, shard: None, database, owner: 0, role, begins: false })
    }

    /// The place of the session's target; `None` without a keyspace. A transaction that waits for its shard
    /// begins there only if there is no other shard that it could be meant for.
    pub(super) fn target_place(
        &mut self,
        snapshot: &Snapshot,
        job: &Job<'_>,
        said: &Said,
        role: Role,
    ) -> Result<Option<Place>, ClientError> {
        let Some(keyspace) = self.state.target.keyspace.clone() else { return Ok(None) };
        let agreed = self.workspace_pins(said).agreed();
        // A SET may be what makes them agree again.
        let is_set = matches!(job.plan.route, Route::Local(LocalAnswer::Set));
        let workspace = if is_set { agreed.unwrap_or(None) } else { agreed? }.cloned();
        let begins = self.is_target_one_place(said);
        let address = match workspace {
            Some(workspace) if snapshot.directory(&keyspace).is_ok() => {
                Address::Workspace { keyspace, workspace }
            }
            _ => Address::AnyShard(keyspace),
        };
        let place = resolve_address(snapshot, &mut self.state, &address, Needs { writes: false, role })?;
        Ok(Some(Place { begins, ..place }))
    }
}
