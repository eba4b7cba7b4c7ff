//! What waits behind another migration of its table is planned again when its turn comes.

use super::*;
use crate::migrations::fleet::fixture::{row, wave};
use crate::migrations::fleet::ledger::{Kind, Order, Phase, Record, Standing};

fn one_wave() -> Vec<Wave> {
    vec![wave("all", 4, Duration::ZERO)]
}

fn rows(count: usize) -> Vec<Row> {
    (0..count).map(|at| row(at, at % 2, 0)).collect()
}

/// One of four databases, and one behind it that has been planned before the first has changed anything.
fn two(bench: &mut Bench) -> (MigrationId, MigrationId) {
    let first = bench.submit("0001", "issues", one_wave(), rows(4));
    let order = order("0002", "issues", one_wave());
    assert!(bench.scheduler.is_behind(&order));
    assert!(!bench.scheduler.is_behind(&super::order("0003", "users", one_wave())));
    let turn = bench.scheduler.admit(&order, &rows(4)).unwrap();
    let header = Header { is_provisional: true, ..Header::new(order, 4, turn) };
    let second = header.order.id.clone();
    bench.scheduler.insert(header, rows(4), |_| false, bench.now);
    (first, second)
}

/// Ticks until it asks for a plan; the order that it asks about.
fn asked(bench: &mut Bench, ticks: usize) -> Option<std::sync::Arc<Order>> {
    for _ in 0..ticks {
        for act in bench.tick(&Here, as_it_is) {
            match act {
                Act::Plan(order) => return Some(order),
                Act::Change(work) => {
                    bench.scheduler.ended(&work.order.id, work.row, Outcome::Changed, bench.now);
                }
                Act::Look(_) | Act::Stop(_) => {}
            }
        }
    }
    None
}

fn afresh(order: &Order, rows: Vec<Row>, settled: Vec<Row>) -> Afresh {
    Afresh {
        order: Order { statements: 7, waves: vec![wave("all", 2, Duration::ZERO)], ..order.clone() },
        rows,
        settled,
    }
}

#[test]
fn nothing_is_begun_before_it_is_planned_again() {
    let mut bench = Bench::new(2, WIDE);
    let (first, second) = two(&mut bench);
    bench.tick(&Here, as_it_is);
    assert!(matches!(bench.status(&second).stage, Stage::Queued { behind } if behind == first));
    bench.command(&second, Command::Skip { database: "ws_1".to_owned() }).unwrap();
    let order = asked(&mut bench, 100).expect("its turn comes");
    assert_eq!((order.id.clone(), bench.status(&first).phase), (second.clone(), Phase::Finished));
    // Asked once, however long it takes.
    assert!(asked(&mut bench, 100).is_none());
    assert_eq!(bench.status(&second).stage, Stage::Planning { trouble: None });
    assert!(bench.begun.iter().all(|(_, work)| work.order.id == first));
    // ws_3 is done already, ws_2 is no more; ws_9 is new, and ws_1 stays left out.
    let there = Row { record: Record { standing: Standing::There, ..Record::WAITING }, ..row(3, 1, 0) };
    let todo = vec![row(9, 1, 0), row(1, 1, 0), row(0, 0, 0)];
    let planned = bench.scheduler.planned(&second, afresh(&order, todo, vec![there]), bench.now);
    let (header, rows) = planned.expect("it waits for it");
    assert_eq!((header.is_provisional, header.edition, header.databases), (false, 1, 5));
    assert_eq!((header.order.statements, header.order.waves[0].databases), (7, 4));
    let standings: Vec<_> =
        rows.iter().map(|row| (row.database.to_string(), row.record.standing.kind().word())).collect();
    let expected =
        [("ws_9", "waiting"), ("ws_1", "skipped"), ("ws_0", "waiting"), ("ws_2", "gone"), ("ws_3", "there")];
    assert_eq!(standings, expected.map(|(name, word)| (name.to_owned(), word)));
    bench.scheduler.insert(header, rows, |_| false, bench.now);
    bench.run(50, as_it_is);
    let begun: Vec<&str> = bench
        .begun
        .iter()
        .filter(|(_, work)| work.order.id == second)
        .map(|(_, work)| &*work.database)
        .collect();
    assert_eq!(begun.len(), 2, "{begun:?}");
    let status = bench.status(&second);
    assert_eq!((status.phase.clone(), status.counts().of(Kind::Changed)), (Phase::Finished, 2));
}

