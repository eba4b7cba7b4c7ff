//! The cases: who changes the databases, and what befalls them meanwhile.

use std::io;
use std::time::Duration;

use super::change::{self, Submission};
use super::field::Field;
use super::judge::{CURED, STALLS};
use super::options::Options;
use super::scene::Scene;
use crate::incident::fault::Mode;
use crate::incident::record::Protection;

/// How much longer a stalled write takes: more than a client waits.
const STALL: Duration = Duration::from_secs(20);
/// How long writes stall.
const STALLED_S: u64 = 10;
/// What is watched behind it: the cluster has to be well for a while before it is gone on with.
const RECOVERING: Duration = Duration::from_secs(60);
/// Writes stall when this share of the databases is changed: in the last wave, in full swing.
const STALL_AT: f64 = 0.2;
/// Bulkhead is killed when these shares of the databases are changed.
const KILL_AT: [f64; 3] = [0.2, 0.45, 0.7];

/// How long the program that waits may take to notice that the migration is over.
const LAST_WORDS_MAX: Duration = Duration::from_secs(60);

/// A case by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Case {
    /// Nobody changes anything.
    Undisturbed,
    /// pt-online-schema-change, one database after the other, a sample of them.
    PtOsc,
    /// One ALTER TABLE for each database, sixteen at a time, past Bulkhead.
    Direct,
    /// `bulkhead migrate submit --wait`.
    Bulkhead,
    /// The same; the writes of the first cluster stall for a while.
    Stall,
    /// The same; Bulkhead is killed (-9) three times, and started again.
    Killed,
}

impl Case {
    /// All, in the order in which they are played.
    pub const ALL: [Self; 6] =
        [Self::Undisturbed, Self::PtOsc, Self::Direct, Self::Bulkhead, Self::Stall, Self::Killed];
    /// Those of a quick run.
    pub const QUICK: [Self; 4] = [Self::PtOsc, Self::Direct, Self::Bulkhead, Self::Killed];

    /// As on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Undisturbed => "undisturbed",
            Self::PtOsc => "pt_osc",
            Self::Direct => "direct",
            Self::Bulkhead => "bulkhead",
            Self::Stall => "stall",
            Self::Killed => "killed",
        }
    }

    /// Who changes the databases.
    pub fn words(self) -> &'static str {
        match self {
            Self::Undisturbed => "nobody changes anything",
            Self::PtOsc => "pt-online-schema-change, one after the other",
            Self::Direct => "ALTER TABLE by 16 workers past Bulkhead",
            Self::Bulkhead => "a fleet migration",
            Self::Stall => "a fleet migration; writes of c1 stall for a while",
            Self::Killed => "a fleet migration; Bulkhead is killed three times",
        }
    }

    /// What Bulkhead may do by itself. Beside the loop of statements it only watches: what they do to writes
    /// is to be seen, not what Bulkhead makes of it.
    pub fn protection(self) -> Protection {
        if self == Self::Direct { Protection::Off } else { Protection::Drain }
    }

    /// Something stands between Bulkhead and the first cluster.
    pub fn has_fault(self) -> bool {
        self == Self::Stall
    }

    /// Bulkhead carries it out.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Bulkhead | Self::Stall | Self::Killed)
    }

    /// Databases that are asked for.
    pub fn asks_for(self, options: &Options) -> u64 {
        match self {
            Self::Undisturbed => 0,
            Self::PtOsc => options.sample(),
            _ => options.databases(),
        }
    }

    /// Plays it, from the first statement or program to the end of the last.
    ///
    /// # Errors
    /// It cannot be done, or takes too long.
    pub async fn play(self, field: &Field, scene: &mut Scene) -> io::Result<()> {
        let longest = Duration::from_secs(field.options.longest * 60);
        let too_long = || io::Error::other(format!("no end within {longest:?}"));
        match self {
            Self::Undisturbed => seconds(field.options.times().before).await,
            Self::PtOsc => {
                let ended = tokio::time::timeout(longest, change::run_pt_osc(field)).await;
                scene.errors = ended.map_err(|_| too_long())?;
            }
            Self::Direct => {
                let ended = tokio::time::timeout(longest, change::alter_directly(field)).await;
                scene.errors = ended.map_err(|_| too_long())??;
            }
            Self::Bulkhead => {
                let mut submission = Submission::start(field, scene.prepared())?;
                scene.errors.extend(submission.end(longest).await?);
            }
            Self::Stall => stall(field, scene, longest).await?,
            Self::Killed => killed(field, scene, longest).await?,
        }
        Ok(())
    }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

/// The part of a fleet migration in which the cluster falls ill and is well again; the rest is not waited
/// for.
async fn stall(field: &Field, scene: &mut Scene, longest: Duration) -> io::Result<()> {
    let _submission = Submission::start(field, scene.prepared())?;
    scene.wait_for_share(field, STALL_AT, longest).await?;
    scene.begin_fault(STALLS);
    scene.set_fault(Mode::Stall(STALL));
    seconds(STALLED_S).await;
    scene.set_fault(Mode::Pass);
    scene.mark(CURED.to_owned());
    scene.recover(RECOVERING).await
}

async fn killed(field: &Field, scene: &mut Scene, longest: Duration) -> io::Result<()> {
    let mut submission = Submission::start(field, scene.prepared())?;
    for share in KILL_AT {
        scene.wait_for_share(field, share, longest).await?;
        scene.restart_bulkhead()?;
    }
    let end = scene.wait_for_end(longest).await?;
    scene.mark(format!("the migration is {end}"));
    scene.errors.extend(submission.end(LAST_WORDS_MAX).await?);
    Ok(())
}
