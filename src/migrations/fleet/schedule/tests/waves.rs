//! Waves, commands, what is left for later.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::migrations::Failure;
use crate::migrations::fleet::fixture::{row, wave};
use crate::migrations::fleet::ledger::{Action, Kind, Order, OrderStep, Pace, Phase, StepKind, Steps, Why};

/// `counts[wave]` rows of each wave, on clusters in turn.
fn rows(counts: &[usize], clusters: usize) -> Vec<Row> {
    let mut all = Vec::new();
    for (at, count) in counts.iter().enumerate() {
        for _ in 0..*count {
            all.push(row(all.len(), all.len() % clusters, u16::try_from(at).unwrap()));
        }
    }
    all
}

const SOAK: Duration = Duration::from_secs(60);

fn three_waves() -> Vec<Wave> {
    vec![wave("canary", 2, SOAK), wave("10 %", 8, SOAK), wave("all", 90, Duration::ZERO)]
}

#[test]
fn a_wave_is_done_and_soaks_before_the_next_begins() {
    let mut bench = Bench::new(2, WIDE);
    let id = bench.submit("0001", "issues", three_waves(), rows(&[2, 8, 90], 2));
    bench.run(590, as_it_is);
    assert_eq!(bench.begun.len(), 2, "the canary only, while it soaks");
    assert!(matches!(bench.status(&id).stage, Stage::Soaking { .. }));
    bench.run(30, as_it_is);
    assert_eq!(bench.status(&id).wave, 1);
    assert_eq!(bench.begun.len(), 10);
    bench.run(650, as_it_is);
    assert_eq!(bench.begun.len(), 100);
    let status = bench.status(&id);
    assert_eq!((status.phase, status.stage), (Phase::Finished, Stage::Still));
    let first = |wave| bench.begun.iter().find(|(_, work)| work.row >= wave).unwrap().0;
    assert!(first(2).since(first(0)) >= SOAK && first(10).since(first(2)) >= SOAK);
    let waves: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::WaveBegan { wave, .. } => Some(*wave),
            _ => None,
        })
        .collect();
    assert_eq!(waves, [1, 2]);
    assert!(bench.events.contains(&Event::Ended { id: id.clone() }));
    let totals = bench.scheduler.header(&id).unwrap().progress.totals.unwrap();
    assert_eq!((totals.of(Kind::Changed), totals.total()), (100, 100));
}

#[test]
fn a_cluster_that_becomes_suspect_begins_the_soak_anew() {
    let mut bench = Bench::new(2, WIDE);
    let id = bench.submit("0001", "issues", three_waves(), rows(&[2, 8, 90], 2));
    bench.run(500, as_it_is);
    let sick = |at: usize, mut reading: Reading| {
        if at == 1 {
            reading.state = crate::health::State::Suspect;
        }
        reading
    };
    bench.run(5, sick);
    assert!(bench.events.iter().any(|event| matches!(event, Event::Closed { .. })));
    // It resumes after five seconds; the soak of a minute counts from there.
    bench.run(600, as_it_is);
    assert_eq!((bench.begun.len(), bench.status(&id).wave), (2, 0));
    bench.run(100, as_it_is);
    assert_eq!(bench.status(&id).wave, 1);
}

#[test]
fn it_stops_when_more_fail_than_the_wave_bears_and_goes_on_when_told() {
    let mut bench = Bench::new(2, WIDE);
    let mut waves = three_waves();
    (waves[0].failures_max, waves[1].failures_max) = (0, 1);
    let id = bench.submit("0001", "issues", waves, rows(&[2, 8, 90], 2));
    let broken = RefCell::new(BTreeSet::from([1, 4, 5, 6]));
    let outcome = |work: &Work| match broken.borrow().contains(&work.row) {
        true => Outcome::Failed(Failure::new("Duplicate entry")),
        false => Outcome::Changed,
    };
    bench.run_with(20, &Here, as_it_is, outcome);
    let Phase::Stopped { why } = bench.status(&id).phase else { panic!("not stopped") };
    assert_eq!(why, "1 databases of wave canary failed, the last one: Duplicate entry");
    // Stopped, nothing more is begun; the failed one is tried again when an operator says so.
    bench.run_with(2000, &Here, as_it_is, outcome);
    assert_eq!(bench.begun.len(), 2);
    broken.borrow_mut().remove(&1);
    bench.command(&id, Command::RetryFailed).unwrap();
    bench.run_with(700, &Here, as_it_is, outcome);
    assert!(matches!(bench.status(&id).phase, Phase::Stopped { .. }), "two of the second wave failed");
    assert_eq!(bench.status(&id).wave, 1);
    // Resumed, it stops at the next failure only, and is over with those that failed told.
    bench.command(&id, Command::Resume).unwrap();
    bench.run_with(1500, &Here, as_it_is, outcome);
    let status = bench.status(&id);
    assert_eq!((status.phase.word(), status.counts().of(Kind::Failed)), ("finished", 3));
    assert_eq!(bench.begun.len(), 101, "every database once, and one again");
    // Over, the failed ones can still be tried again.
    broken.borrow_mut().clear();
    bench.command(&id, Command::RetryFailed).unwrap();
    bench.run_with(20, &Here, as_it_is, outcome);
    let status = bench.status(&id);
    assert_eq!((status.phase.word(), status.counts().of(Kind::Changed)), ("finished", 100));
}

