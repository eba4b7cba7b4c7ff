use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ddl::Route;
use crate::ids::{ClusterName, ShardName, WorkspaceId};
use crate::migrations::fleet::definition::{Definition, Groups, Seen};
use crate::migrations::fleet::schedule::Budget;
use crate::sql::{Scan, ServerVersion, SqlMode, TableChange, read_change, scan};

fn candidate(number: usize, on: usize) -> Candidate {
    Candidate {
        database: format!("ws_{number}").into(),
        workspace: Some(WorkspaceId::Number(number as u64)),
        shard: ShardName::new(format!("s{on}")),
        cluster: ClusterName::new(format!("c{on}")),
        bytes: Some((number as u64 * 7919) % 1000),
        there: 0,
    }
}

/// One database in eight is on each of the small clusters, the rest on the large one.
fn candidates(databases: usize) -> Vec<Candidate> {
    (0..databases).map(|at| candidate(at, if at % 8 < 3 { at % 8 + 1 } else { 0 })).collect()
}

fn names(rows: &[crate::migrations::fleet::ledger::Row], wave: u16) -> Vec<String> {
    rows.iter().filter(|row| row.wave == wave).map(|row| row.database.to_string()).collect()
}

#[test]
fn the_canary_comes_first_then_shares_of_every_cluster() {
    let (waves, rows) = lay_out(candidates(8000), &WavePlan::default()).unwrap();
    let told: Vec<_> = waves.iter().map(|wave| (wave.name.as_str(), wave.databases)).collect();
    assert_eq!(told, [("canary", 3), ("1 %", 77), ("10 %", 720), ("all", 7200)]);
    assert_eq!((waves[0].failures_max, waves[1].failures_max, waves[3].failures_max), (0, 2, 72));
    assert_eq!((waves[0].soak_ms, waves[3].soak_ms), (300_000, 0));
    let canaries: std::collections::BTreeSet<_> = rows[..3].iter().map(|row| &row.cluster).collect();
    assert_eq!(canaries.len(), 3, "of different clusters");
    for (at, share) in [(0, 500), (1, 100), (2, 100), (3, 100)] {
        let cluster = ClusterName::new(format!("c{at}"));
        let first = rows[..800].iter().filter(|row| row.cluster == cluster).count();
        assert!(first.abs_diff(share) <= 1, "{first} of {cluster} in the first tenth, {share} wanted");
    }
}

#[test]
fn canaries_and_order_by_name_and_size() {
    let by_name = WavePlan {
        canary: Canary::Names(vec!["ws_7".into(), "3".into()]),
        ordering: Ordering::ByList(vec!["42".into(), "ws_41".into()]),
        shares: vec![0.1],
        soak: Duration::ZERO,
    };
    let (_, rows) = lay_out((0..100).map(|at| candidate(at, 0)).collect(), &by_name).unwrap();
    assert_eq!(names(&rows, 0), ["ws_7", "ws_3"]);
    assert_eq!(names(&rows, 1)[..3], ["ws_42", "ws_41", "ws_0"]);
    let by_size = WavePlan { ordering: Ordering::BySize, ..WavePlan::default() };
    let (_, rows) = lay_out((0..100).map(|at| candidate(at, 0)).collect(), &by_size).unwrap();
    let sizes: Vec<u64> =
        rows.iter().map(|row| (row.database[3..].parse::<u64>().unwrap() * 7919) % 1000).collect();
    assert!(sizes.is_sorted(), "{sizes:?}");
}

#[test]
fn what_cannot_be_laid_out_is_refused() {
    let with = |plan: WavePlan| lay_out(candidates(10), &plan).unwrap_err();
    for shares in [vec![0.0], vec![1.0], vec![0.5, 0.5], vec![0.5, 0.1], vec![f64::NAN], vec![-0.1]] {
        let fault = with(WavePlan { shares, ..WavePlan::default() });
        assert!(matches!(fault, WaveFault::Shares(_)), "{fault}");
    }
    let fault = with(WavePlan { canary: Canary::Names(vec!["ws_99".into()]), ..WavePlan::default() });
    assert_eq!(fault, WaveFault::Unknown("ws_99".into()));
    let list = Ordering::ByList(vec!["ws_1".into(), "none".into()]);
    let fault = with(WavePlan { ordering: list, ..WavePlan::default() });
    assert_eq!(fault, WaveFault::Unknown("none".into()));
    let mut twice = candidates(3);
    twice.push(twice[0].clone());
    assert!(matches!(lay_out(twice, &WavePlan::default()), Err(WaveFault::Twice(..))));
    let (waves, rows) = lay_out(Vec::new(), &WavePlan::default()).unwrap();
    assert!(waves.is_empty() && rows.is_empty());
}

