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
const SLOTS: usize = 1024;
const LENGTH_MAX: usize = 24;

const fn word(index: usize) -> (&'static [u8], Tag) {
    if index < PLAIN.len() {
        (PLAIN[index].as_bytes(), Tag::Plain)
    } else {
        let (text, tag) = TAGGED[index - PLAIN.len()];
        (text.as_bytes(), tag)
    }
}

/// All bytes of a short word, the first and the last eight of a longer one, and those between.
type Parts = [u64; 3];

/// A word of at least two bytes, in three machine words.
const fn parts_of(word: &[u8]) -> Parts {
    let Some(first) = word.first_chunk::<8>() else { return [short_word(word), 0, 0] };
    let Some((_, rest)) = word.split_at_checked(8) else { return [u64::from_le_bytes(*first), 0, 0] };
    let last = match word.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => 0,
    };
    let between = match rest.first_chunk::<8>() {
        Some(between) => u64::from_le_bytes(*between),
        None => 0,
    };
    [u64::from_le_bytes(*first), last, between]
}

/// All of two to seven bytes in one machine word; some stand in it twice.
const fn short_word(word: &[u8]) -> u64 {
    match (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u32::from_le_bytes(*first) as u64 | (u32::from_le_bytes(*last) as u64) << 32
        }
        _ => word[0] as u64 | (word[word.len() / 2] as u64) << 8 | (word[word.len() - 1] as u64) << 16,
    }
}

const fn slot_of(first: u64, length: usize) -> usize {
    // Without the bit that tells lower from upper case.
    let upper = (first & 0xdfdf_dfdf_dfdf_dfdf) ^ length as u64;
    (upper.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize % SLOTS
}

/// A known word: a text is this word if, with `letters` set, its parts are `lower`.
#[derive(Clone, Copy)]
struct Known {
    /// 0: the slot is empty.
    length: usize,
    tag: Tag,
    lower: Parts,
    /// The bit of lower case where the word has a letter.
    letters: Parts,
}

impl Known {
    const NONE: Self = Self { length: 0, tag: Tag::Plain, lower: [0; 3], letters: [0; 3] };

    const fn of(index: usize) -> Self {
        let (text, tag) = word(index);
        let (mut lower, mut letters) = ([0u8; LENGTH_MAX], [0u8; LENGTH_MAX]);
        let mut at = 0;
        while at < text.len() {
            letters[at] = if text[at].is_ascii_alphabetic() { 0x20 } else { 0 };
            lower[at] = text[at] | letters[at];
            at += 1;
        }
        let lower = parts_of(lower.split_at(text.len()).0);
        Self { length: text.len(), tag, lower, letters: parts_of(letters.split_at(text.len()).0) }
    }
}

/// Open addressing, built by the compiler.
/// A static: indexing a constant copies it.
static TABLE: [Known; SLOTS] = {
    let mut table = [Known::NONE; SLOTS];
    let mut index = 0;
    while index < WORDS {
        let known = Known::of(index);
        let mut slot = slot_of(known.lower[0], known.length);
        while table[slot].length != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = known;
        index += 1;
    }
    table
};

/// Looks a word up, whatever its case.
pub(in crate::sql) fn lookup(text: &[u8]) -> Option<Tag> {
    if text.len() < 2 || text.len() > LENGTH_MAX {
        return None;
    }
    let parts = parts_of(text);
    let mut slot = slot_of(parts[0], text.len());
    loop {
        let known = &TABLE[slot];
        if known.length == 0 {
            return None;
        }
        let is_same = |at: usize| parts[at] | known.letters[at] == known.lower[at];
        if known.length == text.len() && is_same(0) && is_same(1) && is_same(2) {
            return Some(known.tag);
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
        // A byte that only looks like one without the bit of lower case.
        assert_eq!((lookup(b"FLOAT\x14"), lookup(b"AS\0"), lookup(b"A")), (None, None, None));
        assert!(Tag::Select.is_reserved() && Tag::OutFile.is_reserved() && !Tag::End.is_reserved());
    }
}
