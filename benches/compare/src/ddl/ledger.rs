//! What the load was told of its writes, and whether the changed table agrees.

use std::collections::{BTreeMap, BTreeSet};

use super::table;

/// Acknowledged writes to the changed table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By row: how often it was updated.
    pub updates: BTreeMap<u64, u64>,
    /// Tokens of rows that were inserted and not deleted since.
    pub inserted: BTreeSet<String>,
    /// Writes to any table that an error answered, which were not done.
    pub refused: u64,
    /// The first of their errors, in words.
    pub first_error: Option<String>,
}

impl Ledger {
    /// Adds another writer's. Tokens are every writer's own.
    pub fn add(&mut self, other: Self) {
        for (id, count) in other.updates {
            *self.updates.entry(id).or_default() += count;
        }
        self.inserted.extend(other.inserted);
        self.refused += other.refused;
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
    }

    /// Notes an error answer.
    pub fn refuse(&mut self, words: &str) {
        self.refused += 1;
        self.first_error.get_or_insert_with(|| words.to_owned());
    }
}

/// Faults that are named.
const FAULTS_MAX: usize = 20;

/// Compares the answer to [`table::ask`] with the template's sums and the ledger; gives what is wrong, in
/// words, the first twenty.
pub fn faults(answer: &str, template: &str, ledger: &Ledger) -> Vec<String> {
    let mut found = Found::default();
    let mut faults: Vec<String> = answer.lines().filter_map(|line| found.read(line).err()).collect();
    let indexes = table::INDEXES.to_string();
    let expected = [
        ("the column's type", &found.column, "bigint NO"),
        ("the number of secondary indexes", &found.indexes, indexes.as_str()),
        ("the number of triggers", &found.triggers, "0"),
        ("rows, columns and rows that nobody wrote", &found.sums, template.trim()),
    ];
    for (what, value, right) in expected {
        if value != right {
            faults.push(format!("{what}: '{value}' instead of '{right}'"));
        }
    }
    for id in found.updates.keys().chain(ledger.updates.keys()).collect::<BTreeSet<_>>() {
        let of = |map: &BTreeMap<u64, u64>| map.get(id).copied().unwrap_or(0);
        let (there, told) = (of(&found.updates), of(&ledger.updates));
        if there != told {
            faults.push(format!("row {id} has {there} updates, {told} were acknowledged"));
        }
    }
    faults.extend(found.torn.iter().map(|id| format!("row {id} has columns of two versions")));
    faults.extend(ledger.inserted.difference(&found.inserted).map(|token| format!("row {token} is lost")));
    faults.extend(
        found.inserted.difference(&ledger.inserted).map(|token| format!("row {token} should not be there")),
    );
    let more = faults.len().saturating_sub(FAULTS_MAX);
    faults.truncate(FAULTS_MAX);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults
}

/// What the table holds.
#[derive(Debug, Default)]
struct Found {
    column: String,
    indexes: String,
    triggers: String,
    /// The line as it is.
    sums: String,
    updates: BTreeMap<u64, u64>,
    torn: Vec<u64>,
    inserted: BTreeSet<String>,
}

impl Found {
    /// Takes over one line: values separated by tabs.
    fn read(&mut self, line: &str) -> Result<(), String> {
        let unreadable = || format!("unreadable answer: {line}");
        let values: Vec<&str> = line.split('\t').collect();
        match values[..] {
            ["type", name, nullable] => self.column = format!("{name} {nullable}"),
            ["indexes", count] => count.clone_into(&mut self.indexes),
            ["triggers", count] => count.clone_into(&mut self.triggers),
            ["sums", ..] => line.clone_into(&mut self.sums),
            ["updated", id, version, is_whole] => {
                let id = id.parse().map_err(|_| unreadable())?;
                self.updates.insert(id, version.parse().map_err(|_| unreadable())?);
                if is_whole != "1" {
                    self.torn.push(id);
                }
            }
            ["inserted", token] => {
                if !self.inserted.insert(token.to_owned()) {
                    return Err(format!("row {token} is there twice"));
                }
            }
            _ => return Err(unreadable()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMS: &str = "sums\t100\t17\t4\n";

    fn answer(more: &str) -> String {
        format!("type\tbigint\tNO\nindexes\t5\ntriggers\t0\n{SUMS}{more}")
    }

    fn ledger(updates: &[(u64, u64)], inserted: &[&str]) -> Ledger {
        Ledger {
            updates: updates.iter().copied().collect(),
            inserted: inserted.iter().map(|token| (*token).to_owned()).collect(),
            ..Ledger::default()
        }
    }

    #[test]
    fn what_is_right_has_no_fault() {
        let right = answer("updated\t16\t3\t1\nupdated\t32\t1\t1\ninserted\tw01-1\n");
        let told = ledger(&[(16, 3), (32, 1)], &["w01-1"]);
        assert_eq!(faults(&right, SUMS, &told), Vec::<String>::new());
        assert_eq!(faults(&answer(""), SUMS, &Ledger::default()), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_told() {
        let none = Ledger::default();
        let one = |text: &str, told: &Ledger, words: &str| {
            let found = faults(text, SUMS, told);
            assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
        };
        one(&answer("").replace("bigint", "int"), &none, "type");
        one(&answer("").replace("indexes\t5", "indexes\t4"), &none, "indexes");
        one(&answer("").replace("triggers\t0", "triggers\t3"), &none, "triggers");
        one(&answer("").replace("\t17\t", "\t18\t"), &none, "nobody wrote");
        one(&answer(""), &ledger(&[(16, 1)], &[]), "0 updates, 1 were");
        one(&answer("updated\t16\t2\t1\n"), &ledger(&[(16, 1)], &[]), "2 updates, 1 were");
        one(&answer("updated\t16\t1\t0\n"), &ledger(&[(16, 1)], &[]), "two versions");
        one(&answer(""), &ledger(&[], &["w01-1"]), "lost");
        one(&answer("inserted\tw01-1\n"), &none, "should not be there");
        one(&answer("inserted\tw01-1\ninserted\tw01-1\n"), &ledger(&[], &["w01-1"]), "twice");
        one(&answer("nonsense\n"), &none, "unreadable");
        one(&answer("updated\tx\t1\t1\n"), &none, "unreadable");
        assert_eq!(faults("", SUMS, &none).len(), 4, "an empty answer proves nothing");
    }

    #[test]
    fn faults_are_bounded() {
        let lost: Vec<(u64, u64)> = (1..=100).map(|id| (id, 1)).collect();
        let found = faults(&answer(""), SUMS, &ledger(&lost, &[]));
        assert_eq!(found.len(), FAULTS_MAX + 1);
        assert_eq!(found.last().map(String::as_str), Some("and 80 more"));
    }

    #[test]
    fn ledgers_add_up() {
        let mut all = ledger(&[(16, 1)], &["a"]);
        all.refuse("first");
        let mut other = ledger(&[(16, 2), (32, 1)], &["b"]);
        other.refuse("second");
        all.add(other);
        assert_eq!(all.updates, BTreeMap::from([(16, 3), (32, 1)]));
        assert_eq!((all.inserted.len(), all.refused), (2, 2));
        assert_eq!(all.first_error.as_deref(), Some("first"));
    }
}
