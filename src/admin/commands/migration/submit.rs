//! `SUBMIT MIGRATION ON <keyspace> '<statements>' …`: a schema change of all databases of a keyspace.

use std::time::Duration;

use super::super::super::context::AdminContext;
use super::super::super::table::{AdminAnswer, AdminTable, AdminValue, ColumnKind};
use super::super::super::words::{Word, Words};
use crate::config::parse_duration;
use crate::error::{ClientError, Code};
use crate::ids::Keyspace;
use crate::migrations::fleet::ledger::Pace;
use crate::migrations::fleet::live::{FleetOptions, FleetPlan, FleetRequest, FleetSettings, Submitted};
use crate::migrations::fleet::plan::{Canary, Ordering};
use crate::sql::{self, Scan, ScanFlags, SqlMode, StatementKind};

/// Statements of one text, at most; the service has a bound of its own.
const STATEMENTS_MAX: usize = 1_000;
/// Names in one list, at most.
const NAMES_MAX: usize = 100_000;

/// What is asked, beside what for.
struct Asked {
    options: FleetOptions,
    pace: PaceWords,
    rehearsal: Option<Rehearsal>,
}

/// How a plan is shown that is not carried out.
#[derive(Clone, Copy)]
enum Rehearsal {
    Text,
    Json,
}

/// A pace as it is written: what is not is as fast as it may be.
#[derive(Clone, Copy, Default)]
pub(super) struct PaceWords {
    at_once: Option<u32>,
    statements_per_second: Option<f64>,
}

