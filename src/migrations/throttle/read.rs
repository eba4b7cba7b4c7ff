//! Reading a cluster's signals, while something is copied there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::decide::{Reading, Readings, SHARE_FIRST, SHARE_MAX, Verdict, decide, next_share};
use crate::backend::direct::Direct;
use crate::config::{Cluster, ThrottleBounds};
use crate::health::{Class, HistogramReport, Meters, State};
use crate::ids::{ClusterName, ServerId};
use crate::migrations::run::Clusters;

/// Between two readings.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Between the first two: whether clients write is to be known when the first row is copied.
const READ_FIRST: Duration = Duration::from_millis(150);
/// Between two looks at what writes take on clusters where nothing is copied.
const LEARN_EVERY: Duration = Duration::from_secs(1);
/// A server that has not answered by then is not known.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);
/// A look at writes that saw fewer is added to the next one, up to so many looks.
const WRITES_MIN: u64 = 50;
const LOOKS_MAX: u32 = 5;
/// A reading of a server that is older is not known any more.
const KNOWN_FOR: Duration = Duration::from_secs(5);
/// How much of what is usual a new look without a copy replaces.
const LEARNS: f64 = 0.2;
/// More writes in a second than this are traffic that a copy should leave room for.
const BUSY_WRITES: f64 = 5.0;

/// What the detector and the ladder say of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterNews {
    /// When it was said.
    pub at: Instant,
    /// Its state.
    pub state: State,
    /// Schema changes are let through.
    pub is_lane_open: bool,
    /// It is drained, or being drained.
    pub is_drained: bool,
}

/// Knows how clusters are.
pub trait ClusterSignals: Send + Sync {
    /// The last that was said of a cluster; `None` before anything was.
    fn news(&self, cluster: &ClusterName) -> Option<ClusterNews>;
}

/// The throttles of all clusters; one exists while something is copied there.
pub(in crate::migrations) struct Throttles {
    clusters: Arc<Clusters>,
    signals: Arc<dyn ClusterSignals>,
    meters: Arc<Meters>,
    by_cluster: Mutex<HashMap<ClusterName, Weak<Throttle>>>,
    /// What writes take while nothing is copied. Written by [`keep_learning`].
    learnt: Mutex<HashMap<ClusterName, Writes>>,
}

/// One cluster's throttle.
pub(in crate::migrations) struct Throttle {
    verdict: watch::Sender<Verdict>,
    look: Mutex<Look>,
}

/// What was read of a cluster last, for whoever paces more than single copies. What is not known is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::migrations) struct LastRead {
    /// What the slowest hundredth of the writes took.
    pub(in crate::migrations) write_p99: Option<Duration>,
    /// The same while nothing is changed.
    pub(in crate::migrations) usual_write_p99: Option<Duration>,
    /// Threads_running, and how many there may be.
    pub(in crate::migrations) threads: Option<(u32, u32)>,
    /// How far the furthest replica is behind, and how far it may be.
    pub(in crate::migrations) lag: Option<(Duration, Duration)>,
}

impl LastRead {
    fn of(readings: &Readings, bounds: &ThrottleBounds) -> Self {
        let known = |reading: &Option<Reading<u32>>| {
            reading.as_ref().filter(|reading| reading.at.elapsed() < KNOWN_FOR)?.value.as_ref().ok().copied()
        };
        let lags = readings.replicas.iter().filter(|(_, reading)| reading.at.elapsed() < KNOWN_FOR);
        let lag = lags.filter_map(|(_, reading)| reading.value.as_ref().ok().copied()).max();
        Self {
            write_p99: readings.writes.map(|(_, p99)| p99),
            usual_write_p99: readings.usual,
            threads: known(&readings.threads_running).map(|threads| (threads, bounds.threads_running)),
            lag: lag.zip(bounds.replica_lag),
        }
    }
}

/// What a throttle knows between two readings.
struct Look {
    /// A chunk was copied since the last reading.
    copied: bool,
    /// Writes per second; absent while it is not known.
    rate: Option<f64>,
    /// The part of the time that copies may work while clients write.
    share: f64,
    last: LastRead,
}

