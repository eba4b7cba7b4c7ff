//! Reads what valgrind's callgrind writes: instructions in all, and calls by name of the called function.
//!
//! Source: the format's description in valgrind's manual, "Callgrind Format Specification". Names are written
//! once as `(7) name` and then as `(7)`; the kinds of names (functions, files, objects) count separately.

use std::collections::HashMap;

/// One dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// Instructions executed.
    pub instructions: u64,
    /// Calls of each function.
    pub calls: HashMap<String, u64>,
}

impl Dump {
    /// Reads a dump; `None` if it has no totals, as when it was cut off.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut dump, mut names) = (Self::default(), HashMap::new());
        let (mut totals, mut called) = (None, String::new());
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
                called = full_name(name, &mut names);
            } else if let Some(rest) = line.strip_prefix("calls=") {
                let count: u64 = rest.split_whitespace().next()?.parse().ok()?;
                *dump.calls.entry(called.clone()).or_default() += count;
            } else if let Some(rest) = line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:"))
            {
                totals = rest.split_whitespace().next()?.parse().ok();
            }
        }
        dump.instructions = totals?;
        Some(dump)
    }

    /// Calls of the C library's functions that give memory.
    pub fn allocations(&self) -> u64 {
        const NAMES: [&str; 6] =
            ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];
        self.calls.iter().filter(|(name, _)| NAMES.contains(&base(name))).map(|(_, count)| count).sum()
    }
}

/// A name without callgrind's marks of recursion (`malloc'2`) and the linker's of versions.
fn base(name: &str) -> &str {
    name.split(['\'', '@']).next().unwrap_or(name)
}

fn full_name(written: &str, names: &mut HashMap<String, String>) -> String {
    let Some((id, name)) = written.split_once(')') else { return written.to_owned() };
    let name = name.trim();
    if name.is_empty() {
        return names.get(id).cloned().unwrap_or_default();
    }
    names.insert(id.to_owned(), name.to_owned());
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
version: 1
events: Ir
fn=(1) main
16 400
cfn=(2) malloc
calls=3 50
16 400
cfn=(3) work'2
calls=1 50
16 400
fn=(3)
20 100
cfn=(2)
calls=2 9
20 7
cfn=(4) realloc'2
calls=1 9
20 7

totals: 1234
";

    #[test]
    fn calls_are_counted_by_the_called() {
        let dump = Dump::parse(DUMP).expect("it is whole");
        assert_eq!(dump.instructions, 1234);
        assert_eq!(dump.calls["malloc"], 5);
        assert_eq!(dump.allocations(), 6);
    }

    #[test]
    fn a_dump_without_totals_is_refused() {
        assert_eq!(Dump::parse(&DUMP[..DUMP.len() - 14]), None);
        assert_eq!(Dump::parse(""), None);
    }
}
