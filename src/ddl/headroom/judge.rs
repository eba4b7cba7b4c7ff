//! From facts to rooms.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::facts::{IntegerColumn, SchemaFacts};
use super::names::parent_table;

/// Shares from which a column is told of.
const NOTICE_FROM: f64 = 0.5;
const WARNING_FROM: f64 = 0.7;
const CRITICAL_FROM: f64 = 0.85;
/// Days left from which a column is told of.
const DAYS_MIN: f64 = 90.0;
/// A rate needs samples that are so far apart, in seconds.
const APART_MIN: u64 = 60;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// How near the end is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Danger {
    /// Far.
    None,
    /// Half of the range is used, or the type is smaller than that of the key it refers to.
    Notice,
    /// 70 %.
    Warning,
    /// 85 %, or 90 days.
    Critical,
}

impl Danger {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    fn of(share: f64) -> Self {
        match share {
            share if share >= CRITICAL_FROM => Self::Critical,
            share if share >= WARNING_FROM => Self::Warning,
            share if share >= NOTICE_FROM => Self::Notice,
            _ => Self::None,
        }
    }
}

/// Where the value that counts comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Its own values.
    Values,
    /// Its AUTO_INCREMENT counter.
    Counter,
    /// The sequence of its default.
    Sequence(String),
    /// The key that it refers to: `table.column`.
    Parent(String),
}

impl Source {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Values => "values".to_owned(),
            Self::Counter => "AUTO_INCREMENT".to_owned(),
            Self::Sequence(name) => format!("sequence {name}"),
            Self::Parent(column) => format!("refers to {column}"),
        }
    }
}

/// A column whose type holds less than that of the key it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// `table.column` of the key.
    pub parent: String,
    /// The key's type.
    pub parent_type: String,
    /// The foreign key, or else the name alone, says so.
    pub by_foreign_key: bool,
}

/// What is left of one column's or sequence's range.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Room {
    /// The table; the sequence.
    pub table: String,
    /// The column; empty for a sequence.
    pub column: String,
    /// Its type.
    pub type_name: String,
    /// The largest value used or to be used next; absent when nothing tells.
    pub used: Option<i128>,
    /// The largest value of the range.
    pub limit: i128,
    /// Share of the range that is used, 0 to 1 and beyond.
    pub share: Option<f64>,
    /// Where `used` comes from.
    pub source: Option<Source>,
    /// It refers to a key of a larger type.
    pub mismatch: Option<Mismatch>,
    /// Days until the range is used up, at the rate since the sample before; absent without one.
    pub days_left: Option<f64>,
    /// What it comes to.
    pub danger: Danger,
}

/// Judges one database's integers, the most dangerous first. `earlier`: an older sample of the same database.
pub fn judge(now: &SchemaFacts, earlier: Option<&SchemaFacts>) -> Vec<Room> {
    let days = earlier.and_then(|earlier| days_between(earlier, now));
    let before = earlier.map(Uses::of);
    let uses = Uses::of(now);
    let mut rooms: Vec<Room> = now
        .columns
        .iter()
        .map(|column| {
            let name = (column.table.as_str(), column.column.as_str());
            let used_before = before.as_ref().and_then(|uses| uses.of_column.get(&name)).map(|used| used.0);
            room_of(column, &uses, days.zip(used_before))
        })
        .chain(now.sequences.iter().map(|(name, sequence)| {
            let old = earlier.and_then(|earlier| earlier.sequences.get(name)).map(|old| old.next);
            let share = sequence.next.max(0) as f64 / sequence.limit.max(1) as f64;
            let mut room = Room {
                table: name.clone(),
                column: String::new(),
                type_name: "sequence".to_owned(),
                used: Some(sequence.next),
                limit: sequence.limit,
                share: Some(share),
                source: Some(Source::Sequence(name.clone())),
                mismatch: None,
                days_left: None,
                danger: if sequence.cycles { Danger::None } else { Danger::of(share) },
            };
            if !sequence.cycles {
                room.foresee(days.zip(old));
            }
            room
        }))
        .collect();
    rooms.sort_by(|a, b| {
        let rank = |room: &Room| (room.danger, room.share.unwrap_or(-1.0));
        rank(b)
            .partial_cmp(&rank(a))
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| (&a.table, &a.column).cmp(&(&b.table, &b.column)))
    });
    rooms
}

fn days_between(earlier: &SchemaFacts, now: &SchemaFacts) -> Option<f64> {
    let seconds = now.taken.checked_sub(earlier.taken)?;
    (seconds >= APART_MIN && earlier.database == now.database).then(|| seconds as f64 / SECONDS_PER_DAY)
}

impl Room {
    /// Sets the days left from a rate, and the danger that follows.
    fn foresee(&mut self, before: Option<(f64, i128)>) {
        let (Some((days, old)), Some(used)) = (before, self.used) else { return };
        let rate = (used - old) as f64 / days;
        if rate <= 0.0 {
            return;
        }
        let left = ((self.limit - used).max(0) as f64 / rate).max(0.0);
        self.days_left = Some(left);
        if left < DAYS_MIN {
            self.danger = Danger::Critical;
        }
    }
}

