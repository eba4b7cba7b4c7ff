//! Known differences: one line each in `exceptions.txt`, `flavour | mode | statement | facts | reason`.
//!
//! `*` stands for any flavour or mode; the statement is a part of its text (`script:` and a name: all of a
//! script); facts are names, a prefix will do, `*` for all. One that no longer hides a difference is a fault.

use std::sync::Mutex;

/// One line.
#[derive(Debug)]
pub struct Exception {
    line: usize,
    flavour: String,
    mode: String,
    statement: String,
    facts: Vec<String>,
    used: Mutex<bool>,
}

/// What differs.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    pub flavour: &'a str,
    pub mode: &'a str,
    pub statement: &'a str,
    pub fact: &'a str,
}

/// All of them.
#[derive(Debug)]
pub struct Exceptions(Vec<Exception>);

impl Exceptions {
    /// Reads the file; panics with the line of what it cannot read.
    pub fn read(text: &str) -> Self {
        let lines = text.lines().enumerate();
        let of_line = |(at, line): (usize, &str)| {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let &[flavour, mode, statement, facts, reason] = parts.as_slice() else {
                panic!("exceptions.txt:{}: not five parts", at + 1);
            };
            assert!(!reason.is_empty(), "exceptions.txt:{}: no reason", at + 1);
            Exception {
                line: at + 1,
                flavour: flavour.to_owned(),
                mode: mode.to_owned(),
                statement: statement.to_owned(),
                facts: facts.split(',').map(|fact| fact.trim().to_owned()).collect(),
                used: Mutex::new(false),
            }
        };
        Self(lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')).map(of_line).collect())
    }

    /// Says whether the difference is known; the exception counts as used.
    pub fn covers(&self, difference: &Difference<'_>) -> bool {
        let found = self.0.iter().find(|exception| exception.covers(difference));
        if let Some(exception) = found {
            *exception.used.lock().expect("never poisoned") = true;
        }
        found.is_some()
    }

    /// Lines that concern a flavour and hid nothing.
    pub fn unused(&self, flavour: &str) -> Vec<String> {
        let stale = self.0.iter().filter(|exception| {
            exception.flavour == flavour && !*exception.used.lock().expect("never poisoned")
        });
        stale.map(|exception| format!("exceptions.txt:{}: no longer applies", exception.line)).collect()
    }
}

impl Exception {
    fn covers(&self, difference: &Difference<'_>) -> bool {
        let is = |pattern: &str, value: &str| {
            let part = pattern.trim_matches('*');
            match (pattern.starts_with('*'), pattern.ends_with('*')) {
                (true, _) => value.contains(part),
                (false, true) => value.starts_with(part),
                (false, false) => value == part,
            }
        };
        is(&self.flavour, difference.flavour)
            && self.mode.split(',').any(|mode| is(mode.trim(), difference.mode))
            && difference.statement.contains(&self.statement)
            && self.facts.iter().any(|fact| fact == "*" || difference.fact.starts_with(fact.as_str()))
    }
}
