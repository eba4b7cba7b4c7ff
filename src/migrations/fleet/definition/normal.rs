//! The normal form of a table's definition.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ddl::Table;
use crate::sql::{
    ColumnDefinition, ColumnKey, DefaultValue, ForeignKey, KeyDefinition, KeyKind, KeyPart, Literal,
    LiteralKind, Scan, ServerVersion, Span, SqlMode, TableDefinition, TypeKind, UnknownPart, Unread,
    read_definition, scan,
};

/// Written of a column that has lost its default.
pub(super) const WITHOUT_DEFAULT: &str = " without default";

/// Names a normal form: two definitions that have the same are the same, but for what does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl Fingerprint {
    /// The first digits, for people.
    pub fn short(self) -> String {
        format!("{:08x}", self.0 >> 96)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number))
    }
}

/// The kinds of parts, in the order in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartKind {
    /// A column.
    Column,
    /// A key.
    Key,
    /// A foreign key.
    ForeignKey,
    /// A check.
    Check,
    /// An option of the table.
    Option,
    /// PARTITION BY.
    Partitioning,
    /// Something that is not known.
    Unknown,
}

impl PartKind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Column => "column",
            Self::Key => "key",
            Self::ForeignKey => "foreign key",
            Self::Check => "check",
            Self::Option => "option",
            Self::Partitioning => "partitions",
            Self::Unknown => "unknown part",
        }
    }
}

/// A part of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its kind.
    pub kind: PartKind,
    /// Its name in lower case; empty where it has none.
    pub name: String,
    /// All of it in one writing, without its name.
    pub text: String,
}

/// A definition in one writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal {
    /// Columns in order, then everything else sorted by kind and name.
    pub parts: Vec<Part>,
}

/// A definition that was read.
#[derive(Clone, Debug)]
pub struct Definition {
    /// As SHOW CREATE TABLE printed it.
    pub text: String,
    /// What it says; spans are of `text`.
    pub table: TableDefinition,
    /// In one writing.
    pub normal: Normal,
    /// The server that printed it.
    pub server: ServerVersion,
}

/// A definition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definition cannot be read at byte {}: {}", .0.at, .0.why)]
pub struct DefinitionFault(pub Unread);

impl Definition {
    /// Reads what SHOW CREATE TABLE printed.
    ///
    /// # Errors
    /// [`DefinitionFault`]: it is no CREATE TABLE that can be read.
    pub fn read(text: &str, server: ServerVersion) -> Result<Self, DefinitionFault> {
        let mode = SqlMode { server, ..SqlMode::default() };
        let mut found = Scan::default();
        scan(text.as_bytes(), mode, &mut found);
        let table = read_definition(text.as_bytes(), &found, mode).map_err(DefinitionFault)?;
        let normal = Normal::of(&table, text, server);
        Ok(Self { text: text.to_owned(), table, normal, server })
    }

    /// The fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.normal.fingerprint()
    }

    /// Says whether all of it is known.
    pub fn is_known(&self) -> bool {
        !self.normal.parts.iter().any(|part| part.kind == PartKind::Unknown)
    }
}

impl Normal {
    /// The normal form of a definition; unknown parts are taken from `text`.
    pub fn of(definition: &TableDefinition, text: &str, server: ServerVersion) -> Self {
        let table = Table { definition: Some(definition), server };
        let mut parts: Vec<Part> =
            definition.columns.iter().map(|column| column_part(table, column)).collect();
        let columns = parts.len();
        parts.extend(key_parts(definition));
        parts.extend(definition.foreign_keys.iter().map(foreign_part));
        let checks = definition.columns.iter().filter(|column| !is_json(table, column));
        let checks = checks.flat_map(|column| &column.checks).chain(&definition.checks);
        parts.extend(checks.map(|check| Part {
            kind: PartKind::Check,
            name: check.name.as_ref().map(|name| name.text.to_lowercase()).unwrap_or_default(),
            text: format!(
                "{}{}",
                bare(&check.condition.text),
                if check.enforced { "" } else { " not enforced" }
            ),
        }));
        parts.extend(option_parts(table, definition));
        parts.extend(definition.partitioning.iter().map(|partitioning| Part {
            kind: PartKind::Partitioning,
            name: String::new(),
            text: partitioning.expression.text.clone(),
        }));
        parts.extend(unknown_parts(definition, text));
        parts[columns..].sort_by(|a, b| (a.kind, &a.name, &a.text).cmp(&(b.kind, &b.name, &b.text)));
        Self { parts }
    }