impl Look {
    fn new(rate: Option<f64>) -> Self {
        Self { copied: false, rate, share: SHARE_FIRST, last: LastRead::default() }
    }
}

impl Throttles {
    pub(in crate::migrations) fn new(
        clusters: Arc<Clusters>,
        signals: Arc<dyn ClusterSignals>,
        meters: Arc<Meters>,
    ) -> Self {
        Self { clusters, signals, meters, by_cluster: Mutex::default(), learnt: Mutex::default() }
    }

    /// A cluster's throttle; its signals are read as long as somebody has it.
    pub(in crate::migrations) fn of(self: &Arc<Self>, cluster: &ClusterName) -> Arc<Throttle> {
        let learnt = self.learnt().get(cluster).map(Writes::learnt).unwrap_or_default();
        let mut all = self.throttles();
        if let Some(throttle) = all.get(cluster).and_then(Weak::upgrade) {
            return throttle;
        }
        let now = Instant::now();
        let unknown = decide(&Readings::default(), &self.clusters.settings().throttle, now);
        let look = Mutex::new(Look::new(learnt.rate));
        let throttle = Arc::new(Throttle { verdict: watch::Sender::new(unknown), look });
        all.retain(|_, throttle| throttle.strong_count() > 0);
        all.insert(cluster.clone(), Arc::downgrade(&throttle));
        let kept = Kept { writes: learnt, ..Kept::default() };
        tokio::spawn(keep_reading(self.clone(), cluster.clone(), (Arc::downgrade(&throttle), kept)));
        throttle
    }

