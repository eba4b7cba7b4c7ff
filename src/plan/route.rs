//! The plan: a value that says how statements of one shape are routed.

use std::sync::Arc;

use crate::ids::{Keyspace, KeyspaceId, WorkspaceId};
use crate::sql::StatementKind;
use crate::vschema::{ColumnVindex, KeyspaceSchema};

use super::{Effects, LocalAnswer, Tables};

/// How statements of one shape are run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What kind of statement it is.
    pub kind: StatementKind,
    /// Fingerprint for statistics; 0 for what is no statement.
    pub digest: u64,
    /// It may run on a replica.
    pub reads_only: bool,
    /// Where it goes.
    pub route: Route,
    /// What it does to the session.
    pub effects: Effects,
    /// The tables that it names.
    pub tables: Tables,
}

impl Plan {
    /// Says whether binding looks at parameters.
    pub fn reads_parameters(&self) -> bool {
        let is_parameter = |source: &KeySource| matches!(source, KeySource::Parameter(_));
        match &self.route {
            Route::Key(route) => {
                let in_rows = |rows: &SplitRows| rows.keys.iter().flatten().any(is_parameter);
                route.values.iter().flatten().any(is_parameter)
                    || route.kept.iter().any(is_parameter)
                    || route.rows.as_ref().is_some_and(in_rows)
            }
            Route::System(route) => route.names.iter().any(is_parameter),
            _ => false,
        }
    }
}

/// Where statements of one shape go.
#[derive(Clone, Debug)]
pub enum Route {
    /// No table is involved.
    Any,
    /// The single database of an unsharded keyspace.
    Unsharded(Keyspace),
    /// Any shard of a `shared_tables` keyspace answers alike: schema questions, reference tables.
    AnyShard(Keyspace),
    /// One workspace's database.
    Database(DatabaseRoute),
    /// The shard that values of the statement name.
    Key(Box<KeyRoute>),
    /// The shard of the session's workspace, whatever the statement says (users who may cross).
    SessionKey(Arc<KeyspaceSchema>),
    /// The shard of a pinned table.
    PinnedTable {
        /// The keyspace.
        keyspace: Keyspace,
        /// The table's keyspace id.
        id: KeyspaceId,
    },
    /// A question about schemas.
    System(SystemRoute),
    /// Every shard of the keyspace, by the explicit directive.
    AllShards(Keyspace),
    /// A schema change of every shard of a `shared_tables` keyspace.
    Fleet(Keyspace),
    /// Bulkhead does it.
    Local(LocalAnswer),
}

/// One workspace's database: the session's, or the one that qualifies names.
#[derive(Clone, Debug)]
pub struct DatabaseRoute {
    pub(crate) keyspace: Arc<KeyspaceSchema>,
    /// Workspaces whose databases qualify names in the text.
    pub(crate) named: Vec<WorkspaceId>,
    /// Some name is not qualified: it means the session's workspace.
    pub(crate) unnamed: bool,
    /// Tokens (by number, comments not counted) that are the keyspace's logical name, to be replaced by the
    /// workspace's database.
    pub(crate) logical: Vec<u32>,
    /// What becomes of it while no workspace is pinned and the text names none.
    pub(crate) unpinned: Unpinned,
}

impl DatabaseRoute {
    /// The database of the session's workspace.
    pub(crate) fn of_session(keyspace: Arc<KeyspaceSchema>, unpinned: Unpinned) -> Self {
        Self { keyspace, named: Vec::new(), unnamed: true, logical: Vec::new(), unpinned }
    }
}

/// What becomes of a statement of a `database_per_workspace` keyspace that nothing ties to a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpinned {
    /// It is refused: it is about some workspace's rows.
    Refused,
    /// It goes to the keyspace's own database: it names tables of the keyspace alone, which keep a
    /// framework's book of migrations.
    Own,
    /// Some workspace's database answers: it asks about the schema, which is the same for all.
    Model,
    /// It is a schema change of every workspace's database.
    Fleet,
}

/// The shard that values of the statement name.
#[derive(Clone, Debug)]
pub struct KeyRoute {
    pub(crate) keyspace: Arc<KeyspaceSchema>,
    pub(crate) vindex: ColumnVindex,
    /// For each routing column (a prefix of them), every value it is compared with; all must agree.
    pub(crate) values: Vec<Vec<KeySource>>,
    /// Values assigned to the workspace column, which must not change it.
    pub(crate) kept: Vec<KeySource>,
    /// Rows of an INSERT that may be split.
    pub(crate) rows: Option<SplitRows>,
}

/// The rows of an INSERT.
#[derive(Clone, Debug)]
pub(crate) struct SplitRows {
    /// For each row, the value of each routing column.
    pub(crate) keys: Vec<Vec<KeySource>>,
    /// For each row, the numbers of the tokens that are its parentheses.
    pub(crate) tokens: Vec<(u32, u32)>,
    /// Why rows cannot be split, if they cannot.
    pub(crate) whole: Option<&'static str>,
}

/// A question to `information_schema` or another system schema.
#[derive(Clone, Debug)]
pub struct SystemRoute {
    /// The session's keyspace.
    pub(crate) session: Option<Arc<KeyspaceSchema>>,
    /// Databases that the predicates name.
    pub(crate) names: Vec<KeySource>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// The literal with this index in the statement's scan.
    Literal(usize),
    /// The parameter with this index, from zero.
    Parameter(usize),
    /// `DATABASE()`.
    CurrentDatabase,
}
