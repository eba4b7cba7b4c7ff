//! What a server made of a definition, for the next tables of the same definition: a fleet has thousands.
//!
//! A temporary table, the statement on it and the look at the result are a fifth of what a small table's copy
//! costs a server. The answer follows from the definition, the statement and the client's settings, so it is
//! asked for once; not for long, since a server's global variables have a say, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_128;

use super::super::ShadowRequest;
use super::{counter, has_counter, without_counter};
use crate::backend::direct::Direct;

/// For so long an answer is taken for the present one.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Answers of a kind that are kept.
const KEPT_MAX: usize = 256;

/// A column's type, and the character set of its text.
pub(in crate::migrations::engine) type Types = Vec<(String, Option<String>)>;

/// What servers said of definitions, of late.
#[derive(Debug, Default)]
pub struct Known {
    /// The definition of a changed table, from its opening parenthesis on, without a counter.
    shadows: Kept<Vec<u8>>,
    types: Kept<Types>,
}

/// What an answer follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::migrations::engine) struct Question(u128);

impl Question {
    fn of(parts: &[&[u8]]) -> Self {
        let mut all = Vec::new();
        for part in parts {
            // With their lengths, so that no two lists of parts are alike.
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part);
        }
        Self(xxh3_128(&all))
    }

    /// Which types has a table's columns that a server prints so?
    pub(in crate::migrations::engine) fn types(server: &Direct, text: &[u8]) -> Self {
        let (place, version) = (server.server().to_string(), server.version());
        Self::of(&[place.as_bytes(), version.text.as_bytes(), &without_counter(text)])
    }

    /// What makes the request's statement of the table that `create` makes under the shadow's name? `None`:
    /// the statement sets a counter, or the text is not as expected, so that it is to be asked each time.
    pub(super) fn shadow(server: &Direct, request: &ShadowRequest<'_>, create: &[u8]) -> Option<Self> {
        if request.text.to_ascii_uppercase().contains("AUTO_INCREMENT") {
            return None;
        }
        let rest = create.strip_prefix(head(request).as_slice())?;
        let (place, version, settings) = (server.server().to_string(), server.version(), request.settings);
        Some(Self::of(&[
            place.as_bytes(),
            version.text.as_bytes(),
            &without_counter(rest),
            request.text.as_bytes(),
            settings.sql_mode.as_bytes(),
            settings.character_set.as_bytes(),
            settings.collation.as_bytes(),
            settings.time_zone.as_bytes(),
        ]))
    }
}

/// How the text begins that makes the shadow.
fn head(request: &ShadowRequest<'_>) -> Vec<u8> {
    [super::temporary::CREATE, request.names.target().as_bytes()].concat()
}

impl Known {
    /// The types of a table's columns, if they are known.
    pub(in crate::migrations::engine) fn types(&self, question: Question) -> Option<Arc<Types>> {
        self.types.get(question, Instant::now())
    }

    /// Notes what the server said.
    pub(in crate::migrations::engine) fn note_types(&self, question: Question, types: &Types) {
        self.types.put(question, types.clone(), Instant::now());
    }

    /// The statement that makes the shadow, changed, with the counter that `create` has.
    pub(super) fn shadow(
        &self,
        question: Question,
        request: &ShadowRequest<'_>,
        create: &[u8],
    ) -> Option<Vec<u8>> {
        let rest = self.shadows.get(question, Instant::now())?;
        Some([head(request), with_counter_of(create, &rest)].concat())
    }

    /// Notes by which statement a shadow was made. Not if something in it is named after the shadow, as
    /// MySQL's checks without a name are: in another shadow that would be no such name, and stay.
    pub(super) fn note_shadow(&self, question: Question, request: &ShadowRequest<'_>, made: &[u8]) {
        if let Some(rest) = made.strip_prefix(head(request).as_slice())
            && !mentions(rest, &request.names.shadow)
        {
            self.shadows.put(question, without_counter(rest), Instant::now());
        }
    }

    /// Forgets one: the server did not take it.
    pub(super) fn forget_shadow(&self, question: Question) {
        self.shadows.forget(question);
    }
}

fn mentions(definition: &[u8], name: &str) -> bool {
    definition.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()))
}

/// A definition with the counter of another one, if it has a counting column.
fn with_counter_of(other: &[u8], definition: &[u8]) -> Vec<u8> {
    let closing = b"\n)";
    let end = definition.windows(closing.len()).position(|window| window == closing);
    let (Some(end), Some((_, _, value)), true) = (end, counter(other), has_counter(definition)) else {
        return definition.to_vec();
    };
    let (columns, options) = definition.split_at(end + closing.len());
    [columns, format!(" AUTO_INCREMENT={value}").as_bytes(), options].concat()
}

#[derive(Debug)]
struct Kept<V>(Mutex<HashMap<Question, (Instant, Arc<V>)>>);

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V> Kept<V> {
    fn get(&self, question: Question, now: Instant) -> Option<Arc<V>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, answer) = kept.get(&question)?;
        (now.saturating_duration_since(*since) < KEPT_FOR).then(|| answer.clone())
    }

    fn put(&self, question: Question, answer: V, now: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (since, _)| now.saturating_duration_since(*since) < KEPT_FOR);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(question, (now, Arc::new(answer)));
        }
    }

    fn forget(&self, question: Question) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_put_where_it_belongs() {
        let create = b" (\n  `id` int NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB \
            AUTO_INCREMENT=23 DEFAULT CHARSET=utf8mb4";
        let changed =
            b" (\n  `id` bigint NOT NULL AUTO_INCREMENT COMMENT ' AUTO_INCREMENT=9',\n  PRIMARY KEY \
            (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
        let with = with_counter_of(create, changed);
        assert_eq!(counter(&with).map(|found| found.2), Some(23));
        assert_eq!(without_counter(&with), changed);
        assert_eq!(with_counter_of(&without_counter(create), changed), changed, "there is none");
        let uncounted = b" (\n  `id` bigint NOT NULL\n) ENGINE=InnoDB";
        assert_eq!(with_counter_of(create, uncounted), uncounted, "no column counts any more");
    }

    #[test]
    fn what_is_named_by_the_shadow_is_seen() {
        let made = b" (\n  `n` int,\n  CONSTRAINT `new_01a2_chk_1` CHECK ((`n` > 0))\n) ENGINE=InnoDB";
        assert!(mentions(made, "new_01a2"));
        assert!(!mentions(made, "new_01a3"));
    }

    #[test]
    fn questions_are_told_apart_by_each_part() {
        let all = [
            Question::of(&[b"ab", b"c"]),
            Question::of(&[b"a", b"bc"]),
            Question::of(&[b"abc"]),
            Question::of(&[b"", b"abc"]),
            Question::of(&[b"abc", b""]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }

    #[test]
    fn answers_are_kept_for_a_while_and_not_without_bound() {
        let (kept, began) = (Kept::default(), Instant::now());
        let question = |number: usize| Question(number as u128);
        kept.put(question(0), 7, began);
        assert_eq!(kept.get(question(0), began + KEPT_FOR / 2).as_deref(), Some(&7));
        assert_eq!(kept.get(question(0), began + KEPT_FOR), None, "it is old");
        for number in 1..2 * KEPT_MAX {
            kept.put(question(number), 7, began);
        }
        assert_eq!(kept.0.lock().unwrap().len(), KEPT_MAX);
        kept.put(question(9_999), 8, began + KEPT_FOR);
        assert_eq!(kept.0.lock().unwrap().len(), 1, "the old ones have made room");
        kept.forget(question(9_999));
        assert_eq!(kept.get(question(9_999), began + KEPT_FOR), None);
    }
}
