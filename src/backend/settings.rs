//! Session settings as values: what a session has set, and what must be sent to bring a connection there.
//!
//! Owns [`SessionSettings`]; their difference as SET statements is `delta`'s. It does not own the current
//! database (a connection has that beside its settings, so that sessions of many databases share one value),
//! nor the reading of the client's SET statements.
//!
//! Invariant: every value kept is a literal that means the same under every `sql_mode` and character set,
//! because a connection reads it under the settings that it happens to have.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use mysql_common::collations::CollationId;
use thiserror::Error;

/// utf8mb4_general_ci, which every server knows.
pub const UTF8MB4_GENERAL_CI: u16 = 45;
/// The id of no collation: what a connection has after COM_RESET_CONNECTION, when the server's own default
/// holds.
pub(super) const UNKNOWN_COLLATION: u16 = 0;
/// Longest literal kept, in bytes.
const LITERAL_BYTES_MAX: usize = 4096;
/// Most variables kept by one session; more are refused, so that no session's settings grow without bound.
const VARIABLES_MAX: usize = 256;

/// The variables that SET NAMES touches, in the order in which they must be set: each of the first ones
/// changes a later one.
pub(super) const NAMES_VARIABLES: [&str; 4] =
    ["character_set_client", "character_set_results", "character_set_connection", "collation_connection"];

pub(super) const SQL_MODE: &str = "sql_mode";

/// The variable that has a server tell of changed state. Bulkhead keeps it on on every connection; what a
/// session sets it to decides what its client is shown, and never reaches a server from here.
pub const STATE_TRACKING: &str = "session_track_state_change";

/// Why a setting cannot be kept as a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnstableSetting {
    /// The literal is an expression, or its meaning depends on sql_mode or character set.
    #[error("the value of {name} does not mean the same on every connection")]
    Literal {
        /// The variable.
        name: Box<str>,
    },
    /// Not a name of a variable.
    #[error("not a name of a variable: {name:?}")]
    Name {
        /// The name.
        name: Box<str>,
    },
    /// The session has set too many variables.
    #[error("more than 256 variables are set")]
    TooMany,
}

/// One change of a session's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingChange<'a> {
    /// `SET name = literal`.
    Variable {
        /// Name, any case.
        name: &'a str,
        /// SQL text of the value; see [`stable_literal`].
        literal: &'a str,
    },
    /// `SET NAMES charset [COLLATE collation]`.
    Names {
        /// Character set.
        charset: &'a str,
        /// Collation; absent: the character set's default.
        collation: Option<&'a str>,
    },
    /// `SET name = DEFAULT`: as if it had never been set.
    ForgetVariable(&'a str),
    /// `SET @name = literal`.
    UserVariable {
        /// Name without `@`, any case.
        name: &'a str,
        /// SQL text of the value.
        literal: &'a str,
    },
    /// `SET @name = NULL`.
    ForgetUserVariable(&'a str),
}

/// What a session has set, immutable; shared by all sessions and connections that have set the same.
///
/// **Shape**: names in lower case; equality by hash first.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    pub(super) collation: u16,
    pub(super) variables: BTreeMap<Box<str>, Box<str>>,
    pub(super) user_variables: BTreeMap<Box<str>, Box<str>>,
    /// Of everything.
    hash: u64,
    /// Of what a server may refuse: collation and variables, without user variables.
    refusable_hash: u64,
    /// See [`Self::keeps_history`].
    keeps_history: bool,
}

impl PartialEq for SessionSettings {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.collation == other.collation
            && self.variables == other.variables
            && self.user_variables == other.user_variables
    }
}

impl Eq for SessionSettings {}

impl Hash for SessionSettings {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl SessionSettings {
    /// The settings of a session that has just logged in with a collation of this id; ids that no server
    /// knows count as [`UTF8MB4_GENERAL_CI`].
    pub fn new(collation: u16) -> Self {
        let known = CollationId::from(collation) != CollationId::UNKNOWN_COLLATION_ID;
        Self::of_collation(if known { collation } else { UTF8MB4_GENERAL_CI })
    }

    /// What a connection has after COM_RESET_CONNECTION: equal to no session's settings.
    pub(super) fn after_reset() -> Self {
        Self::of_collation(UNKNOWN_COLLATION)
    }

    fn of_collation(collation: u16) -> Self {
        let (variables, user_variables) = (BTreeMap::new(), BTreeMap::new());
        let mut settings =
            Self { collation, variables, user_variables, hash: 0, refusable_hash: 0, keeps_history: false };
        settings.rehash();
        settings
    }

    fn rehash(&mut self) {
        let mut hasher = DefaultHasher::new();
        (self.collation, &self.variables).hash(&mut hasher);
        self.refusable_hash = hasher.finish();
        self.user_variables.hash(&mut hasher);
        self.hash = hasher.finish();
        self.keeps_history = self.variable("profiling").is_some_and(|literal| !is_off(literal))
            || self.variable("optimizer_trace").is_some_and(|literal| !traces_nothing(literal));
    }