    /// The fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut bytes = Vec::with_capacity(2048);
        for part in &self.parts {
            bytes.push(part.kind as u8);
            for text in [&part.name, &part.text] {
                // Lengths go first, so that no two lists of texts have the same bytes.
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        Fingerprint(xxhash_rust::xxh3::xxh3_128(&bytes))
    }

    /// The columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().take_while(|part| part.kind == PartKind::Column)
    }

    /// A part.
    pub fn part(&self, kind: PartKind, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.kind == kind && part.name == name)
    }
}

fn is_json(table: Table<'_>, column: &ColumnDefinition) -> bool {
    table.resolve(column).kind == TypeKind::Json
}

fn column_part(table: Table<'_>, column: &ColumnDefinition) -> Part {
    let mut text = type_text(table, column);
    let is_not_null = table.is_not_null(column);
    text.push_str(if is_not_null { " not null" } else { " null" });
    match &column.default {
        None if !is_not_null && lacks_default(table, column) => text.push_str(WITHOUT_DEFAULT),
        None | Some(DefaultValue::Null) => {}
        Some(DefaultValue::Now) => text.push_str(" default now"),
        Some(DefaultValue::Literal(literal)) => {
            text.push_str(" default ");
            text.push_str(&literal_text(&column.data_type.kind, literal));
        }
        Some(DefaultValue::Expression(expression)) => {
            text.push_str(" default (");
            text.push_str(bare(&expression.text));
            text.push(')');
        }
    }
    let flags = [
        (column.on_update, " on update now"),
        (column.auto_increment, " auto_increment"),
        (column.invisible, " invisible"),
    ];
    flags.iter().filter(|(is_set, _)| *is_set).for_each(|(_, word)| text.push_str(word));
    if let Some(generated) = &column.generated {
        let how = if generated.stored { "stored" } else { "virtual" };
        text.push_str(&format!(" as ({}) {how}", bare(&generated.expression.text)));
    }
    if let Some(srid) = column.srid {
        text.push_str(&format!(" srid {srid}"));
    }
    if let Some(comment) = column.comment.as_ref().filter(|comment| !comment.is_empty()) {
        text.push_str(&format!(" comment {}", quoted(comment)));
    }
    if let Some(table) = &column.references {
        text.push_str(&format!(" references {}", table.name.text));
    }
    for word in column.storage.iter().chain(&column.attributes) {
        text.push(' ');
        text.push_str(word);
    }
    Part { kind: PartKind::Column, name: column.name.text.to_lowercase(), text }
}

/// MySQL prints DEFAULT NULL where it is so, but for types that have no other default; what it prints without
/// has lost its default, and an INSERT has to name the column.
fn lacks_default(table: Table<'_>, column: &ColumnDefinition) -> bool {
    let kind = &column.data_type.kind;
    let prints_none = matches!(kind, TypeKind::Text(_) | TypeKind::Blob(_) | TypeKind::Spatial(_));
    !table.server.mariadb && !prints_none && column.generated.is_none() && !column.auto_increment
}

fn type_text(table: Table<'_>, column: &ColumnDefinition) -> String {
    let resolved = table.resolve(column);
    let mut text = type_word(&resolved.kind);
    match (resolved.kind, resolved.length) {
        (TypeKind::Decimal, Some(length)) => text.push_str(&format!("({length},{})", resolved.scale)),
        // FLOAT(7,4) rounds; a width alone says nothing.
        (TypeKind::Float | TypeKind::Double, Some(length)) if column.data_type.scale.is_some() => {
            text.push_str(&format!("({length},{})", resolved.scale));
        }
        (TypeKind::Float | TypeKind::Double, _) => {}
        // Clients take TINYINT(1) for a truth value.
        (TypeKind::TinyInt, _) if column.data_type.length == Some(1) && !resolved.unsigned => {
            text.push_str("(1)");
        }
        (_, Some(length)) => text.push_str(&format!("({length})")),
        _ => {}
    }
    if !resolved.members.is_empty() {
        let members: Vec<String> = resolved.members.iter().map(|member| quoted(member)).collect();
        text.push_str(&format!("({})", members.join(",")));
    }
    if resolved.unsigned {
        text.push_str(" unsigned");
    }
    if let Some(width) = resolved.zerofill {
        text.push_str(&format!(" zerofill({width})"));
    }
    if let Some(charset) = resolved.charset {
        text.push_str(&format!(" charset {charset}"));
    }
    if let Some(collation) = resolved.collation {
        text.push_str(&format!(" collate {collation}"));
    }
    text
}

