//! Budgets of clusters, their health, fairness.

use std::collections::BTreeMap;

use super::*;
use crate::health::State;
use crate::migrations::fleet::fixture::{row, wave};

const SOAK: Duration = Duration::ZERO;

fn many(bench: &mut Bench, databases: usize) -> MigrationId {
    let clusters = bench.clusters.len();
    let rows = (0..databases).map(|at| row(at, at % clusters, 0)).collect();
    bench.submit("0001", "issues", vec![wave("all", 1, SOAK)], rows)
}

/// Statements begun on a cluster from a moment on.
fn statements(bench: &Bench, at: usize, since: Moment) -> usize {
    let on = |work: &Work| work.cluster == bench.clusters[at];
    bench.begun.iter().filter(|(when, work)| *when > since && on(work)).count() * 5
}

#[test]
fn nothing_is_begun_where_health_is_not_known() {
    let mut bench = Bench::new(1, WIDE);
    many(&mut bench, 10);
    let step = bench.scheduler.step(&Here, bench.now);
    assert_eq!((step.acts.len(), bench.lane(0).closed), (0, Some(Closed::Unread)));
    bench.run(3, as_it_is);
    assert_eq!(bench.lane(0).closed, None);
    // A reading that is three seconds old says nothing.
    bench.now = bench.now.after(STALE_AFTER);
    let step = bench.scheduler.step(&Here, bench.now);
    assert_eq!(step.events, [Event::Closed { cluster: cluster(0), why: Closed::Unread }]);
    bench.run(1, as_it_is);
    assert_eq!(bench.lane(0).closed, None);
}

#[test]
fn what_is_usual_is_learnt_anew_where_writes_stay_slow() {
    let mut bench = Bench::new(1, Budget { at_once: 16, statements_per_second: 160.0 });
    many(&mut bench, 20_000);
    let usual = |ms| {
        move |_: usize, reading: Reading| Reading {
            write_p99: Some(Duration::from_millis(20)),
            usual_write_p99: Some(Duration::from_millis(ms)),
            ..reading
        }
    };
    // A minute at the smallest share, which is reached after some seconds.
    bench.run(590, usual(10));
    assert_eq!((bench.lane(0).closed, bench.lane(0).share), (None, SHARE_MIN));
    bench.run(50, usual(10));
    assert_eq!(bench.lane(0).closed, Some(Closed::Learning));
    let begun = bench.begun.len();
    bench.run(30, usual(10));
    assert_eq!(bench.begun.len(), begun, "nothing is begun meanwhile");
    // It was nothing but the day: the writes are slow without a migration too.
    bench.run(600, usual(20));
    assert_eq!((bench.lane(0).closed, bench.lane(0).share), (None, 1.0));
    // Closed by a cluster's health all the same.
    let sick = |_: usize, reading: Reading| Reading { state: State::Suspect, ..reading };
    bench.run(1, sick);
    assert_eq!(bench.lane(0).closed, Some(Closed::Sick(State::Suspect)));
}

#[test]
fn the_pace_grows_by_steps_and_is_halved() {
    let budget = Budget { at_once: 16, statements_per_second: 160.0 };
    let mut bench = Bench::new(1, budget);
    many(&mut bench, 20_000);
    bench.run(1, as_it_is);
    assert_eq!((bench.lane(0).share, bench.lane(0).at_once), (0.25 + GROW_BY, 4));
    bench.run(200, as_it_is);
    assert_eq!((bench.lane(0).share, bench.lane(0).at_once), (1.0, 16));
    let since = bench.now;
    bench.run(100, as_it_is);
    let full = statements(&bench, 0, since);
    assert!((1500..=1700).contains(&full), "{full} statements in 10 s at 160 a second");
    let slow = |_: usize, reading: Reading| Reading { write_p99: Some(Duration::from_millis(13)), ..reading };
    bench.run(1, slow);
    assert_eq!(bench.lane(0).share, 0.5, "at once");
    // Halved once a second, down to the smallest share; within two seconds it is a quarter.
    bench.run(12, slow);
    assert_eq!(bench.lane(0).share, 0.25);
    bench.run(100, slow);
    assert_eq!((bench.lane(0).share, bench.lane(0).at_once), (SHARE_MIN, 1));
    assert_eq!(bench.lane(0).worse, Some("writes take longer than usual"));
    let since = bench.now;
    bench.run(100, slow);
    let least = statements(&bench, 0, since);
    assert!((85..=115).contains(&least), "{least} statements in 10 s at 10 a second");
    // A difference that is noise is none.
    let noise = |_: usize, reading: Reading| Reading {
        write_p99: Some(Duration::from_micros(900)),
        usual_write_p99: Some(Duration::from_micros(500)),
        ..reading
    };
    bench.run(60, noise);
    assert!(bench.lane(0).share > SHARE_MIN);
    let behind = |_: usize, reading: Reading| Reading {
        lag: Some((Duration::from_secs(11), Duration::from_secs(10))),
        ..reading
    };
    bench.run(1, behind);
    assert_eq!(bench.lane(0).worse, Some("a replica is behind"));
}

