//! One case while it is played: the load, who watches, what is done to it.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::cases::Case;
use super::events;
use super::fault::FaultProxy;
use super::field::{Field, SICK};
use super::flood::Plan;
use super::ledger::Entry;
use super::record::{Change, Flood, Mark, Record};
use super::series::Span;
use super::workers::{self, Application, Crowd};
use super::{judge, schema, watch};
use crate::client::{Client, Login};
use crate::systems::{Prepared, System};

/// Between two looks at the stage that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long an operator's command may take.
const COMMAND_WAIT_MAX: Duration = Duration::from_secs(60);
/// Think time of a storm's clients: they come, and then do little.
const STORM_THINK: Duration = Duration::from_secs(2);

/// A case that is being played.
pub struct Scene {
    /// In front of the sick cluster's servers, primary first.
    pub proxies: [FaultProxy; 2],
    /// What became of the flood.
    pub flood: Option<Flood>,
    case: Case,
    run: u32,
    prepared: Prepared,
    bulkhead: Option<System>,
    admin: Login,
    crowd: Arc<Crowd>,
    working: Vec<JoinHandle<io::Result<Vec<Vec<Entry>>>>>,
    watching: JoinHandle<Vec<Change>>,
    busy: JoinHandle<Vec<f64>>,
    marks: Vec<Mark>,
    onset_s: f64,
}

impl Scene {
    /// Starts Bulkhead and the load. `run` tells this case's writes from others'.
    ///
    /// # Errors
    /// Bulkhead does not start.
    pub async fn begin_load(field: &Field, case: Case, run: u32) -> io::Result<Self> {
        let proxies = field.fault_proxies().await?;
        let prepared = field.prepare(case.name(), case.protection(), &proxies)?;
        let bulkhead = prepared.start()?;
        let admin = bulkhead.admin_login(&field.places)?;
        let names = field.names();
        let crowd = Crowd::new(&names);
        let application = Self::application(field, &bulkhead, run);
        Ok(Self {
            proxies,
            flood: None,
            case,
            run,
            prepared,
            working: vec![tokio::spawn(workers::work(application, Arc::clone(&crowd)))],
            watching: tokio::spawn(watch::look(admin.clone(), names, Arc::clone(&crowd))),
            busy: tokio::spawn(watch::cpu(Arc::clone(&crowd))),
            bulkhead: Some(bulkhead),
            admin,
            crowd,
            marks: Vec::new(),
            onset_s: 0.0,
        })
    }

    fn application(field: &Field, bulkhead: &System, run: u32) -> Application {
        Application {
            login: bulkhead.login(""),
            clients: field.options.clients as usize,
            first: 0,
            only: None,
            prefix: schema::PREFIX,
            workspaces: field.options.workspaces(),
            clusters: field.clusters.len(),
            think: Duration::from_millis(field.options.think_ms()),
            run,
        }
    }

    /// Seconds since the load began.
    pub fn now_s(&self) -> f64 {
        self.crowd.now_s()
    }

    /// Notes what the replay does, now.
    pub fn mark(&mut self, what: String) {
        eprintln!("           {:6.1} s of the load: {what}", self.now_s());
        self.marks.push(Mark { at_s: self.now_s(), what });
    }

    /// Notes the onset.
    pub fn begin(&mut self, what: &str) {
        self.onset_s = self.now_s();
        self.mark(what.to_owned());
    }

    /// The flood on the sick cluster's primary itself.
    pub fn flood_plan(&self, field: &Field) -> Plan {
        let own = schema::workspaces_of(SICK, field.options.workspaces());
        let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, field.clusters[SICK].port));
        Plan {
            login: Login { address, database: String::new(), ..self.admin.clone() },
            databases: Arc::new(own.map(|workspace| format!("ws_{workspace}")).collect()),
            per_second: field.options.flood_rate,
        }
    }

    /// So many more clients of the sick cluster, all at once.
    pub fn storm(&mut self, field: &Field, clients: usize) {
        let Some(bulkhead) = &self.bulkhead else { return };
        let usual = Self::application(field, bulkhead, self.run);
        let first = usual.clients;
        let storm = Application { clients, first, only: Some(SICK), think: STORM_THINK, ..usual };
        self.working.push(tokio::spawn(workers::work(storm, Arc::clone(&self.crowd))));
    }

    /// Orders a planned switchover of the sick cluster; gives what Bulkhead answers.
    ///
    /// # Errors
    /// It refuses, or does not answer.
    pub async fn switch_over(&self) -> io::Result<String> {
        let order = format!(
            "FAILOVER CLUSTER c1 TO '127.0.0.1:{}' WHY 'a switchover is tried'",
            self.proxies[1].port
        );
        let mut client = Client::connect(&self.admin).await?;
        let answer = tokio::time::timeout(COMMAND_WAIT_MAX, client.table(&order)).await;
        let table = answer.map_err(|_| io::Error::other("no answer to FAILOVER CLUSTER"))??;
        let words = table.rows.first().map(|row| row.iter().flatten().cloned().collect::<Vec<_>>().join(" "));
        Ok(words.unwrap_or_else(|| "nothing".to_owned()))
    }

    /// Waits until the sick cluster is on one of these stages.
    ///
    /// # Errors
    /// It is not within the bound, or Bulkhead does not answer.
    pub async fn wait_for_stage(&self, stages: &[&str], bound: Duration) -> io::Result<()> {
        let mut client = Client::connect(&self.admin).await?;
        let began = Instant::now();
        while began.elapsed() < bound {
            let table = client.table("SHOW HEALTH WHERE cluster = c1").await?;
            let stage = table.get(0, "stage").unwrap_or_default();
            if stages.contains(&stage) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(io::Error::other(format!("c1 is not {} within {bound:?}", stages.join(" or "))))
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
        self.mark(judge::RUNS_AGAIN.to_owned());
        Ok(())
    }

    /// Ends the load and everything that watches; compares the ledgers; gives the record.
    ///
    /// # Errors
    /// A task broke, or a server does not answer.
    pub async fn finish(mut self, field: &Field, calm: Vec<Span>, disturbed: Span) -> io::Result<Record> {
        let events = events::read(&self.admin, self.crowd.began_at).await;
        self.crowd.end();
        let mut ledgers = vec![Vec::new(); field.clusters.len()];
        for working in self.working.drain(..) {
            let found = working.await.map_err(io::Error::other)??;
            ledgers.iter_mut().zip(found).for_each(|(all, more)| all.extend(more));
        }
        let changes = self.watching.await.map_err(io::Error::other)?;
        let cpu = self.busy.await.map_err(io::Error::other)?;
        // Nothing that was on its way may arrive while the servers are asked.
        self.bulkhead.take().map(System::stop);
        drop(self.proxies);
        let (ledger, writable_servers) = field.check(&ledgers, self.run)?;
        let what_runs = if writable_servers == 1 { Vec::new() } else { field.what_runs() };
        let mut series: Vec<_> = self
            .crowd
            .series
            .iter()
            .map(|series| series.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect();
        series.iter_mut().for_each(super::series::Series::finish);
        Ok(Record {
            name: self.case.name().to_owned(),
            protection: self.case.protection(),
            sick: field.clusters[SICK].name.clone(),
            onset_s: self.onset_s,
            calm,
            disturbed,
            marks: self.marks,
            events,
            series,
            changes,
            cpu,
            flood: self.flood,
            ledger,
            writable_servers,
            what_runs,
        })
    }
}
