//! How a cluster's primary is replaced.

use std::time::Duration;

use super::decode::Object;
use super::fleet::Login;
use super::keys::{Key, Section, Shape};

/// Words of `failover`, in the order of [`FailoverMode`].
pub(super) const MODES: &[&str] = &["built-in", "command", "follow"];
/// What stands in `failover_command` for names that are known only then.
const PLACEHOLDERS: [&str; 5] = ["{cluster}", "{from}", "{to}", "{from_host}", "{to_host}"];

pub(super) const REPLICATION: Section = Section {
    doc: "User that servers replicate with. Exactly one of password_env, password_file, password.",
    keys: &[
        Key::new("user", Shape::Text, "User name.").required(),
        Key::new("password_env", Shape::Text, "Environment variable with its password."),
        Key::new("password_file", Shape::Path, "File with its password; must not be readable by everybody."),
        Key::new("password", Shape::Secret, "Its password; only if this file is not readable by everybody."),
    ],
};

/// Who replaces a cluster's primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailoverMode {
    /// Bulkhead itself.
    #[default]
    BuiltIn,
    /// A command that Bulkhead starts.
    Command,
    /// Others, without being asked; Bulkhead follows.
    Follow,
}

/// How a cluster's primary is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failover {
    /// Who does it.
    pub mode: FailoverMode,
    /// Program and arguments, with placeholders; empty unless the mode is [`FailoverMode::Command`].
    pub command: Vec<Box<str>>,
    /// The command, and the new primary's appearance, take no longer.
    pub command_within: Duration,
    /// What servers replicate with; absent: what the replicas have already, where a server tells it.
    pub replication: Option<Login>,
}

impl Failover {
    pub(super) fn decode(object: &Object<'_>) -> Self {
        let mode = match object.choice("failover") {
            Some(1) => FailoverMode::Command,
            Some(2) => FailoverMode::Follow,
            _ => FailoverMode::BuiltIn,
        };
        let command = object.texts("failover_command");
        if (mode == FailoverMode::Command) == command.is_empty() {
            let (key, message) = match mode {
                FailoverMode::Command => ("failover", "this mode needs `failover_command`"),
                _ => ("failover_command", "only `failover = \"command\"` starts a command"),
            };
            object.fault(object.place_of(key).error(message));
        }
        for (text, place) in &command {
            if let Some(unknown) = unknown_placeholder(text) {
                let help = format!("known are {}", PLACEHOLDERS.join(", "));
                object.fault(place.error(format!("{unknown} means nothing here")).with_help(help));
            }
        }
        let is_named = |program: &&(&str, _)| program.0.starts_with('{') || program.0.is_empty();
        if let Some((_, place)) = command.first().filter(is_named) {
            object.fault(place.error("the first is the program's name or path"));
        }
        Self {
            mode,
            command: command.into_iter().map(|(text, _)| text.into()).collect(),
            command_within: object.duration("failover_timeout"),
            replication: object.section("replication").and_then(|login| Login::decode(&login)),
        }
    }
}

/// The first `{word}` that is none of the placeholders.
fn unknown_placeholder(text: &str) -> Option<&str> {
    text.match_indices('{').find_map(|(at, _)| {
        let rest = &text[at..];
        let word = &rest[..=rest.find('}')?];
        let is_word = word[1..word.len() - 1].bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        (is_word && !PLACEHOLDERS.contains(&word)).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_placeholders_pass() {
        assert_eq!(unknown_placeholder("--from={from}:{to_host}"), None);
        assert_eq!(unknown_placeholder("{\"json\": 1} {"), None);
        assert_eq!(unknown_placeholder("{cluster}-{old}"), Some("{old}"));
    }
}
