//! What the meaning of bytes depends on: sql_mode bits, the client's character set, the server's version.

/// A server version as version comments compare it: `/*!80013 … */`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerVersion {
    /// MariaDB instead of MySQL.
    pub mariadb: bool,
    /// `major * 10000 + minor * 100 + patch`: 8.4.8 is 80408, MariaDB 10.11.6 is 101106.
    pub number: u32,
}

impl ServerVersion {
    /// Reads a version string of a handshake: `8.4.8`, `9.1.0-bulkhead`, `10.11.6-MariaDB-1:…`,
    /// `5.5.5-10.11.6-MariaDB`.
    pub fn parse(text: &str) -> Option<Self> {
        let mariadb = text.contains("MariaDB");
        let text = text.strip_prefix("5.5.5-").filter(|_| mariadb).unwrap_or(text);
        let mut parts = text.split(['.', '-']).map(|part| part.parse::<u32>().ok());
        let (major, minor) = (parts.next()??, parts.next()??);
        let patch = parts.next().flatten().unwrap_or(0);
        (major < 1000 && minor < 100 && patch < 100)
            .then_some(Self { mariadb, number: major * 10_000 + minor * 100 + patch })
    }
}

impl Default for ServerVersion {
    fn default() -> Self {
        Self { mariadb: false, number: 80_408 }
    }
}

/// How the bytes of a client's character set are read. A server takes what is beyond ASCII for a letter or a
/// space as the set has it; only inside strings, quoted names and comments that does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientCharset {
    /// UTF-8: what is beyond ASCII is a letter.
    #[default]
    Utf8,
    /// Sets in which no byte of a character looks like a quote or a backslash: `latin1`, `cp1251`, `euckr`,
    /// ….
    Other,
    /// `gbk`, `gb18030`: the second byte of a character may look like ASCII.
    Gbk,
    /// `big5`: as `Gbk`.
    Big5,
    /// `sjis`, `cp932`: as `Gbk`.
    Sjis,
}

impl ClientCharset {
    /// The value for MySQL's name of `character_set_client`; `None` for sets in which ASCII is not ASCII.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf8mb3" | "utf8mb4" => Self::Utf8,
            "gbk" | "gb18030" => Self::Gbk,
            "big5" => Self::Big5,
            "sjis" | "cp932" => Self::Sjis,
            "swe7" | "filename" => return None,
            _ => Self::Other,
        })
    }

    /// The same for the id of a collation, as a handshake has it (`information_schema.collations`); 0 is the
    /// server's default, which is taken for UTF-8.
    pub fn of_collation(id: u16) -> Option<Self> {
        Some(match id {
            0 | 33 | 45 | 46 | 76 | 83 | 192..=215 | 223..=247 | 255..=323 => Self::Utf8,
            // MariaDB's own.
            576 | 577 | 608..=611 | 1057 | 1069 | 1070 | 1107 | 1216 | 1238 | 1248 | 1270 => Self::Utf8,
            2048..=2559 => Self::Utf8,
            28 | 87 | 248..=250 => Self::Gbk,
            1 | 84 => Self::Big5,
            13 | 88 | 95 | 96 => Self::Sjis,
            10 | 17 | 82 => return None,
            _ => Self::Other,
        })
    }

    /// Says whether a token with bytes beyond ASCII may mean something else to a server.
    pub(super) fn is_doubtful(self, kind: super::TokenKind) -> bool {
        use super::TokenKind as Kind;
        match kind {
            Kind::String | Kind::NationalString | Kind::Comment | Kind::LineComment => false,
            Kind::QuotedName => !matches!(self, Self::Utf8 | Self::Other),
            _ => self != Self::Utf8,
        }
    }

    /// Says whether `first` and `second` are one character.
    pub(super) fn is_pair(self, first: u8, second: u8) -> bool {
        match self {
            Self::Utf8 | Self::Other => false,
            Self::Gbk => {
                (0x81..=0xfe).contains(&first)
                    && ((0x40..=0x7e).contains(&second) || (0x80..=0xfe).contains(&second))
            }
            Self::Big5 => {
                (0xa1..=0xf9).contains(&first)
                    && ((0x40..=0x7e).contains(&second) || (0xa1..=0xfe).contains(&second))
            }
            Self::Sjis => {
                ((0x81..=0x9f).contains(&first) || (0xe0..=0xfc).contains(&first))
                    && ((0x40..=0x7e).contains(&second) || (0x80..=0xfc).contains(&second))
            }
        }
    }
}

