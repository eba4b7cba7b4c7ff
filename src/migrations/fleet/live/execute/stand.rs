//! What a step finds of what it would do.

use crate::migrations::fleet::definition::Fingerprint;
use crate::migrations::fleet::ledger::{OrderStep, StepKind};
use crate::migrations::fleet::live::survey::Found;

/// Where a database stands before a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// The step is to be done.
    Todo,
    /// It is done.
    There,
    /// A view is there: done, if it is the one that the step makes.
    View,
    /// The plan does not know what is there; in words, what it is like.
    Odd(String),
    /// The database is not there, or not the table that the step changes.
    Missing,
    /// It could not be read: in words.
    Unread(String),
}

/// Says where a database stands before the step at a place. What a later step of the same table makes counts
/// as done too.
pub(super) fn stand(steps: &[OrderStep], at: usize, found: &Found) -> Stand {
    let step = &steps[at];
    let have: Option<Fingerprint> = match (step.kind, found) {
        (_, Found::Gone) => return Stand::Missing,
        (_, Found::Unread(why)) => return Stand::Unread(why.clone()),
        (StepKind::CreateView, Found::View) => return Stand::View,
        (StepKind::CreateView, Found::Missing) | (StepKind::DropView, Found::View) => return Stand::Todo,
        (StepKind::DropView, Found::Missing) => return Stand::There,
        (StepKind::CreateView | StepKind::DropView, Found::Defined(_)) => {
            return Stand::Odd("it is a table".to_owned());
        }
        (_, Found::View) => return Stand::Odd("it is a view".to_owned()),
        (_, Found::Missing) => None,
        (_, Found::Defined(definition)) => Some(definition.fingerprint()),
    };
    let is_todo = step.wanted.iter().any(|wanted| wanted.from == have && wanted.from != wanted.to);
    if is_todo {
        return Stand::Todo;
    }
    let mut later = steps[at..].iter().filter(|other| other.table.eq_ignore_ascii_case(&step.table));
    if later.any(|step| step.wanted.iter().any(|wanted| wanted.to == have)) {
        return Stand::There;
    }
    match have {
        None => Stand::Missing,
        Some(print) => Stand::Odd(format!("its definition {} is none that the plan knows", print.short())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::migrations::fleet::definition::Definition;
    use crate::migrations::fleet::ledger::Wanted;
    use crate::sql::ServerVersion;

    fn table(column: &str) -> Found {
        let text = format!("CREATE TABLE `t` (\n  `{column}` int NOT NULL\n) ENGINE=InnoDB");
        Found::Defined(Arc::new(Definition::read(&text, ServerVersion::default()).unwrap()))
    }

    fn print(found: &Found) -> Option<Fingerprint> {
        match found {
            Found::Defined(definition) => Some(definition.fingerprint()),
            _ => None,
        }
    }

    fn step(kind: StepKind, wanted: &[(&Found, &Found)]) -> OrderStep {
        let wanted = wanted.iter().map(|(from, to)| Wanted { from: print(from), to: print(to) });
        OrderStep {
            text: String::new(),
            table: "t".to_owned(),
            kind,
            wanted: wanted.collect(),
            before: Vec::new(),
        }
    }

    #[test]
    fn definitions_say_what_is_done() {
        let (a, b, c, odd) = (table("a"), table("b"), table("c"), table("x"));
        let steps = [step(StepKind::Alter, &[(&a, &b)]), step(StepKind::Alter, &[(&b, &c)])];
        let of = |at, found: &Found| stand(&steps, at, found);
        assert_eq!((of(0, &a), of(0, &b), of(0, &c)), (Stand::Todo, Stand::There, Stand::There));
        assert_eq!((of(1, &b), of(1, &c)), (Stand::Todo, Stand::There));
        assert!(matches!(of(0, &odd), Stand::Odd(_)) && matches!(of(0, &Found::View), Stand::Odd(_)));
        assert_eq!((of(0, &Found::Missing), of(0, &Found::Gone)), (Stand::Missing, Stand::Missing));
        // One that had the definition before it began.
        let same = [step(StepKind::Alter, &[(&a, &b), (&b, &b)])];
        assert_eq!(stand(&same, 0, &b), Stand::There);
    }

    #[test]
    fn tables_and_views_that_are_made_and_dropped() {
        let (a, missing) = (table("a"), Found::Missing);
        let make = [step(StepKind::CreateTable, &[(&missing, &a)])];
        assert_eq!((stand(&make, 0, &missing), stand(&make, 0, &a)), (Stand::Todo, Stand::There));
        assert!(matches!(stand(&make, 0, &table("x")), Stand::Odd(_)));
        let drop = [step(StepKind::DropTable, &[(&a, &missing)])];
        assert_eq!((stand(&drop, 0, &a), stand(&drop, 0, &missing)), (Stand::Todo, Stand::There));
        assert!(matches!(stand(&drop, 0, &table("x")), Stand::Odd(_)), "only what the plan knows");
        let view = [step(StepKind::CreateView, &[])];
        assert_eq!((stand(&view, 0, &missing), stand(&view, 0, &Found::View)), (Stand::Todo, Stand::View));
        let view = [step(StepKind::DropView, &[])];
        assert_eq!((stand(&view, 0, &missing), stand(&view, 0, &Found::View)), (Stand::There, Stand::Todo));
    }
}
