//! What the rules ask about a table.

use super::offer::{Lock, Offer, Work};
use super::resolved::{Charset, ResolvedType, resolve};
use crate::sql::{
    ColumnDefinition, ColumnKey, KeyDefinition, KeyKind, KeyPart, ServerVersion, TableDefinition,
    TableOption, TypeKind,
};

/// A table's definition, or the want of one, and the server it is on.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The definition.
    pub definition: Option<&'a TableDefinition>,
    /// The server.
    pub server: ServerVersion,
}

impl<'a> Table<'a> {
    /// A column by its name; names of columns are compared without case.
    pub fn column(&self, name: &str) -> Option<&'a ColumnDefinition> {
        self.columns().iter().find(|column| is_same(&column.name.text, name))
    }

    /// All columns.
    pub fn columns(&self) -> &'a [ColumnDefinition] {
        self.definition.map_or(&[], |definition| &definition.columns)
    }

    /// All keys that stand for themselves.
    pub fn keys(&self) -> &'a [KeyDefinition] {
        self.definition.map_or(&[], |definition| &definition.keys)
    }

    /// The value of a table option.
    pub fn option(&self, name: &str) -> Option<&'a str> {
        let options = &self.definition?.options;
        options.iter().rev().find(|option| option.name == name).map(|option| option.value.as_str())
    }

    /// A column's type with the table's character set filled in.
    pub fn resolve(&self, column: &ColumnDefinition) -> ResolvedType {
        self.resolve_with(column, self.definition.map_or(&[], |definition| &definition.options))
    }

    /// The same, with these options of the table.
    pub(super) fn resolve_with(&self, column: &ColumnDefinition, options: &[TableOption]) -> ResolvedType {
        let value = |name: &str| {
            options.iter().rev().find(|option| option.name == name).map(|option| option.value.as_str())
        };
        let charset = Charset::of(value("CHARACTER SET"), value("COLLATE"), self.server);
        let mut resolved = resolve(&column.data_type, &charset, self.server);
        // MariaDB shows JSON as what it is made of: LONGTEXT with a check.
        let is_json = column.checks.iter().any(|check| check.condition.mentions("json_valid"));
        if self.server.mariadb && resolved.kind == TypeKind::Text(4) && is_json {
            resolved.kind = TypeKind::Json;
            (resolved.charset, resolved.collation) = (None, None);
        }
        resolved
    }

    /// The character set and the collation that columns have that name none; `None` where it is not known.
    pub fn charset(&self) -> (Option<String>, Option<String>) {
        let known = Charset::of(self.option("CHARACTER SET"), self.option("COLLATE"), self.server);
        (known.charset, known.collation)
    }

    /// Says whether a key of this kind holds the column.
    pub fn is_in_key(&self, column: &str, of: impl Fn(KeyKind) -> bool) -> bool {
        let own = self.column(column).and_then(|column| column.key).is_some_and(|key| match key {
            ColumnKey::Primary => of(KeyKind::Primary),
            ColumnKey::Unique => of(KeyKind::Unique),
        });
        own || self.keys().iter().any(|key| of(key.kind) && holds(key, column))
    }

    /// Says whether the primary key holds the column: it is NOT NULL then.
    pub fn is_in_primary_key(&self, column: &str) -> bool {
        self.is_in_key(column, |kind| kind == KeyKind::Primary)
    }

    /// Says whether the column takes no NULL.
    pub fn is_not_null(&self, column: &ColumnDefinition) -> bool {
        column.nullable == Some(false) || self.is_in_primary_key(&column.name.text)
    }

    /// Says whether there is a primary key.
    pub fn has_primary_key(&self) -> bool {
        self.keys().iter().any(|key| key.kind == KeyKind::Primary)
            || self.columns().iter().any(|column| column.key == Some(ColumnKey::Primary))
    }

    /// Says whether there is a FULLTEXT key.
    pub fn has_fulltext(&self) -> bool {
        self.keys().iter().any(|key| key.kind == KeyKind::FullText)
    }

    /// Says whether there is a virtual column.
    pub fn has_virtual_column(&self) -> bool {
        let is_virtual = |column: &ColumnDefinition| column.generated.as_ref().is_some_and(|g| !g.stored);
        self.columns().iter().any(is_virtual)
    }

    /// Says whether rows are compressed.
    pub fn is_compressed(&self) -> bool {
        self.option("ROW_FORMAT").is_some_and(|format| is_same(format, "COMPRESSED"))
            || self.option("KEY_BLOCK_SIZE").is_some_and(|size| size != "0")
    }

    /// Says whether it is InnoDB's, as every table is that names no engine.
    pub fn is_innodb(&self) -> bool {
        self.option("ENGINE").is_none_or(|engine| is_same(engine, "InnoDB"))
    }

    /// Names of the keys by which a copy can find a row again: the primary key, or unique ones over whole
    /// columns that take no NULL and compare exactly.
    pub fn row_keys(&self) -> Vec<Vec<String>> {
        let mut keys: Vec<Vec<String>> = Vec::new();
        for column in self.columns().iter().filter(|column| column.key.is_some()) {
            if self.is_usable(&column.name.text) {
                keys.push(vec![column.name.text.to_ascii_lowercase()]);
            }
        }
        for key in self.keys().iter().filter(|key| matches!(key.kind, KeyKind::Primary | KeyKind::Unique)) {
            let columns: Option<Vec<String>> = key.parts.iter().map(|part| self.usable_part(part)).collect();
            keys.extend(columns.filter(|_| key.unknown.is_empty()));
        }
        keys
    }

    fn usable_part(&self, part: &KeyPart) -> Option<String> {
        match part {
            KeyPart::Column { name, prefix: None, .. } if self.is_usable(&name.text) => {
                Some(name.text.to_ascii_lowercase())
            }
            _ => None,
        }
    }

    fn is_usable(&self, name: &str) -> bool {
        self.column(name).is_some_and(|column| {
            use TypeKind::{Double, Enum, Float, Json, Other, Set, Spatial};
            // Labels are sorted by number and compared by text; values of other types have no literals here.
            let kind = &column.data_type.kind;
            let is_unfit = matches!(kind, Float | Double | Json | Enum | Set | Spatial(_) | Other(_))
                || column.generated.is_some();
            self.is_not_null(column) && !is_unfit && column.unknown.is_empty()
        })
    }

    /// What the table itself takes away from an offer.
    pub(super) fn restrict(&self, mut offer: Offer) -> Offer {
        if !self.is_innodb() || !is_known(self.server) {
            return Offer::COPY;
        }
        if !self.server.mariadb && self.server.number < 80_012 {
            offer.instant = false;
        }
        let needs_rows = offer.work == Work::Rebuild;
        if needs_rows && self.is_compressed() {
            offer.instant = false;
        }
        if needs_rows && self.has_fulltext() {
            offer.instant = false;
            // MySQL rebuilds no table with a FULLTEXT key in place; MariaDB does, and blocks writes.
            offer.in_place &= self.server.mariadb;
            offer.lock = offer.lock.max(Lock::Shared);
        }
        offer
    }
}

/// Says whether the rules know what this server can do: MySQL from 8.0, MariaDB from 10.11.
pub(super) fn is_known(server: ServerVersion) -> bool {
    server.number >= if server.mariadb { 101_100 } else { 80_000 }
}

/// Names compared as MySQL compares names of columns and keys.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// Says whether a key is over the column, expressions read by their words.
pub(super) fn holds(key: &KeyDefinition, column: &str) -> bool {
    key.parts.iter().any(|part| match part {
        KeyPart::Column { name, .. } => is_same(&name.text, column),
        KeyPart::Expression(expression) => expression.mentions(column),
    })
}
