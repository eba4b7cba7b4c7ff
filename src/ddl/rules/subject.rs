//! What rules look at.

use crate::ddl::conversion::{Conversion, compare};
use crate::ddl::offer::Offer;
use crate::ddl::resolved::{Charset, ResolvedType, resolve};
use crate::ddl::table::{Table, is_same};
use crate::sql::{
    ChangeForm, Clause, ClauseKind, ColumnDefinition, KeyKind, KeyPart, ObjectName, PartitionKind, Position,
    TableChange,
};

/// One clause, in its statement, on its table.
#[derive(Clone, Copy)]
pub(in crate::ddl) struct Subject<'a> {
    pub(in crate::ddl) change: &'a TableChange,
    pub(in crate::ddl) clause: &'a Clause,
    pub(in crate::ddl) table: Table<'a>,
}

/// The statement, when its clauses are known.
#[derive(Clone, Copy)]
pub(in crate::ddl) struct Whole<'a> {
    pub(in crate::ddl) change: &'a TableChange,
    pub(in crate::ddl) table: Table<'a>,
    /// What the server can do with all clauses together.
    pub(in crate::ddl) offer: Offer,
    /// It would be copied, by its offer or by a rule.
    pub(in crate::ddl) is_copied: bool,
}

impl Whole<'_> {
    /// Says whether a table that is there is changed.
    pub(super) fn is_alter(&self) -> bool {
        matches!(
            self.change.form,
            ChangeForm::Alter { .. }
                | ChangeForm::CreateIndex
                | ChangeForm::DropIndex(_)
                | ChangeForm::Optimize
        )
    }
}

/// A column before and after MODIFY or CHANGE.
pub(super) struct Changed<'a> {
    pub(super) old: &'a ColumnDefinition,
    pub(super) new: &'a ColumnDefinition,
}

impl Changed<'_> {
    /// What becomes of its values.
    pub(super) fn conversion(&self, subject: &Subject<'_>) -> Conversion {
        let (old, new) = self.types(subject);
        compare(&old, &new)
    }

    /// Its types before and after. A character set that the same statement gives the table counts for the new
    /// one.
    pub(super) fn types(&self, subject: &Subject<'_>) -> (ResolvedType, ResolvedType) {
        let mut options = subject.table.definition.map(|table| table.options.clone()).unwrap_or_default();
        for clause in &subject.change.clauses {
            if let ClauseKind::Option(option) = &clause.kind
                && matches!(option.name.as_str(), "CHARACTER SET" | "COLLATE")
            {
                // CHARACTER SET alone brings its own collation.
                options.retain(|known| known.name != option.name && known.name != "COLLATE");
                options.push(option.clone());
            }
        }
        let new = subject.table.resolve_with(self.new, &options);
        (subject.table.resolve(self.old), new)
    }
}

/// What DROP CONSTRAINT drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ddl) enum ConstraintKind {
    /// A foreign key.
    ForeignKey,
    /// A check.
    Check,
    /// A key.
    Key,
}

impl<'a> Subject<'a> {
    pub(super) fn is_mariadb(&self) -> bool {
        self.table.server.mariadb
    }

    /// Says whether the server is MySQL of this version or later.
    pub(super) fn is_mysql_from(&self, number: u32) -> bool {
        !self.is_mariadb() && self.table.server.number >= number
    }

