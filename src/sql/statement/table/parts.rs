//! What a table's definition is made of: columns, types, keys, constraints, options, partitions.

use crate::sql::span::Span;
use crate::sql::statement::{Name, ObjectName};

/// An expression: where it stands, and its tokens in one form (lower case, names without quotes, one space
/// between), so that two writings of the same tokens are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// Where it stands, parentheses included.
    pub span: Span,
    /// Its tokens.
    pub text: String,
}

impl Expression {
    /// Says whether one of its tokens is this name.
    pub fn mentions(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        if name.contains(' ') {
            self.text.contains(&name)
        } else {
            self.text.split(' ').any(|token| token == name)
        }
    }
}

/// A part that is not known here. It is kept, never guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPart {
    /// Where it stands.
    pub span: Span,
}

/// The kind of a data type, synonyms resolved (`INTEGER` is `Int`, `BOOL` is `TinyInt`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// 1 byte.
    TinyInt,
    /// 2 bytes.
    SmallInt,
    /// 3 bytes.
    MediumInt,
    /// 4 bytes.
    Int,
    /// 8 bytes.
    BigInt,
    /// Exact, with length and scale.
    Decimal,
    /// 4 bytes.
    Float,
    /// 8 bytes.
    Double,
    /// Bits.
    Bit,
    /// DATE.
    Date,
    /// TIME; the length is the number of fractional digits.
    Time,
    /// DATETIME; the length is the number of fractional digits.
    DateTime,
    /// TIMESTAMP; the length is the number of fractional digits.
    Timestamp,
    /// YEAR.
    Year,
    /// CHAR; the length is in characters.
    Char,
    /// VARCHAR; the length is in characters.
    VarChar,
    /// BINARY; the length is in bytes.
    Binary,
    /// VARBINARY; the length is in bytes.
    VarBinary,
    /// TEXT with this many bytes of length: 1, 2, 3, 4.
    Text(u8),
    /// BLOB with this many bytes of length: 1, 2, 3, 4.
    Blob(u8),
    /// ENUM.
    Enum,
    /// SET.
    Set,
    /// JSON; in MariaDB a LONGTEXT with a check.
    Json,
    /// A spatial type, its name in lower case.
    Spatial(String),
    /// Any other word: MariaDB's `uuid`, `inet6`, MySQL's `vector`, types of plugins.
    Other(String),
}

/// A data type with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataType {
    /// Its kind.
    pub kind: TypeKind,
    /// The first number in parentheses: length, precision, display width, fractional digits.
    pub length: Option<u64>,
    /// The second number in parentheses.
    pub scale: Option<u64>,
    /// UNSIGNED, or ZEROFILL.
    pub unsigned: bool,
    /// ZEROFILL.
    pub zerofill: bool,
    /// Members of ENUM and SET, escapes undone.
    pub members: Vec<Vec<u8>>,
    /// CHARACTER SET, in lower case.
    pub charset: Option<String>,
    /// COLLATE, in lower case.
    pub collation: Option<String>,
    /// BINARY: the binary collation of the character set.
    pub binary: bool,
    /// Where it stands.
    pub span: Span,
}

/// A default value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// DEFAULT NULL.
    Null,
    /// A literal, as written.
    Literal(String),
    /// CURRENT_TIMESTAMP and its synonyms.
    Now,
    /// Any other expression.
    Expression(Expression),
}

/// GENERATED ALWAYS AS (…).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The expression.
    pub expression: Expression,
    /// STORED, PERSISTENT; else VIRTUAL.
    pub stored: bool,
}

/// A key that a column's own definition makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKey {
    /// PRIMARY KEY, or KEY alone.
    Primary,
    /// UNIQUE.
    Unique,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub data_type: DataType,
    /// NULL (true), NOT NULL (false); `None` where nothing is said.
    pub nullable: Option<bool>,
    /// DEFAULT.
    pub default: Option<DefaultValue>,
    /// ON UPDATE CURRENT_TIMESTAMP.
    pub on_update: bool,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
    /// PRIMARY KEY, UNIQUE.
    pub key: Option<ColumnKey>,
    /// INVISIBLE.
    pub invisible: bool,
    /// COMMENT.
    pub comment: Option<Vec<u8>>,
    /// GENERATED ALWAYS AS.
    pub generated: Option<Generated>,
    /// CHECK.
    pub checks: Vec<Check>,
    /// REFERENCES; MySQL before 9 ignores it.
    pub references: Option<ObjectName>,
    /// SRID.
    pub srid: Option<u64>,
    /// What changes how the rows are stored or versioned: COLUMN_FORMAT, STORAGE, COMPRESSED, WITH or
    /// WITHOUT SYSTEM VERSIONING, AS ROW START or END; upper case, one space between.
    pub storage: Vec<String>,
    /// What else is written and changes neither rows nor how they are read: ENGINE_ATTRIBUTE, a number of
    /// fractional digits of CURRENT_TIMESTAMP that is not the column's own; tokens in one form.
    pub attributes: Vec<String>,
    /// What is not known.
    pub unknown: Vec<UnknownPart>,
    /// From the name to the last attribute.
    pub span: Span,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE.
    Unique,
    /// KEY, INDEX.
    Plain,
    /// FULLTEXT.
    FullText,
    /// SPATIAL.
    Spatial,
    /// MariaDB's VECTOR.
    Vector,
}

/// What a key is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// A column, with the length of its prefix.
    Column {
        /// The column.
        name: Name,
        /// `(n)`.
        prefix: Option<u64>,
        /// DESC.
        descending: bool,
    },
    /// An expression.
    Expression(Expression),
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDefinition {
    /// Its kind.
    pub kind: KeyKind,
    /// Its name, or that of its constraint.
    pub name: Option<Name>,
    /// What it is over.
    pub parts: Vec<KeyPart>,
    /// INVISIBLE, IGNORED.
    pub invisible: bool,
    /// USING, COMMENT, WITH PARSER, KEY_BLOCK_SIZE and the like; tokens in one form, in order of the text.
    pub options: Vec<String>,
    /// What is not known.
    pub unknown: Vec<UnknownPart>,
    /// From the first word to the last.
    pub span: Span,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The constraint's name, or the index's.
    pub name: Option<Name>,
    /// The columns.
    pub columns: Vec<Name>,
    /// The table referenced.
    pub table: ObjectName,
    /// Its columns.
    pub referenced: Vec<Name>,
    /// MATCH, ON DELETE, ON UPDATE; tokens in one form.
    pub actions: String,
    /// From the first word to the last.
    pub span: Span,
}

/// A check constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: Option<Name>,
    /// The condition.
    pub condition: Expression,
    /// NOT ENFORCED is false.
    pub enforced: bool,
}

/// An option of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOption {
    /// Its name in upper case: `ENGINE`, `CHARACTER SET`, `COLLATE`, `ROW_FORMAT`, ….
    pub name: String,
    /// Its value as written, quotes of strings taken off.
    pub value: String,
    /// From the name to the value.
    pub span: Span,
}

/// How a table is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// RANGE, RANGE COLUMNS, LIST, LIST COLUMNS.
    Ranges,
    /// HASH, KEY.
    Hashes,
    /// SYSTEM_TIME and others.
    Other,
}

/// PARTITION BY ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitioning {
    /// How.
    pub kind: PartitionKind,
    /// The whole of it.
    pub expression: Expression,
}