    /// A copy with changes.
    ///
    /// # Errors
    /// A name or literal that cannot be kept as a value; the session then keeps its connection instead.
    pub fn with(&self, changes: &[SettingChange<'_>]) -> Result<Self, UnstableSetting> {
        let mut settings = self.clone();
        changes.iter().try_for_each(|change| settings.apply(change))?;
        if settings.variables.len() + settings.user_variables.len() > VARIABLES_MAX {
            return Err(UnstableSetting::TooMany);
        }
        settings.rehash();
        Ok(settings)
    }

    fn apply(&mut self, change: &SettingChange<'_>) -> Result<(), UnstableSetting> {
        match *change {
            SettingChange::Variable { name, literal } => {
                let (name, literal) = (variable_name(name)?, checked_literal(name, literal)?);
                if literal.eq_ignore_ascii_case("DEFAULT") && !NAMES_VARIABLES.contains(&&*name) {
                    self.variables.remove(&common_name(name));
                } else {
                    self.set_variable(name, literal);
                }
            }
            SettingChange::Names { charset, collation } => {
                let charset = checked_literal("names", charset)?;
                let collation = collation.map(|text| checked_literal("names", text)).transpose()?;
                NAMES_VARIABLES.iter().for_each(|name| drop(self.variables.remove(*name)));
                for name in &NAMES_VARIABLES[..3] {
                    self.variables.insert((*name).into(), charset.clone());
                }
                if let Some(collation) = collation {
                    self.variables.insert(NAMES_VARIABLES[3].into(), collation);
                }
            }
            SettingChange::ForgetVariable(name) => {
                drop(self.variables.remove(&common_name(variable_name(name)?)));
            }
            SettingChange::UserVariable { name, literal } => {
                let literal = checked_literal(name, literal)?;
                self.user_variables.insert(user_variable_name(name)?, literal);
            }
            SettingChange::ForgetUserVariable(name) => {
                self.user_variables.remove(&user_variable_name(name)?);
            }
        }
        Ok(())
    }

    fn set_variable(&mut self, name: Box<str>, literal: Box<str>) {
        let name = common_name(name);
        // The later of these two decides; the other would undo it when set again.
        match &*name {
            "character_set_connection" => drop(self.variables.remove("collation_connection")),
            "collation_connection" => drop(self.variables.remove("character_set_connection")),
            _ => {}
        }
        self.variables.insert(name, literal);
    }

    /// The literal that a session variable was set to; `None` when it was not set. `name` in lower case.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|literal| &**literal)
    }

    /// The literal that a user variable was set to; `None` when it was not set. `name` in lower case, without
    /// `@`.
    pub fn user_variable(&self, name: &str) -> Option<&str> {
        self.user_variables.get(name).map(|literal| &**literal)
    }

    /// Says whether the server keeps the texts of statements on a connection with these settings, to be asked
    /// for later: `profiling`, `optimizer_trace`.
    pub fn keeps_history(&self) -> bool {
        self.keeps_history
    }

    /// Id of the collation that the session logged in with.
    pub fn collation(&self) -> u16 {
        self.collation
    }

    /// Equal for settings that differ in user variables only; setting those cannot fail.
    pub(super) fn refusable_hash(&self) -> u64 {
        self.refusable_hash
    }

    /// The hash of the settings that decide how a statement's text is read when it is prepared.
    pub(super) fn reading_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.collation.hash(&mut hasher);
        self.variable("sql_mode").hash(&mut hasher);
        NAMES_VARIABLES.iter().for_each(|name| self.variable(name).hash(&mut hasher));
        hasher.finish()
    }

    pub(super) fn names_differ(&self, other: &Self) -> bool {
        self.collation != other.collation
            || NAMES_VARIABLES.iter().any(|name| self.variable(name) != other.variable(name))
    }
}

/// MySQL's names of the variables behind SET TRANSACTION, and MariaDB's.
pub(super) const TRANSACTION_NAMES: [(&str, &str); 2] =
    [("transaction_isolation", "tx_isolation"), ("transaction_read_only", "tx_read_only")];

/// The name that a variable is kept under, whichever server's name it came by.
fn common_name(name: Box<str>) -> Box<str> {
    let known = TRANSACTION_NAMES.iter().find(|(_, mariadb)| **mariadb == *name);
    known.map_or(name, |(mysql, _)| (*mysql).into())
}

/// A literal for `text` that means the same under every `sql_mode` and character set.
pub fn stable_literal(text: &str) -> String {
    if text.bytes().all(is_plain) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut literal = String::with_capacity(text.len() * 2 + 11);
    literal.push_str("_utf8mb4 0x");
    for byte in text.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(literal, "{byte:02X}");
    }
    literal
}

/// The text of a literal that [`stable_literal`] made; `None` for others.
pub fn text_of_literal(literal: &str) -> Option<String> {
    if let Some(digits) = literal.strip_prefix("_utf8mb4 0x") {
        let byte = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        return String::from_utf8(bytes?).ok();
    }
    let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'"))
}

