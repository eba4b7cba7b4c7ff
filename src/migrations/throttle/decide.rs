//! From readings to a verdict.

use std::time::{Duration, Instant};

use crate::config::ThrottleBounds;
use crate::health::State;
use crate::ids::ServerId;

/// A reading that is older says nothing any more.
const FRESH: Duration = Duration::from_secs(5);
/// Copies wait altogether when writes surely take so many times as long as without one, chance aside; up to
/// that their share gives way. By the percentile of a single look, which is half chance, a copy would wait
/// at every other one, or would have to be let on at several times this.
const SLOWER_MAX: f64 = 2.0;
/// Less than this is left to the share.
const UNNOTICED: Duration = Duration::from_millis(20);
/// Fewer writes have no 99th percentile.
const WRITES_MIN: u64 = 50;

/// The part of the time that a copy may work while clients write: at first, at most, and at least.
pub(super) const SHARE_FIRST: f64 = 0.35;
pub(super) const SHARE_MAX: f64 = 0.65;
const SHARE_MIN: f64 = 0.25;
/// Writes that take so much longer than without a copy make it smaller, well before copies wait altogether;
/// less than this is chance.
const SHARE_AIM: f64 = 1.2;
const SHARE_CHANCE: Duration = Duration::from_micros(200);
/// What is left of it then; and what comes back with each reading that is well.
const SHARE_CUT: f64 = 0.6;
const SHARE_STEP: f64 = 0.03;

/// Something that was read, and when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading<T> {
    /// When.
    pub(super) at: Instant,
    /// What; or why it could not be read.
    pub(super) value: Result<T, String>,
}

impl<T> Reading<T> {
    /// Read now.
    pub(super) fn new(at: Instant, value: Result<T, String>) -> Self {
        Self { at, value }
    }
}

/// What is known of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Readings {
    /// State by the detector, and whether the ladder lets schema changes through.
    pub(super) state: Option<Reading<(State, bool)>>,
    /// The primary's Threads_running.
    pub(super) threads_running: Option<Reading<u32>>,
    /// How far each replica is behind.
    pub(super) replicas: Vec<(ServerId, Reading<Duration>)>,
    /// The number that the site's own query gave.
    pub(super) query: Option<Reading<f64>>,
    /// The writes of the last second or more: how many, and what the slowest hundredth took.
    pub(super) writes: Option<(u64, Duration)>,
    /// What the slowest hundredth of them takes at the least, of late: chance aside.
    pub(super) writes_at_least: Option<Duration>,
    /// What the slowest hundredth usually takes when nothing is copied.
    pub(super) usual: Option<Duration>,
}

/// Why a copy waits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closed {
    /// In words.
    pub(super) why: String,
}

/// Whether copies may go on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// They may.
    Open,
    /// They wait.
    Closed(Closed),
}

/// Decides. Any one reason closes; the first in this order is told.
pub(super) fn decide(readings: &Readings, bounds: &ThrottleBounds, now: Instant) -> Verdict {
    let reasons = [
        state(readings, now),
        threads(readings, bounds, now),
        replicas(readings, bounds, now),
        query(readings, bounds, now),
        writes(readings, bounds),
    ];
    match reasons.into_iter().flatten().next() {
        Some(why) => Verdict::Closed(Closed { why }),
        None => Verdict::Open,
    }
}

/// The value, if it is fresh; else why the copy waits.
fn fresh<'r, T>(reading: Option<&'r Reading<T>>, what: &str, now: Instant) -> Result<&'r T, String> {
    let Some(reading) = reading else { return Err(format!("{what} is not known yet")) };
    let age = now.saturating_duration_since(reading.at);
    match &reading.value {
        _ if age > FRESH => Err(format!("{what} has not been read for {} s", age.as_secs())),
        Ok(value) => Ok(value),
        Err(why) => Err(format!("{what} cannot be read: {why}")),
    }
}

fn state(readings: &Readings, now: Instant) -> Option<String> {
    match fresh(readings.state.as_ref(), "the cluster's state", now) {
        Err(why) => Some(why),
        Ok((_, false)) => Some("schema changes are held back on the cluster".to_owned()),
        // What a suspect cluster is spared is the ladder's decision, by way of its lane for schema changes.
        Ok((State::Healthy | State::Suspect, true)) => None,
        Ok((state, true)) => Some(format!("the cluster is {}", state.name())),
    }
}

