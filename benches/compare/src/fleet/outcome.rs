//! Whether every database was changed exactly once, by the definitions that the servers have and by the trace
//! that the changes left in the binary logs. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::trace::Trace;

/// Faults that are named.
const FAULTS_MAX: usize = 20;

/// What became of the databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Databases that were to be changed.
    pub databases: u64,
    /// Those with the wanted definition, changed once.
    pub once: u64,
    /// Those with the old definition that nothing was done to.
    pub never: u64,
    /// Those that were changed more than once.
    pub repeatedly: u64,
    /// Those whose definition and trace do not agree, and those with any other definition.
    pub wrong: u64,
    /// Rows whose changed column does not hold what was written into it.
    pub spoilt_rows: u64,
    /// The first faults, in words.
    pub faults: Vec<String>,
}

impl Outcome {
    /// Databases that were not changed exactly once.
    pub fn not_once(&self) -> u64 {
        self.databases - self.once
    }

    fn fault(&mut self, words: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(words);
        }
    }
}

/// Reads lines of a database, a tab and `before`, `after` or `other`.
pub fn read_definitions(lines: &str) -> BTreeMap<String, String> {
    let pairs = lines.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(database, what)| (database.to_owned(), what.to_owned())).collect()
}

/// Compares definitions and traces of these databases.
pub fn judge(
    databases: impl Iterator<Item = String>,
    definitions: &BTreeMap<String, String>,
    trace: &Trace,
) -> Outcome {
    let mut outcome = Outcome::default();
    for database in databases {
        outcome.databases += 1;
        let definition = definitions.get(&database).map_or("missing", String::as_str);
        let changes = trace.changes.get(&database).copied().unwrap_or(0);
        match (definition, changes) {
            ("after", 1) => outcome.once += 1,
            ("before", 0) => outcome.never += 1,
            (_, 2..) => {
                outcome.repeatedly += 1;
                outcome.fault(format!("{database} was changed {changes} times; it is as {definition}"));
            }
            _ => {
                outcome.wrong += 1;
                outcome
                    .fault(format!("{database}: the definition is as {definition}, changed {changes} times"));
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(definition: &str, changes: u64) -> Outcome {
        let definitions = read_definitions(&format!("ws_1\t{definition}\n"));
        let trace = Trace { changes: BTreeMap::from([("ws_1".to_owned(), changes)]) };
        judge(["ws_1".to_owned()].into_iter(), &definitions, &trace)
    }

    #[test]
    fn definition_and_trace_have_to_agree() {
        assert_eq!((judged("after", 1).once, judged("after", 1).not_once()), (1, 0));
        assert_eq!((judged("before", 0).never, judged("before", 0).not_once()), (1, 1));
        assert_eq!(judged("after", 2).repeatedly, 1);
        for (definition, changes) in [("after", 0), ("before", 1), ("other", 1), ("other", 0)] {
            let outcome = judged(definition, changes);
            assert_eq!((outcome.wrong, outcome.faults.len()), (1, 1), "{definition} {changes}");
        }
    }

    #[test]
    fn a_database_that_is_gone_is_a_fault() {
        let outcome = judge(["ws_2".to_owned()].into_iter(), &BTreeMap::new(), &Trace::default());
        assert_eq!((outcome.databases, outcome.wrong), (1, 1));
        assert!(outcome.faults[0].contains("missing"));
    }

    #[test]
    fn faults_are_bounded() {
        let names = (0..100).map(|number| format!("ws_{number}"));
        let outcome = judge(names, &BTreeMap::new(), &Trace::default());
        assert_eq!((outcome.wrong, outcome.faults.len()), (100, FAULTS_MAX));
    }
}