proptest! {
    #[test]
    fn every_database_is_in_one_wave(
        databases in 1_usize..2000,
        canaries in 0_u32..50,
        share in 0.001_f64..0.9,
    ) {
        let plan = WavePlan { canary: Canary::Count(canaries), shares: vec![share], ..WavePlan::default() };
        let (waves, rows) = lay_out(candidates(databases), &plan).unwrap();
        prop_assert_eq!(rows.len(), databases);
        let mut all: Vec<_> = rows.iter().map(|row| row.database.clone()).collect();
        all.sort();
        all.dedup();
        prop_assert_eq!(all.len(), databases);
        prop_assert!(rows.is_sorted_by_key(|row| row.wave), "rows come in the order of their waves");
        for (wave, at) in waves.iter().zip(0..) {
            prop_assert_eq!(names(&rows, at).len(), wave.databases as usize);
            prop_assert!(wave.databases > 0);
        }
    }
}

fn server() -> ServerVersion {
    ServerVersion::parse("8.4.3").unwrap()
}

fn change(text: &str) -> TableChange {
    let mode = SqlMode { server: server(), ..SqlMode::default() };
    let mut found = Scan::default();
    scan(text.as_bytes(), mode, &mut found);
    read_change(text.as_bytes(), &found, mode).unwrap().unwrap()
}

const USERS: &str = "CREATE TABLE `users` (\n  `id` int NOT NULL,\n  `name` varchar(20) DEFAULT NULL,\n  \
                     PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

/// 1000 as they are, 200 changed before, 50 with an index more, 5 changed with an index more, 3 with a
/// column in the way, 2 without the table.
fn seen() -> Groups {
    let changed = USERS.replace("`id` int", "`id` bigint");
    let index = |text: &str| text.replace("(`id`)\n", "(`id`),\n  KEY `extra` (`name`)\n");
    let many = [
        (1000, USERS.to_owned()),
        (200, changed.clone()),
        (50, index(USERS)),
        (5, index(&changed)),
        (3, USERS.replace("`id` int", "`id` varchar(9)")),
    ];
    let mut groups = Groups::default();
    let mut number = 0;
    for (count, text) in many {
        let definition = Arc::new(Definition::read(&text, server()).unwrap());
        for _ in 0..count {
            let cluster = ClusterName::new(format!("c{}", number % 2));
            groups.add(&cluster, &format!("ws_{number}"), Seen::Defined(definition.clone()));
            number += 1;
        }
    }
    groups.add(&ClusterName::new("c0"), "ws_x", Seen::Missing);
    groups.add(&ClusterName::new("c0"), "ws_y", Seen::Missing);
    groups
}

fn budget(_: &ClusterName) -> (Budget, Option<Arc<str>>) {
    (Budget { at_once: 2, statements_per_second: 10.0 }, None)
}

