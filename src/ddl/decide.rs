//! From a statement to a decision.

use super::edit::{Edit, assert_edits};
use super::offer::{Class, Offer};
use super::rules::{self, Effect, Rule, Ruling, Subject, Whole, is_assertion};
use super::standing::Standing;
use super::table::Table;
use crate::sql::{ChangeForm, Clause, ClauseKind, ServerVersion, Span, TableChange, TableDefinition};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The statement's text, of which `change` was read.
    pub text: &'a [u8],
    /// The statement.
    pub change: &'a TableChange,
    /// The table's present definition, if it is known.
    pub table: Option<&'a TableDefinition>,
    /// The server.
    pub server: ServerVersion,
    /// The rows may be scanned first; what loses nothing then is not refused.
    pub prove: bool,
    /// It is known that running code breaks or rows are lost.
    pub acknowledged: bool,
    /// Whom it could hurt.
    pub standing: Standing,
    /// The server has refused to do it in place: it is copied.
    pub must_copy: bool,
}

/// Which way a statement goes, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// To the server, with an assertion where there is one.
    Direct,
    /// Into a copy of the table, online.
    Copy,
    /// Nowhere.
    Refuse,
}

impl Route {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Copy => "copy",
            Self::Refuse => "refuse",
        }
    }
}

/// How much a finding matters, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Explains what is done.
    Reason,
    /// Something to know.
    Note,
    /// The statement is refused for it.
    Refusal,
}

impl Level {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Note => "note",
            Self::Refusal => "refusal",
        }
    }
}

/// What a rule found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How much it matters.
    pub level: Level,
    /// What follows.
    pub effect: Effect,
    /// Why, about this clause.
    pub why: String,
    /// The clause, or the statement.
    pub span: Span,
}

/// What a clause alone comes to.
#[derive(Clone, Debug)]
pub struct ClauseReport {
    /// Where it stands.
    pub span: Span,
    /// What the server can do with it; `None` without a definition.
    pub offer: Option<Offer>,
    /// Which way it goes, for itself.
    pub route: Route,
    /// Values or rows can be lost.
    pub loses: bool,
    /// Running code can break.
    pub breaks: bool,
    /// What the rules found.
    pub findings: Vec<Finding>,
}

impl ClauseReport {
    /// Its class; `None` without a definition.
    pub fn class(&self) -> Option<Class> {
        self.offer.map(Offer::class)
    }
}

/// What is decided.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Which way the statement goes.
    pub route: Route,
    /// What the server can do with all clauses together; `None` without a definition.
    pub offer: Option<Offer>,
    /// Values or rows can be lost.
    pub loses: bool,
    /// Running code can break.
    pub breaks: bool,
    /// The rows have to be scanned before anything is changed.
    pub needs_proof: bool,
    /// The clauses, without ALGORITHM and LOCK.
    pub clauses: Vec<ClauseReport>,
    /// What was found about the statement as a whole.
    pub findings: Vec<Finding>,
    /// For [`Route::Direct`]: what is changed in the client's text so that the server refuses anything worse.
    pub edits: Vec<Edit>,
}

impl Decision {
    /// Everything that was found, clause by clause, then about the statement.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.clauses.iter().flat_map(|clause| &clause.findings).chain(&self.findings)
    }

    /// The class of the statement; `None` without a definition.
    pub fn class(&self) -> Option<Class> {
        self.offer.map(Offer::class)
    }
}

