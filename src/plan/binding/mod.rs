//! A plan bound to values: the destination.

mod destination;
mod edit;
mod values;

pub use destination::{Address, Destination, LocalAnswer, Piece, PieceText};
pub use values::{NoParams, ParamValues};

use std::sync::Arc;

use crate::error::Code;
use crate::ids::{Keyspace, WorkspaceId};
use crate::sql::{Scan, SqlMode};
use crate::vschema::{DatabaseTarget, KeyspaceSchema, Layout, Mapped, Value, Vschema};

use crate::plan::names::{SystemSchema, unknown_database};
use crate::plan::route::{DatabaseRoute, KeyRoute, KeySource, Plan, Route, SystemRoute, Unpinned};
use crate::plan::{Refusal, WorkspacePins};
use edit::{Edit, apply_edits, quoted_string, split_insert, token_spans};
use values::{literal_value, value_of};

/// What a plan is bound to.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// The client's text.
    pub text: &'a [u8],
    /// Its scan.
    pub scan: &'a Scan,
    /// How it was read.
    pub mode: SqlMode,
    /// The vschema the plan was made with.
    pub vschema: &'a Vschema,
    /// Parameters of a prepared statement.
    pub params: &'a dyn ParamValues,
    /// Workspace ids from outside the statement.
    pub pins: WorkspacePins<'a>,
    /// The user may cross workspaces.
    pub may_cross: bool,
}

impl Plan {
    /// Where this statement goes.
    ///
    /// Allocates nothing for one numeric value.
    ///
    /// # Errors
    /// Sources that disagree, another workspace than the pinned one, values that cannot be mapped, rows of
    /// several workspaces where they cannot be split.
    pub fn bind(&self, bound: &Bound<'_>) -> Result<Destination, Refusal> {
        match &self.route {
            Route::Any => Ok(Destination::Any),
            Route::Local(answer) => Ok(Destination::Local(*answer)),
            Route::Unsharded(keyspace) => Ok(Destination::One(Address::Keyspace(keyspace.clone()))),
            Route::AnyShard(keyspace) => Ok(Destination::One(Address::AnyShard(keyspace.clone()))),
            Route::PinnedTable { keyspace, id } => Ok(Destination::One(Address::Key {
                keyspace: keyspace.clone(),
                workspace: None,
                id: id.clone(),
            })),
            Route::AllShards(keyspace) => Ok(Destination::All(keyspace.clone())),
            Route::Fleet(keyspace) => Ok(Destination::Fleet(keyspace.clone())),
            Route::Database(route) => route.bind(bound),
            Route::Key(route) => route.bind(bound, true),
            Route::SessionKey(keyspace) => bind_session_key(keyspace, bound),
            Route::System(route) => route.bind(bound),
        }
    }

    /// Where a statement can be prepared whose parameters are not known yet: its own place if that is known,
    /// else any shard of its keyspace.
    ///
    /// # Errors
    /// As [`Self::bind`], for what is known.
    pub fn bind_prepare(&self, bound: &Bound<'_>) -> Result<Destination, Refusal> {
        match &self.route {
            Route::Key(route) => route.bind(bound, false),
            _ => self.bind(bound),
        }
    }
}

/// The pinned workspace must be the one that the statement names.
fn guard(named: &WorkspaceId, bound: &Bound<'_>) -> Result<(), Refusal> {
    let pins = &bound.pins;
    let Some(pinned) = pins.agreed()? else { return Ok(()) };
    if pinned == named || bound.may_cross {
        return Ok(());
    }
    let comment_only = pins.database.is_none() && pins.variable.is_none();
    let code = if comment_only { Code::WorkspaceConflict } else { Code::TenantGuard };
    Err(Refusal::new(code))
}

