//! What all scenarios share: the servers, the systems, the report so far; and one measured window.

use std::io;
use std::time::Instant;

use crate::load::{self, Counted, Load};
use crate::options::Options;
use crate::places::Places;
use crate::process::{self, CpuTime};
use crate::report::{Bar, Entry, Failure, Measure, Report, Round};
use crate::servers::{self, Cluster};
use crate::systems::{self, BulkheadSetup, Kind, System};

/// The running benchmark. On drop everything it started is ended.
pub struct Stage {
    /// What is asked for.
    pub options: Options,
    /// Where things are.
    pub places: Places,
    /// Systems that are compared, in the order of their turns.
    pub systems: Vec<System>,
    /// The servers under all of them.
    pub clusters: Vec<Cluster>,
    /// What was found.
    pub report: Report,
    started: Instant,
}

/// CPU time and memory at one end of a window.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    proxy: CpuTime,
    servers: CpuTime,
    memory_bytes: u64,
}

impl Stage {
    /// Starts servers, fills them, starts systems. A system that does not start is reported and left out.
    ///
    /// # Errors
    /// A server does not start.
    pub fn set(options: Options, places: Places) -> io::Result<Self> {
        let started = Instant::now();
        say(started, "starting three MySQL servers");
        let clusters = servers::start(&places)?;
        let workspaces = options.workspaces();
        say(started, &format!("making {workspaces} workspaces and the tables"));
        servers::fill(&clusters, workspaces, options.rows())?;
        let mut stage =
            Self { options, places, systems: Vec::new(), clusters, report: Report::default(), started };
        for kind in stage.options.kinds() {
            match systems::start(kind, &stage.places, &stage.clusters, workspaces) {
                Ok(system) => {
                    stage.say(&format!(
                        "{} runs (pid {:?}, port {})",
                        kind.name(),
                        system.pids(),
                        system.port
                    ));
                    stage.systems.push(system);
                }
                Err(error) => stage.fail("start", kind.name(), &error),
            }
        }
        Ok(stage)
    }

    /// Prints a line of progress.
    pub fn say(&self, what: &str) {
        say(self.started, what);
    }

    /// Notes that something could not be measured.
    pub fn fail(&mut self, scenario: &str, system: &str, error: &io::Error) {
        self.say(&format!("{scenario}, {system}: FAILED: {error}"));
        let (scenario, system) = (scenario.to_owned(), system.to_owned());
        self.report.failures.push(Failure { scenario, system, why: error.to_string() });
    }

    /// Notes a number that has no place in the table.
    pub fn measure(&mut self, scenario: &str, name: impl Into<String>, value: f64, unit: &'static str) {
        let (scenario, name) = (scenario.to_owned(), name.into());
        self.say(&format!("{scenario}: {name} {value:.2} {unit}"));
        self.report.measures.push(Measure { scenario, name, value, unit });
    }

    /// Notes a judged promise.
    pub fn judge(&mut self, bar: Bar) {
        self.report.bars.push(bar);
    }

    /// Adds lines to the table.
    pub fn enter(&mut self, entries: Vec<Entry>) {
        self.report.scenarios.extend(entries);
    }

    /// The compared Bulkhead.
    pub fn bulkhead(&self) -> Option<&System> {
        self.systems.iter().find(|system| system.kind == Kind::Bulkhead)
    }

    /// Bulkhead as it is compared, to be varied.
    pub fn standard(&self) -> BulkheadSetup {
        BulkheadSetup::standard(self.options.workspaces())
    }

    /// A load with the run's own times.
    pub fn load(&self, work: load::Work) -> Load {
        let options = &self.options;
        Load { work, rows: options.rows(), warm_up: options.warm_up(), window: options.window() }
    }

    /// Reads CPU time and memory now.
    ///
    /// # Errors
    /// A process is gone.
    pub fn mark(&self, system: &System) -> io::Result<Mark> {
        let pids = system.pids();
        let servers: Vec<u32> = self.clusters.iter().map(|cluster| cluster.pid).collect();
        Ok(Mark {
            proxy: process::cpu_time(&pids)?,
            servers: process::cpu_time(&servers)?,
            memory_bytes: process::memory_bytes(&pids)?,
        })
    }

    /// Puts a system under our own load for one window.
    ///
    /// # Errors
    /// A statement failed.
    pub async fn window(
        &self,
        system: &System,
        load: Load,
        clients: usize,
        database: &str,
    ) -> io::Result<Round> {
        let logins = vec![system.login(database); clients];
        let (counted, first, last) = load::run(load, &logins, || self.mark(system)).await?;
        Ok(round_of(&counted, counted.statements(), first, last))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.say("ending everything");
        self.systems.drain(..).for_each(System::stop);
    }
}

fn say(started: Instant, what: &str) {
    eprintln!("[{:6.1} s] {what}", started.elapsed().as_secs_f64());
}

/// What a window comes to, per statement.
pub fn round_of(counted: &Counted, statements: u64, first: Mark, last: Mark) -> Round {
    let per_statement = |micros: u64| micros as f64 / statements.max(1) as f64;
    let (proxy, servers) = (last.proxy.since(first.proxy), last.servers.since(first.servers));
    Round {
        qps: statements as f64 / counted.elapsed.as_secs_f64(),
        p50_us: counted.latencies.quantile_us(0.50),
        p95_us: counted.latencies.quantile_us(0.95),
        p99_us: counted.latencies.quantile_us(0.99),
        proxy_cpu_us: per_statement(proxy.total_us()),
        proxy_user_us: per_statement(proxy.user_us),
        proxy_system_us: per_statement(proxy.system_us),
        server_cpu_us: per_statement(servers.total_us()),
        rss_bytes: last.memory_bytes,
        statements,
    }
}
