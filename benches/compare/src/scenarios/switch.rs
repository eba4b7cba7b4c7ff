//! Another workspace with each statement, next to the same statements that stay in one.

use crate::load::{Spread, Work};
use crate::report::{Bar, Round, Side, entries, median};
use crate::servers::CLUSTERS;
use crate::stage::Stage;
use crate::systems::Kind;

/// Clients at the same time.
const CLIENTS: usize = 8;
/// What a switch may cost.
const BOUND: f64 = 1.3;

/// A load, as the report names it, and what makes it.
type Step = (Kind, &'static str, Work);

/// Runs `USE ws_n` and a statement, and a statement with a comment; each with and without switching.
///
/// Bulkhead switches between the workspaces of all clusters. A direct connection stays on one server and so
/// switches between a third of them, by `USE` only: what the switch costs the server itself.
pub(super) async fn run(stage: &mut Stage) {
    let workspaces = stage.options.workspaces();
    let all = Spread { count: workspaces, step: 1 };
    let own = Spread { count: workspaces / CLUSTERS as u64, step: CLUSTERS as u64 };
    let steps: [Step; 6] = [
        (Kind::Bulkhead, "use_same", Work::UseSame(all)),
        (Kind::Bulkhead, "use_each", Work::UseEach(all)),
        (Kind::Direct, "use_same", Work::UseSame(own)),
        (Kind::Direct, "use_each", Work::UseEach(own)),
        (Kind::Bulkhead, "comment_same", Work::CommentSame(all)),
        (Kind::Bulkhead, "comment_each", Work::CommentEach(all)),
    ];
    let mut found: Vec<Vec<Round>> = vec![Vec::new(); steps.len()];
    for _ in 0..stage.options.rounds() {
        for (at, (kind, name, work)) in steps.iter().enumerate() {
            let Some(system) = stage.systems.iter().find(|system| system.kind == *kind) else { continue };
            // The keyspace's own name: no workspace is selected at login.
            let database = if *kind == Kind::Bulkhead { "workspaces" } else { "ws_1" };
            match stage.window(system, stage.load(*work), CLIENTS, database).await {
                Ok(round) => found[at].push(round),
                Err(error) => return stage.fail(name, kind.name(), &error),
            }
        }
    }
    if !found[0].is_empty() {
        judge(stage, "USE ws_n and a statement", &found[0], &found[1]);
        judge(stage, "statement with a comment", &found[4], &found[5]);
    }
    for name in ["use_same", "use_each", "comment_same", "comment_each"] {
        let of_name = steps.iter().zip(&found).filter(|((_, step, _), _)| *step == name);
        let systems: Vec<(String, Vec<Round>)> =
            of_name.map(|((kind, ..), rounds)| (kind.name().to_owned(), rounds.clone())).collect();
        stage.enter(entries(name, CLIENTS, &systems));
    }
}

fn judge(stage: &mut Stage, words: &str, same: &[Round], each: &[Round]) {
    let pairs = || each.iter().zip(same);
    let time = median(pairs().map(|(each, same)| same.qps / each.qps));
    let cpu = median(pairs().map(|(each, same)| each.proxy_cpu_us / same.proxy_cpu_us));
    let latency = median(pairs().map(|(each, same)| each.p50_us / same.p50_us));
    let bar = |what: &str, value| {
        let name = format!("{words}, another workspace each time : the same workspace, {what}");
        Bar::new(name, value, "x", Side::Most, BOUND)
    };
    for (what, value) in [("proxy CPU", cpu), ("time", time), ("p50", latency)] {
        stage.judge(bar(what, value));
    }
}