    /// Looks at what writes take, on clusters where nothing is copied.
    fn learn(&self, now: Instant) {
        let names = self.clusters.names();
        let copying: HashSet<ClusterName> = {
            let all = self.throttles();
            all.iter().filter(|(_, one)| one.strong_count() > 0).map(|(name, _)| name.clone()).collect()
        };
        let mut learnt = self.learnt();
        learnt.retain(|name, _| names.contains(name));
        for name in names {
            let latency = self.meters.of(&name).latency(Class::Write);
            let is_copying = copying.contains(&name);
            learnt.entry(name).or_default().learn(latency, is_copying, now);
        }
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn throttles(&self) -> MutexGuard<'_, HashMap<ClusterName, Weak<Throttle>>> {
        self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never taken with the other one's held.
    fn learnt(&self) -> MutexGuard<'_, HashMap<ClusterName, Writes>> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Learns until dropped what writes take while nothing is copied, so that it is known when a copy begins: in
/// the middle of one it cannot be learnt.
pub(in crate::migrations) async fn keep_learning(throttles: Arc<Throttles>) {
    let mut every = interval(LEARN_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        throttles.learn(Instant::now());
    }
}

impl Throttles {
    /// Says whether clients are known to write on a cluster.
    pub(in crate::migrations) fn is_busy(&self, cluster: &ClusterName) -> bool {
        let rate = self.learnt().get(cluster).and_then(|writes| writes.rate);
        rate.is_some_and(|rate| rate > BUSY_WRITES)
    }

    /// Says whether the ladder or an operator holds schema changes back on a cluster.
    pub(in crate::migrations) fn is_lane_closed(&self, cluster: &ClusterName) -> bool {
        self.signals.news(cluster).is_some_and(|news| !news.is_lane_open)
    }
}

impl Throttle {
    /// Why copies wait; `None` while they may go on.
    pub(in crate::migrations) fn closed(&self) -> Option<String> {
        match &*self.verdict.borrow() {
            Verdict::Open => None,
            Verdict::Closed(closed) => Some(closed.why.clone()),
        }
    }

    /// Returns with the next verdict.
    ///
    /// Cancel safety: safe.
    pub(in crate::migrations) async fn changed(&self) {
        // The sender is this one's own, so it is there.
        let _ = self.verdict.subscribe().changed().await;
    }

    /// A chunk was copied.
    pub(in crate::migrations) fn note_chunk(&self) {
        self.look().copied = true;
    }

    /// What was read last.
    pub(in crate::migrations) fn last_read(&self) -> LastRead {
        self.look().last
    }

    /// Clients write on the cluster, or may: it is not known yet.
    pub(in crate::migrations) fn is_busy(&self) -> bool {
        self.look().rate.is_none_or(|rate| rate > BUSY_WRITES)
    }

    /// The part of the time that copies may work while clients write, above 0 and below 1.
    pub(in crate::migrations) fn share(&self) -> f64 {
        self.look().share
    }

    /// How much of what it may be at most the share is.
    pub(in crate::migrations) fn ease(&self) -> f64 {
        self.share() / SHARE_MAX
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes on from one reading to the next.
#[derive(Default)]
struct Kept {
    primary: Option<Direct>,
    replicas: HashMap<ServerId, Direct>,
    writes: Writes,
    readings: Readings,
}

async fn keep_reading(
    throttles: Arc<Throttles>,
    cluster: ClusterName,
    (throttle, mut kept): (Weak<Throttle>, Kept),
) {
    let mut pause = READ_FIRST;
    loop {
        {
            let Some(throttle) = throttle.upgrade() else { return };
            throttles.take_reading(&cluster, &throttle, &mut kept).await;
        }
        tokio::time::sleep(std::mem::replace(&mut pause, READ_EVERY)).await;
    }
}

impl Throttles {
    async fn take_reading(&self, cluster: &ClusterName, throttle: &Throttle, kept: &mut Kept) {
        let copied = std::mem::take(&mut throttle.look().copied);
        let beside = self.read(cluster, kept, copied).await;
        let bounds = self.clusters.settings().throttle;
        {
            let mut look = throttle.look();
            look.rate = kept.writes.rate;
            look.last = LastRead::of(&kept.readings, &bounds);
            if let Some(beside) = beside {
                look.share = next_share(look.share, &kept.readings, beside);
            }
        }
        let verdict = decide(&kept.readings, &bounds, Instant::now());
        throttle.verdict.send_if_modified(|was| {
            let is_new = *was != verdict;
            *was = verdict;
            is_new
        });
    }

    /// Reads everything. Gives, if enough writes were seen to say what they take, whether that was beside a
    /// copy.
    async fn read(&self, name: &ClusterName, kept: &mut Kept, copied: bool) -> Option<bool> {
        let news = self.signals.news(name);
        kept.readings.state = news.map(|news| Reading::new(news.at, Ok((news.state, news.is_lane_open))));
        let latency = self.meters.of(name).latency(Class::Write);
        let beside = kept.writes.take(latency, copied, Instant::now());
        kept.readings.writes = kept.writes.seen;
        kept.readings.usual = kept.writes.usual;
        let Some(cluster) = self.clusters.cluster(name) else {
            kept.readings.state = None;
            return beside;
        };
        let bounds = self.clusters.settings().throttle;
        self.read_primary(&cluster, kept, &bounds).await;
        self.read_replicas(&cluster, kept, &bounds).await;
        beside
    }

    async fn read_primary(&self, cluster: &Cluster, kept: &mut Kept, bounds: &ThrottleBounds) {
        let asked = self.ask_primary(cluster, kept.primary.take(), bounds);
        let now = Instant::now();
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok((threads, query, conn))) => {
                kept.readings.threads_running = Some(Reading::new(now, threads));
                kept.readings.query = query.map(|query| Reading::new(now, query));
                kept.primary = Some(conn);
            }
            // The last reading stays, and grows old.
            Ok(Err(why)) => tracing::debug!(cluster = %cluster.name, why, "cannot be read"),
            Err(_) => tracing::debug!(cluster = %cluster.name, "does not answer in time"),
        }
    }

    async fn ask_primary(
        &self,
        cluster: &Cluster,
        conn: Option<Direct>,
        bounds: &ThrottleBounds,
    ) -> Result<(Result<u32, String>, Option<Result<f64, String>>, Direct), String> {
        let mut conn = self.connection(cluster, &cluster.primary, conn).await?;
        let rows = conn.query("SHOW GLOBAL STATUS LIKE 'Threads_running'").await;
        let rows = rows.map_err(|error| error.to_string())?;
        let running = rows.first().and_then(|row| row.number(1)).ok_or("the server does not tell".to_owned());
        let query = match &bounds.query {
            None => None,
            Some(text) => match conn.query(text.as_bytes()).await {
                Err(error) if error.is_lost() => return Err(error.to_string()),
                Err(error) => Some(Err(error.to_string())),
                Ok(rows) => {
                    let number = rows.first().and_then(|row| row.number(0));
                    Some(number.ok_or("it gives no number".to_owned()))
                }
            },
        };
        Ok((running, query, conn))
    }

    async fn read_replicas(&self, cluster: &Cluster, kept: &mut Kept, bounds: &ThrottleBounds) {
        if bounds.replica_lag.is_none() {
            kept.readings.replicas.clear();
            return;
        }
        let mut readings = Vec::with_capacity(cluster.replicas.len());
        for server in &cluster.replicas {
            let asked = self.ask_replica(cluster, server, kept.replicas.remove(server));
            let now = Instant::now();
            let value = match timeout(ANSWER_WITHIN, asked).await {
                Ok(Ok((behind, conn))) => {
                    kept.replicas.insert(server.clone(), conn);
                    behind
                }
                Ok(Err(why)) => Err(why),
                Err(_) => Err("no answer in time".to_owned()),
            };
            readings.push((server.clone(), Reading::new(now, value)));
        }
        kept.readings.replicas = readings;
    }

    async fn ask_replica(
        &self,
        cluster: &Cluster,
        server: &ServerId,
        conn: Option<Direct>,
    ) -> Result<(Result<Duration, String>, Direct), String> {
        let mut conn = self.connection(cluster, server, conn).await?;
        for statement in ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
            match conn.query(statement).await {
                Ok(rows) => {
                    let is_lag = |name: &str| {
                        name.eq_ignore_ascii_case("Seconds_Behind_Source")
                            || name.eq_ignore_ascii_case("Seconds_Behind_Master")
                    };
                    let at = rows.columns().iter().position(|column| is_lag(&column.name));
                    let seconds = at.and_then(|at| rows.first()?.number::<u64>(at));
                    let behind = seconds.map(Duration::from_secs).ok_or("it does not replicate".to_owned());
                    return Ok((behind, conn));
                }
                Err(error) if error.is_lost() => return Err(error.to_string()),
                Err(_) => {}
            }
        }
        Ok((Err("it does not tell".to_owned()), conn))
    }

    async fn connection(
        &self,
        cluster: &Cluster,
        server: &ServerId,
        conn: Option<Direct>,
    ) -> Result<Direct, String> {
        match conn {
            Some(conn) if conn.server() == server => Ok(conn),
            _ => self.clusters.open(cluster, server).await.map_err(|error| error.to_string()),
        }
    }
}

/// What writes took, look by look.
#[derive(Default)]
struct Writes {
    /// The look that the next one is compared with.
    before: Option<HistogramReport>,
    /// Looks since then: too few writes were seen.
    looks: u32,
    /// Something was copied since then.
    copied: bool,
    /// Writes and their 99th percentile, of the last look that saw enough.
    seen: Option<(u64, Duration)>,
    /// The 99th percentile while nothing is copied.
    usual: Option<Duration>,
    total: u64,
    /// When it was looked the last time.
    looked: Option<Instant>,
    /// Writes per second since the look before.
    rate: Option<f64>,
}

impl Writes {
    /// What the beginning of a copy has of them.
    fn learnt(&self) -> Self {
        Self { usual: self.usual, rate: self.rate, ..Self::default() }
    }

