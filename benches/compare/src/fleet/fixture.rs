//! Made-up cases for the tests of what is read from them.

use super::cases::Case;
use super::counters::Counted;
use super::judge::{CURED, STALLS};
use super::outcome::Outcome;
use super::pace::Reading;
use super::record::{Record, Seen, statements};
use super::said::{Lane, Said, Standing};
use super::schema::Group;
use crate::incident::ledger::Verdict;
use crate::incident::record::{Change, Health, Mark};
use crate::incident::series::{Span, WriteTime};

/// Undisturbed until then, seconds.
const FROM_S: usize = 30;
/// Databases are changed until then.
const TO_S: usize = 150;
/// The end.
const END_S: usize = 180;
/// Writes per second.
const WRITES: usize = 100;
/// Databases.
const DATABASES: u64 = 120;
/// When writes stall.
const ONSET_S: f64 = 60.0;

/// What Bulkhead says.
pub struct Told;

impl Told {
    /// The first cluster's lane is open.
    pub fn open(at_s: f64) -> Lane {
        let (cluster, lane) = ("c1".to_owned(), "open".to_owned());
        Lane { at_s, cluster, lane, share: 0.5, occupied: 2, foreign: 0 }
    }

    /// It is closed.
    pub fn closed(at_s: f64) -> Lane {
        Lane { lane: "closed: it is suspect".to_owned(), share: 0.0625, occupied: 1, ..Self::open(at_s) }
    }

    fn health(at_s: f64, state: &str) -> Change {
        let health = Health { state: state.to_owned(), stage: "open".to_owned(), signal: String::new() };
        Change { at_s, cluster: "c1".to_owned(), health }
    }
}

/// A case in which everything goes as it should; writes take 2 ms.
pub fn record(case: Case) -> Record {
    let calm = vec![Span { from_s: 0, to_s: FROM_S }, Span { from_s: TO_S, to_s: END_S }];
    let change = Span { from_s: FROM_S, to_s: TO_S };
    let is_ill = case == Case::Stall;
    let counted: Vec<Counted> = ["c1", "c2", "c3"].map(|cluster| counted(cluster, is_ill)).into();
    let mark = |at_s, what: &str| Mark { at_s, what: what.to_owned() };
    Record {
        name: case.name(),
        words: case.words(),
        seen: Group::ALL.map(|group| Seen::new(group, writes(), &calm, change, END_S)).into(),
        calm,
        change,
        change_s: (FROM_S as f64, TO_S as f64),
        asked: DATABASES,
        onset_s: is_ill.then_some(ONSET_S),
        marks: if is_ill { vec![mark(ONSET_S, STALLS), mark(75.0, CURED)] } else { Vec::new() },
        events: vec![mark(64.0, "c1 <contained>")],
        statements: statements(&counted, END_S),
        counted,
        health: vec![
            Told::health(0.1, "healthy"),
            Told::health(63.0, "suspect"),
            Told::health(80.0, "healthy"),
        ],
        said: Said {
            lanes: vec![Told::open(31.0), Told::closed(61.0), Told::open(87.0)],
            standings: vec![Standing { at_s: 31.0, words: "active working".to_owned(), why: String::new() }],
        },
        cpu: vec![0.5; END_S],
        errors: Vec::new(),
        ledger: Verdict::default(),
        outcome: Outcome { databases: DATABASES, once: DATABASES, ..Outcome::default() },
    }
}

fn writes() -> Vec<WriteTime> {
    let at = |number: usize| number as f64 / WRITES as f64;
    (0..END_S * WRITES).map(|number| WriteTime { sent_s: at(number), took_s: 0.002 }).collect()
}

/// Makes all writes that were sent in this time slower.
pub fn slow_while_changed(record: &mut Record, (from_s, to_s): (f64, f64), took_s: f64) {
    let (calm, change) = (record.calm.clone(), record.change);
    for (seen, group) in record.seen.iter_mut().zip(Group::ALL) {
        let mut writes = std::mem::take(&mut seen.writes);
        for write in writes.iter_mut().filter(|write| write.sent_s >= from_s && write.sent_s < to_s) {
            write.took_s = took_s;
        }
        *seen = Seen::new(group, writes, &calm, change, END_S);
    }
}

/// Four looks a second; ten schema statements in each, but none while the cluster is ill: from a second
/// behind the onset on.
fn counted(cluster: &str, is_ill: bool) -> Counted {
    let mut readings = vec![Reading::default()];
    for quarter in 1..=END_S * 4 {
        let at_s = quarter as f64 / 4.0;
        let last = readings.last().copied().unwrap_or_default();
        let changes = at_s > FROM_S as f64 && at_s <= TO_S as f64;
        let stands_still = is_ill && cluster == "c1" && at_s > ONSET_S + 1.0 && at_s < 87.0;
        let schema = last.schema + if changes && !stands_still { 10 } else { 0 };
        readings.push(Reading { at_s, statements: last.statements + 100, schema });
    }
    Counted { cluster: cluster.to_owned(), readings, changed: vec![(0.0, 0), (TO_S as f64, DATABASES / 3)] }
}