/// A word for every type that never changes.
fn type_word(kind: &TypeKind) -> String {
    let word = match kind {
        TypeKind::TinyInt => "tinyint",
        TypeKind::SmallInt => "smallint",
        TypeKind::MediumInt => "mediumint",
        TypeKind::Int => "int",
        TypeKind::BigInt => "bigint",
        TypeKind::Decimal => "decimal",
        TypeKind::Float => "float",
        TypeKind::Double => "double",
        TypeKind::Bit => "bit",
        TypeKind::Date => "date",
        TypeKind::Time => "time",
        TypeKind::DateTime => "datetime",
        TypeKind::Timestamp => "timestamp",
        TypeKind::Year => "year",
        TypeKind::Char => "char",
        TypeKind::VarChar => "varchar",
        TypeKind::Binary => "binary",
        TypeKind::VarBinary => "varbinary",
        TypeKind::Text(size) => return format!("text{size}"),
        TypeKind::Blob(size) => return format!("blob{size}"),
        TypeKind::Enum => "enum",
        TypeKind::Set => "set",
        TypeKind::Json => "json",
        TypeKind::Spatial(name) | TypeKind::Other(name) => name,
    };
    word.to_owned()
}

/// Keys, those that columns bring along included, with the names that a server gives to those without.
fn key_parts(definition: &TableDefinition) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let own = definition.columns.iter().filter_map(|column| {
        let name = column.name.text.to_lowercase();
        Some(match column.key? {
            ColumnKey::Primary => ("primary".to_owned(), format!("primary ({name})")),
            ColumnKey::Unique => (name.clone(), format!("unique ({name})")),
        })
    });
    let written = definition.keys.iter().map(|key| (key_name(key), key_text(key)));
    for (wanted, text) in own.chain(written) {
        let mut name = wanted.clone();
        let mut number = 2;
        while parts.iter().any(|part| part.name == name) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        parts.push(Part { kind: PartKind::Key, name, text });
    }
    parts
}

fn key_name(key: &KeyDefinition) -> String {
    if key.kind == KeyKind::Primary {
        return "primary".to_owned();
    }
    match (&key.name, key.parts.first()) {
        (Some(name), _) => name.text.to_lowercase(),
        (None, Some(KeyPart::Column { name, .. })) => name.text.to_lowercase(),
        (None, _) => "functional_index".to_owned(),
    }
}

fn key_text(key: &KeyDefinition) -> String {
    let kind = match key.kind {
        KeyKind::Primary => "primary",
        KeyKind::Unique => "unique",
        KeyKind::Plain => "key",
        KeyKind::FullText => "fulltext",
        KeyKind::Spatial => "spatial",
        KeyKind::Vector => "vector",
    };
    let parts: Vec<String> = key.parts.iter().map(key_part_text).collect();
    let mut text = format!("{kind} ({})", parts.join(","));
    if key.invisible {
        text.push_str(" invisible");
    }
    // A B-tree is what every key of InnoDB is.
    for option in key.options.iter().filter(|option| !matches!(option.as_str(), "using btree" | "type btree"))
    {
        text.push(' ');
        text.push_str(option);
    }
    text
}

fn key_part_text(part: &KeyPart) -> String {
    match part {
        KeyPart::Column { name, prefix, descending } => {
            let mut text = name.text.to_lowercase();
            if let Some(prefix) = prefix {
                text.push_str(&format!("({prefix})"));
            }
            if *descending {
                text.push_str(" desc");
            }
            text
        }
        KeyPart::Expression(expression) => format!("({})", bare(&expression.text)),
    }
}

fn foreign_part(key: &ForeignKey) -> Part {
    let names = |names: &[crate::sql::Name]| {
        names.iter().map(|name| name.text.to_lowercase()).collect::<Vec<_>>().join(",")
    };
    let qualifier = key.table.qualifier.as_ref().map(|name| format!("{}.", name.text)).unwrap_or_default();
    let (own, others) = (names(&key.columns), names(&key.referenced));
    let mut text = format!("({own}) references {qualifier}{}({others})", key.table.name.text);
    if !key.actions.is_empty() {
        text.push(' ');
        text.push_str(&key.actions);
    }
    let name = key.name.as_ref().map(|name| name.text.to_lowercase()).unwrap_or_default();
    Part { kind: PartKind::ForeignKey, name, text }
}