#[test]
fn it_closes_at_suspect_and_resumes_gently() {
    let budget = Budget { at_once: 16, statements_per_second: 160.0 };
    let mut bench = Bench::new(2, budget);
    many(&mut bench, 20_000);
    bench.run(300, as_it_is);
    let since = bench.now;
    let sick = |at: usize, reading: Reading| {
        if at == 1 { Reading { state: State::Suspect, ..reading } } else { reading }
    };
    bench.run(50, sick);
    assert_eq!(bench.lane(1).closed, Some(Closed::Sick(State::Suspect)));
    assert_eq!(statements(&bench, 1, since), 0, "nothing from the first look on");
    assert!(statements(&bench, 0, since) > 700, "the other cluster does not notice");
    bench.run(49, as_it_is);
    assert_eq!(bench.lane(1).closed, Some(Closed::Resuming));
    // A second that is worse than usual begins the wait anew.
    bench.run(1, |_, reading| Reading { write_p99: Some(Duration::from_millis(30)), ..reading });
    bench.run(49, as_it_is);
    assert_eq!((bench.lane(1).closed, statements(&bench, 1, since)), (Some(Closed::Resuming), 0));
    bench.run(3, as_it_is);
    assert_eq!((bench.lane(1).closed, bench.lane(1).share), (None, SHARE_MIN));
    bench.run(100, as_it_is);
    let share = bench.lane(1).share;
    assert!((0.5..0.6).contains(&share), "ten seconds later: {share}");
    // Writes that are not answered close it before it is suspect; where that was all, it goes on at once.
    let (since, share) = (bench.now, bench.lane(1).share);
    let stalls = |at: usize, reading: Reading| Reading { is_stalling: at == 1, ..reading };
    bench.run(5, stalls);
    assert_eq!((bench.lane(1).closed, statements(&bench, 1, since)), (Some(Closed::Stalling), 0));
    bench.run(1, as_it_is);
    assert!(bench.lane(1).closed.is_none() && bench.lane(1).share >= share);
    // Drained while it was sick: it has to be well for as long afterwards.
    bench.run(5, sick);
    bench.run(5, |_, reading| Reading { is_drained: true, ..reading });
    bench.run(40, as_it_is);
    assert_eq!(bench.lane(1).closed, Some(Closed::Resuming));
}

#[test]
fn foreign_schema_changes_take_from_the_same_budget() {
    let budget = Budget { at_once: 4, statements_per_second: 100.0 };
    let mut bench = Bench::new(1, budget);
    many(&mut bench, 20_000);
    bench.run(300, as_it_is);
    // Three of the four places are taken by others.
    let three = |_: usize, reading: Reading| Reading { foreign: Foreign { running: 3, begun: 0 }, ..reading };
    bench.tick(&Here, three);
    assert_eq!((bench.lane(0).at_once, bench.lane(0).occupied, bench.lane(0).foreign), (1, 1, 3));
    let four = |_: usize, reading: Reading| Reading { foreign: Foreign { running: 4, begun: 0 }, ..reading };
    let since = bench.now;
    bench.run(50, four);
    assert_eq!(statements(&bench, 0, since), 0);
    bench.scheduler.ended(
        &MigrationId::new("0001"),
        bench.begun.last().unwrap().1.row,
        Outcome::Changed,
        bench.now,
    );
    // Sixty of the hundred statements of each second are others': forty are left.
    let six = |_: usize, reading: Reading| Reading { foreign: Foreign { running: 0, begun: 6 }, ..reading };
    bench.run(20, six);
    let since = bench.now;
    bench.run(100, six);
    let ours = statements(&bench, 0, since);
    assert!((350..=450).contains(&ours), "{ours} statements in 10 s");
    // A flood holds ours back, and for ten seconds at most after it is over.
    let flood =
        |_: usize, reading: Reading| Reading { foreign: Foreign { running: 0, begun: 900 }, ..reading };
    bench.run(100, flood);
    let since = bench.now;
    bench.run(95, as_it_is);
    assert_eq!(statements(&bench, 0, since), 0);
    bench.run(20, as_it_is);
    assert!(statements(&bench, 0, since) > 0);
}