/// Decides. Total: there is a decision about every statement that could be read.
pub fn decide(request: &Request<'_>) -> Decision {
    let table = Table { definition: request.table, server: request.server };
    let change = request.change;
    let judged: Vec<(Span, Vec<(&'static Rule, Ruling)>)> = change
        .clauses
        .iter()
        .filter(|clause| !is_assertion(clause))
        .map(|clause| (clause.span, rulings_of(change, clause, table)))
        .collect();
    let is_known = table.definition.is_some() || !needs_definition(&change.form);
    let all = judged.iter().flat_map(|(_, rulings)| rulings);
    let mut offer = all.clone().filter_map(|(_, ruling)| ruling.offer).fold(Offer::INSTANT, Offer::and);
    if judged.is_empty() && needs_definition(&change.form) {
        offer = Offer::METADATA;
    }
    let offer = restrict(offer, table, &change.form);
    let wants_copy = all.clone().any(|(_, ruling)| matches!(ruling.effect, Effect::Copy | Effect::Proof));
    let proves = all.clone().any(|(_, ruling)| ruling.effect == Effect::ProofInUse);
    // What nobody uses may be blocked for a moment; a change of type is copied all the same.
    let is_harmful = request.standing.is_used() && (proves || !offer.is_harmless());
    let is_copied = is_known && (wants_copy || is_harmful || request.must_copy);
    let mut whole = Whole { change, table, offer, is_copied };
    let found = rulings_on(&mut whole);
    report(request, &judged, &whole, &found, is_known)
}

/// A column that a clause needs, and that neither the table has nor the statement makes.
pub fn missing_column<'a>(change: &'a TableChange, clause: &'a Clause, table: Table<'a>) -> Option<&'a str> {
    table.definition?;
    Subject { change, clause, table }.missing_column()
}