/// Options, without those that are no part of what the table is.
fn option_parts(table: Table<'_>, definition: &TableDefinition) -> Vec<Part> {
    let part = |name: &str, text: String| Part { kind: PartKind::Option, name: name.to_owned(), text };
    let (charset, collation) = table.charset();
    let mut parts = vec![part("engine", table.option("ENGINE").unwrap_or("InnoDB").to_lowercase())];
    if let (Some(charset), Some(collation)) = (charset, collation) {
        parts.push(part("character set", format!("{charset} collate {collation}")));
    }
    let mut names: Vec<&str> = definition.options.iter().map(|option| option.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        if matches!(name, "AUTO_INCREMENT" | "ENGINE" | "CHARACTER SET" | "COLLATE") {
            continue;
        }
        let value = table.option(name).unwrap_or_default();
        let is_default = match name {
            "COMMENT" => value.is_empty(),
            "KEY_BLOCK_SIZE" => value == "0",
            "ROW_FORMAT" => value.eq_ignore_ascii_case("DEFAULT"),
            _ => false,
        };
        if !is_default {
            let text = if name == "COMMENT" { quoted(value.as_bytes()) } else { value.to_lowercase() };
            parts.push(part(&name.to_lowercase(), text));
        }
    }
    parts
}

fn unknown_parts(definition: &TableDefinition, text: &str) -> Vec<Part> {
    let columns = definition
        .columns
        .iter()
        .flat_map(|column| column.unknown.iter().map(|unknown| (column.name.text.to_lowercase(), *unknown)));
    let keys = definition
        .keys
        .iter()
        .flat_map(|key| key.unknown.iter().map(|unknown| (format!("key {}", key_name(key)), *unknown)));
    let table = definition.unknown.iter().map(|unknown| (String::new(), *unknown));
    let part = |(name, UnknownPart { span }): (String, UnknownPart)| {
        let written = String::from_utf8_lossy(span.of(text.as_bytes())).into_owned();
        let text = written.split_whitespace().collect::<Vec<_>>().join(" ");
        Part { kind: PartKind::Unknown, name, text }
    };
    columns.chain(keys).chain(table).map(part).collect()
}

/// An expression without the parentheses around all of it.
fn bare(expression: &str) -> &str {
    let mut text = expression.trim();
    while let Some(inside) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        if !is_balanced(inside) {
            break;
        }
        text = inside.trim();
    }
    text
}

/// Says whether every parenthesis that is closed was opened in it. Strings are passed over.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return false,
            b')' => depth -= 1,
            b'\'' | b'"' => skip_string(&mut bytes, byte),
            _ => {}
        }
    }
    depth == 0
}

fn skip_string(bytes: &mut std::str::Bytes<'_>, quote: u8) {
    while let Some(byte) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        } else if byte == quote {
            return;
        }
    }
}

/// A default value in one writing: numbers without quotes, signs and digits that say nothing.
fn literal_text(kind: &TypeKind, literal: &str) -> String {
    let is_number = matches!(
        kind,
        TypeKind::TinyInt
            | TypeKind::SmallInt
            | TypeKind::MediumInt
            | TypeKind::Int
            | TypeKind::BigInt
            | TypeKind::Decimal
            | TypeKind::Float
            | TypeKind::Double
    );
    let value = match literal.as_bytes().first() {
        Some(b'\'' | b'"') => {
            let span = Span::new(0, literal.len());
            let whole = Literal { kind: LiteralKind::String, span, introducer: 0, introducer_distance: 0 };
            let bytes = whole.bytes(literal.as_bytes(), SqlMode::default());
            match (is_number, std::str::from_utf8(&bytes)) {
                (true, Ok(text)) => text.to_owned(),
                _ => return quoted(&bytes),
            }
        }
        _ => literal.replace(' ', ""),
    };
    match value.to_ascii_lowercase().as_str() {
        "true" => "1".to_owned(),
        "false" => "0".to_owned(),
        lower if is_number => number_text(lower),
        // A number as the default of a string is kept as its digits.
        lower if lower.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') => {
            if matches!(kind, TypeKind::Bit) { number_text(lower) } else { quoted(value.as_bytes()) }
        }
        lower => lower.to_owned(),
    }
}

fn number_text(text: &str) -> String {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        // With an exponent, in hexadecimal: as it is written.
        return format!("{sign}{digits}");
    }
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    match (whole, part) {
        ("", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        (whole, part) => format!("{sign}{}.{part}", if whole.is_empty() { "0" } else { whole }),
    }
}

/// Bytes as text in quotes; in hexadecimal when they are not UTF-8.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("'{}'", text.replace('\'', "''")),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{digits}'")
        }
    }
}