/// What reading a statement depends on besides its text; part of every plan-cache key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SqlMode {
    /// `"x"` is an identifier.
    pub ansi_quotes: bool,
    /// A backslash in a string is a backslash.
    pub no_backslash_escapes: bool,
    /// Spaces may stand between a function's name and its parenthesis.
    pub ignore_space: bool,
    /// `||` joins strings instead of meaning OR.
    pub pipes_as_concat: bool,
    /// `NOT a BETWEEN b AND c` is `(NOT a) BETWEEN b AND c`.
    pub high_not_precedence: bool,
    /// `character_set_client`.
    pub charset: ClientCharset,
    /// The version that decides version comments.
    pub server: ServerVersion,
}

impl SqlMode {
    /// The same mode with the bits of a value of `@@sql_mode`: names separated by commas, any case.
    ///
    /// Combined names (`ANSI`) count as what they stand for; unknown names do not matter for reading.
    pub fn with_names(mut self, names: &str) -> Self {
        self.ansi_quotes = false;
        self.no_backslash_escapes = false;
        self.ignore_space = false;
        self.pipes_as_concat = false;
        self.high_not_precedence = false;
        for name in names.split(',') {
            match name.trim().to_ascii_uppercase().as_str() {
                "ANSI_QUOTES" => self.ansi_quotes = true,
                "NO_BACKSLASH_ESCAPES" => self.no_backslash_escapes = true,
                "IGNORE_SPACE" => self.ignore_space = true,
                "PIPES_AS_CONCAT" => self.pipes_as_concat = true,
                "HIGH_NOT_PRECEDENCE" => self.high_not_precedence = true,
                "ANSI" | "DB2" | "MAXDB" | "MSSQL" | "ORACLE" | "POSTGRESQL" => {
                    self.ansi_quotes = true;
                    self.ignore_space = true;
                    self.pipes_as_concat = true;
                }
                _ => {}
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_parse() {
        let number = |text| ServerVersion::parse(text).map(|v| (v.mariadb, v.number));
        assert_eq!(number("8.4.8-bulkhead"), Some((false, 80_408)));
        assert_eq!(number("9.1.0"), Some((false, 90_100)));
        assert_eq!(number("5.5.5-10.11.6-MariaDB-log"), Some((true, 101_106)));
        assert_eq!(number("11.4.2-MariaDB"), Some((true, 110_402)));
        assert_eq!(number("x"), None);
    }

    #[test]
    fn charsets_come_from_names_and_collations() {
        for (name, id, charset) in [
            ("utf8mb4", 255, Some(ClientCharset::Utf8)),
            ("UTF8MB3", 33, Some(ClientCharset::Utf8)),
            ("latin1", 8, Some(ClientCharset::Other)),
            ("binary", 63, Some(ClientCharset::Other)),
            ("gbk", 28, Some(ClientCharset::Gbk)),
            ("gb18030", 248, Some(ClientCharset::Gbk)),
            ("big5", 84, Some(ClientCharset::Big5)),
            ("cp932", 95, Some(ClientCharset::Sjis)),
            ("swe7", 10, None),
        ] {
            assert_eq!(
                (ClientCharset::of(name), ClientCharset::of_collation(id)),
                (charset, charset),
                "{name}"
            );
        }
    }

    #[test]
    fn modes_come_from_names() {
        let mode = SqlMode::default().with_names("STRICT_ALL_TABLES,ansi");
        assert!(mode.ansi_quotes && mode.pipes_as_concat && !mode.no_backslash_escapes);
    }
}