#[test]
fn it_stops_when_a_cluster_becomes_suspect_under_the_canary() {
    let mut bench = Bench::new(2, WIDE);
    let mut waves = three_waves();
    waves[0].closings_max = 0;
    let id = bench.submit("0001", "issues", waves, rows(&[2, 8, 90], 2));
    bench.run(20, as_it_is);
    bench.run(1, |at, mut reading| {
        if at == 0 {
            reading.state = crate::health::State::Suspect;
        }
        reading
    });
    let Phase::Stopped { why } = bench.status(&id).phase else { panic!("not stopped") };
    assert_eq!(why, "cluster c0 became suspect in wave canary");
    bench.command(&id, Command::Resume).unwrap();
    bench.run(2500, as_it_is);
    assert_eq!(bench.status(&id).phase, Phase::Finished);
    // Nothing was done for minutes: a cluster that becomes sick then has other reasons.
    let other = bench.submit("0002", "users", vec![wave("all", 1, SOAK)], rows(&[1], 1));
    bench.command(&other, Command::Pause).unwrap();
    bench.run(700, as_it_is);
    bench.run(1, |_, reading| Reading { state: crate::health::State::Down, ..reading });
    assert_eq!(bench.status(&other).phase.word(), "paused");
}

/// Workspaces that are not to be touched, and those that moved.
#[derive(Default)]
struct Map {
    later: RefCell<BTreeSet<String>>,
    moved: RefCell<BTreeSet<String>>,
    gone: RefCell<BTreeSet<String>>,
}

impl Places for Map {
    fn place(&self, _: &Order, row: &Row) -> Place {
        let name = row.database.to_string();
        if self.later.borrow().contains(&name) {
            return Place::Later(Why::Suspended);
        }
        if self.gone.borrow().contains(&name) {
            return Place::Gone;
        }
        if self.moved.borrow().contains(&name) && row.cluster == cluster(0) {
            return Place::Elsewhere { shard: crate::ids::ShardName::new("s1"), cluster: cluster(1) };
        }
        Place::Ready
    }
}

#[test]
fn what_is_left_for_later_is_not_forgotten() {
    let map = Map::default();
    map.later.borrow_mut().extend(["ws_1", "ws_3", "ws_50"].map(str::to_owned));
    map.moved.borrow_mut().insert("ws_2".to_owned());
    map.gone.borrow_mut().insert("ws_4".to_owned());
    let mut bench = Bench::new(2, WIDE);
    let id = bench.submit("0001", "issues", three_waves(), rows(&[2, 8, 90], 2));
    bench.run_with(1500, &map, as_it_is, |_| Outcome::Changed);
    let status = bench.status(&id);
    assert_eq!((status.phase, status.stage), (Phase::Active, Stage::WaitsForLater));
    let counts = bench.status(&id).counts();
    assert_eq!((counts.of(Kind::Later), counts.of(Kind::Changed), counts.of(Kind::Gone)), (3, 96, 1));
    let moved = bench.begun.iter().find(|(_, work)| &*work.database == "ws_2").unwrap();
    assert_eq!((&moved.1.cluster, moved.1.shard.as_str()), (&cluster(1), "s1"), "where it is now");
    map.later.borrow_mut().remove("ws_3");
    bench.run_with(310, &map, as_it_is, |_| Outcome::Changed);
    assert_eq!(bench.status(&id).counts().of(Kind::Later), 2);
    // One is left out by an operator, the other comes back: it is over.
    bench.command(&id, Command::Skip { database: "ws_1".into() }).unwrap();
    map.later.borrow_mut().clear();
    bench.run_with(310, &map, as_it_is, |_| Outcome::Changed);
    let status = bench.status(&id);
    assert_eq!((status.phase.word(), status.counts().of(Kind::Skipped)), ("finished", 1));
    assert_eq!(bench.begun.len(), 98);
}