    /// MODIFY or CHANGE of a column that the definition has.
    pub(super) fn changed_column(&self) -> Option<Changed<'a>> {
        let ClauseKind::ChangeColumn { from, column, .. } = &self.clause.kind else { return None };
        let old = self.table.column(&from.text)?;
        Some(Changed { old, new: column })
    }

    /// The other clauses of the statement, without ALGORITHM, LOCK and the like.
    pub(super) fn other_clauses(&self) -> impl Iterator<Item = &'a Clause> {
        let own: &'a Clause = self.clause;
        self.change.clauses.iter().filter(move |clause| !std::ptr::eq(*clause, own) && !is_assertion(clause))
    }

    pub(super) fn has_other(&self, of: impl Fn(&ClauseKind) -> bool) -> bool {
        self.other_clauses().any(|clause| of(&clause.kind))
    }

    /// Adding or dropping a virtual column: instant alone, and in MySQL together with other new columns.
    pub(super) fn virtual_offer(&self) -> Offer {
        let adds = |kind: &ClauseKind| matches!(kind, ClauseKind::AddColumn { .. });
        let only_adds = adds(&self.clause.kind) && !self.has_other(|kind| !adds(kind));
        match (self.has_other(|_| true), only_adds && !self.is_mariadb()) {
            (false, _) => Offer::INSTANT,
            (true, true) => Offer::INSTANT_OR_COPY,
            (true, false) => Offer::COPY,
        }
    }

    /// An option that is kept in the definition alone. MariaDB changes it at once, but not beside columns
    /// that are defined anew.
    pub(super) fn option_offer(&self) -> Offer {
        let redefines = |kind: &ClauseKind| {
            matches!(kind, ClauseKind::ChangeColumn { .. } | ClauseKind::RenameColumn { .. })
        };
        if self.is_mariadb() && !self.has_other(redefines) { Offer::INSTANT } else { Offer::METADATA }
    }

    /// How the table is partitioned.
    pub(super) fn partition_kind(&self) -> Option<PartitionKind> {
        self.table.definition?.partitioning.as_ref().map(|by| by.kind)
    }

    /// The table that the clause renames: each clause of RENAME TABLE has its own.
    pub(super) fn renamed_from(&self) -> &'a ObjectName {
        let at = self.change.clauses.iter().position(|clause| std::ptr::eq(clause, self.clause));
        let more = at.and_then(|at| at.checked_sub(1)).and_then(|at| self.change.more_tables.get(at));
        more.filter(|_| self.change.form == ChangeForm::Rename).unwrap_or(&self.change.table)
    }

    /// What bears the name.
    pub(super) fn constraint_is(&self, name: &str) -> Option<ConstraintKind> {
        let table = self.table.definition?;
        let named =
            |known: &Option<crate::sql::Name>| known.as_ref().is_some_and(|known| is_same(&known.text, name));
        let columns = table.columns.iter().flat_map(|column| &column.checks);
        if table.foreign_keys.iter().any(|key| named(&key.name)) {
            Some(ConstraintKind::ForeignKey)
        } else if table.checks.iter().chain(columns).any(|check| named(&check.name)) {
            Some(ConstraintKind::Check)
        } else {
            table.keys.iter().any(|key| named(&key.name)).then_some(ConstraintKind::Key)
        }
    }

    /// What CONVERT TO could lose or make equal.
    pub(super) fn conversion_risk(&self, charset: Option<&str>, collation: Option<&str>) -> Option<String> {
        let server = self.table.server;
        let Some(charset) = charset else { return Some("the character set is not named".to_owned()) };
        let target = Charset::of(Some(charset), collation, server);
        for column in self.table.columns() {
            let name = &column.name.text;
            let old = self.table.resolve(column);
            if old.charset.is_none() {
                continue;
            }
            let mut bare = column.data_type.clone();
            (bare.charset, bare.collation, bare.binary) = (None, None, false);
            let new = resolve(&bare, &target, server);
            // A TEXT may grow to a MEDIUMTEXT, so its room is not what counts here.
            let is_text = matches!(old.kind, crate::sql::TypeKind::Text(_));
            let loss = match compare(&old, &new) {
                Conversion::Converted { loss } => {
                    loss.filter(|loss| !is_text || loss.starts_with("characters"))
                }
                _ => None,
            };
            if let Some(loss) = loss {
                return Some(format!("`{name}` could lose {loss}"));
            }
            let is_unique = |kind| matches!(kind, KeyKind::Primary | KeyKind::Unique);
            if old.collation != new.collation && self.table.is_in_key(name, is_unique) {
                return Some(format!("`{name}` is in a unique key and gets another collation"));
            }
        }
        None
    }

    /// A column that the clause needs and that is not there.
    pub(in crate::ddl) fn missing_column(&self) -> Option<&'a str> {
        let mut needed: Vec<&'a str> = Vec::new();
        let after = |position: &'a Option<Position>| match position {
            Some(Position::After(name)) => Some(name.text.as_str()),
            _ => None,
        };
        match &self.clause.kind {
            ClauseKind::AddColumn { position, .. } => needed.extend(after(position)),
            ClauseKind::DropColumn { name, if_exists: false } | ClauseKind::AlterColumn { name, .. } => {
                needed.push(&name.text);
            }
            ClauseKind::RenameColumn { from, .. } => needed.push(&from.text),
            ClauseKind::ChangeColumn { from, position, .. } => {
                needed.push(&from.text);
                needed.extend(after(position));
            }
            ClauseKind::AddKey(key) => needed.extend(key.parts.iter().filter_map(|part| match part {
                KeyPart::Column { name, .. } => Some(name.text.as_str()),
                KeyPart::Expression(_) => None,
            })),
            _ => {}
        }
        needed.into_iter().find(|name| !self.has_column(name))
    }

    /// A column of the table, or one that the statement makes.
    fn has_column(&self, name: &str) -> bool {
        let made = self.change.clauses.iter().any(|clause| match &clause.kind {
            ClauseKind::AddColumn { column, .. } | ClauseKind::ChangeColumn { column, .. } => {
                is_same(&column.name.text, name)
            }
            ClauseKind::RenameColumn { to, .. } => is_same(&to.text, name),
            _ => false,
        });
        // MODIFY makes nothing: its own name does not count.
        let own =
            matches!(&self.clause.kind, ClauseKind::ChangeColumn { from, .. } if is_same(&from.text, name));
        self.table.column(name).is_some() || (made && !own)
    }
}

/// ALGORITHM, LOCK, WITH VALIDATION: they ask for nothing themselves.
pub(in crate::ddl) fn is_assertion(clause: &Clause) -> bool {
    matches!(clause.kind, ClauseKind::Algorithm(_) | ClauseKind::Lock(_) | ClauseKind::Validation)
}