fn threads(readings: &Readings, bounds: &ThrottleBounds, now: Instant) -> Option<String> {
    match fresh(readings.threads_running.as_ref(), "Threads_running", now) {
        Err(why) => Some(why),
        Ok(running) if *running > bounds.threads_running => {
            Some(format!("Threads_running is {running}, above {}", bounds.threads_running))
        }
        Ok(_) => None,
    }
}

fn replicas(readings: &Readings, bounds: &ThrottleBounds, now: Instant) -> Option<String> {
    let bound = bounds.replica_lag?;
    readings.replicas.iter().find_map(|(server, reading)| {
        match fresh(Some(reading), &format!("the lag of {server}"), now) {
            Err(why) => Some(why),
            Ok(behind) if *behind > bound => {
                Some(format!("{server} is {} s behind, above {} s", behind.as_secs(), bound.as_secs()))
            }
            Ok(_) => None,
        }
    })
}

fn query(readings: &Readings, bounds: &ThrottleBounds, now: Instant) -> Option<String> {
    bounds.query.as_ref()?;
    match fresh(readings.query.as_ref(), "throttle_query", now) {
        Err(why) => Some(why),
        Ok(number) if *number > 0.0 => Some(format!("throttle_query gives {number}")),
        Ok(_) => None,
    }
}

/// The part of the time that copies may work from now on: it falls quickly while writes are slower than
/// without a copy, and comes back slowly. `share` is what it was; `copied`: there was a copy since the last
/// reading, so that what was read says something of it.
pub(super) fn next_share(share: f64, readings: &Readings, copied: bool) -> f64 {
    let (Some((count, p99)), Some(usual)) = (readings.writes, readings.usual) else { return share };
    if !copied || count < WRITES_MIN {
        return share;
    }
    let bound = usual.mul_f64(SHARE_AIM).max(usual + SHARE_CHANCE);
    let next = if p99 > bound { share * SHARE_CUT } else { share + SHARE_STEP };
    next.clamp(SHARE_MIN, SHARE_MAX)
}

