use std::time::{Duration, Instant};

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn write(digest: u64, owner: u64) -> Statement {
    Statement { class: Class::Write, digest, owner }
}

/// A meter that knows digest 7 at 1 to 2 ms.
fn taught(start: Instant) -> Arc<Meter> {
    let meter = Arc::new(Meter::new(start));
    for n in 0..1000 {
        let flight = meter.begin(write(7, n), start);
        flight.end(Ended::Well, start + Duration::from_micros(1000 + n));
    }
    meter.learn();
    let _ = meter.take(Class::Write, start);
    meter
}

#[test]
fn a_cluster_has_one_meter() {
    let meters = Meters::new(Instant::now());
    let (c1, c2) = (ClusterName::new("c1"), ClusterName::new("c2"));
    let meter = meters.of(&c1);
    assert!(Arc::ptr_eq(&meter, &meters.of(&c1)) && !Arc::ptr_eq(&meter, &meters.of(&c2)));
    meters.retain(|cluster| *cluster == c2);
    assert!(!Arc::ptr_eq(&meter, &meters.of(&c1)));
}

#[test]
fn a_session_that_keeps_a_meter_follows_a_cluster_that_comes_back() {
    let meters = Meters::new(Instant::now());
    let (c1, c2) = (ClusterName::new("c1"), ClusterName::new("c2"));
    let mut near = NearMeter::default();
    let first = Arc::clone(near.of(&meters, &c1));
    assert!(Arc::ptr_eq(near.of(&meters, &c1), &first));
    assert!(Arc::ptr_eq(near.of(&meters, &c2), &meters.of(&c2)));
    assert!(Arc::ptr_eq(near.of(&meters, &c1), &first));
    meters.retain(|cluster| *cluster == c2);
    let second = Arc::clone(near.of(&meters, &c1));
    assert!(!Arc::ptr_eq(&second, &first) && Arc::ptr_eq(&second, &meters.of(&c1)));
}

#[test]
fn statements_without_a_usual_time_are_not_judged() {
    let start = Instant::now();
    let meter = Arc::new(Meter::new(start));
    assert_eq!(meter.begin(write(7, 1), start).end(Ended::Well, start + ms(5000)), None);
    let sample = meter.take(Class::Write, start);
    assert_eq!((sample.unjudged, sample.answered(), sample.in_flight), (1, 1, 0));
    assert_eq!(meter.take(Class::Write, start), Sample::EMPTY);
}

#[test]
fn slow_is_slower_than_a_fingerprints_own_high_mark() {
    let start = Instant::now();
    let meter = taught(start);
    let times = meter.begin(write(7, 3), start).end(Ended::Well, start + Duration::from_micros(1500));
    assert!((0.9..1.1).contains(&times.expect("known")), "{times:?}");
    meter.begin(write(7, 3), start).end(Ended::Error(1062), start + ms(3));
    meter.begin(write(7, 3), start).end(Ended::Error(1290), start + ms(3));
    meter.begin(write(7, 3), start).end(Ended::Lost, start + ms(3));
    meter.count_unreachable(Class::Write);
    let sample = meter.take(Class::Write, start + ms(3));
    let counts = sample.owners[write(7, 3).bucket()];
    assert_eq!((counts.answered, counts.slow, sample.failed), (2, 1, 3));
}

#[test]
fn age_in_flight_is_seen_before_the_end() {
    let start = Instant::now();
    let meter = taught(start);
    let old = meter.begin(write(7, 3), start);
    let unknown = meter.begin(write(8, 4), start);
    let sample = meter.take(Class::Write, start + ms(499));
    assert_eq!((sample.in_flight, sample.overdue(), sample.oldest), (2, (0, 0), ms(499)));
    let sample = meter.take(Class::Write, start + ms(600));
    assert_eq!(sample.overdue(), (1, 0));
    assert!(sample.worst > 1.19 && sample.worst < 1.21);
    old.abandon(start + ms(600));
    drop(unknown);
    let sample = meter.take(Class::Write, start + ms(600));
    assert_eq!((sample.in_flight, sample.overdue()), (0, (0, 0)));
    assert_eq!(sample.owners.iter().map(|counts| counts.slow).sum::<u32>(), 1);
}

