//! The words the scanner knows: reserved words (case does not matter in them) and words that set a flag.
//!
//! Only words that are reserved in every supported MySQL and MariaDB are marked reserved: no table can bear
//! such a name unquoted, so folding their case in the shape cannot make two different statements look alike.

/// What a known word means to the scanner beyond being a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sql) enum Tag {
    /// Reserved, nothing more.
    Plain,
    /// Reserved, and ends an operand: a string after it may be an alias.
    Operand,
    /// `AS`.
    As,
    Select,
    Insert,
    Replace,
    Update,
    Delete,
    Values,
    Table,
    With,
    For,
    Lock,
    In,
    Into,
    Is,
    Not,
    Null,
    True,
    False,
    Default,
    CalcFoundRows,
    /// Not reserved from here on.
    Value,
    Share,
    OutFile,
    DumpFile,
    Temporary,
    Begin,
    Case,
    End,
    /// IF, LOOP, WHILE, REPEAT: what may follow END.
    EndOf,
    /// PROCEDURE, FUNCTION, TRIGGER, EVENT, PACKAGE: bodies that hold `;`.
    Body,
    LockFunction,
    SessionFunction,
    DatabaseFunction,
    Returning,
}

impl Tag {
    /// Says whether the word is reserved in every supported server.
    pub(in crate::sql) const fn is_reserved(self) -> bool {
        (self as u8) < (Tag::Value as u8) || matches!(self, Tag::OutFile | Tag::Case)
    }

    /// Says whether a string right after this word may be an alias.
    pub(in crate::sql) const fn may_precede_alias(self) -> bool {
        !self.is_reserved()
            || matches!(self, Tag::Operand | Tag::As | Tag::Null | Tag::True | Tag::False | Tag::Default)
    }
}

const PLAIN: &[&str] = &[
    "ACCESSIBLE",
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ASC",
    "ASENSITIVE",
    "BEFORE",
    "BETWEEN",
    "BIGINT",
    "BINARY",
    "BLOB",
    "BOTH",
    "BY",
    "CALL",
    "CASCADE",
    "CHANGE",
    "CHAR",
    "CHARACTER",
    "CHECK",
    "COLLATE",
    "COLUMN",
    "CONDITION",
    "CONSTRAINT",
    "CONTINUE",
    "CONVERT",
    "CREATE",
    "CROSS",
    "CURSOR",
    "DATABASES",
    "DAY_HOUR",
    "DAY_MICROSECOND",
    "DAY_MINUTE",
    "DAY_SECOND",
    "DEC",
    "DECIMAL",
    "DECLARE",
    "DELAYED",
    "DESC",
    "DESCRIBE",
    "DETERMINISTIC",
    "DISTINCT",
    "DISTINCTROW",
    "DIV",
    "DOUBLE",
    "DROP",
    "DUAL",
    "EACH",
    "ELSE",
    "ELSEIF",
    "ENCLOSED",
    "ESCAPED",
    "EXISTS",
    "EXIT",
    "EXPLAIN",
    "FETCH",
    "FLOAT",
    "FLOAT4",
    "FLOAT8",
    "FORCE",
    "FOREIGN",
    "FROM",
    "FULLTEXT",
    "GRANT",
    "GROUP",
    "HAVING",
    "HIGH_PRIORITY",
    "HOUR_MICROSECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "IGNORE",
    "INDEX",
    "INFILE",
    "INNER",
    "INOUT",
    "INSENSITIVE",
    "INT",
    "INT1",
    "INT2",
    "INT3",
    "INT4",
    "INT8",
    "INTEGER",
    "INTERVAL",
    "ITERATE",
    "JOIN",
    "KEY",
    "KEYS",
    "KILL",
    "LEADING",
    "LEAVE",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LINEAR",
    "LINES",
    "LOAD",
    "LONG",
    "LONGBLOB",
    "LONGTEXT",
    "LOW_PRIORITY",
    "MATCH",
    "MEDIUMBLOB",
    "MEDIUMINT",
    "MEDIUMTEXT",
    "MIDDLEINT",
    "MINUTE_MICROSECOND",
    "MINUTE_SECOND",
    "MOD",
    "MODIFIES",
    "NATURAL",
    "NO_WRITE_TO_BINLOG",
    "NUMERIC",
    "ON",
    "OPTIMIZE",
    "OPTION",
    "OPTIONALLY",
    "OR",
    "ORDER",
    "OUT",
    "OUTER",
    "PRECISION",
    "PRIMARY",
    "PURGE",
    "RANGE",
    "READ",
    "READS",
    "READ_WRITE",
    "REAL",
    "REFERENCES",
    "REGEXP",
    "RELEASE",
    "RENAME",
    "REQUIRE",
    "RESTRICT",
    "RETURN",
    "REVOKE",
    "RIGHT",
    "RLIKE",
    "SCHEMAS",
    "SECOND_MICROSECOND",
    "SENSITIVE",
    "SEPARATOR",
    "SET",
    "SHOW",
    "SMALLINT",
    "SPATIAL",
    "SPECIFIC",
    "SQL",
    "SQLEXCEPTION",
    "SQLSTATE",
    "SQLWARNING",
    "SQL_BIG_RESULT",
    "SQL_SMALL_RESULT",
    "SSL",
    "STARTING",
    "STRAIGHT_JOIN",
    "TERMINATED",
    "THEN",
    "TINYBLOB",
    "TINYINT",
    "TINYTEXT",
    "TO",
    "TRAILING",
    "UNDO",
    "UNION",
    "UNIQUE",
    "UNLOCK",
    "UNSIGNED",
    "USAGE",
    "USE",
    "USING",
    "VARBINARY",
    "VARCHAR",
    "VARCHARACTER",
    "VARYING",
    "WHEN",
    "WHERE",
    "WRITE",
    "XOR",
    "YEAR_MONTH",
    "ZEROFILL",
];