#[test]
fn databases_of_a_cluster_that_is_gone_are_done_where_they_are() {
    let map = Map::default();
    map.moved.borrow_mut().extend((0..10).map(|at| format!("ws_{at}")));
    let mut bench = Bench::new(2, WIDE);
    // Nothing is ever heard of the first cluster.
    bench.clusters.remove(0);
    let id = bench.submit("0001", "issues", three_waves(), rows(&[2, 8], 1));
    bench.run_with(1300, &map, as_it_is, |_| Outcome::Changed);
    assert_eq!(bench.status(&id).phase, Phase::Finished);
    assert!(bench.begun.iter().all(|(_, work)| work.cluster == cluster(1)));
    // What is said to be there waits for it.
    let other = bench.submit(
        "0002",
        "users",
        vec![wave("all", 20, SOAK)],
        (20..40).map(|at| row(at, 0, 0)).collect(),
    );
    bench.run_with(100, &map, as_it_is, |_| Outcome::Changed);
    assert_eq!((bench.status(&other).counts().of(Kind::Waiting), bench.begun.len()), (20, 10));
}

#[test]
fn a_wave_of_which_nothing_was_done_has_shown_nothing() {
    let map = Map::default();
    map.later.borrow_mut().extend(["ws_0", "ws_1"].map(str::to_owned));
    let mut bench = Bench::new(2, WIDE);
    let id = bench.submit("0001", "issues", three_waves(), rows(&[2, 8, 90], 2));
    bench.run_with(2000, &map, as_it_is, |_| Outcome::Changed);
    assert_eq!((bench.begun.len(), bench.status(&id).wave), (0, 0));
    assert_eq!(bench.status(&id).stage, Stage::WaitsForLater);
}

#[test]
fn a_drained_clusters_part_waits_and_the_others_go_on() {
    let mut bench = Bench::new(2, WIDE);
    let id = bench.submit("0001", "issues", three_waves(), rows(&[2, 8, 90], 2));
    let drained = |at: usize, reading: Reading| Reading { is_drained: at == 1, ..reading };
    bench.run(1500, drained);
    let status = bench.status(&id);
    assert_eq!((status.wave, status.counts().of(Kind::Changed)), (2, 50));
    assert!(bench.begun.iter().all(|(_, work)| work.cluster == cluster(0)));
    bench.run(20, as_it_is);
    assert_eq!(bench.status(&id).phase, Phase::Finished);
}

