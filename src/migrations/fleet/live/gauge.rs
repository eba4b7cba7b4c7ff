//! How clusters are, for the scheduler: state and writes four times a second, schema changes of others once.
//!
//! A cluster is gauged while a fleet migration has something to do on it. Nothing is told of it before it is
//! known what its writes usually take (or it has too few writes to tell), so nothing is begun before either.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::clock::Ticker;
use super::execute::{LiveExecutor, MARK};
use crate::backend::direct::Direct;
use crate::health::{DDL_STATEMENT, State};
use crate::ids::ClusterName;
use crate::migrations::fleet::schedule::{Foreign, Reading};
use crate::migrations::run::Clusters;
use crate::migrations::throttle::{Throttle, Throttles};
use crate::migrations::{ClusterNews, ClusterSignals};
use crate::protocol::handshake::Flavour;

/// Between two readings.
const READ_EVERY: Duration = Duration::from_millis(250);
/// Between two looks at schema changes of others.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A server that has not answered by then is not known.
const LOOK_WITHIN: Duration = Duration::from_millis(900);
/// What writes usually take is learnt by then, or there are too few of them.
const WARM_AFTER: Duration = Duration::from_secs(6);
/// What the detector said longer ago says nothing.
const NEWS_FOR: Duration = Duration::from_secs(2);

/// What gauging needs.
pub(super) struct Gauged {
    pub(super) clusters: Arc<Clusters>,
    pub(super) throttles: Arc<Throttles>,
    pub(super) signals: Arc<dyn ClusterSignals>,
    pub(super) executor: Arc<LiveExecutor>,
    pub(super) clock: Ticker,
}

/// The readings that were not taken yet.
type Fresh = Arc<Mutex<HashMap<ClusterName, Reading>>>;

/// Gauges clusters until dropped.
pub(super) struct Gauges {
    gauged: Arc<Gauged>,
    tasks: BTreeMap<ClusterName, JoinHandle<()>>,
    fresh: Fresh,
    /// The reading that was taken last of each.
    taken: HashMap<ClusterName, Reading>,
}

impl Gauges {
    pub(super) fn new(gauged: Gauged) -> Self {
        let (tasks, fresh, taken) = (BTreeMap::new(), Fresh::default(), HashMap::new());
        Self { gauged: Arc::new(gauged), tasks, fresh, taken }
    }

    /// Gauges these clusters, and no others any more.
    pub(super) fn follow(&mut self, clusters: &BTreeSet<ClusterName>) {
        self.tasks.retain(|cluster, task| {
            let is_kept = clusters.contains(cluster) && !task.is_finished();
            if !is_kept {
                task.abort();
            }
            is_kept
        });
        for cluster in clusters {
            if !self.tasks.contains_key(cluster) {
                let task = tokio::spawn(gauge(self.gauged.clone(), cluster.clone(), self.fresh.clone()));
                self.tasks.insert(cluster.clone(), task);
            }
        }
    }

    /// The readings since the last time. A cluster that was closed to schema changes since its reading, or
    /// has become sick, is told of as that: whoever froze it sees nothing begun any more.
    pub(super) fn take(&mut self) -> HashMap<ClusterName, Reading> {
        let mut fresh = std::mem::take(&mut *self.fresh.lock().unwrap_or_else(PoisonError::into_inner));
        self.taken.retain(|cluster, _| self.tasks.contains_key(cluster));
        for cluster in self.tasks.keys() {
            let Some(news) = self.gauged.signals.news(cluster) else { continue };
            if let Some(reading) = brought_up(fresh.get(cluster), self.taken.get(cluster), &news) {
                fresh.insert(cluster.clone(), reading);
            }
        }
        self.taken.extend(fresh.iter().map(|(cluster, reading)| (cluster.clone(), *reading)));
        fresh
    }
}

/// The reading that is to be told of, if it is another one than `fresh`: what is worse by now than it says.
fn brought_up(fresh: Option<&Reading>, last: Option<&Reading>, news: &ClusterNews) -> Option<Reading> {
    // What the last one said of others' schema changes is counted already.
    let known = fresh
        .copied()
        .or_else(|| last.map(|last| Reading { foreign: Foreign { begun: 0, ..last.foreign }, ..*last }))?;
    let is_drained = known.is_drained || is_closed(news);
    let is_stalling = known.is_stalling || news.is_stalling;
    let worse = Reading { is_drained, is_stalling, state: known.state.max(news.state), ..known };
    (worse != known).then_some(worse)
}

/// Drained, or closed by order. The ladder closes the lane of a cluster that is suspect, too: that is its
/// health, which a reading tells of by itself.
fn is_closed(news: &ClusterNews) -> bool {
    news.is_drained || (!news.is_lane_open && news.state == State::Healthy)
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

/// Schema changes of others, as of the last look.
#[derive(Default)]
struct Others {
    running: u32,
    /// Begun since the last reading.
    begun: u32,
}

async fn gauge(gauged: Arc<Gauged>, cluster: ClusterName, fresh: Fresh) {
    let others = Mutex::new(Others::default());
    // Whoever of them is slow does not hold the other up.
    tokio::join!(keep_reading(&gauged, &cluster, &fresh, &others), keep_looking(&gauged, &cluster, &others));
}

async fn keep_reading(gauged: &Gauged, cluster: &ClusterName, fresh: &Fresh, others: &Mutex<Others>) {
    let throttle = gauged.throttles.of(cluster);
    let began = Instant::now();
    let mut every = interval(READ_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if gauged.executor.active_on(cluster) > 0 {
            // What writes take now is not what they usually take.
            throttle.note_chunk();
        }
        let is_warm = throttle.last_read().usual_write_p99.is_some() || began.elapsed() >= WARM_AFTER;
        let Some(reading) = read(gauged, cluster, &throttle, others).filter(|_| is_warm) else { continue };
        fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster.clone(), reading);
    }
}