impl PaceWords {
    /// Takes `AT ONCE <n>` or `PER SECOND <n>`, if one is next.
    pub(super) fn take(&mut self, words: &mut Words<'_>) -> Result<bool, ClientError> {
        if words.take_all(&["AT", "ONCE"]) {
            let expected = words.expected("databases at once, from 1");
            let number = words.number("databases at once, from 1")?;
            let number = u32::try_from(number).ok().filter(|number| *number > 0);
            self.at_once = Some(number.ok_or(expected)?);
        } else if words.take_all(&["PER", "SECOND"]) {
            let expected = words.expected("statements a second, above 0");
            let number: Option<f64> = words.name("statements a second, above 0")?.parse().ok();
            let number = number.filter(|number| number.is_finite() && *number > 0.0);
            self.statements_per_second = Some(number.ok_or(expected)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The pace, with what is not written taken from another one.
    pub(super) fn pace(self, or: Option<Pace>) -> Option<Pace> {
        /// More than any cluster's budget.
        const UNBOUND: Pace = Pace { at_once: 10_000, statements_per_second: 1e6 };
        if self.at_once.is_none() && self.statements_per_second.is_none() {
            return None;
        }
        let or = or.unwrap_or(UNBOUND);
        Some(Pace {
            at_once: self.at_once.unwrap_or(or.at_once),
            statements_per_second: self.statements_per_second.unwrap_or(or.statements_per_second),
        })
    }
}

/// Reads the statement behind its first words, and does it.
pub(super) async fn submit(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    words.take("ON");
    let keyspace = Keyspace::new(words.name("a keyspace (SHOW VSCHEMA)")?);
    let statements = statements(words)?;
    let asked = options(words)?;
    let request = FleetRequest {
        keyspace,
        statements,
        settings: FleetSettings::default(),
        options: FleetOptions { pace: asked.pace.pace(None), ..asked.options },
        user: context.operator.clone(),
    };
    match asked.rehearsal {
        Some(rehearsal) => {
            let plan = context.fleet_orders.plan(&request).await?;
            Ok(AdminAnswer::Rows(plan_table(&plan, rehearsal)))
        }
        None => {
            let submitted = context.fleet_orders.submit(request).await?;
            Ok(AdminAnswer::Rows(submitted_table(&submitted)))
        }
    }
}

/// Texts of one or several statements.
fn statements(words: &mut Words<'_>) -> Result<Vec<String>, ClientError> {
    let mut statements = Vec::new();
    while let Some(Word::Quoted(_)) = words.peek() {
        split(&words.name("'<statement>'")?, &mut statements)?;
    }
    if statements.is_empty() {
        return Err(words.expected("'<statement>'"));
    }
    Ok(statements)
}

/// The statements of a text, without the comments around them.
fn split(text: &str, into: &mut Vec<String>) -> Result<(), ClientError> {
    let mut scan = Scan::default();
    let mut rest = text;
    while !rest.is_empty() {
        sql::scan(rest.as_bytes(), SqlMode::default(), &mut scan);
        let end = scan.end.min(rest.len());
        let body = scan.body.start as usize..scan.body.end as usize;
        let one = rest.get(body).unwrap_or(rest).trim();
        if scan.kind != StatementKind::Empty && !one.is_empty() {
            into.push(one.to_owned());
        }
        if into.len() > STATEMENTS_MAX {
            return Err(ClientError::new(
                Code::AdminSyntax,
                format!("more than {STATEMENTS_MAX} statements"),
            ));
        }
        if !scan.flags.contains(ScanFlags::MORE) || end == 0 {
            break;
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(())
}

fn options(words: &mut Words<'_>) -> Result<Asked, ClientError> {
    let mut asked = Asked { options: FleetOptions::default(), pace: PaceWords::default(), rehearsal: None };
    while !words.is_done() {
        let options = &mut asked.options;
        if words.take_all(&["DRY", "RUN"]) {
            asked.rehearsal = Some(if words.take("JSON") { Rehearsal::Json } else { Rehearsal::Text });
        } else if words.take("CANARY") {
            options.canary = Some(canary(words)?);
        } else if words.take("WAVES") {
            options.waves = Some(shares(words)?);
        } else if words.take("SOAK") {
            options.soak = Some(duration(words)?);
        } else if words.take("ORDER") {
            options.ordering = ordering(words)?;
        } else if words.take("FAILURES") {
            let expected = words.expected("failures of one wave that are borne");
            let number = words.number("failures of one wave that are borne")?;
            options.failures_max = Some(u32::try_from(number).map_err(|_| expected)?);
        } else if words.take("DRIFTED") {
            options.takes_drifted = true;
        } else if words.take("ACKNOWLEDGED") {
            options.acknowledged = true;
        } else if words.take("PROVE") {
            options.prove = true;
        } else if !asked.pace.take(words)? {
            return Err(words.expected(
                "DRY RUN, CANARY, WAVES, SOAK, ORDER, AT ONCE, PER SECOND, FAILURES, DRIFTED, PROVE or \
                 ACKNOWLEDGED",
            ));
        }
    }
    Ok(asked)
}

/// A number of databases, or a quoted list of databases and workspaces.
fn canary(words: &mut Words<'_>) -> Result<Canary, ClientError> {
    match words.peek() {
        Some(Word::Quoted(_)) => Ok(Canary::Names(names(words)?)),
        _ => {
            let expected = words.expected("a number of databases, or '<name>,…'");
            let number = words.number("a number of databases, or '<name>,…'")?;
            Ok(Canary::Count(u32::try_from(number).map_err(|_| expected)?))
        }
    }
}

fn names(words: &mut Words<'_>) -> Result<Vec<String>, ClientError> {
    let expected = words.expected("'<name>,…'");
    let text = words.name("'<name>,…'")?;
    let names: Vec<String> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() || names.len() > NAMES_MAX { Err(expected) } else { Ok(names) }
}

/// `'1%,10%'`: the share of all databases that is done when each wave is. The last one, which is all the
/// rest, may be named too.
fn shares(words: &mut Words<'_>) -> Result<Vec<f64>, ClientError> {
    let expected = words.expected("'<percent>,…', rising, such as '1%,10%'");
    let text = words.name("'<percent>,…'")?;
    let mut shares = Vec::new();
    for part in text.split(',').map(str::trim) {
        let percent: Option<f64> = part.strip_suffix('%').unwrap_or(part).trim_end().parse().ok();
        match percent.filter(|percent| *percent > 0.0 && *percent <= 100.0) {
            Some(percent) => shares.push(percent / 100.0),
            None => return Err(expected),
        }
    }
    let rises = shares.windows(2).all(|pair| pair[0] < pair[1]);
    if !rises {
        return Err(expected);
    }
    shares.retain(|share| *share < 1.0);
    Ok(shares)
}

fn duration(words: &mut Words<'_>) -> Result<Duration, ClientError> {
    let expected = words.expected("'<duration>', such as '5m' or '30s'");
    let text = words.name("'<duration>'")?;
    parse_duration(&text).ok_or(expected)
}

fn ordering(words: &mut Words<'_>) -> Result<Ordering, ClientError> {
    if let Some(Word::Quoted(_)) = words.peek() {
        return Ok(Ordering::ByList(names(words)?));
    }
    if words.take("SIZE") {
        Ok(Ordering::BySize)
    } else if words.take("NAME") {
        Ok(Ordering::AsGiven)
    } else {
        Err(words.expected("SIZE, NAME or '<name>,…'"))
    }
}

fn plan_table(plan: &FleetPlan, rehearsal: Rehearsal) -> AdminTable {
    let mut table = AdminTable::new([("plan", ColumnKind::Text)]);
    match rehearsal {
        Rehearsal::Text => plan.to_text().lines().for_each(|line| table.push([line.into()])),
        Rehearsal::Json => table.push([plan.to_json().to_string().into()]),
    }
    table
}

fn submitted_table(submitted: &Submitted) -> AdminTable {
    let mut table = AdminTable::new([("migration_id", ColumnKind::Text), ("what", ColumnKind::Text)]);
    match submitted {
        Submitted::Begun(id) => {
            table.push([AdminValue::text(id), "it goes on whether or not anybody waits for it".into()]);
        }
        Submitted::AllThere { databases } => {
            let what = format!("all {databases} databases are as the statements would make them");
            table.push([AdminValue::Null, what.into()]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Asked, String> {
        options(&mut Words::read(text).unwrap()).map_err(|error| error.message.into_owned())
    }

    #[test]
    fn options_are_read() {
        let asked = read(
            "CANARY 5 WAVES '1%, 10 %,100%' SOAK '90s' ORDER SIZE AT ONCE 4 PER SECOND 2.5 FAILURES 7 \
             DRIFTED PROVE ACKNOWLEDGED DRY RUN",
        )
        .unwrap();
        let options = &asked.options;
        assert_eq!(options.canary, Some(Canary::Count(5)));
        assert_eq!(options.waves, Some(vec![0.01, 0.1]));
        assert_eq!(options.soak, Some(Duration::from_secs(90)));
        assert_eq!(options.ordering, Ordering::BySize);
        assert_eq!(asked.pace.pace(None), Some(Pace { at_once: 4, statements_per_second: 2.5 }));
        assert_eq!(options.failures_max, Some(7));
        assert!(options.takes_drifted && options.prove && options.acknowledged);
        assert!(matches!(asked.rehearsal, Some(Rehearsal::Text)));
        let asked = read("canary 'ws_1, 7' order 'ws_9,ws_8'").unwrap();
        assert_eq!(asked.options.canary, Some(Canary::Names(vec!["ws_1".into(), "7".into()])));
        assert_eq!(asked.options.ordering, Ordering::ByList(vec!["ws_9".into(), "ws_8".into()]));
        assert_eq!(asked.pace.pace(None), None);
        // All at once, without smaller waves before.
        assert_eq!(read("WAVES '100%'").unwrap().options.waves, Some(Vec::new()));
    }

    #[test]
    fn what_is_no_option_is_told() {
        for (text, told) in [
            ("QUICKLY", "expected DRY RUN, CANARY"),
            ("CANARY many", "expected a number of databases"),
            ("CANARY ','", "expected '<name>"),
            ("CANARY -1", "expected a number of databases"),
            ("WAVES '10%,1%'", "rising"),
            ("WAVES '0%'", "rising"),
            ("WAVES '110%'", "rising"),
            ("WAVES '1%,x'", "rising"),
            ("SOAK 'soon'", "such as '5m'"),
            ("ORDER LUCK", "expected SIZE, NAME"),
            ("AT ONCE 0", "from 1"),
            ("PER SECOND 0", "above 0"),
            ("PER SECOND inf", "above 0"),
            ("FAILURES -1", "expected failures"),
        ] {
            let Err(message) = read(text) else { panic!("{text}: it was read") };
            assert!(message.contains(told), "{text}: {message}");
        }
    }

    #[test]
    fn a_text_is_cut_into_its_statements() {
        let cut = |text: &str| {
            let mut statements = Vec::new();
            split(text, &mut statements).unwrap();
            statements
        };
        assert_eq!(cut("ALTER TABLE a ADD b INT;"), ["ALTER TABLE a ADD b INT"]);
        assert_eq!(
            cut(
                "-- one\nALTER TABLE a ADD b INT DEFAULT ';';\n\n/* two */ CREATE INDEX i ON a (b) ;\n-- x\n"
            ),
            ["ALTER TABLE a ADD b INT DEFAULT ';'", "CREATE INDEX i ON a (b)"]
        );
        assert!(cut(" ; ;").is_empty() && cut("-- nothing\n").is_empty() && cut("").is_empty());
    }

    #[test]
    fn half_a_pace_keeps_the_other_half() {
        let mut words = Words::read("AT ONCE 3").unwrap();
        let mut pace = PaceWords::default();
        assert!(pace.take(&mut words).unwrap() && !pace.take(&mut words).unwrap());
        let now = Pace { at_once: 8, statements_per_second: 5.0 };
        assert_eq!(pace.pace(Some(now)), Some(Pace { at_once: 3, statements_per_second: 5.0 }));
        assert!(pace.pace(None).unwrap().is_valid());
    }
}