    /// Looks where nothing is copied, or (`is_copying`) passes over what a copy disturbs.
    fn learn(&mut self, now: HistogramReport, is_copying: bool, at: Instant) {
        self.take(now, is_copying, at);
        if is_copying {
            // The next look begins behind it, however few writes this one saw.
            (self.before, self.looks, self.copied) = (None, 0, false);
        }
    }

    /// Looks; `copied` says whether something was copied since the look before. Gives, if enough writes were
    /// seen by now, whether something was copied meanwhile.
    fn take(&mut self, now: HistogramReport, copied: bool, at: Instant) -> Option<bool> {
        let total = now.count();
        let last = total.saturating_sub(self.total);
        self.total = total;
        let looked = self.looked.replace(at);
        let Some(before) = &self.before else {
            self.before = Some(now);
            return None;
        };
        let seconds = looked.map_or(0.0, |looked| at.saturating_duration_since(looked).as_secs_f64());
        if seconds > 0.0 {
            self.rate = Some(last as f64 / seconds);
        }
        self.copied |= copied;
        self.looks += 1;
        let between = now.since(before);
        let count = between.count();
        if count < WRITES_MIN && self.looks < LOOKS_MAX {
            return None;
        }
        let p99 = Duration::from_micros(between.quantile_us(0.99));
        self.seen = Some((count, p99));
        if !self.copied && count >= WRITES_MIN {
            self.usual = Some(match self.usual {
                None => p99,
                Some(usual) => usual.mul_f64(1.0 - LEARNS) + p99.mul_f64(LEARNS),
            });
        }
        let beside = (count >= WRITES_MIN).then_some(self.copied);
        (self.before, self.looks, self.copied) = (Some(now), 0, false);
        beside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Histogram;

    #[test]
    fn usual_is_learnt_only_while_nothing_is_copied() {
        let (histogram, began) = (Histogram::new(), Instant::now());
        let mut writes = Writes::default();
        let mut at = began;
        let mut second = |ms: u64, count: u64, copied: bool, writes: &mut Writes| {
            (0..count).for_each(|_| histogram.record(Duration::from_millis(ms)));
            at += Duration::from_secs(1);
            writes.take(histogram.report(), copied, at)
        };
        second(100, 1000, false, &mut writes);
        assert_eq!((writes.seen, writes.rate), (None, None), "nothing to compare with");
        assert_eq!(second(10, 100, false, &mut writes), Some(false));
        let usual = writes.usual.expect("learnt");
        assert!((9..=11).contains(&usual.as_millis()), "{usual:?}");
        assert_eq!(second(50, 100, true, &mut writes), Some(true));
        assert_eq!(writes.usual, Some(usual), "a copy disturbs");
        assert!(writes.seen.is_some_and(|(count, p99)| count == 100 && p99.as_millis() > 40));
        // Few writes: looks are put together.
        assert_eq!(second(10, 20, false, &mut writes), None);
        assert_eq!(writes.rate, Some(20.0));
        assert!(writes.seen.is_some_and(|(count, _)| count == 100), "too few to tell");
        assert_eq!(second(10, 40, false, &mut writes), Some(false));
        assert!(writes.seen.is_some_and(|(count, _)| count == 60));
    }

    #[test]
    fn what_is_learnt_before_a_copy_is_known_when_it_begins() {
        let (histogram, mut at) = (Histogram::new(), Instant::now());
        let mut learnt = Writes::default();
        let mut second = |ms: u64, is_copying: bool, learnt: &mut Writes| {
            (0..200).for_each(|_| histogram.record(Duration::from_millis(ms)));
            at += Duration::from_secs(2);
            learnt.learn(histogram.report(), is_copying, at);
        };
        second(10, false, &mut learnt);
        second(10, false, &mut learnt);
        let usual = learnt.usual.expect("learnt");
        // What a copy disturbed is not learnt, nor is the look that it began in.
        second(90, true, &mut learnt);
        second(90, false, &mut learnt);
        assert_eq!(learnt.usual, Some(usual));
        second(10, false, &mut learnt);
        assert!(learnt.usual.is_some_and(|usual| usual.as_millis() <= 11), "{:?}", learnt.usual);
        let begun = learnt.learnt();
        assert_eq!((begun.usual, begun.rate), (learnt.usual, Some(100.0)));
        let throttle =
            |rate| Throttle { verdict: watch::Sender::new(Verdict::Open), look: Mutex::new(Look::new(rate)) };
        assert!(throttle(None).is_busy(), "what is not known may be");
        assert!(throttle(Some(100.0)).is_busy() && !throttle(Some(0.5)).is_busy());
    }
}
