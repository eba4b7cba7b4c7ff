//! The difference of two sessions' settings, as the SET statement that brings a connection from one to the
//! other. Pure.

use std::fmt::Write as _;

use mysql_common::collations::{Collation, CollationId};

use super::settings::{
    NAMES_VARIABLES, SQL_MODE, STATE_TRACKING, SessionSettings, TRANSACTION_NAMES, UNKNOWN_COLLATION,
    UTF8MB4_GENERAL_CI,
};
use crate::protocol::handshake::Flavour;

/// What a login decides beside the settings, and what "as after login" therefore means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginTraits {
    /// The server's family.
    pub flavour: Flavour,
    /// The capability IGNORE_SPACE was negotiated: the server added it to the session's `sql_mode` at login,
    /// and `SET sql_mode = DEFAULT` would take it away.
    pub ignores_space: bool,
}

/// The SET statements that bring a connection of a `flavour` server from one state to the other: none when
/// they are equal, else one.
pub fn settings_delta(from: &SessionSettings, to: &SessionSettings, login: LoginTraits) -> Option<String> {
    let mut set = SetStatement(String::new());
    if from.names_differ(to) {
        set.add_names(from, to, login.flavour);
    }
    let undoes_mode = from.variable(SQL_MODE).is_some() || from.collation == UNKNOWN_COLLATION;
    let restores_mode = login.ignores_space && undoes_mode && to.variable(SQL_MODE).is_none();
    if restores_mode {
        set.add(format_args!("{SQL_MODE} = CONCAT_WS(',', NULLIF(@@GLOBAL.sql_mode, ''), 'IGNORE_SPACE')"));
    }
    let is_done = |name: &str| {
        NAMES_VARIABLES.contains(&name) || name == STATE_TRACKING || (restores_mode && name == SQL_MODE)
    };
    let is_other = |name: &str| !is_done(name);
    for name in from.variables.keys().filter(|name| is_other(name) && !to.variables.contains_key(*name)) {
        let own = name_on(login.flavour, name);
        if has_odd_default(name) {
            set.add(format_args!("{own} = @@GLOBAL.{own}"));
        } else {
            set.add(format_args!("{own} = DEFAULT"));
        }
    }
    for (name, literal) in to.variables.iter().filter(|(name, _)| is_other(name)) {
        if from.variable(name) != Some(literal) {
            set.add(format_args!("{} = {literal}", name_on(login.flavour, name)));
        }
    }
    for name in from.user_variables.keys().filter(|name| !to.user_variables.contains_key(*name)) {
        set.add(format_args!("@`{name}` = NULL"));
    }
    for (name, literal) in &to.user_variables {
        if from.user_variable(name) != Some(literal) {
            set.add(format_args!("@`{name}` = {literal}"));
        }
    }
    (!set.0.is_empty()).then_some(set.0)
}

/// The name of a variable on a server of this family: MariaDB 10.11 does not know MySQL's.
fn name_on(flavour: Flavour, name: &str) -> &str {
    let known = TRANSACTION_NAMES.iter().find(|(mysql, _)| flavour == Flavour::MariaDb && *mysql == name);
    known.map_or(name, |(_, mariadb)| mariadb)
}

/// Variables that MySQL (9.7 and before) switches *off* by `SET name = DEFAULT`, whatever their default is:
/// their bit means the opposite inside.
pub fn has_odd_default(name: &str) -> bool {
    matches!(name, "foreign_key_checks" | "unique_checks")
}

/// A SET statement that grows.
struct SetStatement(String);

impl SetStatement {
    fn add(&mut self, assignment: std::fmt::Arguments<'_>) {
        self.0.push_str(if self.0.is_empty() { "SET " } else { ", " });
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(assignment);
    }

    /// Character sets and collation: back to the login's when one was set that is not to be, then those set.
    fn add_names(&mut self, from: &SessionSettings, to: &SessionSettings, flavour: Flavour) {
        let undo =
            NAMES_VARIABLES.iter().any(|name| from.variable(name).is_some() && to.variable(name).is_none());
        let [client, results, connection, collation] = NAMES_VARIABLES.map(|name| to.variable(name));
        if let Some(charset) = client.filter(|_| client == results && client == connection) {
            // Not the same as one by one: SET NAMES gives the collation to the results' columns too.
            self.add(format_args!("NAMES {charset}"));
            if let Some(collation) = collation {
                // Writing to a String cannot fail.
                let _ = write!(self.0, " COLLATE {collation}");
            }
            return;
        }
        let all_set = results.is_some() && client.is_some() && connection.is_some();
        if (undo || from.collation != to.collation) && !all_set {
            let collation = Collation::resolve(CollationId::from(server_collation(to.collation, flavour)));
            self.add(format_args!("NAMES {} COLLATE {}", collation.charset, collation.collation));
        }
        for name in NAMES_VARIABLES {
            if let Some(literal) = to.variable(name) {
                self.add(format_args!("{name} = {literal}"));
            }
        }
    }
}