#[test]
fn more_flights_than_places_are_counted_and_all_places_come_back() {
    let start = Instant::now();
    let meter = Arc::new(Meter::new(start));
    for _ in 0..3 {
        let flights: Vec<_> = (0..3000).map(|n| meter.begin(write(7, n), start)).collect();
        assert_eq!(meter.take(Class::Write, start).in_flight, 3000);
        assert!(flights.iter().filter(|flight| flight.place.is_some()).count() > 1000);
        drop(flights);
    }
    assert_eq!(meter.take(Class::Write, start), Sample::EMPTY);
}

#[test]
fn counts_of_many_threads_add_up() {
    let start = Instant::now();
    let meter = taught(start);
    std::thread::scope(|scope| {
        for owner in 0..4 {
            let meter = &meter;
            scope.spawn(move || {
                for _ in 0..2000 {
                    meter.begin(write(7, owner), start).end(Ended::Well, start + ms(1));
                }
            });
        }
    });
    let sample = meter.take(Class::Write, start);
    assert_eq!((sample.answered(), sample.in_flight), (8000, 0));
}

#[test]
fn a_usual_time_doubles_in_an_hour_at_most() {
    let baseline = Baseline::with_slots(8);
    let teach = |us: u64| (0..2000).for_each(|_| baseline.record(7, Duration::from_micros(us)));
    teach(1000);
    baseline.learn();
    let before = baseline.usual(7).high_us;
    // Four minutes of a hundredfold: the outage that creeps up.
    for _ in 0..24 {
        teach(100_000);
        baseline.learn();
    }
    let after = baseline.usual(7).high_us;
    assert!(after < before * 107 / 100, "{before} to {after}");
    for _ in 0..336 {
        teach(100_000);
        baseline.learn();
    }
    let hour = f64::from(baseline.usual(7).high_us) / f64::from(before);
    assert!((1.9..2.4).contains(&hour), "{hour}");
}

#[test]
fn a_frozen_baseline_learns_nothing() {
    let baseline = Baseline::with_slots(8);
    (0..100).for_each(|_| baseline.record(7, ms(1)));
    baseline.learn();
    let before = baseline.usual(7);
    baseline.freeze(true);
    (0..10_000).for_each(|_| baseline.record(7, ms(100)));
    baseline.learn();
    assert_eq!(baseline.usual(7), before);
}

#[test]
fn quantiles_are_read_off_within_their_bucket() {
    let baseline = Baseline::with_slots(8);
    (1..=10_000).for_each(|us| baseline.record(7, Duration::from_micros(us)));
    baseline.learn();
    let usual = baseline.usual(7);
    assert!(usual.median_us.abs_diff(5000) < 300, "{usual:?}");
    // 9,770 lies in the bucket from 8,192 to 12,288.
    assert!((8192..=12_288).contains(&usual.high_us), "{usual:?}");
}

#[test]
fn a_full_table_keeps_what_is_used_and_takes_over_what_is_not() {
    let baseline = Baseline::with_slots(4);
    let teach = |digests: std::ops::RangeInclusive<u64>| {
        digests.for_each(|digest| (0..60).for_each(|_| baseline.record(digest, ms(1))));
        baseline.learn();
    };
    let known = || (1..=5).filter(|digest| baseline.usual(*digest).is_known()).collect::<Vec<_>>();
    teach(1..=5);
    assert_eq!(known(), [1, 2, 3, 4], "no room for a fifth");
    (0..400).for_each(|_| teach(1..=3));
    assert_eq!(known(), [1, 2, 3, 4], "what nobody else needs is kept");
    teach(5..=5);
    assert_eq!(known(), [1, 2, 3, 5]);
}