/// Printable ASCII, without the backslash, which means itself or not by `sql_mode`.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\'
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn checked_literal(name: &str, literal: &str) -> Result<Box<str>, UnstableSetting> {
    let literal = literal.trim();
    if literal.len() <= LITERAL_BYTES_MAX && is_stable(literal.as_bytes()) {
        Ok(literal.into())
    } else {
        Err(UnstableSetting::Literal { name: name.into() })
    }
}

fn is_off(literal: &str) -> bool {
    let word = literal.trim_matches('\'');
    word == "0" || word.eq_ignore_ascii_case("off") || word.eq_ignore_ascii_case("false")
}

/// A value of `optimizer_trace` that is known to switch it off.
fn traces_nothing(literal: &str) -> bool {
    let flags = literal.trim_matches('\'').to_ascii_lowercase();
    matches!(&*flags, "0" | "enabled=off" | "enabled=off,one_line=off")
}

/// A number, a word, a quoted string without backslash, or a word (introducer, X, B, N) before a string or a
/// hexadecimal number.
fn is_stable(literal: &[u8]) -> bool {
    match literal {
        [] => false,
        [b'\'', ..] => is_quoted(literal),
        [b'-' | b'+', rest @ ..] => !rest.is_empty() && is_number(rest),
        _ if is_number(literal) => true,
        _ => {
            let length = literal.iter().take_while(|byte| is_word(**byte)).count();
            let (word, rest) = literal.split_at(length);
            let rest = rest.trim_ascii_start();
            let is_hex =
                rest.strip_prefix(b"0x").is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            !word.is_empty() && (rest.is_empty() || is_quoted(rest) || (word[0] == b'_' && is_hex))
        }
    }
}

fn is_number(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && text.iter().any(u8::is_ascii_digit)
}

fn is_quoted(text: &[u8]) -> bool {
    let Some(inner) = text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")) else {
        return false;
    };
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let closes = *byte == b'\'' && bytes.next() != Some(&b'\'');
        if closes || !is_plain(*byte) {
            return false;
        }
    }
    true
}

fn variable_name(name: &str) -> Result<Box<str>, UnstableSetting> {
    let valid =
        !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| is_word(byte) || byte == b'.');
    if !valid {
        return Err(UnstableSetting::Name { name: name.into() });
    }
    let name: Cow<'_, str> = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    };
    Ok(name.into())
}

fn user_variable_name(name: &str) -> Result<Box<str>, UnstableSetting> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '`' | '\\' | '"' | '\'');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(UnstableSetting::Name { name: name.into() });
    }
    Ok(name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login() -> SessionSettings {
        SessionSettings::new(255)
    }

    fn set<'a>(name: &'a str, literal: &'a str) -> SettingChange<'a> {
        SettingChange::Variable { name, literal }
    }

    #[test]
    fn literals_that_depend_on_the_session_are_refused() {
        for bad in [
            "",
            "'a\\'b'",
            "\"a\"",
            "'é'",
            "1 + 1",
            "@x",
            "'a' , x = 1",
            "now()",
            "'a''",
            "1;",
            "a b",
            "--1",
            "(select 1)",
            "`a`",
        ] {
            let error = login().with(&[set("x", bad)]).unwrap_err();
            assert_eq!(error, UnstableSetting::Literal { name: "x".into() }, "{bad}");
        }
        for good in ["1", "-1", "1.5", "ON", "'a''b'", "''", "x'41'", "_utf8mb4 0x41", "_latin1'a'", "0xAF"] {
            assert!(login().with(&[set("x", good)]).is_ok(), "{good}");
        }
        assert!(login().with(&[set("a b", "1")]).is_err());
        assert!(login().with(&[SettingChange::UserVariable { name: "a`", literal: "1" }]).is_err());
    }

    #[test]
    fn settings_are_bounded() {
        let names: Vec<String> = (0..=VARIABLES_MAX).map(|number| format!("v{number}")).collect();
        let changes: Vec<_> = names.iter().map(|name| set(name, "1")).collect();
        assert_eq!(login().with(&changes).unwrap_err(), UnstableSetting::TooMany);
    }

    #[test]
    fn settings_that_keep_texts_are_told() {
        for (name, literal, keeps) in [
            ("profiling", "1", true),
            ("profiling", "ON", true),
            ("PROFILING", "OFF", false),
            ("profiling", "0", false),
            ("profiling", "DEFAULT", false),
            ("optimizer_trace", "'enabled=on'", true),
            ("optimizer_trace", "'one_line=on'", true),
            ("optimizer_trace", "1", true),
            ("optimizer_trace", "'enabled=off'", false),
            ("sql_mode", "''", false),
        ] {
            let settings = login().with(&[set(name, literal)]).unwrap();
            assert_eq!(settings.keeps_history(), keeps, "{name} = {literal}");
        }
    }

    #[test]
    fn unknown_collations_count_as_utf8mb4() {
        assert_eq!(SessionSettings::new(9999).collation(), UTF8MB4_GENERAL_CI);
        assert_eq!(SessionSettings::new(8).collation(), 8);
    }

    proptest! {
        #[test]
        fn stable_literals_are_stable(text in any::<String>()) {
            prop_assume!(text.len() < 1000);
            prop_assert!(is_stable(stable_literal(&text).as_bytes()));
        }
    }
}
