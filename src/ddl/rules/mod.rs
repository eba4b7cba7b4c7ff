//! The rules, one a file.
//!
//! A rule looks at one clause, or at the whole statement once every clause has been looked at. What it says
//! is a `Ruling`: what the server can do with the clause, what follows, and why. It is silent (`None`)
//! where it has nothing to say. A rule never makes a statement milder; whoever adds one need not know the
//! others.

mod columns;
mod keys;
mod new_columns;
mod statements;
mod subject;
mod tables;
mod types;

pub(super) use subject::{ConstraintKind, Subject, Whole, is_assertion};

use super::offer::Offer;

/// What follows from a ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing.
    Allow,
    /// Something to know.
    Note,
    /// It is copied, whatever the server could do.
    Copy,
    /// Refused when it is copied, unless a proof is asked for.
    ProofIfCopied,
    /// As `Proof`; but what nobody uses yet need not be copied for it.
    ProofInUse,
    /// Copied, and refused unless a proof is asked for: the rows are scanned first.
    Proof,
    /// Refused unless it is acknowledged that running code or rows are lost.
    Acknowledge,
    /// Refused, unless nobody uses the table yet.
    RefuseInUse,
    /// Refused.
    Refuse,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    /// What the server can do, as far as this rule knows.
    pub(super) offer: Option<Offer>,
    /// What follows.
    pub(super) effect: Effect,
    /// Values or rows can be lost.
    pub(super) loses: bool,
    /// Running code can break.
    pub(super) breaks: bool,
    /// Why, about this clause; names the client's own names, no values.
    pub(super) why: String,
}

impl Ruling {
    /// The server can do it, and nothing follows.
    fn can(offer: Offer, why: String) -> Self {
        Self { offer: Some(offer), ..Self::says(Effect::Allow, why) }
    }

    /// Something follows.
    fn says(effect: Effect, why: String) -> Self {
        Self { offer: None, effect, loses: false, breaks: false, why }
    }

    fn offering(self, offer: Offer) -> Self {
        Self { offer: Some(offer), ..self }
    }

    fn losing(self) -> Self {
        Self { loses: true, ..self }
    }

    fn breaking(self) -> Self {
        Self { breaks: true, ..self }
    }
}

/// How a rule is asked.
enum Check {
    /// About each clause.
    Clause(fn(&Subject<'_>) -> Option<Ruling>),
    /// About the statement, when all clauses are known.
    Statement(fn(&Whole<'_>) -> Option<Ruling>),
}

/// A rule.
pub struct Rule {
    /// `D` and three digits; never given to another rule.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is about, one sentence.
    pub sentence: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Where it comes from: the servers' manuals, or a decision of Bulkhead's own.
    pub source: &'static str,
    check: Check,
}

impl Rule {
    pub(super) fn on_clause(&self, subject: &Subject<'_>) -> Option<Ruling> {
        match self.check {
            Check::Clause(check) => check(subject),
            Check::Statement(_) => None,
        }
    }

    pub(super) fn on_statement(&self, whole: &Whole<'_>) -> Option<Ruling> {
        match self.check {
            Check::Statement(check) => check(whole),
            Check::Clause(_) => None,
        }
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.name)
    }
}

/// Every rule, by number.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let groups =
        [new_columns::RULES, columns::RULES, types::RULES, keys::RULES, tables::RULES, statements::RULES];
    groups.into_iter().flatten().copied()
}
