//! What is visible where: relations by name, routing columns by name, CTEs.

use sqlparser::ast::{Cte, Ident};

use super::{Walk, ident_text};

/// A routing column of some table reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::plan) struct ColumnId(pub(in crate::plan) usize);

/// What a routing column holds; only columns of the same slot can tie each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::plan) enum Slot {
    /// A column of a vindex.
    Key {
        /// The vindex's name in the keyspace.
        vindex: Box<str>,
        /// Which of its columns.
        position: usize,
    },
    /// The name of a database, in `information_schema`.
    Schema,
}

/// A routing column.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Column {
    /// What it holds.
    pub(in crate::plan) slot: Slot,
}

/// Something with a name in a FROM clause.
#[derive(Clone, Debug, Default)]
pub(super) struct Relation {
    /// The alias, or the table's name.
    pub(super) name: String,
    /// The database, when written and not hidden by an alias.
    pub(super) database: Option<String>,
    /// Routing columns by name.
    pub(super) columns: Vec<(String, ColumnId)>,
    /// A reference table.
    pub(super) reference: bool,
}

impl Relation {
    /// The routing column of that name, unless two have it.
    pub(super) fn column(&self, name: &str) -> Option<ColumnId> {
        let mut found = self.columns.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some((_, id)), None) => Some(*id),
            _ => None,
        }
    }
}

/// What a query yields that matters to routing.
#[derive(Clone, Debug, Default)]
pub(super) struct Yield {
    /// Routing columns by the names they have outside.
    pub(super) named: Vec<(String, ColumnId)>,
    /// By position: name, and routing column if it is one; `None` when a wildcard hides the positions.
    pub(super) positions: Option<Vec<(String, Option<ColumnId>)>>,
    /// Restricting a yielded column outside is the same as restricting it inside.
    pub(super) transparent: bool,
}

/// The relations of one query block; blocks around it are visible through `outer`.
#[derive(Clone, Debug)]
pub(super) struct Scope<'p> {
    pub(super) outer: Option<&'p Scope<'p>>,
    pub(super) relations: Vec<Relation>,
    /// Columns joined by USING or NATURAL: an unqualified name means them all.
    pub(super) joined: Vec<String>,
}

impl<'p> Scope<'p> {
    pub(super) fn new(outer: Option<&'p Scope<'p>>) -> Self {
        Self { outer, relations: Vec::new(), joined: Vec::new() }
    }

    /// A scope of the relations from `start` on: what an ON clause sees.
    pub(super) fn part(&self, start: usize) -> Self {
        Self { outer: self.outer, relations: self.relations[start..].to_vec(), joined: self.joined.clone() }
    }

    /// Routing columns of the relations from `start` to `end`.
    pub(super) fn columns(&self, start: usize, end: usize) -> Vec<ColumnId> {
        self.relations[start..end].iter().flat_map(|r| r.columns.iter().map(|(_, id)| *id)).collect()
    }

    /// The routing columns that an unqualified name means: none, one, or those joined by USING.
    ///
    /// Outer blocks are not searched: a table of this block may have a column of that name which the vschema
    /// does not list, and MySQL would take that one.
    pub(super) fn unqualified(&self, name: &str) -> Vec<ColumnId> {
        let found: Vec<ColumnId> = self.relations.iter().filter_map(|r| r.column(name)).collect();
        let joined = self.joined.iter().any(|column| column.eq_ignore_ascii_case(name));
        if found.len() > 1 && !joined { Vec::new() } else { found }
    }

    /// The routing column that `relation.name` means, in the nearest block that has the relation.
    pub(super) fn qualified(&self, database: Option<&str>, relation: &str, name: &str) -> Option<ColumnId> {
        let alike = |r: &&Relation| r.name.eq_ignore_ascii_case(relation);
        let mut alike = self.relations.iter().filter(alike);
        let Some(found) = alike.next() else {
            return self.outer.and_then(|outer| outer.qualified(database, relation, name));
        };
        // Two names that differ only in case, or one name twice: which is meant depends on the server.
        if alike.next().is_some() || found.name != relation {
            return None;
        }
        if database.is_some() && found.database.as_deref().is_some_and(|own| Some(own) != database) {
            return None;
        }
        found.column(name)
    }

    /// The routing columns that a column reference means.
    pub(super) fn resolve(&self, parts: &[Ident]) -> Vec<ColumnId> {
        let parts: Vec<String> = parts.iter().map(ident_text).collect();
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [name] => self.unqualified(name),
            [relation, name] => self.qualified(None, relation, name).into_iter().collect(),
            [database, relation, name] => {
                self.qualified(Some(database), relation, name).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The CTEs that are visible, innermost first.
#[derive(Clone, Copy)]
pub(super) struct Ctes<'p> {
    pub(super) outer: Option<&'p Ctes<'p>>,
    /// Those of one WITH clause that are visible.
    pub(super) tables: &'p [Cte],
    /// A recursive CTE inside its own body: what it is assumed to yield.
    pub(super) own: Option<(&'p str, &'p Yield)>,
    pub(super) recursive: bool,
}

/// What a name means among CTEs.
pub(super) enum CteName<'p> {
    /// A CTE, the CTEs visible inside it, and whether its WITH is recursive.
    Table(&'p Cte, Ctes<'p>, bool),
    /// The recursive CTE that is being defined.
    Own(&'p Yield),
}

impl<'p> Ctes<'p> {
    /// The CTE of that name. Names of CTEs are compared without case, as MySQL does not.
    /// A name that differs in case only is found too, and refused by the caller through `exact`.
    pub(super) fn find(&self, name: &str) -> Option<(CteName<'p>, bool)> {
        if let Some((own, yields)) = self.own
            && own.eq_ignore_ascii_case(name)
        {
            return Some((CteName::Own(yields), own == name));
        }
        let at = self.tables.iter().rposition(|cte| ident_text(&cte.alias.name).eq_ignore_ascii_case(name));
        if let Some(at) = at {
            let visible =
                Ctes { outer: self.outer, tables: &self.tables[..at], own: None, recursive: self.recursive };
            let exact = ident_text(&self.tables[at].alias.name) == name;
            return Some((CteName::Table(&self.tables[at], visible, self.recursive), exact));
        }
        self.outer.and_then(|outer| outer.find(name))
    }
}

impl Walk<'_> {
    /// A relation over what a query yields: its columns under its own names.
    pub(super) fn derived(&mut self, name: String, yields: &Yield, columns: &[String]) -> Relation {
        let named: Vec<(String, ColumnId)> = match (&yields.positions, columns.is_empty()) {
            (Some(positions), false) => positions
                .iter()
                .zip(columns)
                .filter_map(|((_, id), name)| id.map(|id| (name.clone(), id)))
                .collect(),
            (None, false) => Vec::new(),
            (_, true) => yields.named.clone(),
        };
        let columns = named
            .into_iter()
            .map(|(name, inside)| (name, if yields.transparent { inside } else { self.outside(&[inside]) }))
            .collect();
        Relation { name, columns, ..Relation::default() }
    }

    /// A column that is bound once all of `inside` are, and says nothing about them.
    pub(super) fn outside(&mut self, inside: &[ColumnId]) -> ColumnId {
        let slot = self.slot(inside[0]).clone();
        let id = self.column(slot);
        self.rules.push((inside.to_vec(), id));
        id
    }
}
