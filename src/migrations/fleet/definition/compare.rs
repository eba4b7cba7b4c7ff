//! What is different between two definitions.

use super::normal::{Normal, Part, PartKind};

/// How a part differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is wanted and not there.
    Missing {
        /// As it is wanted.
        want: String,
    },
    /// It is there and not wanted.
    Extra {
        /// As it is.
        have: String,
    },
    /// It is there, and different.
    Different {
        /// As it is.
        have: String,
        /// As it is wanted.
        want: String,
    },
    /// It is a column at another place. The column that it should follow; absent: it should be first.
    Moved {
        /// That column.
        after: Option<String>,
    },
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The kind of part.
    pub kind: PartKind,
    /// Its name in lower case; empty where it has none.
    pub name: String,
    /// How it differs.
    pub change: Change,
}

impl Difference {
    /// In words, one line.
    pub fn words(&self) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!(" {}", self.name) };
        let what = format!("{}{name}", self.kind.words());
        match &self.change {
            Change::Missing { want } => format!("{what} is missing: {want}"),
            Change::Extra { have } => format!("{what} is not wanted: {have}"),
            Change::Different { have, want } => format!("{what} is {have}, wanted {want}"),
            Change::Moved { after: Some(after) } => format!("{what} should come after {after}"),
            Change::Moved { after: None } => format!("{what} should be first"),
        }
    }
}

/// What is different; nothing exactly when the fingerprints are equal.
pub fn compare(have: &Normal, want: &Normal) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut left: Vec<&Part> = have.parts.iter().collect();
    for part in &want.parts {
        let same = |other: &&Part| other.kind == part.kind && other.name == part.name;
        // Parts without a name (checks, unknown ones) are matched by what they say first.
        let exact = left.iter().position(|other| same(other) && other.text == part.text);
        let at = exact.or_else(|| left.iter().position(same));
        let change = match at.map(|at| left.remove(at)) {
            None => Change::Missing { want: part.text.clone() },
            Some(other) if other.text == part.text => continue,
            Some(other) => Change::Different { have: other.text.clone(), want: part.text.clone() },
        };
        found.push(Difference { kind: part.kind, name: part.name.clone(), change });
    }
    found.extend(left.into_iter().map(|part| Difference {
        kind: part.kind,
        name: part.name.clone(),
        change: Change::Extra { have: part.text.clone() },
    }));
    found.extend(moved(have, want));
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    found
}

/// Columns of both that stand in another order: as few as can be moved so that the rest may stay.
fn moved(have: &Normal, want: &Normal) -> Vec<Difference> {
    let wanted: Vec<(&str, usize)> = want
        .columns()
        .filter_map(|part| {
            let at = have.columns().position(|column| column.name == part.name)?;
            Some((part.name.as_str(), at))
        })
        .collect();
    let stays = longest_rise(&wanted.iter().map(|(_, at)| *at).collect::<Vec<_>>());
    let moved = (0..wanted.len()).filter(|at| !stays.contains(at));
    let difference = |at: usize| {
        let (name, _) = wanted[at];
        let before = want.columns().take_while(|part| part.name != name).last();
        let after = before.map(|part| part.name.clone());
        Difference { kind: PartKind::Column, name: name.to_owned(), change: Change::Moved { after } }
    };
    moved.map(difference).collect()
}

/// Indexes of a longest part of the numbers that rises.
fn longest_rise(numbers: &[usize]) -> Vec<usize> {
    // The length of the longest rise that ends at each number, and the number before it.
    let mut ends: Vec<(usize, Option<usize>)> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let before = (0..at).filter(|before| numbers[*before] < *number).max_by_key(|before| ends[*before].0);
        ends.push((before.map_or(1, |before| ends[before].0 + 1), before));
    }
    let mut at = (0..ends.len()).max_by_key(|at| ends[*at].0);
    let mut rise = Vec::new();
    while let Some(index) = at {
        rise.push(index);
        at = ends[index].1;
    }
    rise
}