/// `None` while the detector has not said anything of late: then the lane closes by itself.
fn read(
    gauged: &Gauged,
    cluster: &ClusterName,
    throttle: &Throttle,
    others: &Mutex<Others>,
) -> Option<Reading> {
    let news = gauged.signals.news(cluster).filter(|news| news.at.elapsed() < NEWS_FOR)?;
    let last = throttle.last_read();
    let foreign = {
        let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
        Foreign { running: others.running, begun: std::mem::take(&mut others.begun) }
    };
    Some(Reading {
        at: gauged.clock.now(),
        state: news.state,
        is_stalling: news.is_stalling,
        is_drained: is_closed(&news),
        write_p99: last.write_p99,
        usual_write_p99: last.usual_write_p99,
        lag: last.lag,
        threads: last.threads,
        foreign,
    })
}

/// Looks at the process list of the primary, on one connection that is kept.
async fn keep_looking(gauged: &Gauged, cluster: &ClusterName, others: &Mutex<Others>) {
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut open, mut seen) = (None, HashSet::new());
    loop {
        every.tick().await;
        let looked = timeout(LOOK_WITHIN, look(gauged, cluster, open.take())).await;
        let Ok(Ok((running, direct))) = looked else { continue };
        open = Some(direct);
        let begun = running.difference(&seen).count();
        let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
        others.running = u32::try_from(running.len()).unwrap_or(u32::MAX);
        others.begun = others.begun.saturating_add(u32::try_from(begun).unwrap_or(u32::MAX));
        seen = running;
    }
}

/// Schema changes that are neither of a fleet migration nor of an online copy: connection and statement.
type Running = HashSet<(u64, String)>;

async fn look(
    gauged: &Gauged,
    cluster: &ClusterName,
    open: Option<Direct>,
) -> Result<(Running, Direct), String> {
    let primary = gauged.clusters.cluster(cluster).ok_or("it is not in the config")?;
    let mut direct = match open {
        Some(open) if *open.server() == primary.primary => open,
        _ => {
            let opened = gauged.clusters.open(&primary, &primary.primary).await;
            opened.map_err(|error| error.to_string())?
        }
    };
    let has_threads = direct.flavour() == Flavour::MySql;
    let rows = match direct.query(listing(has_threads)).await {
        // Where performance_schema is off, or may not be read.
        Err(error) if !error.is_lost() && has_threads => direct.query(listing(false)).await,
        rows => rows,
    };
    let rows = rows.map_err(|error| error.to_string())?;
    let running = rows.iter().filter_map(|row| Some((row.number(0)?, row.text(1)?))).collect();
    Ok((running, direct))
}

fn listing(has_threads: bool) -> String {
    let [id, command, text, from] = if has_threads {
        ["processlist_id", "processlist_command", "processlist_info", "performance_schema.threads"]
    } else {
        ["id", "command", "info", "information_schema.processlist"]
    };
    format!(
        "SELECT {id}, LEFT({text}, 200) FROM {from} WHERE {id} <> CONNECTION_ID() \
         AND {command} IN ('Query', 'Execute') AND {text} REGEXP '{DDL_STATEMENT}' \
         AND {text} NOT LIKE '{MARK}%' AND {text} NOT LIKE '/*bulkhead%' \
         AND {text} NOT LIKE '%zz\\_bulkhead%' \
         LIMIT 1000"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::fleet::fixture::well;
    use crate::migrations::fleet::ledger::Moment;

    #[test]
    fn what_became_worse_is_told_of_at_once() {
        let last = Reading { foreign: Foreign { running: 2, begun: 1 }, ..well(Moment(1)) };
        let news = |state, is_lane_open| {
            let (at, is_stalling, is_drained) = (Instant::now(), false, false);
            ClusterNews { at, state, is_stalling, is_lane_open, is_drained }
        };
        assert_eq!(brought_up(None, None, &news(State::Suspect, true)), None, "nothing was read yet");
        assert_eq!(brought_up(None, Some(&last), &news(State::Healthy, true)), None);
        let foreign = Foreign { running: 2, begun: 0 };
        let sick = Reading { state: State::Suspect, foreign, ..last };
        assert_eq!(brought_up(None, Some(&last), &news(State::Suspect, true)), Some(sick));
        let closed = Reading { is_drained: true, foreign, ..last };
        assert_eq!(brought_up(None, Some(&last), &news(State::Healthy, false)), Some(closed));
        let stalls = ClusterNews { is_stalling: true, ..news(State::Healthy, true) };
        let stalling = Reading { is_stalling: true, foreign, ..last };
        assert_eq!(brought_up(None, Some(&last), &stalls), Some(stalling));
        // A fresh one is told of as it is, or worse; never better.
        assert_eq!(
            brought_up(Some(&last), None, &news(State::Suspect, true)).map(|at| at.foreign.begun),
            Some(1)
        );
        assert_eq!(brought_up(Some(&sick), Some(&last), &news(State::Healthy, true)), None);
        assert_eq!(brought_up(None, Some(&sick), &news(State::Suspect, true)), None, "it was told before");
    }

    #[test]
    fn own_statements_are_not_others() {
        for has_threads in [true, false] {
            let listing = listing(has_threads);
            assert!(listing.contains("NOT LIKE '/*fleet migration %'"), "{listing}");
            assert!(listing.contains("NOT LIKE '%zz\\_bulkhead%'"), "{listing}");
        }
    }
}