fn writes(readings: &Readings, bounds: &ThrottleBounds) -> Option<String> {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    if let (Some(bound), Some((count, p99))) = (bounds.write_p99, readings.writes)
        && count > 0
        && p99 > bound
    {
        return Some(format!("p99 of writes is {:.1} ms, above {:.1} ms", ms(p99), ms(bound)));
    }
    let (at_least, usual) = readings.writes_at_least.zip(readings.usual)?;
    let bound = usual.mul_f64(SLOWER_MAX).max(usual + UNNOTICED);
    (at_least > bound).then(|| {
        format!(
            "p99 of writes is {:.1} ms at least, above {:.1} ms: without a copy it is {:.1} ms",
            ms(at_least),
            ms(bound),
            ms(usual)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> ThrottleBounds {
        ThrottleBounds {
            threads_running: 64,
            replica_lag: Some(Duration::from_secs(10)),
            write_p99: None,
            query: None,
        }
    }

    fn well(now: Instant) -> Readings {
        Readings {
            state: Some(Reading::new(now, Ok((State::Healthy, true)))),
            threads_running: Some(Reading::new(now, Ok(3))),
            ..Readings::default()
        }
    }

    fn why(readings: &Readings, bounds: &ThrottleBounds, now: Instant) -> String {
        match decide(readings, bounds, now) {
            Verdict::Open => "open".to_owned(),
            Verdict::Closed(closed) => closed.why,
        }
    }

    #[test]
    fn what_is_not_known_or_old_closes() {
        let now = Instant::now();
        assert!(why(&Readings::default(), &bounds(), now).contains("not known yet"));
        assert_eq!(decide(&well(now), &bounds(), now), Verdict::Open);
        let later = now + Duration::from_secs(6);
        assert_eq!(why(&well(now), &bounds(), later), "the cluster's state has not been read for 6 s");
        let server = ServerId::parse("h:1").unwrap();
        let lost = Reading::new(now, Err("gone".to_owned()));
        let readings = Readings { replicas: vec![(server, lost)], ..well(now) };
        assert_eq!(why(&readings, &bounds(), now), "the lag of h:1 cannot be read: gone");
        let unasked = ThrottleBounds { replica_lag: None, ..bounds() };
        assert_eq!(decide(&readings, &unasked, now), Verdict::Open, "replicas are not asked");
        let queried = ThrottleBounds { query: Some("SELECT 0".into()), ..bounds() };
        assert_eq!(why(&well(now), &queried, now), "throttle_query is not known yet");
    }

    #[test]
    fn each_bound_closes() {
        let now = Instant::now();
        let base = well(now);
        let sick = Readings { state: Some(Reading::new(now, Ok((State::Degraded, true)))), ..base.clone() };
        assert_eq!(why(&sick, &bounds(), now), "the cluster is degraded");
        let lane = Readings { state: Some(Reading::new(now, Ok((State::Healthy, false)))), ..base.clone() };
        assert_eq!(why(&lane, &bounds(), now), "schema changes are held back on the cluster");
        let busy = Readings { threads_running: Some(Reading::new(now, Ok(65))), ..base.clone() };
        assert_eq!(why(&busy, &bounds(), now), "Threads_running is 65, above 64");
        let queried = ThrottleBounds { query: Some("SELECT 1".into()), ..bounds() };
        let asked = Readings { query: Some(Reading::new(now, Ok(1.0))), ..base.clone() };
        assert_eq!(why(&asked, &queried, now), "throttle_query gives 1");
        let slow = Readings { writes: Some((3, Duration::from_millis(80))), ..base };
        let bounded = ThrottleBounds { write_p99: Some(Duration::from_millis(50)), ..bounds() };
        assert_eq!(why(&slow, &bounded, now), "p99 of writes is 80.0 ms, above 50.0 ms");
    }

    #[test]
    fn writes_are_compared_with_what_they_take_without_a_copy() {
        let now = Instant::now();
        let with = |at_least_ms: Option<u64>, usual_ms: Option<u64>| Readings {
            writes_at_least: at_least_ms.map(Duration::from_millis),
            usual: usual_ms.map(Duration::from_millis),
            ..well(now)
        };
        assert_eq!(decide(&with(Some(79), Some(40)), &bounds(), now), Verdict::Open);
        assert!(
            why(&with(Some(81), Some(40)), &bounds(), now).contains("without a copy it is 40.0 ms"),
            "twice as long"
        );
        assert_eq!(decide(&with(Some(20), Some(1)), &bounds(), now), Verdict::Open, "left to the share");
        assert!(why(&with(Some(22), Some(1)), &bounds(), now).contains("above 21.0 ms"));
        assert_eq!(decide(&with(Some(500), None), &bounds(), now), Verdict::Open, "nothing to compare with");
        // The percentile of one look says nothing by itself.
        let look = Readings { writes: Some((60, Duration::from_millis(500))), ..with(Some(12), Some(10)) };
        assert_eq!(decide(&look, &bounds(), now), Verdict::Open, "it may be chance");
    }

    #[test]
    fn a_copy_gives_way_quickly_and_comes_back_slowly() {
        let now = Instant::now();
        let with = |count, p99_ms| Readings {
            writes: Some((count, Duration::from_millis(p99_ms))),
            usual: Some(Duration::from_millis(10)),
            ..well(now)
        };
        let mut share = SHARE_MAX;
        let mut looks = 0;
        while share > SHARE_MIN {
            share = next_share(share, &with(300, 20), true);
            looks += 1;
        }
        assert!(looks <= 6, "{looks}");
        assert_eq!(next_share(share, &with(300, 20), true), SHARE_MIN, "it goes on, if slowly");
        let back = next_share(share, &with(300, 10), true);
        assert!(back > share && back < SHARE_MIN * 2.0, "{back}");
        assert_eq!(next_share(SHARE_MAX, &with(300, 10), true), SHARE_MAX);
        // What says nothing of the copy changes nothing.
        assert_eq!(next_share(0.3, &with(300, 99), false), 0.3);
        assert_eq!(next_share(0.3, &with(20, 99), true), 0.3);
        assert_eq!(next_share(0.3, &Readings { usual: None, ..with(300, 99) }, true), 0.3);
    }
}