#[test]
fn pause_resume_cancel_and_revert() {
    let mut bench = Bench::new(2, Budget { at_once: 16, statements_per_second: 1e6 });
    let id = bench.submit("0001", "issues", vec![wave("all", 100, SOAK)], rows(&[100], 2));
    bench.run(2, as_it_is);
    bench.command(&id, Command::Pause).unwrap();
    assert!(matches!(bench.command(&id, Command::Pause), Err(Refusal::NotNow { .. })));
    let begun = bench.begun.len();
    assert!(begun > 0 && begun < 100, "{begun}");
    bench.run(100, as_it_is);
    assert_eq!(bench.begun.len(), begun);
    bench.command(&id, Command::Resume).unwrap();
    // One is begun and does not end: cancelling stops it, and waits for it.
    let acts = bench.tick(&Here, as_it_is);
    let Some(Act::Change(last)) = acts.first().cloned() else { panic!("{acts:?}") };
    for act in &acts[1..] {
        let Act::Change(work) = act else { continue };
        bench.scheduler.ended(&id, work.row, Outcome::Changed, bench.now);
    }
    let step = bench.command(&id, Command::Cancel).unwrap();
    assert_eq!(step.acts, [Act::Stop(last.clone())]);
    bench.run(10, as_it_is);
    let user = UserName::new("operator");
    let new = MigrationId::new("0002");
    let refused = bench.scheduler.revert(&id, new.clone(), &user, bench.now).unwrap_err();
    assert!(matches!(refused, Refusal::NotAtRest { .. }), "{refused}");
    bench.scheduler.ended(&id, last.row, Outcome::Unchanged, bench.now);
    bench.run(10, as_it_is);
    let begun = bench.begun.len();
    assert!(bench.scheduler.header(&id).unwrap().progress.ended.is_some());
    assert!(matches!(bench.command(&id, Command::Resume), Err(Refusal::NotNow { .. })));
    // What was changed is taken back, and nothing else.
    let (order, rows) = bench.scheduler.revert(&id, new.clone(), &user, bench.now).unwrap();
    assert_eq!(order.action, Action::Revert { of: id.clone(), redoes: false });
    assert_eq!(rows.len(), begun - 1);
    assert!(rows.iter().all(|row| row.database != last.database));
    let turn = bench.scheduler.admit(&order, &rows).unwrap();
    let databases = u32::try_from(rows.len()).unwrap();
    bench.scheduler.insert(Header::new(order, databases, turn), rows, |_| false, bench.now);
    bench.run(100, as_it_is);
    assert_eq!(bench.status(&new).phase, Phase::Finished);
    assert_eq!(bench.begun.len(), begun * 2 - 1);
}

/// Steps that were done before it came are marked, and stay marked when the steps are taken back from behind.
#[test]
fn what_was_there_before_is_passed_over() {
    let mut bench = Bench::new(2, WIDE);
    let mut order = order("0001", "issues", vec![wave("all", 4, SOAK)]);
    order.steps = vec![step(); 3];
    let id = order.id.clone();
    let mut all = rows(&[4], 2);
    (all[1].there, all[2].there) = (0b001, 0b110);
    bench.scheduler.insert(Header::new(order, 4, 0), all, |_| false, bench.now);
    bench.run_with(50, &Here, as_it_is, |work| {
        assert!((0..3).all(|step| !work.passes_over(step)), "looked at, each one");
        Outcome::Changed
    });
    let (user, new) = (UserName::new("operator"), MigrationId::new("0002"));
    let (order, rows) = bench.scheduler.revert(&id, new.clone(), &user, bench.now).unwrap();
    let turn = bench.scheduler.admit(&order, &rows).unwrap();
    bench.scheduler.insert(Header::new(order, 4, turn), rows, |_| false, bench.now);
    let passed = RefCell::new(BTreeMap::new());
    bench.run_with(50, &Here, as_it_is, |work| {
        let over: Vec<usize> = (0..3).filter(|step| work.passes_over(*step)).collect();
        passed.borrow_mut().insert(work.database.to_string(), over);
        Outcome::Changed
    });
    let passed: Vec<Vec<usize>> = passed.into_inner().into_values().collect();
    assert_eq!(passed, [vec![], vec![2], vec![0, 1], vec![]]);
    // And the other way round again.
    let (_, rows) = bench.scheduler.revert(&new, MigrationId::new("0003"), &user, bench.now).unwrap();
    let mut there: Vec<(Box<str>, u64)> = rows.into_iter().map(|row| (row.database, row.there)).collect();
    there.sort();
    assert_eq!(there.into_iter().map(|(_, there)| there).collect::<Vec<_>>(), [0, 0b001, 0b110, 0]);
}

/// A row that ends as if nothing had been done, where an earlier attempt has done one of several steps.
#[test]
fn what_an_earlier_attempt_did_is_taken_back() {
    let mut bench = Bench::new(1, WIDE);
    let mut order = order("0001", "issues", vec![wave("all", 3, SOAK)]);
    order.steps = vec![step(); 3];
    let id = order.id.clone();
    bench.scheduler.insert(Header::new(order, 3, 0), rows(&[3], 1), |_| false, bench.now);
    let again = || Outcome::Again(Failure::new("no connection"));
    for _ in 0..100 {
        for act in bench.tick(&Here, as_it_is) {
            let Act::Change(work) = act else { continue };
            let made = u64::from(work.row < 2);
            let first = Ending { outcome: again(), steps: Steps { made, ..Steps::default() } };
            let ending = match (work.attempt, work.row) {
                (1, _) => first,
                (_, 1) => Outcome::Gone.into(),
                _ => Outcome::There.into(),
            };
            bench.scheduler.ended(&id, work.row, ending, bench.now);
        }
    }
    assert_eq!(bench.status(&id).phase, Phase::Finished);
    let (user, new) = (UserName::new("operator"), MigrationId::new("0002"));
    let (_, rows) = bench.scheduler.revert(&id, new, &user, bench.now).unwrap();
    let taken: Vec<(&str, u64)> = rows.iter().map(|row| (&*row.database, row.there)).collect();
    // Of three steps, the last of which comes first now.
    assert_eq!(taken, [("ws_0", 0b011), ("ws_1", 0b011)]);
}

