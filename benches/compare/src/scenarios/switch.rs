//! Another workspace with each statement, next to the same statements that stay in one.

use crate::load::Work;
use crate::report::{Bar, Round, Side, entries, median};
use crate::stage::Stage;

/// Clients at the same time.
const CLIENTS: usize = 8;
/// What a switch may cost.
const BOUND: f64 = 1.3;

/// Runs `USE ws_n` and a statement, and a statement with a comment; each with and without switching.
///
/// Only Bulkhead: a relay cannot follow a workspace to another cluster.
pub(super) async fn run(stage: &mut Stage) {
    let workspaces = stage.options.workspaces();
    let works = [
        ("use_same", Work::UseSame(workspaces)),
        ("use_each", Work::UseEach(workspaces)),
        ("comment_same", Work::CommentSame(workspaces)),
        ("comment_each", Work::CommentEach(workspaces)),
    ];
    let mut found: Vec<Vec<Round>> = vec![Vec::new(); works.len()];
    for _ in 0..stage.options.rounds() {
        for (at, (name, work)) in works.iter().enumerate() {
            let Some(bulkhead) = stage.bulkhead() else { return };
            // The keyspace's own name: no workspace is selected at login.
            match stage.window(bulkhead, stage.load(*work), CLIENTS, "workspaces").await {
                Ok(round) => found[at].push(round),
                Err(error) => return stage.fail(name, "bulkhead", &error),
            }
        }
    }
    judge(stage, "USE ws_n and a statement", &found[0], &found[1]);
    judge(stage, "statement with a comment", &found[2], &found[3]);
    for ((name, _), rounds) in works.iter().zip(found) {
        stage.enter(entries(name, CLIENTS, &[("bulkhead".to_owned(), rounds)]));
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