/// Three clusters, two of them on one machine: where each changes one database at once the two take turns.
#[test]
fn clusters_of_one_machine_share_what_is_changed_at_once() {
    let budget = Budget { at_once: 1, statements_per_second: 1e6 };
    let mut bench = Bench::new(3, budget);
    for (cluster, host) in bench.clusters.iter().zip(["here", "here", "there"]) {
        bench.scheduler.set_host(cluster, host.into());
    }
    many(&mut bench, 3_000);
    let end = |bench: &mut Bench, work: &Work| {
        bench.scheduler.ended(&work.order.id, work.row, Outcome::Changed, bench.now);
    };
    let mut under_way: Vec<Work> = Vec::new();
    let mut begun = [0; 3];
    for tick in 0..300 {
        for act in bench.tick(&Here, as_it_is) {
            let Act::Change(work) = act else { panic!("{act:?}") };
            begun[bench.clusters.iter().position(|cluster| *cluster == work.cluster).unwrap()] += 1;
            under_way.push(work);
        }
        let on = |at: usize| under_way.iter().filter(|work| work.cluster == bench.clusters[at]).count();
        assert!(on(0) + on(1) <= 1 && on(2) <= 1, "tick {tick}: {} {} {}", on(0), on(1), on(2));
        // Each takes two ticks.
        if tick % 2 == 1 {
            under_way.drain(..).for_each(|work| end(&mut bench, &work));
        }
    }
    assert_eq!(begun, [75, 75, 150]);
    // One that takes long, and one of a cluster that is closed, hold up no neighbour.
    let of = |acts: Vec<Act>, bench: &Bench, at: usize| {
        let on = |act: Act| if let Act::Change(work) = act { Some(work) } else { None };
        acts.into_iter().filter_map(on).find(|work| work.cluster == bench.clusters[at])
    };
    let long = of(bench.tick(&Here, as_it_is), &bench, 0).expect("its turn");
    for _ in 0..19 {
        assert_eq!(of(bench.tick(&Here, as_it_is), &bench, 1), None);
    }
    let neighbour = of(bench.tick(&Here, as_it_is), &bench, 1).expect("two seconds are over");
    end(&mut bench, &neighbour);
    end(&mut bench, &long);
    let stalls = |at: usize, reading: Reading| Reading { is_stalling: at == 0, ..reading };
    let stuck = of(bench.tick(&Here, as_it_is), &bench, 0).expect("its turn");
    assert!(of(bench.tick(&Here, stalls), &bench, 1).is_some());
    end(&mut bench, &stuck);
}

/// One of two on a machine may use half of its budget: it comes to its turns all the same.
#[test]
fn a_cluster_with_a_smaller_share_gets_its_turns() {
    let mut bench = Bench::new(2, Budget { at_once: 4, statements_per_second: 1e6 });
    for cluster in &bench.clusters.clone() {
        bench.scheduler.set_host(cluster, "here".into());
    }
    many(&mut bench, 20_000);
    bench.run(200, as_it_is);
    let slow = |at: usize, reading: Reading| match at {
        1 => Reading { write_p99: Some(Duration::from_millis(13)), ..reading },
        _ => reading,
    };
    let (mut under_way, mut begun): (Vec<Work>, [u32; 2]) = (Vec::new(), [0; 2]);
    for _ in 0..50 {
        // The oldest ends.
        if under_way.len() == 4 {
            let work = under_way.remove(0);
            bench.scheduler.ended(&work.order.id, work.row, Outcome::Changed, bench.now);
        }
        for act in bench.tick(&Here, slow) {
            let Act::Change(work) = act else { panic!("{act:?}") };
            begun[usize::from(work.cluster == bench.clusters[1])] += 1;
            under_way.push(work);
        }
        assert!(under_way.len() <= 4);
    }
    assert!(begun[1] >= 10 && begun[0] >= 20, "{begun:?}");
}

#[test]
fn clusters_take_turns_under_the_common_bound() {
    let mut bench = Bench::new(5, WIDE);
    bench.scheduler = Scheduler::new("a", WIDE, Limits { at_once: 7 });
    // One cluster has ten times as many databases as the others.
    let mut rows: Vec<Row> = (0..5000).map(|at| row(at, 0, 0)).collect();
    rows.extend((5000..7000).map(|at| row(at, 1 + at % 4, 0)));
    bench.submit("0001", "issues", vec![wave("all", 1, SOAK)], rows);
    for _ in 0..400 {
        let acts = bench.tick(&Here, as_it_is);
        assert!(acts.len() <= 7, "{} at once", acts.len());
        for act in acts {
            let Act::Change(work) = act else { panic!("{act:?}") };
            bench.scheduler.ended(&work.order.id, work.row, Outcome::Changed, bench.now);
        }
    }
    let mut begun: BTreeMap<&ClusterName, usize> = BTreeMap::new();
    for (_, work) in &bench.begun {
        *begun.entry(&work.cluster).or_default() += 1;
    }
    let counts: Vec<usize> = begun.values().copied().collect();
    // 400 ticks of seven: every small cluster is done with its 500, the large one got no more by then.
    assert_eq!(counts.len(), 5);
    assert!(counts[1..].iter().all(|count| *count == 500), "{counts:?}");
    let at_done = bench.begun.iter().rposition(|(_, work)| work.cluster != bench.clusters[0]).unwrap();
    let large = bench.begun[..at_done].iter().filter(|(_, work)| work.cluster == bench.clusters[0]).count();
    assert!(large.abs_diff(500) <= 2, "{large} of the large one when the small ones were done");
}
