//! One case while it is played: the load, who watches, what is done to it.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::cases::Case;
use super::counters::{self, Counted};
use super::field::Field;
use super::record::{self, Record, Seen};
use super::said::{self, Said};
use super::schema::{self, Group};
use crate::client::{Client, Login};
use crate::incident::events;
use crate::incident::fault::{FaultProxy, Mode};
use crate::incident::ledger::{Entry, Verdict};
use crate::incident::policy;
use crate::incident::record::{Change, Mark};
use crate::incident::series::{Series, Span};
use crate::incident::watch;
use crate::incident::workers::{self, Application, Crowd};
use crate::systems::{Beside, BulkheadSetup, Front, Prepared, System, prepare};

/// Connections of Bulkhead to each server.
const POOL_MAX: u32 = 64;
/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long Bulkhead may be silent after a start before that is a failure.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// States at the end of a fleet migration.
const ENDS: [&str; 3] = ["finished", "cancelled", STOPPED];
/// The state of one that waits for an operator.
const STOPPED: &str = "stopped";
/// How long our operator thinks before it is told to go on: a cluster has to be well again by then.
const RESUMED_AFTER: Duration = Duration::from_secs(20);
/// How often it is told to, at most.
const RESUMED_MAX: u32 = 10;

/// What a group's clients are doing.
struct Load {
    group: Group,
    crowd: Arc<Crowd>,
    working: JoinHandle<io::Result<Vec<Vec<Entry>>>>,
}

/// A case that is being played.
pub struct Scene {
    /// What failed while databases were changed.
    pub errors: Vec<String>,
    case: Case,
    fault: Option<FaultProxy>,
    prepared: Prepared,
    bulkhead: Option<System>,
    admin: Login,
    loads: Vec<Load>,
    health: JoinHandle<Vec<Change>>,
    said: Option<JoinHandle<Said>>,
    busy: JoinHandle<Vec<f64>>,
    counting: Vec<JoinHandle<Counted>>,
    marks: Vec<Mark>,
    onset_s: Option<f64>,
}

impl Scene {
    /// Starts Bulkhead, the load, and all who watch.
    ///
    /// # Errors
    /// Bulkhead does not start.
    pub async fn begin_load(field: &Field, case: Case) -> io::Result<Self> {
        let fault =
            if case.has_fault() { Some(FaultProxy::start(field.clusters[0].port).await?) } else { None };
        let prepared = prepare_bulkhead(field, case, fault.as_ref())?;
        let bulkhead = prepared.start()?;
        let admin = bulkhead.admin_login(&field.places)?;
        let names = field.names();
        let loads: Vec<Load> = Group::ALL.map(|group| begin(field, &bulkhead, group)).into();
        let crowd = &loads[0].crowd;
        let count = |(at, name): (usize, &String)| {
            tokio::spawn(counters::look(field.direct_login(at), name.clone(), Arc::clone(crowd)))
        };
        Ok(Self {
            errors: Vec::new(),
            case,
            health: tokio::spawn(watch::look(admin.clone(), names.clone(), Arc::clone(crowd))),
            said: case.is_ours().then(|| tokio::spawn(said::look(admin.clone(), Arc::clone(crowd)))),
            busy: tokio::spawn(watch::cpu(Arc::clone(crowd))),
            counting: names.iter().enumerate().map(count).collect(),
            fault,
            prepared,
            bulkhead: Some(bulkhead),
            admin,
            loads,
            marks: Vec::new(),
            onset_s: None,
        })
    }

    /// Bulkhead's files.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Seconds since the load began.
    pub fn now_s(&self) -> f64 {
        self.loads[0].crowd.now_s()
    }

    /// Notes what is done, now.
    pub fn mark(&mut self, what: String) {
        eprintln!("           {:6.1} s of the load: {what}", self.now_s());
        self.marks.push(Mark { at_s: self.now_s(), what });
    }

    /// Notes that something befalls the first cluster.
    pub fn begin_fault(&mut self, what: &str) {
        self.onset_s = Some(self.now_s());
        self.mark(what.to_owned());
    }

