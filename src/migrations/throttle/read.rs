//! Reading a cluster's signals, while something is copied there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::decide::{Reading, Readings, SHARE_FIRST, SHARE_MAX, Verdict, decide, next_share};
use super::writes::{Calm, Writes};
use crate::backend::direct::Direct;
use crate::config::{Cluster, ThrottleBounds};
use crate::health::{Class, Meters, State};
use crate::ids::{ClusterName, ServerId};
use crate::migrations::run::Clusters;

/// Between two readings.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Between the first two: whether clients write is to be known when the first row is copied.
const READ_FIRST: Duration = Duration::from_millis(150);
/// A server that has not answered by then is not known.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);
/// A reading of a server that is older is not known any more.
const KNOWN_FOR: Duration = Duration::from_secs(5);
/// What was learnt longer ago is not believed any more.
const LEARNT_FOR: Duration = Duration::from_secs(3600);
/// More writes in a second than this are traffic that a copy should leave room for.
const BUSY_WRITES: f64 = 5.0;

/// What the detector and the ladder say of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterNews {
    /// When it was said.
    pub at: Instant,
    /// Its state.
    pub state: State,
    /// Writes of several clients, or the heartbeat, go unanswered or fail. It may be over in a moment: the
    /// state says so only when it lasts.
    pub is_stalling: bool,
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
    /// What is known of writes when a copy begins: in the middle of one it cannot be learnt.
    learnt: Mutex<HashMap<ClusterName, Learnt>>,
}

/// What was learnt of a cluster's writes.
#[derive(Debug, Default)]
struct Learnt {
    /// What they take while nothing is copied, and when that was learnt.
    calm: Option<(Calm, Instant)>,
    /// Writes per second; absent while it is not known.
    rate: Option<f64>,
}

/// One cluster's throttle.
pub(in crate::migrations) struct Throttle {
    verdict: watch::Sender<Verdict>,
    look: Mutex<Look>,
}

/// What was read of a cluster last, for whoever paces more than single copies. What is not known is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::migrations) struct LastRead {
    /// What the slowest hundredth of the writes takes at the least, by what was seen of late; chance aside.
    pub(in crate::migrations) write_p99: Option<Duration>,
    /// The same while nothing is changed.
    pub(in crate::migrations) usual_write_p99: Option<Duration>,
    /// Threads_running, and how many there may be.
    pub(in crate::migrations) threads: Option<(u32, u32)>,
    /// How far the furthest replica is behind, and how far it may be.
    pub(in crate::migrations) lag: Option<(Duration, Duration)>,
}

impl LastRead {
    fn of(readings: &Readings, write_p99: Option<Duration>, bounds: &ThrottleBounds) -> Self {
        let known = |reading: &Option<Reading<u32>>| {
            reading.as_ref().filter(|reading| reading.at.elapsed() < KNOWN_FOR)?.value.as_ref().ok().copied()
        };
        let lags = readings.replicas.iter().filter(|(_, reading)| reading.at.elapsed() < KNOWN_FOR);
        let lag = lags.filter_map(|(_, reading)| reading.value.as_ref().ok().copied()).max();
        Self {
            write_p99,
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
        let writes = self.writes(cluster);
        let mut all = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(throttle) = all.get(cluster).and_then(Weak::upgrade) {
            return throttle;
        }
        let now = Instant::now();
        let unknown = decide(&Readings::default(), &self.clusters.settings().throttle, now);
        let look = Mutex::new(Look::new(writes.rate));
        let throttle = Arc::new(Throttle { verdict: watch::Sender::new(unknown), look });
        all.retain(|_, throttle| throttle.strong_count() > 0);
        all.insert(cluster.clone(), Arc::downgrade(&throttle));
        let kept = Kept { writes, ..Kept::default() };
        tokio::spawn(keep_reading(self.clone(), cluster.clone(), (Arc::downgrade(&throttle), kept)));
        throttle
    }
}

impl Throttles {
    /// Something is copied on a cluster, or is about to be.
    fn has(&self, cluster: &ClusterName) -> bool {
        let all = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(cluster).is_some_and(|throttle| throttle.strong_count() > 0)
    }

    /// What is known of a cluster's writes; what was learnt long ago is not.
    fn writes(&self, cluster: &ClusterName) -> Writes {
        let learnt = self.learnt();
        let Some(Learnt { calm, rate }) = learnt.get(cluster) else { return Writes::default() };
        let calm = calm.as_ref().filter(|(_, at)| at.elapsed() < LEARNT_FOR);
        Writes::new(calm.map(|(calm, _)| calm.clone()).unwrap_or_default(), *rate)
    }

