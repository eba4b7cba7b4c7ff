//! Decisions as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::decide::{Decision, Finding, Level, Route};
use super::edit::edited;
use super::offer::{Class, Offer};
use crate::sql::Span;

fn shown(text: &[u8], span: Span) -> String {
    String::from_utf8_lossy(span.of(text)).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn class_word(offer: Option<Offer>) -> &'static str {
    offer.map_or("unknown", |offer| offer.class().word())
}

fn facts(offer: Option<Offer>, loses: bool, breaks: bool) -> String {
    let writes = match offer {
        None => "unknown",
        Some(offer) if offer.blocks_writes() => "blocked",
        Some(_) => "free",
    };
    let (loss, code) = (if loses { "possible" } else { "none" }, if breaks { "can_break" } else { "safe" });
    format!("class={}  writes={writes}  loss={loss}  code={code}", class_word(offer))
}

/// For people: the route, what each clause comes to and why, and what would be sent.
pub fn to_text(text: &[u8], decision: &Decision) -> String {
    let mut out = String::new();
    let facts_of = facts(decision.offer, decision.loses, decision.breaks);
    let proof = if decision.needs_proof { "  after a scan of the rows" } else { "" };
    let _ = writeln!(out, "route {}{proof}  {facts_of}", decision.route.word());
    for clause in &decision.clauses {
        let facts = facts(clause.offer, clause.loses, clause.breaks);
        let _ = writeln!(out, "clause: {}\n  {}  {facts}", shown(text, clause.span), clause.route.word());
        clause.findings.iter().for_each(|finding| write_finding(&mut out, finding));
    }
    if !decision.findings.is_empty() {
        out.push_str("statement:\n");
        decision.findings.iter().for_each(|finding| write_finding(&mut out, finding));
    }
    match decision.route {
        Route::Direct => {
            let sent = edited(text, &decision.edits);
            let _ = writeln!(out, "sends: {}", String::from_utf8_lossy(&sent));
        }
        Route::Copy if decision.class() < Some(Class::Copy) => {
            out.push_str("copied, although the server could do it in place\n");
        }
        _ => {}
    }
    out
}

fn write_finding(out: &mut String, finding: &Finding) {
    let rule = finding.rule;
    let _ = writeln!(out, "  {} {} {}: {}", finding.level.word(), rule.id, rule.name, finding.why);
    if finding.level > Level::Reason {
        let _ = writeln!(out, "    {}", rule.sentence);
    }
    if finding.level == Level::Refusal {
        let _ = writeln!(out, "    remedy: {}", rule.remedy);
    }
}

/// For programs. Byte offsets count from the start of `text`.
pub fn to_json(text: &[u8], decision: &Decision) -> Value {
    let clauses: Vec<Value> = decision
        .clauses
        .iter()
        .map(|clause| {
            json!({
                "text": String::from_utf8_lossy(clause.span.of(text)),
                "start": clause.span.start,
                "end": clause.span.end,
                "route": clause.route.word(),
                "class": class_word(clause.offer),
                "blocks_writes": clause.offer.map(Offer::blocks_writes),
                "loses": clause.loses,
                "breaks_code": clause.breaks,
                "findings": clause.findings.iter().map(finding_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    let sends = (decision.route == Route::Direct)
        .then(|| String::from_utf8_lossy(&edited(text, &decision.edits)).into_owned());
    let edits: Vec<Value> = decision
        .edits
        .iter()
        .map(|edit| {
            let put = String::from_utf8_lossy(&edit.text);
            json!({ "start": edit.span.start, "end": edit.span.end, "text": put })
        })
        .collect();
    json!({
        "route": decision.route.word(),
        "class": class_word(decision.offer),
        "blocks_writes": decision.offer.map(Offer::blocks_writes),
        "loses": decision.loses,
        "breaks_code": decision.breaks,
        "needs_proof": decision.needs_proof,
        "clauses": clauses,
        "findings": decision.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "edits": edits,
        "sends": sends,
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.id,
        "name": finding.rule.name,
        "level": finding.level.word(),
        "why": finding.why,
        "remedy": finding.rule.remedy,
    })
}
