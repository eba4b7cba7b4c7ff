//! What clients were told about their writes, checked against what the servers hold.
//!
//! A write is *acknowledged* (it must be there exactly once), *refused* (it must not be there) or *unknown*
//! (its connection was lost, or the answer says so: 0 or 1 times). Pure: rows and counters are read
//! elsewhere.

use std::collections::HashMap;

use serde::Serialize;

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It is done.
    Acknowledged,
    /// It is surely not done.
    Refused,
    /// Nothing that can be relied on.
    Unknown,
}

/// What a write leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row in `issues`.
    Insert,
    /// One more on a counter.
    Increment,
    /// A row in `issues`, a row in `comments` and one more on a counter, or none of them.
    Transaction,
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, in the rows that it makes.
    pub id: u64,
    /// Where.
    pub workspace: u32,
    /// The counter that it increments.
    pub slot: u8,
    /// What it does.
    pub kind: Kind,
    /// What came of it.
    pub told: Told,
}

/// What the servers hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Rows in `issues` by number.
    pub issues: HashMap<u64, u64>,
    /// Rows in `comments` by number.
    pub comments: HashMap<u64, u64>,
    /// Counters by workspace and slot; they were 0 at the start.
    pub counters: HashMap<(u32, u8), u64>,
}

impl Held {
    /// Adds lines as the shell prints them: a table's letter (`i`, `c`), number, count; or `n`, workspace,
    /// slot, value.
    ///
    /// # Errors
    /// The line that cannot be read.
    pub fn add(&mut self, lines: &str) -> Result<(), String> {
        for line in lines.lines() {
            self.add_line(line).ok_or_else(|| format!("unreadable: {line}"))?;
        }
        Ok(())
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split('\t');
        let letter = fields.next()?;
        let mut number = || fields.next()?.parse::<u64>().ok();
        match letter {
            "i" | "c" => {
                let (id, count) = (number()?, number()?);
                let rows = if letter == "i" { &mut self.issues } else { &mut self.comments };
                *rows.entry(id).or_default() += count;
            }
            "n" => {
                let at = (u32::try_from(number()?).ok()?, u8::try_from(number()?).ok()?);
                let value = number()?;
                *self.counters.entry(at).or_default() += value;
            }
            _ => return None,
        }
        Some(())
    }
}

/// What the comparison comes to; all but the first three must be 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that were refused.
    pub refused: u64,
    /// Writes of which nothing is known.
    pub unknown: u64,
    /// Of the unknown ones with rows, those that are there.
    pub unknown_applied: u64,
    /// Acknowledged, not there.
    pub lost: u64,
    /// There more than once.
    pub twice: u64,
    /// Refused, and there all the same.
    pub refused_applied: u64,
    /// Transactions of which a part is there.
    pub torn: u64,
    /// Rows that nobody wrote.
    pub strangers: u64,
    /// Increments that are missing: counters below what was acknowledged.
    pub increments_lost: u64,
    /// Increments too many: counters above what was acknowledged or is unknown.
    pub increments_twice: u64,
    /// The first faults, in words.
    pub faults: Vec<String>,
}

/// Faults that are named.
const FAULTS_MAX: usize = 20;

impl Verdict {
    fn fault(&mut self, words: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(words);
        }
    }

    /// Acknowledged writes that are missing, whichever way it is seen.
    pub fn all_lost(&self) -> u64 {
        self.lost + self.increments_lost
    }

    /// Writes that were applied twice, or though they were refused, or in part.
    pub fn all_wrong(&self) -> u64 {
        self.twice + self.increments_twice + self.refused_applied + self.torn + self.strangers
    }

    /// Adds another cluster's.
    pub fn merge(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.unknown_applied += other.unknown_applied;
        self.lost += other.lost;
        self.twice += other.twice;
        self.refused_applied += other.refused_applied;
        self.torn += other.torn;
        self.strangers += other.strangers;
        self.increments_lost += other.increments_lost;
        self.increments_twice += other.increments_twice;
        for fault in &other.faults {
            self.fault(fault.clone());
        }
    }
}

/// Compares what clients were told with what the servers hold.
pub fn check(entries: &[Entry], held: &Held) -> Verdict {
    let mut verdict = Verdict::default();
    for entry in entries {
        match entry.told {
            Told::Acknowledged => verdict.acknowledged += 1,
            Told::Refused => verdict.refused += 1,
            Told::Unknown => verdict.unknown += 1,
        }
        if entry.kind != Kind::Increment {
            check_rows(entry, held, &mut verdict);
        }
    }
    check_strangers(entries, held, &mut verdict);
    check_counters(entries, held, &mut verdict);
    verdict
}

fn check_rows(entry: &Entry, held: &Held, verdict: &mut Verdict) {
    let count = |rows: &HashMap<u64, u64>| rows.get(&entry.id).copied().unwrap_or(0);
    let (issues, comments) = (count(&held.issues), count(&held.comments));
    let expected = if entry.kind == Kind::Transaction { issues } else { 0 };
    let words = |what: &str| format!("{what}: {entry:?}, {issues} rows in issues and {comments} in comments");
    if comments != expected {
        verdict.torn += 1;
        verdict.fault(words("in part"));
    }
    match (entry.told, issues) {
        (_, 2..) => {
            verdict.twice += 1;
            verdict.fault(words("twice"));
        }
        (Told::Acknowledged, 0) => {
            verdict.lost += 1;
            verdict.fault(words("lost"));
        }
        (Told::Refused, 1) => {
            verdict.refused_applied += 1;
            verdict.fault(words("refused and there"));
        }
        (Told::Unknown, 1) => verdict.unknown_applied += 1,
        _ => {}
    }
}