fn bind_session_key(keyspace: &Arc<KeyspaceSchema>, bound: &Bound<'_>) -> Result<Destination, Refusal> {
    let Some(pinned) = bound.pins.agreed()? else { return Err(Refusal::new(Code::MissingWorkspace)) };
    let mapped = keyspace
        .map_workspace(pinned)
        .map_err(|error| Refusal::because(Code::UnroutableValue, error.to_string()))?;
    Ok(Destination::One(address(&keyspace.name, mapped, Some(pinned.clone()))))
}

fn address(keyspace: &Keyspace, mapped: Mapped, workspace: Option<WorkspaceId>) -> Address {
    let keyspace = keyspace.clone();
    match mapped {
        Mapped::KeyspaceId(id) => Address::Key { keyspace, workspace, id },
        Mapped::Directory(workspace) => Address::Workspace { keyspace, workspace },
        Mapped::Range(range) => Address::Range { keyspace, range },
    }
}

impl DatabaseRoute {
    fn bind(&self, bound: &Bound<'_>) -> Result<Destination, Refusal> {
        let pinned = bound.pins.agreed()?;
        for named in &self.named {
            guard(named, bound)?;
        }
        let workspace = match self.named.as_slice() {
            [] => match pinned {
                Some(pinned) => pinned,
                None => return self.bind_unpinned(),
            },
            [first, rest @ ..] => {
                let mixed = self.unnamed && pinned != Some(first);
                if mixed && pinned.is_none() {
                    return Err(Refusal::new(Code::MissingWorkspace));
                }
                if mixed || rest.iter().any(|other| other != first) {
                    return Err(Refusal::because(Code::CrossShard, "databases of several workspaces"));
                }
                first
            }
        };
        let keyspace = self.keyspace.name.clone();
        let address = Address::Workspace { keyspace, workspace: workspace.clone() };
        if self.logical.is_empty() {
            return Ok(Destination::One(address));
        }
        let database = database_of(&self.keyspace, workspace)?;
        let name = crate::sql::quote::identifier(&database).into_bytes();
        let edits = token_spans(bound, &self.logical).into_iter().map(|span| Edit {
            start: span.start as usize,
            end: span.end as usize,
            text: name.clone(),
        });
        Ok(Destination::Edited { address, text: apply_edits(bound, edits.collect()) })
    }
}

impl DatabaseRoute {
    /// Nothing names a workspace. The keyspace's own database bears the keyspace's name, so a text that names
    /// it goes as it is.
    fn bind_unpinned(&self) -> Result<Destination, Refusal> {
        let keyspace = self.keyspace.name.clone();
        let is_plain = self.logical.is_empty();
        match self.unpinned {
            Unpinned::Own => Ok(Destination::One(Address::Own(keyspace))),
            Unpinned::Model if is_plain => Ok(Destination::One(Address::Model(keyspace))),
            Unpinned::Fleet if is_plain => Ok(Destination::Fleet(keyspace)),
            Unpinned::Fleet => {
                let detail = "name the tables without the keyspace: they are changed in every database";
                Err(Refusal::because(Code::WideDdl, detail))
            }
            Unpinned::Model | Unpinned::Refused => Err(Refusal::new(Code::MissingWorkspace)),
        }
    }
}

/// The name of a workspace's database.
fn database_of(keyspace: &KeyspaceSchema, workspace: &WorkspaceId) -> Result<String, Refusal> {
    let rendered = match &keyspace.layout {
        Layout::DatabasePerWorkspace(pattern) => pattern.render(workspace),
        _ => None,
    };
    rendered.ok_or_else(|| {
        Refusal::because(Code::UnroutableValue, "the workspace id cannot be part of a database's name")
    })
}