#[test]
fn a_plan_that_could_not_be_made_is_made_later() {
    let mut bench = Bench::new(2, WIDE);
    let (_, second) = two(&mut bench);
    asked(&mut bench, 100).expect("its turn comes");
    let events = bench.scheduler.unplanned(&second, Unplanned::Later("c1: refused".into()), bench.now);
    assert!(events.is_empty());
    let Stage::Planning { trouble: Some(why) } = bench.status(&second).stage else { panic!("not told") };
    assert_eq!(why, "c1: refused");
    let before = bench.now;
    asked(&mut bench, 1000).expect("it is asked for again");
    assert!(bench.now.since(before) >= PLAN_AGAIN);
}

#[test]
fn what_is_refused_when_its_turn_comes_ends_with_nothing_begun() {
    let mut bench = Bench::new(2, WIDE);
    let (_, second) = two(&mut bench);
    asked(&mut bench, 100).expect("its turn comes");
    let events = bench.scheduler.unplanned(&second, Unplanned::Refused("no column b".into()), bench.now);
    assert_eq!(events, [Event::Ended { id: second.clone() }]);
    assert_eq!(bench.status(&second).phase, Phase::Refused { why: "no column b".into() });
    bench.run(100, as_it_is);
    assert!(bench.begun.iter().all(|(_, work)| work.order.id != second));
    let refused = [Command::Resume, Command::Pause, Command::Cancel, Command::SetPace(None)];
    for command in refused {
        assert!(matches!(bench.command(&second, command), Err(Refusal::NotNow { .. })));
    }
    assert!(matches!(bench.command(&second, Command::RetryFailed), Err(Refusal::NothingFailed(_))));
    // Nobody waits behind it.
    let third = bench.submit("0003", "issues", one_wave(), rows(4));
    bench.run(50, as_it_is);
    assert_eq!(bench.status(&third).phase, Phase::Finished);
}

#[test]
fn a_plan_of_one_that_was_cancelled_meanwhile_is_not_taken() {
    let mut bench = Bench::new(2, WIDE);
    let (_, second) = two(&mut bench);
    let order = asked(&mut bench, 100).expect("its turn comes");
    bench.command(&second, Command::Cancel).unwrap();
    assert!(bench.scheduler.planned(&second, afresh(&order, rows(4), Vec::new()), bench.now).is_none());
    assert!(bench.scheduler.unplanned(&second, Unplanned::Refused("x".into()), bench.now).is_empty());
    bench.run(10, as_it_is);
    let status = bench.status(&second);
    assert!(matches!(status.phase, Phase::Cancelled { .. }) && status.counts().of(Kind::Waiting) == 4);
    assert!(bench.scheduler.header(&second).unwrap().progress.ended.is_some());
}

#[test]
fn one_that_is_paused_when_its_turn_comes_is_planned_when_it_goes_on() {
    let mut bench = Bench::new(2, WIDE);
    let (_, second) = two(&mut bench);
    bench.command(&second, Command::Pause).unwrap();
    assert!(asked(&mut bench, 200).is_none());
    bench.command(&second, Command::Resume).unwrap();
    let order = asked(&mut bench, 2).expect("it is asked for");
    // Nothing is left to do: it is over.
    let (header, rows) = bench
        .scheduler
        .planned(
            &second,
            Afresh {
                settled: Vec::new(),
                rows: Vec::new(),
                order: Order { waves: Vec::new(), ..Order::clone(&order) },
            },
            bench.now,
        )
        .unwrap();
    assert_eq!(header.order.waves.len(), 1);
    bench.scheduler.insert(header, rows, |_| false, bench.now);
    bench.run(5, as_it_is);
    let status = bench.status(&second);
    assert_eq!((status.phase.clone(), status.counts().of(Kind::Gone)), (Phase::Finished, 4));
}