    /// What the proxy in front of the first cluster does from now on.
    pub fn set_fault(&self, mode: Mode) {
        if let Some(fault) = &self.fault {
            fault.set(mode);
        }
    }

    /// Waits until this share of the databases is changed, by the servers' own account.
    ///
    /// # Errors
    /// A server does not answer, or it takes too long.
    pub async fn wait_for_share(&self, field: &Field, share: f64, longest: Duration) -> io::Result<()> {
        let wanted = (field.options.databases() as f64 * share).ceil() as u64;
        let began = Instant::now();
        let mut clients = Vec::new();
        for cluster in 0..field.clusters.len() {
            clients.push(Client::connect(&field.direct_login(cluster)).await?);
        }
        while began.elapsed() < longest {
            let mut changed = 0;
            for client in &mut clients {
                let table = client.table(&schema::count_changed()).await?;
                changed += table.get(0, "changed").and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
            }
            if changed >= wanted {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(io::Error::other(format!("fewer than {wanted} databases are changed after {longest:?}")))
    }

    /// Waits for the end of the fleet migration; gives its state then. One that stops by itself is told to go
    /// on, as an operator would, so many times at most.
    ///
    /// # Errors
    /// Bulkhead does not answer, or it takes too long.
    pub async fn wait_for_end(&mut self, longest: Duration) -> io::Result<String> {
        let (began, mut heard) = (Instant::now(), Instant::now());
        let mut resumed = 0;
        while began.elapsed() < longest {
            match self.state().await {
                Ok((id, state)) if state == STOPPED && resumed < RESUMED_MAX => {
                    tokio::time::sleep(RESUMED_AFTER).await;
                    self.resume(&id).await?;
                    resumed += 1;
                }
                Ok((_, state)) if ENDS.contains(&state.as_str()) => return Ok(state),
                Ok(_) => heard = Instant::now(),
                Err(error) if heard.elapsed() > SILENT_MAX => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(io::Error::other(format!("the migration is not over after {longest:?}")))
    }

    /// Watches for so long; once `RESUMED_AFTER` is over a migration that stopped by itself is told to go on.
    ///
    /// # Errors
    /// Bulkhead does not answer.
    pub async fn recover(&mut self, time: Duration) -> io::Result<()> {
        tokio::time::sleep(RESUMED_AFTER.min(time)).await;
        let (id, state) = self.state().await?;
        if state == STOPPED {
            self.resume(&id).await?;
        }
        tokio::time::sleep(time.saturating_sub(RESUMED_AFTER)).await;
        Ok(())
    }

    async fn resume(&mut self, id: &str) -> io::Result<()> {
        Client::connect(&self.admin).await?.query(&format!("RESUME MIGRATION '{id}'")).await?;
        self.mark("the migration had stopped by itself and is told to go on".to_owned());
        Ok(())
    }

    /// The fleet migration's id and state.
    async fn state(&self) -> io::Result<(String, String)> {
        let table = Client::connect(&self.admin).await?.table("SHOW MIGRATIONS WHERE kind = fleet").await?;
        let word = |column: &str| table.get(0, column).map(str::to_owned);
        word("id").zip(word("state")).ok_or_else(|| io::Error::other("Bulkhead shows no fleet migration"))
    }

    /// Kills Bulkhead as a crash would and starts it again.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart_bulkhead(&mut self) -> io::Result<()> {
        // Dropping it kills it.
        self.bulkhead = None;
        self.mark("Bulkhead is killed (-9)".to_owned());
        self.bulkhead = Some(self.prepared.start()?);
        self.mark("Bulkhead runs again".to_owned());
        Ok(())
    }

    /// Ends the load and all who watch; compares the ledgers, definitions and traces; gives the record.
    ///
    /// # Errors
    /// A task broke, or a server does not answer.
    pub async fn finish(
        mut self,
        field: &Field,
        calm: Vec<Span>,
        change_s: (f64, f64),
    ) -> io::Result<Record> {
        let events = events::read(&self.admin, self.loads[0].crowd.began_at).await;
        let length_s = self.now_s() as usize;
        self.loads.iter().for_each(|load| load.crowd.end());
        let change = Span { from_s: change_s.0 as usize, to_s: change_s.1.ceil() as usize };
        let (mut seen, mut ledger, mut all) = (Vec::new(), Verdict::default(), Vec::new());
        for load in self.loads.drain(..) {
            all.push((load.group, load.working.await.map_err(io::Error::other)??));
            seen.push(seen_by(load.group, &load.crowd, &calm, change, length_s));
        }
        let mut counted = Vec::new();
        for counting in self.counting.drain(..) {
            counted.push(counting.await.map_err(io::Error::other)?);
        }
        let said = match self.said.take() {
            Some(said) => said.await.map_err(io::Error::other)?,
            None => Said::default(),
        };
        let (health, cpu) = (self.health.await.map_err(io::Error::other)?, self.busy.await);
        // Nothing that was on its way may arrive while the servers are asked.
        if let Some(bulkhead) = self.bulkhead.take() {
            bulkhead.stop();
        }
        drop(self.fault);
        for (group, ledgers) in &all {
            ledger.merge(&field.check(*group, ledgers)?);
        }
        Ok(Record {
            name: self.case.name(),
            words: self.case.words(),
            calm,
            change,
            change_s,
            asked: self.case.asks_for(&field.options),
            onset_s: self.onset_s,
            marks: self.marks,
            events,
            seen,
            statements: record::statements(&counted, length_s),
            counted,
            health,
            said,
            cpu: cpu.map_err(io::Error::other)?,
            errors: self.errors,
            ledger,
            outcome: field.outcome(self.case.asks_for(&field.options))?,
        })
    }
}

fn prepare_bulkhead(field: &Field, case: Case, fault: Option<&FaultProxy>) -> io::Result<Prepared> {
    let front = |(at, cluster): (usize, &crate::servers::Cluster)| Front {
        name: cluster.name.clone(),
        primary: fault.filter(|_| at == 0).map_or(cluster.port, |fault| fault.port),
        replica: None,
        administrates: true,
    };
    let soak = field.options.soak_s();
    // What an older Bulkhead does not know is not said to it where it does not matter.
    let soak =
        if case.is_ours() { format!("[schema_changes.fleet]\nsoak = \"{soak}s\"\n") } else { String::new() };
    let setup = BulkheadSetup {
        name: format!("bulkhead-{}", case.name()),
        pool_max: POOL_MAX,
        fronts: field.clusters.iter().enumerate().map(front).collect(),
        beside: vec![Beside {
            keyspace: "accounts",
            prefix: Group::Unrelated.prefix(),
            workspaces: field.count(Group::Unrelated),
        }],
        config: format!("{}{soak}", policy::ladder(case.protection())),
        ..BulkheadSetup::standard(field.count(Group::Changed))
    };
    prepare(&setup, &field.places, &field.clusters)
}

/// One half of the clients begins.
fn begin(field: &Field, bulkhead: &System, group: Group) -> Load {
    let crowd = Crowd::of_writes(&field.names());
    let application = Application {
        login: bulkhead.login(""),
        clients: field.options.half(),
        first: 0,
        only: None,
        prefix: group.prefix(),
        workspaces: field.count(group),
        clusters: field.clusters.len(),
        think: Duration::from_millis(field.options.think),
        run: group.run(),
    };
    let working = tokio::spawn(workers::work(application, Arc::clone(&crowd)));
    Load { group, crowd, working }
}

fn seen_by(group: Group, crowd: &Crowd, calm: &[Span], change: Span, length_s: usize) -> Seen {
    let lock =
        |series: &std::sync::Mutex<Series>| series.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let series: Vec<Series> = crowd.series.iter().map(lock).collect();
    let writes = series.iter().flat_map(|own| own.writes.iter().flatten().copied()).collect();
    let whole = Span { from_s: 0, to_s: usize::MAX };
    let count = |of: fn(&crate::incident::series::Second) -> u32| {
        series.iter().map(|own| own.count(whole, of)).sum::<u64>()
    };
    Seen {
        refused: count(|second| second.refused),
        unknown: count(|second| second.unknown),
        disconnected: count(|second| second.disconnected),
        ..Seen::new(group, writes, calm, change, length_s)
    }
}