fn room_of(column: &IntegerColumn, uses: &Uses<'_>, before: Option<(f64, i128)>) -> Room {
    let name = (column.table.as_str(), column.column.as_str());
    let used = uses.of_column.get(&name);
    let limit = column.limit();
    let above = used.map(|(used, _)| (*used).max(0) as f64 / limit as f64);
    let below = column.smallest.filter(|least| *least < 0).map(|least| least as f64 / column.floor() as f64);
    let share = match (above, below) {
        (Some(above), Some(below)) => Some(above.max(below)),
        (one, other) => one.or(other),
    };
    let mismatch =
        uses.parents.get(&name).filter(|parent| parent.column.limit() > limit).map(|parent| Mismatch {
            parent: format!("{}.{}", parent.column.table, parent.column.column),
            parent_type: parent.column.type_name(),
            by_foreign_key: parent.by_foreign_key,
        });
    let danger = share.map_or(Danger::None, Danger::of);
    let mut room = Room {
        table: column.table.clone(),
        column: column.column.clone(),
        type_name: column.type_name(),
        used: used.map(|(used, _)| *used),
        limit,
        share,
        source: used.map(|(_, source)| source.clone()),
        danger: if mismatch.is_some() { danger.max(Danger::Notice) } else { danger },
        mismatch,
        days_left: None,
    };
    room.foresee(before);
    room
}

/// The key that a column refers to.
struct Parent<'a> {
    column: &'a IntegerColumn,
    by_foreign_key: bool,
}

/// What each column has used of its range, whoever tells it.
struct Uses<'a> {
    of_column: HashMap<(&'a str, &'a str), (i128, Source)>,
    parents: HashMap<(&'a str, &'a str), Parent<'a>>,
}

impl<'a> Uses<'a> {
    fn of(facts: &'a SchemaFacts) -> Self {
        let mut uses = Self { of_column: HashMap::new(), parents: parents(facts) };
        for column in &facts.columns {
            if let Some(own) = own_use(column, &facts.sequences) {
                uses.of_column.insert((&column.table, &column.column), own);
            }
        }
        // A key refers to a key now and then, never round in circles for long.
        for _ in 0..3 {
            for (child, parent) in &uses.parents {
                let key = (parent.column.table.as_str(), parent.column.column.as_str());
                let Some((of_parent, _)) = uses.of_column.get(&key).cloned() else { continue };
                if uses.of_column.get(child).is_none_or(|(own, _)| *own < of_parent) {
                    let source = Source::Parent(format!("{}.{}", key.0, key.1));
                    uses.of_column.insert(*child, (of_parent, source));
                }
            }
        }
        uses
    }
}

/// The largest value that the column has or gets next by itself.
fn own_use(
    column: &IntegerColumn,
    sequences: &BTreeMap<String, super::SequenceFacts>,
) -> Option<(i128, Source)> {
    let counter = column.counter.map(|next| (i128::from(next) - 1, Source::Counter));
    let fed = column.sequence.as_ref().and_then(|name| {
        let sequence = sequences.get(name)?;
        Some((sequence.next - 1, Source::Sequence(name.clone())))
    });
    let values = column.largest.map(|largest| (largest, Source::Values));
    [counter, fed, values].into_iter().flatten().max_by_key(|(used, _)| *used)
}