const TAGGED: &[(&str, Tag)] = &[
    ("CURRENT_DATE", Tag::Operand),
    ("CURRENT_TIME", Tag::Operand),
    ("CURRENT_TIMESTAMP", Tag::Operand),
    ("CURRENT_USER", Tag::Operand),
    ("LOCALTIME", Tag::Operand),
    ("LOCALTIMESTAMP", Tag::Operand),
    ("UTC_DATE", Tag::Operand),
    ("UTC_TIME", Tag::Operand),
    ("UTC_TIMESTAMP", Tag::Operand),
    ("AS", Tag::As),
    ("SELECT", Tag::Select),
    ("INSERT", Tag::Insert),
    ("REPLACE", Tag::Replace),
    ("UPDATE", Tag::Update),
    ("DELETE", Tag::Delete),
    ("VALUES", Tag::Values),
    ("TABLE", Tag::Table),
    ("WITH", Tag::With),
    ("FOR", Tag::For),
    ("LOCK", Tag::Lock),
    ("IN", Tag::In),
    ("INTO", Tag::Into),
    ("IS", Tag::Is),
    ("NOT", Tag::Not),
    ("NULL", Tag::Null),
    ("TRUE", Tag::True),
    ("FALSE", Tag::False),
    ("DEFAULT", Tag::Default),
    ("SQL_CALC_FOUND_ROWS", Tag::CalcFoundRows),
    ("VALUE", Tag::Value),
    ("SHARE", Tag::Share),
    ("OUTFILE", Tag::OutFile),
    ("DUMPFILE", Tag::DumpFile),
    ("TEMPORARY", Tag::Temporary),
    ("BEGIN", Tag::Begin),
    ("CASE", Tag::Case),
    ("END", Tag::End),
    ("IF", Tag::EndOf),
    ("LOOP", Tag::EndOf),
    ("WHILE", Tag::EndOf),
    ("REPEAT", Tag::EndOf),
    ("PROCEDURE", Tag::Body),
    ("FUNCTION", Tag::Body),
    ("TRIGGER", Tag::Body),
    ("EVENT", Tag::Body),
    ("PACKAGE", Tag::Body),
    ("GET_LOCK", Tag::LockFunction),
    ("RELEASE_LOCK", Tag::LockFunction),
    ("RELEASE_ALL_LOCKS", Tag::LockFunction),
    ("IS_FREE_LOCK", Tag::LockFunction),
    ("IS_USED_LOCK", Tag::LockFunction),
    ("LAST_INSERT_ID", Tag::SessionFunction),
    ("FOUND_ROWS", Tag::SessionFunction),
    ("ROW_COUNT", Tag::SessionFunction),
    ("CONNECTION_ID", Tag::SessionFunction),
    ("DATABASE", Tag::DatabaseFunction),
    ("SCHEMA", Tag::DatabaseFunction),
    ("RETURNING", Tag::Returning),
];

const WORDS: usize = PLAIN.len() + TAGGED.len();
const SLOTS: usize = 2048;
const LENGTH_MAX: usize = 19;

const fn word(index: usize) -> (&'static [u8], Tag) {
    if index < PLAIN.len() {
        (PLAIN[index].as_bytes(), Tag::Plain)
    } else {
        let (text, tag) = TAGGED[index - PLAIN.len()];
        (text.as_bytes(), tag)
    }
}

const fn slot_of(word: &[u8]) -> usize {
    let n = word.len();
    let first = (word[0] & 0xdf) as usize;
    let second = (word[n / 2] & 0xdf) as usize;
    let third = (word[n - 1] & 0xdf) as usize;
    let fourth = (word[(n > 2) as usize] & 0xdf) as usize;
    (first.wrapping_mul(31)
        ^ second.wrapping_mul(977)
        ^ third.wrapping_mul(7919)
        ^ fourth.wrapping_mul(389)
        ^ (n * 131))
        % SLOTS
}

/// Open addressing, built by the compiler; 0 is empty, else index + 1.
/// A static: indexing a constant copies it.
static TABLE: [u16; SLOTS] = {
    let mut table = [0u16; SLOTS];
    let mut index = 0;
    while index < WORDS {
        let mut slot = slot_of(word(index).0);
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = index as u16 + 1;
        index += 1;
    }
    table
};

/// Looks a word up, whatever its case.
pub(in crate::sql) fn lookup(text: &[u8]) -> Option<Tag> {
    if text.len() < 2 || text.len() > LENGTH_MAX {
        return None;
    }
    let mut slot = slot_of(text);
    loop {
        let index = TABLE[slot];
        if index == 0 {
            return None;
        }
        let (known, tag) = word(index as usize - 1);
        if known.eq_ignore_ascii_case(text) {
            return Some(tag);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The character sets that may introduce a string, without their underscore.
const CHARSETS: &[&str] = &[
    "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866",
    "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8",
    "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7",
    "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8", "utf8mb3", "utf8mb4",
];

/// Says whether `word` is `_` and a character set's name.
pub(super) fn is_introducer(word: &[u8]) -> bool {
    word.first() == Some(&b'_')
        && CHARSETS.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(&word[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case() {
        for index in 0..WORDS {
            let (text, tag) = word(index);
            assert!(text.len() <= LENGTH_MAX, "{}", String::from_utf8_lossy(text));
            assert_eq!(lookup(text), Some(tag));
            assert_eq!(lookup(&text.to_ascii_lowercase()), Some(tag));
        }
        assert_eq!(lookup(b"orders"), None);
        assert!(Tag::Select.is_reserved() && Tag::OutFile.is_reserved() && !Tag::End.is_reserved());
    }
}
