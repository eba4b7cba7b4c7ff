//! The cases: what befalls the first cluster, what Bulkhead may do about it, and what is promised then.

use std::io;
use std::time::Duration;

use super::fault::Mode;
use super::field::{Field, SICK};
use super::judge::{CURED, Promises};
use super::options::{Options, Times};
use super::record::Protection;
use super::scene::Scene;
use crate::process::send_signal;
use crate::servers::Role;

/// How much longer a stalled write takes: more than a client waits.
const STALL: Duration = Duration::from_secs(20);
/// How long the network is away.
const CUT_S: u64 = 25;
/// Clients that come all at once when it is back.
const STORM_CLIENTS: usize = 500;
/// What is watched of a switchover, seconds.
const SWITCHOVER_S: u64 = 10;
/// A bound on when writes flow again is watched for so many seconds more.
const BEYOND_S: u64 = 4;
/// How long a stage of the ladder is waited for.
const STAGE_WAIT_MAX: Duration = Duration::from_secs(60);

/// A case by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Case {
    /// Thousands of direct ALTERs and stalled writes; Bulkhead only watches.
    FloodOff,
    /// The same; Bulkhead may fail over.
    FloodOn,
    /// The same, ended after a while; Bulkhead acts by default, which is up to draining.
    FloodDrain,
    /// The primary is killed (-9).
    PrimaryKilled,
    /// The primary stands still (SIGSTOP).
    PrimaryFrozen,
    /// The network to both servers is cut, then back.
    NetworkCut,
    /// The same, and 500 clients connect at once when it is back.
    Storm,
    /// A planned switchover while everybody works.
    Switchover,
    /// Stalled writes; Bulkhead is killed (-9) while it drains, and started again.
    ProxyKilled,
}

impl Case {
    /// All, in the order in which they are played.
    pub const ALL: [Self; 9] = [
        Self::FloodOff,
        Self::FloodOn,
        Self::FloodDrain,
        Self::PrimaryKilled,
        Self::PrimaryFrozen,
        Self::NetworkCut,
        Self::Storm,
        Self::Switchover,
        Self::ProxyKilled,
    ];
    /// Those of a quick run.
    pub const QUICK: [Self; 3] = [Self::FloodOff, Self::FloodOn, Self::Switchover];

    /// As on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::FloodOff => "flood_off",
            Self::FloodOn => "flood_on",
            Self::FloodDrain => "flood_drain",
            Self::PrimaryKilled => "primary_killed",
            Self::PrimaryFrozen => "primary_frozen",
            Self::NetworkCut => "network_cut",
            Self::Storm => "storm",
            Self::Switchover => "switchover",
            Self::ProxyKilled => "proxy_killed",
        }
    }

    /// What Bulkhead may do.
    pub fn protection(self) -> Protection {
        match self {
            Self::FloodOff => Protection::Off,
            Self::FloodDrain | Self::Switchover | Self::ProxyKilled => Protection::Drain,
            _ => Protection::FailOver,
        }
    }

    /// What is judged.
    pub fn promises(self) -> Promises {
        let seen = Promises { detection: true, ..Promises::default() };
        let contained = Promises { shedding: true, others: true, ..seen };
        match self {
            Self::FloodOff => seen,
            Self::FloodOn => Promises { flow_after_onset_s: Some(60.0), ..contained },
            Self::FloodDrain => Promises { flow_after_cure_s: Some(30.0), ..contained },
            // One that refuses connections is down at once, and nothing needs to be shed.
            Self::PrimaryKilled => Promises { flow_after_onset_s: Some(60.0), others: true, ..seen },
            Self::PrimaryFrozen => Promises { flow_after_onset_s: Some(60.0), ..contained },
            Self::NetworkCut => Promises { flow_after_cure_s: Some(30.0), ..contained },
            // The storm itself is what is tried; the cut before it is judged above.
            Self::Storm => Promises { flow_after_cure_s: Some(30.0), others: true, ..Promises::default() },
            Self::Switchover => Promises { pause_s: Some(3.0), others: true, ..Promises::default() },
            // Clients of all shards lose their connections when the only proxy is killed.
            Self::ProxyKilled => {
                Promises { flow_after_cure_s: Some(30.0), taken_over: true, shedding: true, ..seen }
            }
        }
    }

    /// How long its parts take.
    pub fn times(self, options: &Options) -> Times {
        let mut times = options.times();
        if let Some(bound) = self.promises().flow_after_cure_s {
            // What is watched for less cannot be judged.
            times.recovering = times.recovering.max(bound as u64 + BEYOND_S);
        }
        match self {
            Self::FloodOff if options.quick => Times { ill: 15, recovering: 8, ..times },
            Self::FloodOn if options.quick => Times { ill: 38, recovering: 6, ..times },
            Self::FloodDrain => Times { ill: 35, ..times },
            Self::NetworkCut | Self::Storm => Times { ill: CUT_S, ..times },
            _ => times,
        }
    }

    /// Plays what befalls the cluster, from the onset to the end of its consequences.
    ///
    /// # Errors
    /// It cannot be done.
    pub async fn play(self, field: &mut Field, scene: &mut Scene) -> io::Result<()> {
        let times = self.times(&field.options);
        match self {
            Self::FloodOff | Self::FloodOn | Self::FloodDrain => flood(field, scene, times).await,
            Self::PrimaryKilled => killed(field, scene, times).await,
            Self::PrimaryFrozen => frozen(field, scene, times).await,
            Self::NetworkCut | Self::Storm => cut(self, field, scene, times).await,
            Self::Switchover => switchover(scene).await,
            Self::ProxyKilled => proxy_killed(scene, times).await,
        }
    }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

