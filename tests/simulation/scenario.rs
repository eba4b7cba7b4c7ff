//! Scenario files: what happens to which cluster when, and what is expected. The format is in
//! `docs/health.md`.

use std::path::Path;

use bulkhead::drain::Stage;
use serde::Deserialize;

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, one line.
    #[serde(rename = "about")]
    pub(crate) _about: String,
    /// Clusters: `c1`, `c2`, …
    pub(crate) clusters: usize,
    /// Simulated seconds, the warm-up included.
    pub(crate) seconds: f64,
    /// The file is of a day that may be repeated.
    #[serde(default)]
    pub(crate) is_day: bool,
    /// The ladder may fail over by itself.
    #[serde(default)]
    pub(crate) fails_over: bool,
    pub(crate) traffic: Traffic,
    #[serde(default)]
    pub(crate) event: Vec<Happening>,
    #[serde(default)]
    pub(crate) expect: Vec<Expectation>,
}

/// What clients send to each cluster when nothing happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traffic {
    pub(crate) writes_per_second: f64,
    #[serde(default)]
    pub(crate) reads_per_second: f64,
    /// At night so much of it is left; 1: there is no night. Midnight is at second 0.
    #[serde(default = "one")]
    pub(crate) night: f64,
    #[serde(default = "workspaces")]
    pub(crate) workspaces: u64,
}

/// Something that happens for a while.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Happening {
    pub(crate) at: f64,
    pub(crate) until: f64,
    /// Again after so many seconds; 0: once.
    #[serde(default)]
    pub(crate) every: f64,
    /// Names; `*`: all; `rotate`: another one with every repetition.
    #[serde(default)]
    pub(crate) on: Vec<String>,
    /// What ends it early.
    pub(crate) cured_by: Option<Cure>,
    #[serde(flatten)]
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cure {
    KillDdl,
    Drain,
    Failover,
}

/// What happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    /// A share of writes and all heartbeats take so many times as long.
    Slow {
        times: f64,
        #[serde(default = "one")]
        share: f64,
    },
    /// Writes and heartbeats take longer and longer, so many times as long at the end.
    Ramp { times: f64 },
    /// A share of writes, and all heartbeats, are not answered before the end.
    Stall {
        #[serde(default = "one")]
        share: f64,
    },
    /// A share of writes, and all heartbeats unless told otherwise, fail with this number.
    Errors {
        share: f64,
        errno: u16,
        #[serde(default = "yes")]
        beats: bool,
    },
    /// A share of the kinds of writes waits for a metadata lock; heartbeats are well.
    Locks { share: f64 },
    /// Schema changes run: so many, slowing writes and heartbeats.
    Ddl { running: u32, times: f64, threads: u32 },
    /// Nothing is answered.
    Hang,
    /// No connection can be opened, those that were open are lost.
    Refuse,
    /// The replica is so many seconds behind.
    Lag { seconds: f64 },
    /// The primary is read-only.
    ReadOnly,
    /// One workspace sends so many more writes a second, which wait so many milliseconds for each other.
    HotRow { per_second: f64, wait_ms: f64 },
    /// One kind of write, so many a second, takes so many seconds each.
    Batch { per_second: f64, seconds: f64 },
    /// So many times as many statements.
    Rate { times: f64 },
    /// Many new connections: more statements, slower ones, and so many threads.
    Storm { times: f64, threads: u32 },
    /// The heartbeat's own table is locked.
    LockedBeat,
    /// The proxy gets too little CPU: everything is seen late.
    Starved { late_ms: f64 },
    /// The proxy is stopped as a whole.
    Stopped,
    /// The wall clock jumps by so many seconds.
    Clock { jump: f64 },
}

/// What has to come true.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// A name, `others` (those that no event is on) or `all`.
    pub(crate) cluster: String,
    /// Seconds after the first event.
    pub(crate) suspect_within: Option<f64>,
    pub(crate) degraded_within: Option<f64>,
    pub(crate) down_within: Option<f64>,
    /// Seconds after the first event by which writes flow again.
    pub(crate) flows_within: Option<f64>,
    /// The worst state allowed.
    pub(crate) worst: Option<String>,
    /// Healthy and open at the end.
    #[serde(default)]
    pub(crate) ends_well: bool,
    #[serde(default)]
    pub(crate) visits: Vec<Stage>,
    #[serde(default)]
    pub(crate) never: Vec<Stage>,
    /// Stages that are advised.
    #[serde(default)]
    pub(crate) advises: Vec<Stage>,
    #[serde(default)]
    pub(crate) alerts: Vec<String>,
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn workspaces() -> u64 {
    300
}

impl Scenario {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        (1..=self.clusters).map(|n| format!("c{n}")).collect()
    }

    /// When the first event begins.
    pub(crate) fn onset(&self) -> f64 {
        self.event.iter().map(|event| event.at).fold(f64::INFINITY, f64::min)
    }

    /// Says whether any event is on the cluster.
    pub(crate) fn touches(&self, name: &str) -> bool {
        self.event.iter().any(|event| event.on.iter().any(|on| on == name || on == "*" || on == "rotate"))
    }
}

impl Happening {
    /// The part from 0 to 1 of the event that is over at `at`, if it is on this cluster then.
    pub(crate) fn progress(&self, cluster: usize, clusters: usize, at: f64) -> Option<f64> {
        let round = if self.every > 0.0 { ((at - self.at) / self.every).floor() } else { 0.0 };
        let begins = self.at + round * self.every;
        let ends = begins + (self.until - self.at);
        let is_on = self.on.iter().any(|on| match on.as_str() {
            "*" => true,
            "rotate" => round as usize % clusters == cluster,
            name => name == format!("c{}", cluster + 1),
        });
        (is_on && round >= 0.0 && at >= begins && at < ends).then(|| (at - begins) / (ends - begins))
    }
}