/// The collation that a server takes when a client logs in with `collation`: MariaDB has none of MySQL 8's
/// and falls back to its default.
pub(super) fn server_collation(collation: u16, flavour: Flavour) -> u16 {
    match (flavour, collation) {
        (_, UNKNOWN_COLLATION) | (Flavour::MariaDb, 255..=323) => UTF8MB4_GENERAL_CI,
        _ => collation,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::SettingChange;

    const MYSQL: LoginTraits = LoginTraits { flavour: Flavour::MySql, ignores_space: false };
    const MARIADB: LoginTraits = LoginTraits { flavour: Flavour::MariaDb, ignores_space: false };

    fn login() -> SessionSettings {
        SessionSettings::new(255)
    }

    fn set<'a>(name: &'a str, literal: &'a str) -> SettingChange<'a> {
        SettingChange::Variable { name, literal }
    }

    #[test]
    fn differences_are_one_statement() {
        let from = login().with(&[set("lock_wait_timeout", "5"), set("sql_mode", "'ANSI'")]).unwrap();
        let user = SettingChange::UserVariable { name: "Who", literal: "'me'" };
        let to = login().with(&[set("SQL_MODE", "''"), set("wait_timeout", "100"), user]).unwrap();
        assert_eq!(
            settings_delta(&from, &to, MYSQL).as_deref(),
            Some("SET lock_wait_timeout = DEFAULT, sql_mode = '', wait_timeout = 100, @`who` = 'me'")
        );
        assert_eq!(
            settings_delta(&to, &login(), MYSQL).as_deref(),
            Some("SET sql_mode = DEFAULT, wait_timeout = DEFAULT, @`who` = NULL")
        );
        assert_eq!(settings_delta(&to, &to.clone(), MYSQL), None);
        let from = login().with(&[set("foreign_key_checks", "0")]).unwrap();
        let undone = "SET foreign_key_checks = @@GLOBAL.foreign_key_checks";
        assert_eq!(settings_delta(&from, &login(), MYSQL).as_deref(), Some(undone));
    }

    #[test]
    fn tracking_stays_as_it_is() {
        let off = login().with(&[set("SESSION_TRACK_STATE_CHANGE", "0"), set("sql_mode", "''")]).unwrap();
        assert_eq!(settings_delta(&login(), &off, MYSQL).as_deref(), Some("SET sql_mode = ''"));
        assert_eq!(settings_delta(&off, &login(), MYSQL).as_deref(), Some("SET sql_mode = DEFAULT"));
    }

    #[test]
    fn transaction_variables_have_the_servers_name() {
        let serializable = |name| login().with(&[set(name, "'SERIALIZABLE'")]).unwrap();
        let to = serializable("tx_isolation");
        assert_eq!(to, serializable("transaction_isolation"));
        let delta = |from: &SessionSettings, to: &SessionSettings, login| settings_delta(from, to, login);
        assert_eq!(
            delta(&login(), &to, MYSQL).as_deref(),
            Some("SET transaction_isolation = 'SERIALIZABLE'")
        );
        assert_eq!(delta(&login(), &to, MARIADB).as_deref(), Some("SET tx_isolation = 'SERIALIZABLE'"));
        assert_eq!(delta(&to, &login(), MARIADB).as_deref(), Some("SET tx_isolation = DEFAULT"));
    }

    #[test]
    fn names_are_set_in_order_and_undone() {
        let names = SettingChange::Names { charset: "latin1", collation: Some("latin1_bin") };
        let latin = login().with(&[names]).unwrap();
        assert_eq!(
            settings_delta(&login(), &latin, MYSQL).as_deref(),
            Some("SET NAMES latin1 COLLATE latin1_bin")
        );
        assert_eq!(
            settings_delta(&latin, &login(), MYSQL).as_deref(),
            Some("SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci")
        );
        assert_eq!(
            settings_delta(&latin, &login(), MARIADB).as_deref(),
            Some("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci")
        );
        let results = login().with(&[set("character_set_results", "NULL")]).unwrap();
        assert_eq!(
            settings_delta(&latin, &results, MYSQL).as_deref(),
            Some("SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci, character_set_results = NULL")
        );
    }

    #[test]
    fn after_reset_names_are_always_set() {
        let delta = settings_delta(&SessionSettings::after_reset(), &login(), MYSQL);
        assert_eq!(delta.as_deref(), Some("SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci"));
    }

    #[test]
    fn ignore_space_of_the_login_is_kept() {
        let traits = LoginTraits { ignores_space: true, ..MYSQL };
        let ansi = login().with(&[set("sql_mode", "'ANSI'")]).unwrap();
        let restored = "sql_mode = CONCAT_WS(',', NULLIF(@@GLOBAL.sql_mode, ''), 'IGNORE_SPACE')";
        let back = settings_delta(&ansi, &login(), traits).unwrap();
        assert_eq!(back, format!("SET {restored}"));
        let fresh = settings_delta(&SessionSettings::after_reset(), &login(), traits).unwrap();
        assert!(fresh.ends_with(restored), "{fresh}");
        let set_anyway = settings_delta(&SessionSettings::after_reset(), &ansi, traits).unwrap();
        assert!(set_anyway.ends_with(", sql_mode = 'ANSI'"), "{set_anyway}");
        assert_eq!(settings_delta(&login(), &login(), traits), None);
    }

    proptest! {
        #[test]
        fn equal_settings_have_no_difference(
            left in proptest::collection::btree_map("[a-c]", "[0-3]", 0..4),
            right in proptest::collection::btree_map("[a-c]", "[0-3]", 0..4),
        ) {
            let build = |map: &std::collections::BTreeMap<String, String>| {
                let changes: Vec<_> = map.iter().map(|(name, literal)| set(name, literal)).collect();
                login().with(&changes).unwrap()
            };
            let (from, to) = (build(&left), build(&right));
            prop_assert_eq!(from == to, left == right);
            prop_assert_eq!(settings_delta(&from, &to, MYSQL).is_none(), left == right);
        }
    }
}