async fn flood(field: &Field, scene: &mut Scene, times: Times) -> io::Result<()> {
    let flood = scene.flood_plan(field);
    scene.begin("ALTERs straight to the primary of c1 begin, its writes stall");
    scene.proxies[0].set(Mode::Stall(STALL));
    let running = flood.start();
    seconds(times.ill).await;
    scene.proxies[0].set(Mode::Pass);
    scene.flood = Some(running.stop().await?);
    scene.mark(format!("{CURED}: ALTERs and stall end"));
    seconds(times.recovering).await;
    Ok(())
}

async fn killed(field: &mut Field, scene: &mut Scene, times: Times) -> io::Result<()> {
    let pid = field.clusters[SICK].pid_of(Role::Primary)?;
    scene.begin("the primary of c1 is killed (-9)");
    send_signal(pid, "KILL")?;
    seconds(times.ill).await;
    field.clusters[SICK].start_again(Some(Role::Primary))?;
    scene.mark("the killed server runs again".to_owned());
    seconds(times.recovering).await;
    Ok(())
}

async fn frozen(field: &Field, scene: &mut Scene, times: Times) -> io::Result<()> {
    scene.begin("the primary of c1 stands still (SIGSTOP)");
    field.clusters[SICK].freeze()?;
    seconds(times.ill).await;
    field.clusters[SICK].thaw()?;
    scene.mark("the frozen server goes on (SIGCONT)".to_owned());
    seconds(times.recovering).await;
    Ok(())
}

async fn cut(case: Case, field: &Field, scene: &mut Scene, times: Times) -> io::Result<()> {
    scene.begin("the network to both servers of c1 is cut");
    scene.proxies.iter().for_each(|proxy| proxy.set(Mode::Cut));
    seconds(times.ill).await;
    scene.proxies.iter().for_each(|proxy| proxy.set(Mode::Pass));
    scene.mark(format!("{CURED}: the network is back"));
    if case == Case::Storm {
        scene.storm(field, STORM_CLIENTS);
        scene.mark(format!("{STORM_CLIENTS} more clients of c1 connect at once"));
    }
    seconds(times.recovering).await;
    Ok(())
}

async fn switchover(scene: &mut Scene) -> io::Result<()> {
    scene.begin("planned switchover of c1 to its replica");
    let answer = scene.switch_over().await?;
    scene.mark(format!("answered: {answer}"));
    seconds(SWITCHOVER_S).await;
    Ok(())
}

async fn proxy_killed(scene: &mut Scene, times: Times) -> io::Result<()> {
    scene.begin("writes of c1 stall");
    scene.proxies[0].set(Mode::Stall(STALL));
    scene.wait_for_stage(&["draining", "drained"], STAGE_WAIT_MAX).await?;
    scene.restart_bulkhead()?;
    seconds(times.ill / 2).await;
    scene.proxies[0].set(Mode::Pass);
    scene.mark(format!("{CURED}: the stall ends"));
    seconds(times.recovering).await;
    Ok(())
}