/// What was begun, half of it, is taken back too: the first of two statements may be done where the second
/// failed.
#[test]
fn what_is_half_done_is_taken_back() {
    let ends = |failed: usize, steps: usize| {
        let mut bench = Bench::new(2, WIDE);
        let mut order = order("0001", "issues", vec![wave("all", 12, SOAK)]);
        order.steps = vec![step(); steps];
        let id = order.id.clone();
        bench.scheduler.insert(Header::new(order, 12, 0), rows(&[12], 2), |_| false, bench.now);
        let fail = || Outcome::Failed(Failure::new("duplicate entry"));
        // Of the first one it is not known whether the step was done that failed.
        bench.run_with(50, &Here, as_it_is, |work| {
            let outcome = match work.row as usize {
                row if row < failed => fail(),
                3 => Outcome::Drifted("odd".into()),
                4 => Outcome::There,
                5 => Outcome::Gone,
                _ => Outcome::Changed,
            };
            let is_half = steps == 2 && work.row < 4;
            let made = u64::from(is_half);
            Ending { outcome, steps: Steps { made, unsure: u64::from(work.row == 0), there: 0 } }
        });
        assert_eq!(bench.status(&id).phase, Phase::Finished);
        bench.command(&id, Command::Skip { database: "ws_0".into() }).unwrap();
        let (user, new) = (UserName::new("operator"), MigrationId::new("0002"));
        let (_, rows) = bench.scheduler.revert(&id, new, &user, bench.now).unwrap();
        let names: Vec<String> = rows.iter().map(|row| row.database.to_string()).collect();
        names
    };
    let changed = ["ws_6", "ws_7", "ws_8", "ws_9", "ws_10", "ws_11"];
    assert_eq!(ends(3, 2), [&["ws_0", "ws_1", "ws_2", "ws_3"][..], &changed].concat());
    // One statement that failed has changed nothing, unless that is not known.
    assert_eq!(ends(3, 1), [&["ws_0"][..], &changed].concat());
}

fn step() -> OrderStep {
    OrderStep {
        text: "ALTER TABLE issues ADD a INT".to_owned(),
        table: "issues".to_owned(),
        kind: StepKind::Alter,
        wanted: Vec::new(),
        before: Vec::new(),
    }
}

/// Some servers take `Issues` and `issues` for one table.
#[test]
fn capitals_make_no_other_table() {
    let mut bench = Bench::new(1, WIDE);
    let first = bench.submit("0001", "issues", vec![wave("all", 4, SOAK)], rows(&[4], 1));
    assert!(bench.scheduler.is_behind(&order("0002", "Issues", Vec::new())));
    let second = bench.submit("0002", "Issues", vec![wave("all", 4, SOAK)], rows(&[4], 1));
    assert_eq!(bench.status(&second).stage, Stage::Queued { behind: first });
}