impl KeyRoute {
    fn bind(&self, bound: &Bound<'_>, executing: bool) -> Result<Destination, Refusal> {
        if self.values.iter().all(|sources| sources.len() == 1) && self.kept.is_empty() {
            return self.bind_single(bound, executing);
        }
        let mut values: smallvec::SmallVec<[Value<'_>; 2]> = smallvec::SmallVec::new();
        for (position, sources) in self.values.iter().enumerate() {
            match self.agreed_value(sources, bound)? {
                Agreed::Value(value) => values.push(value),
                Agreed::Unknown if executing => return Err(unknown_parameter()),
                Agreed::Unknown => return Ok(self.any_shard()),
                Agreed::Differ => return self.differ(position, bound),
            }
        }
        for kept in &self.kept {
            let value = value_of(kept, bound)?;
            if value.is_some_and(|value| value.to_workspace() != values[0].to_workspace()) {
                return Err(Refusal::new(Code::WorkspaceColumnChange));
            }
        }
        self.one(&values, bound)
    }

    /// The common case: one value for each column.
    fn bind_single(&self, bound: &Bound<'_>, executing: bool) -> Result<Destination, Refusal> {
        let mut values: smallvec::SmallVec<[Value<'_>; 2]> = smallvec::SmallVec::new();
        for sources in &self.values {
            match value_of(&sources[0], bound)? {
                Some(value) => values.push(value),
                None if executing => return Err(unknown_parameter()),
                None => return Ok(self.any_shard()),
            }
        }
        self.one(&values, bound)
    }

    fn one(&self, values: &[Value<'_>], bound: &Bound<'_>) -> Result<Destination, Refusal> {
        self.address(values, bound).map(Destination::One)
    }

    fn address(&self, values: &[Value<'_>], bound: &Bound<'_>) -> Result<Address, Refusal> {
        let workspace = self.vindex.workspace_of(values);
        match &workspace {
            Some(workspace) => guard(workspace, bound)?,
            None if bound.pins.agreed()?.is_some() && !bound.may_cross => {
                let detail = "the predicate does not tie the workspace column";
                return Err(Refusal::because(Code::TenantGuard, detail));
            }
            None => {}
        }
        let mapped = self
            .vindex
            .map(values)
            .map_err(|error| Refusal::because(Code::UnroutableValue, error.to_string()))?;
        Ok(address(&self.keyspace.name, mapped, workspace))
    }

    fn any_shard(&self) -> Destination {
        Destination::One(Address::AnyShard(self.keyspace.name.clone()))
    }

    fn agreed_value<'a>(&self, sources: &[KeySource], bound: &Bound<'a>) -> Result<Agreed<'a>, Refusal> {
        let mut agreed: Option<Value<'a>> = None;
        let mut unknown = false;
        for source in sources {
            let Some(value) = value_of(source, bound)? else {
                unknown = true;
                continue;
            };
            let canonical = value.to_workspace().ok_or_else(|| {
                Refusal::because(Code::UnroutableValue, "the value cannot be a workspace id")
            })?;
            match &agreed {
                Some(other) if other.to_workspace().as_ref() != Some(&canonical) => {
                    return Ok(Agreed::Differ);
                }
                Some(_) => {}
                None => agreed = Some(value),
            }
        }
        Ok(match agreed {
            Some(value) if !unknown => Agreed::Value(value),
            _ => Agreed::Unknown,
        })
    }

    /// The values of one column differ: rows of an INSERT go to several places, anything else is refused.
    fn differ(&self, position: usize, bound: &Bound<'_>) -> Result<Destination, Refusal> {
        if Some(position) == self.vindex.workspace_at {
            for source in &self.values[position] {
                let workspace = value_of(source, bound)?.and_then(|value| value.to_workspace());
                workspace.map_or(Ok(()), |workspace| guard(&workspace, bound))?;
            }
        }
        let Some(rows) = &self.rows else {
            return Err(Refusal::because(Code::CrossShard, "values of several workspaces"));
        };
        if let Some(why) = rows.whole {
            let detail = format!("rows of several workspaces cannot be split with {why}");
            return Err(Refusal::because(Code::CrossShard, detail));
        }
        let mut addresses = Vec::with_capacity(rows.keys.len());
        for keys in &rows.keys {
            let mut values: smallvec::SmallVec<[Value<'_>; 2]> = smallvec::SmallVec::new();
            for key in keys {
                values.push(value_of(key, bound)?.ok_or_else(unknown_parameter)?);
            }
            addresses.push(self.address(&values, bound)?);
        }
        split_insert(&rows.tokens, addresses, bound).map(Destination::Split)
    }
}

enum Agreed<'a> {
    Value(Value<'a>),
    Unknown,
    Differ,
}

fn unknown_parameter() -> Refusal {
    Refusal::because(Code::UnroutableValue, "a parameter has no value")
}

/// What a database name in a predicate means.
enum Meant {
    /// The session's database.
    Session,
    Target(DatabaseTarget),
    /// A system schema, or no database of the vschema: the answer is the same wherever it is asked.
    Elsewhere,
}

impl SystemRoute {
    fn bind(&self, bound: &Bound<'_>) -> Result<Destination, Refusal> {
        let mut target: Option<DatabaseTarget> = None;
        let mut logical: Vec<usize> = Vec::new();
        for source in &self.names {
            let Some(meant) = self.meant(source, bound, &mut logical)? else { continue };
            match &target {
                Some(other) if !is_same_target(other, &meant) => {
                    return Err(Refusal::because(Code::CrossKeyspace, "schemas of several databases"));
                }
                _ => target = Some(meant),
            }
        }
        if target.is_none() {
            target = self.session_target(bound)?;
        }
        if target.is_none()
            && let Some(address) = self.unpinned(bound)
        {
            return Ok(Destination::One(address));
        }
        self.destination(target, &logical, bound)
    }

    /// Who answers about `DATABASE()` while no workspace is pinned: the keyspace's own database where one of
    /// its tables is asked for by name, else a workspace's.
    fn unpinned(&self, bound: &Bound<'_>) -> Option<Address> {
        let keyspace = self.session.as_ref()?;
        let per_workspace = matches!(keyspace.layout, Layout::DatabasePerWorkspace(_));
        if !per_workspace || !self.names.contains(&KeySource::CurrentDatabase) {
            return None;
        }
        let asks_own = bound.scan.literals.iter().any(|literal| {
            let front = bound.text[..literal.span.start as usize].trim_ascii_end();
            let names_table = front.strip_suffix(b"=").is_some_and(ends_with_table_name);
            let is_own =
                |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| keyspace.is_own_table(name));
            names_table && is_own(&literal.bytes(bound.text, bound.mode))
        });
        let keyspace = keyspace.name.clone();
        Some(if asks_own { Address::Own(keyspace) } else { Address::Model(keyspace) })
    }

    /// The session's database as a target.
    fn session_target(&self, bound: &Bound<'_>) -> Result<Option<DatabaseTarget>, Refusal> {
        let Some(keyspace) = &self.session else { return Ok(None) };
        let pinned = bound.pins.agreed()?;
        Ok(match (&keyspace.layout, pinned) {
            (Layout::DatabasePerWorkspace(_), Some(workspace)) => {
                Some(DatabaseTarget::Workspace(Arc::clone(keyspace), workspace.clone()))
            }
            (Layout::DatabasePerWorkspace(_), None) => None,
            _ => Some(DatabaseTarget::Keyspace(Arc::clone(keyspace))),
        })
    }

    fn meant(
        &self,
        source: &KeySource,
        bound: &Bound<'_>,
        logical: &mut Vec<usize>,
    ) -> Result<Option<DatabaseTarget>, Refusal> {
        match name_meant(source, bound)? {
            Meant::Elsewhere => Ok(None),
            Meant::Session => self.session_target(bound),
            Meant::Target(DatabaseTarget::Keyspace(keyspace))
                if matches!(keyspace.layout, Layout::DatabasePerWorkspace(_)) =>
            {
                let pinned = bound.pins.agreed()?.ok_or_else(|| Refusal::new(Code::MissingWorkspace))?;
                let KeySource::Literal(index) = source else {
                    let detail = "a parameter that is a keyspace's name: use DATABASE()";
                    return Err(Refusal::because(Code::UnroutableValue, detail));
                };
                logical.push(*index);
                Ok(Some(DatabaseTarget::Workspace(keyspace, pinned.clone())))
            }
            Meant::Target(target) => Ok(Some(target)),
        }
    }

    fn destination(
        &self,
        target: Option<DatabaseTarget>,
        logical: &[usize],
        bound: &Bound<'_>,
    ) -> Result<Destination, Refusal> {
        let (keyspace, workspace) = match target {
            None => return Ok(Destination::Any),
            Some(DatabaseTarget::Keyspace(keyspace)) => {
                let name = keyspace.name.clone();
                return Ok(Destination::One(match keyspace.layout {
                    Layout::SharedTables => Address::AnyShard(name),
                    _ => Address::Keyspace(name),
                }));
            }
            Some(DatabaseTarget::Workspace(keyspace, workspace)) => (keyspace, workspace),
        };
        guard(&workspace, bound)?;
        let database = database_of(&keyspace, &workspace)?;
        let address = Address::Workspace { keyspace: keyspace.name.clone(), workspace };
        if logical.is_empty() {
            return Ok(Destination::One(address));
        }
        let edits = logical.iter().filter_map(|index| bound.scan.literals.get(*index)).map(|literal| Edit {
            start: literal.span.start as usize,
            end: literal.span.end as usize,
            text: quoted_string(&database),
        });
        Ok(Destination::Edited { address, text: apply_edits(bound, edits.collect()) })
    }
}

/// Says whether a text ends with the column `table_name`, quoted or not.
fn ends_with_table_name(text: &[u8]) -> bool {
    const COLUMN: &[u8] = b"table_name";
    let text = text.trim_ascii_end();
    let text = text.strip_suffix(b"`").unwrap_or(text);
    let at = text.len().checked_sub(COLUMN.len());
    at.is_some_and(|at| text[at..].eq_ignore_ascii_case(COLUMN))
}

fn name_meant(source: &KeySource, bound: &Bound<'_>) -> Result<Meant, Refusal> {
    let value = match source {
        KeySource::CurrentDatabase => return Ok(Meant::Session),
        KeySource::Literal(index) => {
            bound.scan.literals.get(*index).map(|literal| literal_value(literal, bound.text, bound.mode))
        }
        KeySource::Parameter(index) => bound.params.value(*index),
    };
    // information_schema compares without case, accents and trailing spaces, and takes any form of a string:
    // only a plain name is sure to mean what it says.
    let plain = |text: &&str| text.is_ascii() && !text.ends_with(' ');
    let name = match &value {
        Some(Value::Text(name)) => std::str::from_utf8(name).ok().filter(plain),
        _ => None,
    };
    let Some(name) = name else {
        return Err(Refusal::because(Code::UnroutableValue, "a database's name that is not plain text"));
    };
    if SystemSchema::of(name).is_some() {
        return Ok(Meant::Elsewhere);
    }
    if let Some(target) = bound.vschema.resolve_database(name) {
        return Ok(Meant::Target(target));
    }
    match bound.vschema.resolve_database(&name.to_lowercase()) {
        Some(_) => Err(unknown_database(name)),
        None => Ok(Meant::Elsewhere),
    }
}

fn is_same_target(a: &DatabaseTarget, b: &DatabaseTarget) -> bool {
    match (a, b) {
        (DatabaseTarget::Keyspace(a), DatabaseTarget::Keyspace(b)) => a.name == b.name,
        (DatabaseTarget::Workspace(a, of_a), DatabaseTarget::Workspace(b, of_b)) => {
            a.name == b.name && of_a == of_b
        }
        _ => false,
    }
}