/// Which key each column refers to: by its foreign key, else by its name. What is polymorphic refers to no
/// one key.
fn parents(facts: &SchemaFacts) -> HashMap<(&str, &str), Parent<'_>> {
    let mut parents = HashMap::new();
    let tables: HashSet<&str> = facts.columns.iter().map(|column| column.table.as_str()).collect();
    for column in facts.columns.iter().filter(|column| !column.is_polymorphic) {
        let Some(parent) = parent_table(&column.column, &tables) else { continue };
        let key = facts.column(parent, "id").filter(|key| key.is_key);
        let is_itself = parent == column.table && column.column.eq_ignore_ascii_case("id");
        if let Some(key) = key.filter(|_| !is_itself) {
            let named = (column.table.as_str(), column.column.as_str());
            parents.insert(named, Parent { column: key, by_foreign_key: false });
        }
    }
    for reference in &facts.references {
        let child = facts.column(&reference.table, &reference.column);
        let parent = facts.column(&reference.parent_table, &reference.parent_column);
        if let (Some(child), Some(parent)) = (child, parent) {
            let named = (child.table.as_str(), child.column.as_str());
            parents.insert(named, Parent { column: parent, by_foreign_key: true });
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::super::{IntegerColumn, Reference, SchemaFacts, SequenceFacts};
    use super::*;

    fn column(table: &str, name: &str, bytes: u8) -> IntegerColumn {
        IntegerColumn {
            table: table.to_owned(),
            column: name.to_owned(),
            bytes,
            unsigned: false,
            counter: None,
            sequence: None,
            largest: None,
            smallest: None,
            is_key: name == "id",
            is_polymorphic: false,
        }
    }

    fn find<'a>(rooms: &'a [Room], table: &str, name: &str) -> &'a Room {
        rooms.iter().find(|room| room.table == table && room.column == name).expect("it is judged")
    }

    /// The day a key passed 2^31 and the columns that refer to it had not been widened.
    #[test]
    fn what_refers_to_a_key_is_judged_by_the_keys_counter() {
        let key = IntegerColumn { counter: Some(2_147_000_000), ..column("message_threads", "id", 8) };
        let facts = SchemaFacts {
            columns: vec![
                key,
                column("messages", "message_thread_id", 4),
                column("notes", "thread", 4),
                column("other", "external_id", 4),
                IntegerColumn { is_polymorphic: true, ..column("tags", "message_thread_id", 4) },
            ],
            references: vec![Reference {
                table: "notes".into(),
                column: "thread".into(),
                parent_table: "message_threads".into(),
                parent_column: "id".into(),
            }],
            ..SchemaFacts::default()
        };
        let rooms = judge(&facts, None);
        let named = find(&rooms, "messages", "message_thread_id");
        assert_eq!((named.danger, named.used), (Danger::Critical, Some(2_146_999_999)));
        assert_eq!(named.source, Some(Source::Parent("message_threads.id".into())));
        let mismatch = named.mismatch.as_ref().expect("INT against BIGINT");
        assert!(!mismatch.by_foreign_key && mismatch.parent_type == "bigint");
        assert!(find(&rooms, "notes", "thread").mismatch.as_ref().expect("its key").by_foreign_key);
        assert_eq!(find(&rooms, "message_threads", "id").danger, Danger::None);
        assert_eq!(find(&rooms, "tags", "message_thread_id").used, None);
        let unknown = find(&rooms, "other", "external_id");
        assert_eq!((unknown.danger, unknown.used, unknown.share), (Danger::None, None, None));
        assert_eq!(rooms[0].danger, Danger::Critical, "the most dangerous first");
    }

    #[test]
    fn shares_have_levels_and_both_ends_count() {
        let danger = |largest: i128, smallest: i128| {
            let mut one = column("t", "n", 1);
            (one.largest, one.smallest) = (Some(largest), Some(smallest));
            judge(&SchemaFacts { columns: vec![one], ..SchemaFacts::default() }, None)[0].danger
        };
        assert_eq!(danger(50, 0), Danger::None);
        assert_eq!(danger(64, 0), Danger::Notice);
        assert_eq!(danger(90, 0), Danger::Warning);
        assert_eq!(danger(110, 0), Danger::Critical);
        assert_eq!(danger(0, -110), Danger::Critical);
        for (bytes, unsigned, limit) in [
            (1, true, 255),
            (2, false, 32_767),
            (3, true, 16_777_215),
            (4, false, 2_147_483_647),
            (8, true, i128::from(u64::MAX)),
        ] {
            let one = IntegerColumn { unsigned, ..column("t", "n", bytes) };
            assert_eq!(one.limit(), limit);
        }
    }

    #[test]
    fn two_samples_make_a_rate() {
        let sample = |taken: u64, next: u64| SchemaFacts {
            database: "ws_1".into(),
            taken,
            columns: vec![IntegerColumn { counter: Some(next), ..column("t", "id", 4) }],
            ..SchemaFacts::default()
        };
        let day = 86_400;
        let days = |earlier: &SchemaFacts, now: &SchemaFacts| judge(now, Some(earlier))[0].days_left;
        let now = sample(20 * day, 1_000_000_001);
        // Ten million a day, 1147 million left.
        let left = days(&sample(10 * day, 900_000_001), &now).expect("a rate");
        assert!((left - 114.748).abs() < 0.01, "{left}");
        assert_eq!(judge(&now, Some(&sample(10 * day, 900_000_001)))[0].danger, Danger::None);
        assert_eq!(judge(&now, Some(&sample(19 * day, 900_000_001)))[0].danger, Danger::Critical);
        assert_eq!(days(&sample(20 * day - 1, 1), &now), None, "too near");
        assert_eq!(days(&sample(10 * day, 1_000_000_001), &now), None, "it stands still");
        let other = SchemaFacts { database: "ws_2".into(), ..sample(10 * day, 1) };
        assert_eq!(days(&other, &now), None, "another database's");
    }

    /// The day a sequence outgrew the column that it feeds.
    #[test]
    fn a_sequence_is_judged_by_itself_and_by_the_columns_that_it_feeds() {
        let sequence = SequenceFacts { next: 2_147_000_001, limit: i128::from(i64::MAX), cycles: false };
        let fed = IntegerColumn { sequence: Some("ids".into()), ..column("t", "id", 4) };
        let facts = SchemaFacts {
            columns: vec![fed],
            sequences: BTreeMap::from([("ids".to_owned(), sequence)]),
            ..SchemaFacts::default()
        };
        let rooms = judge(&facts, None);
        let room = find(&rooms, "t", "id");
        assert_eq!((room.danger, room.used), (Danger::Critical, Some(2_147_000_000)));
        assert_eq!(find(&rooms, "ids", "").danger, Danger::None);
    }
}