fn check_strangers(entries: &[Entry], held: &Held, verdict: &mut Verdict) {
    let known: std::collections::HashSet<u64> = entries.iter().map(|entry| entry.id).collect();
    let rows = held.issues.keys().chain(held.comments.keys());
    for id in rows.filter(|id| !known.contains(id)) {
        verdict.strangers += 1;
        verdict.fault(format!("nobody's row: {id:#x}"));
    }
}

fn check_counters(entries: &[Entry], held: &Held, verdict: &mut Verdict) {
    // Surely, and perhaps.
    let mut expected: HashMap<(u32, u8), (u64, u64)> = held.counters.keys().map(|at| (*at, (0, 0))).collect();
    for entry in entries.iter().filter(|entry| entry.kind != Kind::Insert) {
        let (surely, perhaps) = expected.entry((entry.workspace, entry.slot)).or_default();
        match entry.told {
            Told::Acknowledged => *surely += 1,
            Told::Unknown => *perhaps += 1,
            Told::Refused => {}
        }
    }
    for (at, (surely, perhaps)) in expected {
        let value = held.counters.get(&at).copied().unwrap_or(0);
        let (missing, beyond) = (surely.saturating_sub(value), value.saturating_sub(surely + perhaps));
        verdict.increments_lost += missing;
        verdict.increments_twice += beyond;
        if missing + beyond > 0 {
            let (workspace, slot) = at;
            verdict.fault(format!(
                "counter {slot} of workspace {workspace} is {value}: {surely} acknowledged, {perhaps} unknown"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, kind: Kind, told: Told) -> Entry {
        Entry { id, workspace: 7, slot: 1, kind, told }
    }

    fn held(lines: &str) -> Held {
        let mut held = Held::default();
        held.add(lines).expect("readable");
        held
    }

    #[test]
    fn what_is_right_has_no_fault() {
        let entries = [
            entry(1, Kind::Insert, Told::Acknowledged),
            entry(2, Kind::Insert, Told::Refused),
            entry(3, Kind::Insert, Told::Unknown),
            entry(4, Kind::Insert, Told::Unknown),
            entry(5, Kind::Transaction, Told::Acknowledged),
            entry(6, Kind::Transaction, Told::Refused),
            entry(7, Kind::Increment, Told::Acknowledged),
            entry(8, Kind::Increment, Told::Unknown),
        ];
        let fewest = "i\t1\t1\ni\t4\t1\ni\t5\t1\nc\t5\t1\nn\t7\t1\t2";
        for counters in [fewest.to_owned(), fewest.replace("\t2", "\t3")] {
            let verdict = check(&entries, &held(&counters));
            assert_eq!((verdict.acknowledged, verdict.refused, verdict.unknown), (3, 2, 3));
            assert_eq!(verdict.unknown_applied, 1);
            assert_eq!((verdict.all_lost(), verdict.all_wrong()), (0, 0), "{:?}", verdict.faults);
        }
    }

    #[test]
    fn every_fault_is_told() {
        let told = |kind, told, lines: &str| check(&[entry(1, kind, told)], &held(lines));
        assert_eq!(told(Kind::Insert, Told::Acknowledged, "").lost, 1);
        assert_eq!(told(Kind::Insert, Told::Acknowledged, "i\t1\t2").twice, 1);
        assert_eq!(told(Kind::Insert, Told::Unknown, "i\t1\t2").twice, 1);
        assert_eq!(told(Kind::Insert, Told::Refused, "i\t1\t1").refused_applied, 1);
        assert_eq!(told(Kind::Insert, Told::Acknowledged, "i\t1\t1\nc\t1\t1").torn, 1);
        assert_eq!(told(Kind::Transaction, Told::Acknowledged, "i\t1\t1\nn\t7\t1\t1").torn, 1);
        assert_eq!(told(Kind::Transaction, Told::Acknowledged, "c\t1\t1\nn\t7\t1\t1").lost, 1);
        assert_eq!(told(Kind::Insert, Told::Acknowledged, "i\t1\t1\ni\t2\t1").strangers, 1);
        assert_eq!(told(Kind::Increment, Told::Acknowledged, "n\t7\t1\t0").increments_lost, 1);
        assert_eq!(told(Kind::Increment, Told::Acknowledged, "").increments_lost, 1);
        assert_eq!(told(Kind::Increment, Told::Acknowledged, "n\t7\t1\t2").increments_twice, 1);
        assert_eq!(told(Kind::Increment, Told::Refused, "n\t7\t1\t1").increments_twice, 1);
        assert_eq!(told(Kind::Insert, Told::Refused, "n\t8\t0\t1").increments_twice, 1);
    }

    #[test]
    fn faults_have_words_and_are_bounded() {
        let entries: Vec<Entry> = (0..100).map(|id| entry(id, Kind::Insert, Told::Acknowledged)).collect();
        let mut verdict = check(&entries, &Held::default());
        assert_eq!((verdict.lost, verdict.faults.len()), (100, FAULTS_MAX));
        assert!(verdict.faults[0].starts_with("lost: "), "{:?}", verdict.faults);
        let other = verdict.clone();
        verdict.merge(&other);
        assert_eq!((verdict.lost, verdict.acknowledged, verdict.faults.len()), (200, 200, FAULTS_MAX));
    }

    #[test]
    fn unreadable_lines_are_told() {
        for line in ["i\t1", "x\t1\t1", "n\t1\t300\t1", "i\t-1\t1", "c"] {
            assert!(Held::default().add(line).is_err(), "{line}");
        }
    }
}