#[test]
fn a_plan_says_who_is_done_who_drifted_and_what_it_takes() {
    let text = "ALTER TABLE users MODIFY id BIGINT NOT NULL";
    let change = change(text);
    let intent = Intent { text, change: &change, prove: false, acknowledged: false, takes_drifted: false };
    let plan = summarize(&seen(), &intent, Some(10_000), budget, &Costs::default());
    let counts = [
        plan.count(|verdict| *verdict == Verdict::Change),
        plan.count(|verdict| *verdict == Verdict::Done),
        plan.count(|verdict| matches!(verdict, Verdict::Drifted(_))),
        plan.count(|verdict| *verdict == Verdict::Refused),
        plan.missing,
    ];
    // A string that becomes a number is refused: it loses values.
    assert_eq!(counts, [1000, 200, 55, 3, 2]);
    assert_eq!((plan.groups[0].decision.route, plan.statements), (Route::Copy, 5));
    let drifted = plan.groups.iter().find(|group| group.databases() == 50).unwrap();
    assert_eq!(drifted.differences[0].words(), "key extra is not wanted: key (name)");
    let from = Definition::read(USERS, server()).unwrap().fingerprint();
    let to = Definition::read(&USERS.replace("`id` int", "`id` bigint"), server()).unwrap().fingerprint();
    assert_eq!(plan.wanted, [crate::migrations::fleet::ledger::Wanted { from: Some(from), to: Some(to) }]);
    assert!(plan.unforeseen.is_empty());
    let cluster = &plan.clusters[&ClusterName::new("c0")];
    assert_eq!((cluster.to_change, cluster.copied, cluster.done, cluster.statements), (500, 500, 100, 2500));
    // 500 copies of 30 ms, two at once, are 7.5 s; 2,500 statements at ten a second are 250 s.
    assert_eq!((cluster.time, cluster.statements_per_second), (Duration::from_secs(250), 10.0));
    let (waves, _) = lay_out(candidates(1000), &WavePlan::default()).unwrap();
    let text = to_text(&plan, &waves);
    for line in [
        "1260 databases: 1000 to change, 200 done already, 55 drifted, 3 refused, \
         2 without the table, 0 not read\n",
        "  1000 databases  route copy\n",
        "  50 databases  drifted, left as they are: it is not like most\n",
        "    key extra is not wanted: key (name)\n",
        "    D202 lossy_conversion: ",
        "cluster c0: 500 to change (500 copied), about 4 min at 10.0 statements a second\n",
        "wave canary: 3 databases, then 5 min of waiting\nwave 1 %: 7 databases",
        "code has to cope with both\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let json = to_json(&plan, &waves);
    assert_eq!(
        (&json["groups"][0]["verdict"], &json["groups"][0]["route"]),
        (&"change".into(), &"copy".into())
    );
    assert_eq!(json["clusters"]["c0"]["seconds"], 250.0);
    assert_eq!((&json["missing"], &json["waves"][0]["databases"]), (&2.into(), &3.into()));
    // Where both clusters are on one machine, and statements are no bound, they take turns there.
    let there = |rate| (Budget { at_once: 1, statements_per_second: rate }, Some("10.0.0.1".into()));
    let time = |size, rate| {
        let plan = summarize(&seen(), &intent, size, |_| there(rate), &Costs::default());
        plan.clusters[&ClusterName::new("c0")].time
    };
    assert_eq!([None, Some(10_000)].map(|size| time(size, 1e6)), [Duration::from_secs(30); 2]);
    assert_eq!(time(None, 50.0), Duration::from_secs(50));
    // A larger copy leaves its turn to the neighbour after two seconds.
    assert_eq!(time(Some(200 << 20), 1e6), Duration::from_secs(5015));
    // Those that drifted are taken along when that is asked for.
    let taken = Intent { takes_drifted: true, ..intent };
    let plan = summarize(&seen(), &taken, None, budget, &Costs::default());
    assert_eq!(plan.count(|verdict| *verdict == Verdict::Change), 1050);
    assert_eq!(plan.count(|verdict| *verdict == Verdict::Done), 205);
    assert_eq!(plan.wanted.len(), 2);
}

#[test]
fn a_plan_of_what_was_done_finds_nothing_to_do() {
    let text = "ALTER TABLE users ADD COLUMN age INT";
    let change = change(text);
    let intent = Intent { text, change: &change, prove: false, acknowledged: false, takes_drifted: false };
    let mut groups = Groups::default();
    let with = USERS.replace("  PRIMARY", "  `age` int DEFAULT NULL,\n  PRIMARY");
    let definition = Arc::new(Definition::read(&with, server()).unwrap());
    groups.add(&ClusterName::new("c0"), "ws_1", Seen::Defined(definition));
    let plan = summarize(&groups, &intent, None, budget, &Costs::default());
    assert_eq!((plan.count(|verdict| *verdict == Verdict::Done), plan.statements), (1, 0));
    assert!(plan.wanted.is_empty() && !plan.breaks_code);
}

#[test]
fn a_large_table_takes_as_long_as_its_bytes() {
    let costs = Costs::default();
    assert_eq!(costs.time_of(Route::Direct, Some(1 << 40)), costs.direct);
    assert_eq!(costs.time_of(Route::Copy, None), costs.small_copy);
    let large = costs.time_of(Route::Copy, Some(costs.copy_bytes_per_second * 60));
    assert_eq!(large, costs.small_copy + Duration::from_secs(60));
    assert_eq!(costs.time_of(Route::Refuse, None), Duration::ZERO);
}