#[test]
fn one_table_has_one_migration_at_a_time_and_different_ones_share() {
    let budget = Budget { at_once: 4, statements_per_second: 100.0 };
    let mut bench = Bench::new(1, budget);
    let all = || vec![wave("all", 40, SOAK)];
    let first = bench.submit("0001", "issues", all(), rows(&[40], 1));
    let second = bench.submit("0002", "issues", all(), rows(&[40], 1));
    let third = bench.submit("0003", "users", all(), rows(&[40], 1));
    bench.run(30, as_it_is);
    assert_eq!(bench.status(&second).stage, Stage::Queued { behind: first.clone() });
    let of =
        |bench: &Bench, id: &MigrationId| bench.begun.iter().filter(|(_, work)| work.order.id == *id).count();
    let (one, three) = (of(&bench, &first), of(&bench, &third));
    assert!(one.abs_diff(three) <= 1 && one > 5, "they share: {one} and {three}");
    bench.run(600, as_it_is);
    let firsts = bench.begun.iter().rposition(|(_, work)| work.order.id == first).unwrap();
    let seconds = bench.begun.iter().position(|(_, work)| work.order.id == second).unwrap();
    assert!(firsts < seconds, "the second one begins when the first is over");
    for id in [&first, &second, &third] {
        assert_eq!((of(&bench, id), bench.status(id).phase), (40, Phase::Finished));
    }
    // What cannot be taken on.
    let refused = |order: &Order, rows: &[Row]| bench.scheduler.admit(order, rows).unwrap_err();
    let mut bad = order("0004", "issues", all());
    assert_eq!(refused(&bad, &[]), SubmitRefusal::NoDatabases);
    assert_eq!(refused(&bad, &rows(&[1, 1], 1)), SubmitRefusal::NoWave(1));
    assert_eq!(refused(&order("0001", "issues", all()), &rows(&[1], 1)), SubmitRefusal::Taken(first.clone()));
    bad.statement = " ".repeat(300_000);
    assert_eq!(refused(&bad, &rows(&[1], 1)), SubmitRefusal::TooLong(300_000));
    // The same statement again, while one carries it out, is the same migration.
    let mut same = order("0004", "issues", all());
    let running = bench.submit("0005", "issues", all(), rows(&[40], 1));
    same.statement = bench.scheduler.header(&running).unwrap().order.statement.clone();
    assert_eq!(bench.scheduler.admit(&same, &rows(&[1], 1)), Err(SubmitRefusal::Same(running)));
}

#[test]
fn a_migration_can_be_made_slower_while_it_runs() {
    let mut bench = Bench::new(1, WIDE);
    let id = bench.submit("0001", "issues", vec![wave("all", 500, SOAK)], rows(&[500], 1));
    let pace = |rate| Command::SetPace(Some(Pace { at_once: 1, statements_per_second: rate }));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(bench.command(&id, pace(bad)), Err(Refusal::NoPace));
    }
    // Five statements a database: two databases in a second.
    bench.command(&id, pace(10.0)).unwrap();
    bench.run(300, as_it_is);
    let begun = bench.begun.len();
    assert!((56..=64).contains(&begun), "{begun} in 30 s");
    bench.command(&id, Command::SetPace(None)).unwrap();
    bench.run(30, as_it_is);
    assert_eq!(bench.status(&id).phase, Phase::Finished);
}

#[test]
fn what_is_not_known_is_looked_at_until_it_is() {
    let mut bench = Bench::new(1, Budget { at_once: 1, statements_per_second: 1e6 });
    let id = bench.submit("0001", "issues", vec![wave("all", 2, SOAK)], rows(&[2], 1));
    bench.tick(&Here, as_it_is);
    bench.tick(&Here, as_it_is);
    assert_eq!(bench.begun.len(), 1);
    bench.scheduler.ended(&id, 0, Outcome::Unknown(Failure::new("lost")), bench.now);
    let mut looks = 0;
    for _ in 0..100 {
        for act in bench.tick(&Here, as_it_is) {
            assert!(matches!(&act, Act::Look(work) if work.row == 0), "{act:?}");
            looks += 1;
            bench.scheduler.ended(&id, 0, Outcome::StillRunning, bench.now);
        }
    }
    assert!((3..=10).contains(&looks), "soon, then later and later: {looks}");
    assert_eq!(bench.begun.len(), 1, "it may be at work: it counts");
    assert_eq!(bench.lane(0).occupied, 1);
    for _ in 0..100 {
        for act in bench.tick(&Here, as_it_is) {
            if let Act::Look(work) = act {
                bench.scheduler.ended(&id, work.row, Outcome::Unchanged, bench.now);
            }
        }
    }
    assert_eq!(bench.begun[1].1.row, 0, "it was not changed, so it is begun again before others");
    assert_eq!(bench.begun[1].1.attempt, 2);
    let gone = MigrationId::new("ffff");
    assert!(bench.scheduler.ended(&gone, 0, Outcome::Changed, bench.now).is_empty());
    assert!(bench.scheduler.ended(&id, 99, Outcome::Changed, bench.now).is_empty());
}