    fn learn(&self, cluster: &ClusterName, writes: &Writes, is_disturbed: bool) {
        let mut learnt = self.learnt();
        let learnt = learnt.entry(cluster.clone()).or_default();
        learnt.rate = writes.rate;
        if !is_disturbed {
            learnt.calm = Some((writes.calm.clone(), Instant::now()));
        }
    }

    /// Never taken with the other one's held. Each change is whole, so a panic elsewhere does not spoil it.
    fn learnt(&self) -> MutexGuard<'_, HashMap<ClusterName, Learnt>> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether clients are known to write on a cluster.
    pub(in crate::migrations) fn is_busy(&self, cluster: &ClusterName) -> bool {
        let rate = self.learnt().get(cluster).and_then(|learnt| learnt.rate);
        rate.is_some_and(|rate| rate > BUSY_WRITES)
    }

    /// What a sick cluster's writes take is not what they usually take.
    fn is_sick(&self, cluster: &ClusterName) -> bool {
        self.signals.news(cluster).is_none_or(|news| news.state != State::Healthy)
    }

    /// One look at the writes of every cluster on which nothing is copied.
    fn learn_all(&self, writes: &mut HashMap<ClusterName, Writes>) {
        let names = self.clusters.names();
        writes.retain(|name, _| names.contains(name));
        self.learnt().retain(|name, _| names.contains(name));
        for name in names {
            // Where something is copied its throttle learns, in the pauses.
            if self.has(&name) {
                writes.remove(&name);
                continue;
            }
            let own = writes.entry(name.clone()).or_insert_with(|| self.writes(&name));
            let is_sick = self.is_sick(&name);
            own.take(self.meters.of(&name).latency(Class::Write), is_sick, Instant::now());
            self.learn(&name, own, is_sick);
        }
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

/// Learns what writes usually take while nothing is copied, so that it is known as soon as something is.
pub(in crate::migrations) async fn keep_learning(throttles: Arc<Throttles>) {
    let mut every = interval(READ_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut writes = HashMap::new();
    loop {
        every.tick().await;
        throttles.learn_all(&mut writes);
    }
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
            look.last = LastRead::of(&kept.readings, kept.writes.at_least, &bounds);
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
        let is_disturbed = copied || self.is_sick(name);
        let beside = kept.writes.take(latency, is_disturbed, Instant::now());
        kept.readings.writes = kept.writes.seen;
        kept.readings.writes_at_least = kept.writes.at_least;
        kept.readings.usual = kept.writes.usual;
        self.learn(name, &kept.writes, is_disturbed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Ended, Statement};

    struct Says(Mutex<State>);

    impl ClusterSignals for Says {
        fn news(&self, _cluster: &ClusterName) -> Option<ClusterNews> {
            let state = *self.0.lock().unwrap();
            let at = Instant::now();
            Some(ClusterNews { at, state, is_stalling: false, is_lane_open: true, is_drained: false })
        }
    }

    #[tokio::test]
    async fn what_is_usual_is_known_before_anything_is_copied() {
        let store = crate::topology::EmbeddedStore::in_memory().unwrap();
        let snapshots = crate::topology::fixture::snapshots(&store).await;
        let (began, says) = (Instant::now(), Arc::new(Says(Mutex::new(State::Healthy))));
        let meters = Arc::new(Meters::new(began));
        let clusters = Arc::new(Clusters::new(snapshots));
        let throttles = Throttles::new(clusters, says.clone(), meters.clone());
        let (c1, c2) = (ClusterName::new("c1"), ClusterName::new("c2"));
        let mut writes = HashMap::new();
        let mut look = |ms: u64| {
            for owner in 0..100 {
                let statement = Statement { class: Class::Write, digest: 7, owner };
                let flight = meters.of(&c1).begin(statement, began);
                flight.end(Ended::Well, began + Duration::from_millis(ms));
            }
            throttles.learn_all(&mut writes);
            throttles.writes(&c1).usual
        };
        assert_eq!(look(10), None, "nothing to compare with");
        let usual = look(10).expect("learnt");
        assert!((9..=11).contains(&usual.as_millis()), "{usual:?}");
        *says.0.lock().unwrap() = State::Suspect;
        assert_eq!(look(500), Some(usual), "what a sick cluster takes is not usual");
        *says.0.lock().unwrap() = State::Healthy;
        let slower = look(100).expect("learnt");
        assert!((90..=110).contains(&slower.as_millis()), "more than a hundredth: {slower:?}");
        assert_eq!(throttles.writes(&c2).usual, None, "nobody writes there");
        let throttle =
            |rate| Throttle { verdict: watch::Sender::new(Verdict::Open), look: Mutex::new(Look::new(rate)) };
        assert!(throttle(None).is_busy(), "what is not known may be");
        assert!(throttle(Some(100.0)).is_busy() && !throttle(Some(0.5)).is_busy());
        assert!(throttles.is_busy(&c1) && !throttles.is_busy(&c2));
    }
}