/// What the rules say about one clause. A clause that none offers anything for is left to D501.
fn rulings_of(change: &TableChange, clause: &Clause, table: Table<'_>) -> Vec<(&'static Rule, Ruling)> {
    let subject = Subject { change, clause, table };
    let mut rulings: Vec<(&'static Rule, Ruling)> =
        rules::all().filter_map(|rule| Some((rule, rule.on_clause(&subject)?))).collect();
    let is_judged =
        rulings.iter().any(|(_, ruling)| ruling.offer.is_some() || ruling.effect == Effect::Refuse);
    if !is_judged && table.definition.is_some() {
        let unknown = Clause { kind: ClauseKind::Unknown, span: clause.span };
        let subject = Subject { clause: &unknown, ..subject };
        rulings.extend(rules::all().filter_map(|rule| Some((rule, rule.on_clause(&subject)?))));
    }
    rulings
}

/// What the rules say about the statement: twice, since one of them may say that it is copied.
fn rulings_on(whole: &mut Whole<'_>) -> Vec<(&'static Rule, Ruling)> {
    for _ in 0..2 {
        let found: Vec<(&'static Rule, Ruling)> =
            rules::all().filter_map(|rule| Some((rule, rule.on_statement(whole)?))).collect();
        let copies = found.iter().any(|(_, ruling)| ruling.effect == Effect::Copy);
        if copies == whole.is_copied || whole.is_copied {
            return found;
        }
        whole.is_copied = true;
    }
    rules::all().filter_map(|rule| Some((rule, rule.on_statement(whole)?))).collect()
}

fn needs_definition(form: &ChangeForm) -> bool {
    matches!(
        form,
        ChangeForm::Alter { .. } | ChangeForm::CreateIndex | ChangeForm::DropIndex(_) | ChangeForm::Optimize
    )
}

/// The table's own limits, where a table is changed that is there.
fn restrict(offer: Offer, table: Table<'_>, form: &ChangeForm) -> Offer {
    if needs_definition(form) { table.restrict(offer) } else { offer }
}

fn report(
    request: &Request<'_>,
    judged: &[(Span, Vec<(&'static Rule, Ruling)>)],
    whole: &Whole<'_>,
    found: &[(&'static Rule, Ruling)],
    is_known: bool,
) -> Decision {
    let clauses: Vec<ClauseReport> = judged
        .iter()
        .map(|(span, rulings)| report_clause(request, *span, rulings, whole, is_known))
        .collect();
    let findings = findings_of(request, request.change.span, found, whole.is_copied);
    let offer = found.iter().filter_map(|(_, ruling)| ruling.offer).fold(whole.offer, Offer::and);
    let is_refused = findings.iter().any(|finding| finding.level == Level::Refusal)
        || clauses.iter().any(|clause| clause.route == Route::Refuse);
    let route = match (is_refused, whole.is_copied) {
        (true, _) => Route::Refuse,
        (false, true) => Route::Copy,
        (false, false) => Route::Direct,
    };
    let all = clauses.iter().flat_map(|clause| &clause.findings).chain(&findings);
    let proven = |finding: &Finding| match finding.effect {
        Effect::Proof | Effect::ProofInUse => true,
        Effect::ProofIfCopied => whole.is_copied,
        _ => false,
    };
    let needs_proof = route != Route::Refuse && request.standing.has_rows() && all.clone().any(proven);
    // OPTIMIZE takes no assertion: it is direct only where nobody uses the table.
    let form = &request.change.form;
    let edits = match route {
        Route::Direct if needs_definition(form) && *form != ChangeForm::Optimize => {
            assert_edits(request.text, request.change, offer, request.server)
        }
        _ => Vec::new(),
    };
    Decision {
        route,
        offer: is_known.then_some(offer),
        loses: judged.iter().flat_map(|(_, all)| all).chain(found).any(|(_, ruling)| ruling.loses),
        breaks: judged.iter().flat_map(|(_, all)| all).chain(found).any(|(_, ruling)| ruling.breaks),
        needs_proof,
        clauses,
        findings,
        edits,
    }
}

fn report_clause(
    request: &Request<'_>,
    span: Span,
    rulings: &[(&'static Rule, Ruling)],
    whole: &Whole<'_>,
    is_known: bool,
) -> ClauseReport {
    let offer = rulings.iter().filter_map(|(_, ruling)| ruling.offer).fold(Offer::INSTANT, Offer::and);
    let offer = restrict(offer, whole.table, &request.change.form);
    let findings = findings_of(request, span, rulings, whole.is_copied);
    let is_used = request.standing.is_used();
    let copies = |finding: &Finding| match finding.effect {
        Effect::Copy | Effect::Proof => true,
        Effect::ProofInUse => is_used,
        _ => false,
    };
    let is_harmful = is_used && !offer.is_harmless();
    let route = if findings.iter().any(|finding| finding.level == Level::Refusal) {
        Route::Refuse
    } else if is_known && (findings.iter().any(copies) || is_harmful) {
        Route::Copy
    } else {
        Route::Direct
    };
    ClauseReport {
        span,
        offer: is_known.then_some(offer),
        route,
        loses: rulings.iter().any(|(_, ruling)| ruling.loses),
        breaks: rulings.iter().any(|(_, ruling)| ruling.breaks),
        findings,
    }
}

fn findings_of(
    request: &Request<'_>,
    span: Span,
    rulings: &[(&'static Rule, Ruling)],
    is_copied: bool,
) -> Vec<Finding> {
    let finding = |(rule, ruling): &(&'static Rule, Ruling)| Finding {
        rule,
        level: level_of(ruling, request, is_copied),
        effect: ruling.effect,
        why: ruling.why.clone(),
        span,
    };
    rulings.iter().map(finding).collect()
}

fn level_of(ruling: &Ruling, request: &Request<'_>, is_copied: bool) -> Level {
    let standing = request.standing;
    // Where there are no rows, what can only lose some is harmless.
    let is_harmless = !standing.is_used() || (!standing.has_rows() && !ruling.breaks);
    let is_proven = request.prove || !standing.has_rows();
    match ruling.effect {
        Effect::Allow => Level::Reason,
        Effect::Note | Effect::Copy => Level::Note,
        Effect::ProofIfCopied if is_copied && !is_proven => Level::Refusal,
        Effect::Proof | Effect::ProofInUse if !is_proven => Level::Refusal,
        Effect::Acknowledge if !request.acknowledged && !is_harmless => Level::Refusal,
        Effect::RefuseInUse if standing.is_used() => Level::Refusal,
        Effect::Refuse => Level::Refusal,
        _ => Level::Note,
    }
}
