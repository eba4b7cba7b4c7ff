//! Where a transaction was first committed.

use std::fmt;

/// Where a transaction was first committed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A MySQL server.
    MySql {
        /// Its `server_uuid`.
        uuid: u128,
        /// The tag that the session chose (8.3 and later), in small letters; empty for none.
        tag: Box<str>,
    },
    /// A MariaDB server, in one stream of transactions.
    MariaDb {
        /// `gtid_domain_id`.
        domain: u32,
        /// `server_id`.
        server: u32,
    },
}

impl Origin {
    /// Reads a UUID: 32 hexadecimal digits, dashes where MySQL writes them.
    pub fn parse_uuid(text: &str) -> Option<u128> {
        let is_dashed = text.len() == 36;
        let is_in_place = |(at, byte): (usize, u8)| (byte == b'-') == matches!(at, 8 | 13 | 18 | 23);
        if !is_dashed || !text.bytes().enumerate().all(is_in_place) {
            return None;
        }
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        // What `from_str_radix` accepts besides digits is a sign.
        digits
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u128::from_str_radix(&digits, 16).ok())
            .flatten()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql { uuid, tag } => {
                let digits = format!("{uuid:032x}");
                let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
                write!(f, "{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])?;
                if tag.is_empty() { Ok(()) } else { write!(f, ":{tag}") }
            }
            Self::MariaDb { domain, server } => write!(f, "{domain}-{server}"),
        }
    }
}
