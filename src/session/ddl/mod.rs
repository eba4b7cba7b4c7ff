//! Schema changes of one database: looked at before they reach a server.
//!
//! A statement that changes a table is decided about ([`crate::ddl`]) with the table's definition as the
//! server has it at that moment ([`crate::schema`]). It goes to the server with an assertion and a bounded
//! wait for its table (`direct`), becomes an online copy (`copy`), or is refused (`refuse`). Other schema
//! changes (views, triggers, routines) go to the server with the same bounded wait.
//!
//! A change of every database of a keyspace (`fleet`) is decided about, and carried out, by
//! [`crate::migrations::fleet`]; the session only asks for it and waits.
//!
//! Invariants: no type change goes to a server as the client wrote it, whatever the table's size and whoever
//! asks; what the server will not do in place is copied online or refused, never copied by the server;
//! nothing is sent before it is decided.

mod copy;
mod direct;
mod fleet;
mod look;
mod own;
mod young;

pub(in crate::session) use self::direct::Waits;
pub use self::own::OwnDatabases;
pub(in crate::session) use self::young::YoungTables;

use crate::ddl::{Decision, Finding, Level, Offer, Request, Route, Standing, Table, assert_edits, decide};
use crate::error::{ClientError, Code};
use crate::plan::{Address, Destination, Plan};
use crate::protocol::response::CommandKind;
use crate::protocol::result::ServerError;
use crate::schema::{Asked, read_asked, refuse};
use crate::sql::{self, Scan};
use crate::topology::Snapshot;

use self::look::Look;
use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::query::{Said, Statement};
use crate::session::run::job::{Job, Payload};
use crate::session::run::place::Place;

/// Where a schema change is to happen, and what was said about it.
struct Site<'a> {
    /// The place.
    place: Place,
    /// The place in words of the vschema.
    address: &'a Address,
    /// What its comments say.
    said: &'a Said,
    /// What it is planned on.
    snapshot: &'a Snapshot,
}

/// What became of a change that was sent to the server.
enum Sent {
    /// The client has its answer.
    Answered,
    /// The server will not do it as it was asserted; nothing was changed, and the client has not heard of it.
    NotInPlace(ServerError),
}

impl Session {
    /// A schema change that came as text.
    pub(in crate::session) async fn change_by_text(
        &mut self,
        statement: &Statement<'_>,
        plan: &Plan,
        destination: Destination,
        snapshot: &Snapshot,
    ) -> Flow {
        let (address, edited) = match destination {
            Destination::One(address) => (address, None),
            Destination::Edited { address, text } => (address, Some(text)),
            Destination::Fleet(keyspace) => {
                let asked = (statement.text, &statement.said);
                return self.change_fleet(CommandKind::Query, asked, &keyspace).await;
            }
            _ => return Err(ClientError::of(Code::WideDdl).into()),
        };
        let text = edited.as_deref().unwrap_or(statement.text);
        let job = Job {
            payload: Payload::Text { attributes: statement.attributes, text },
            kind: CommandKind::Query,
            plan,
            scan: Some(statement.scan),
            text: statement.text,
            started: statement.started,
        };
        self.change_schema(&job, (&address, &statement.said, snapshot)).await
    }

    /// Decides about a schema change at an address, and does what follows.
    pub(in crate::session) async fn change_schema(
        &mut self,
        job: &Job<'_>,
        (address, said, snapshot): (&Address, &Said, &Snapshot),
    ) -> Flow {
        self.have_own_database(snapshot, address).await?;
        let place = self.place_of(snapshot, address, job, said)?;
        let site = Site { place, address, said, snapshot };
        // The lane, and gates: what waits here is planned again afterwards.
        drop(self.admit(job, &site.place).await?);
        let text = job.server_text();
        let asked = match self.read_change(text) {
            Ok(Some(asked)) => asked,
            Ok(None) => return self.run_unasserted(job, &site).await,
            Err(error) => return Err(error.into()),
        };
        if asked.change.temporary || self.is_own_temporary(&asked, &site).await? {
            return self.run_job(job, site.place).await;
        }
        if asked.only_creates() {
            self.run_unasserted(job, &site).await?;
            self.note_tables(&asked, &site);
            return Ok(());
        }
        let mut look = self.look(&asked, &site).await?;
        let done = self.change_table(job, &site, &asked, &mut look).await;
        look.close().await;
        done
    }

    /// Reads the text that is to be sent; `None` when it changes no table.
    fn read_change<'a>(&self, text: &'a [u8]) -> Result<Option<Asked<'a>>, ClientError> {
        read_asked(text, self.state.mode)
    }

    /// Says whether a text only makes a table, so that nothing has to be decided about it.
    pub(in crate::session) fn only_creates_table(&self, text: &[u8]) -> bool {
        self.read_change(text).is_ok_and(|asked| asked.is_some_and(|asked| asked.only_creates()))
    }

    async fn change_table(
        &mut self,
        job: &Job<'_>,
        site: &Site<'_>,
        asked: &Asked<'_>,
        look: &mut Look,
    ) -> Flow {
        if let Some(answer) = look.settled(asked) {
            return match answer {
                Ok(()) => self.run_unasserted(job, site).await,
                Err(error) => Err(error.into()),
            };
        }
        let decision = self.decide(site, asked, look, false).await?;
        self.log_change(site, asked, &decision);
        if refuse::names_nothing(&decision) {
            let table = Table { definition: look.definition(), server: look.server() };
            if let Some(error) = refuse::error_of_nothing(asked, table) {
                return Err(error.into());
            }
            if decision.clauses.len() != 1 {
                return Err(refuse::refusal(&decision, look.standing()).into());
            }
            look.close().await;
            // A condition makes it a no-op: it is asserted, so that nothing else can come of it.
            let edits = assert_edits(asked.text, &asked.change, Offer::INSTANT, look.server());
            return match self.run_asserted(job, site, asked, &edits).await? {
                Sent::Answered => Ok(()),
                Sent::NotInPlace(_) => Err(refuse::refusal(&decision, look.standing()).into()),
            };
        }
        match decision.route {
            Route::Refuse => Err(refuse::refusal(&decision, look.standing()).into()),
            Route::Copy => self.copy_online(job, site, asked, (look, &decision)).await,
            Route::Direct => self.change_directly(job, site, asked, (look, &decision)).await,
        }
    }

    /// Proves, and sends it as it was decided; what the server will not do in place is copied online.
    async fn change_directly(
        &mut self,
        job: &Job<'_>,
        site: &Site<'_>,
        asked: &Asked<'_>,
        (look, decision): (&mut Look, &Decision),
    ) -> Flow {
        self.prove(site, asked, (look, decision)).await?;
        // Behind the scan, which takes a while: a migration may have begun meanwhile.
        self.check_not_migrating(site, asked)?;
        look.close().await;
        match self.run_asserted(job, site, asked, &decision.edits).await? {
            Sent::Answered => {
                self.note_tables(asked, site);
                Ok(())
            }
            Sent::NotInPlace(error) if asked.needs_definition() => {
                // The first look was given back before the statement was sent.
                *look = self.look(asked, site).await?;
                self.copy_after_all(job, site, asked, (look, &error)).await
            }
            Sent::NotInPlace(error) => Err(crate::session::run::exchange::refused_by_server(&error).into()),
        }
    }

    /// The server would not do it in place: it is copied online, if that may be.
    async fn copy_after_all(
        &mut self,
        job: &Job<'_>,
        site: &Site<'_>,
        asked: &Asked<'_>,
        (look, error): (&mut Look, &ServerError),
    ) -> Flow {
        if let Some(answer) = look.settled(asked) {
            // The table has gone meanwhile, or can no longer be read.
            return match answer {
                Ok(()) => Err(crate::session::run::exchange::refused_by_server(error).into()),
                Err(error) => Err(error.into()),
            };
        }
        let (cluster, errno) = (&site.place.cluster, error.errno);
        tracing::info!(target: "bulkhead::ddl", %cluster, errno, "not done in place: to be copied online");
        let decision = self.decide(site, asked, look, true).await?;
        match decision.route {
            Route::Copy => self.copy_online(job, site, asked, (look, &decision)).await,
            _ => Err(refuse::refusal(&decision, look.standing()).into()),
        }
    }

    /// Decides; where that would not let it through as it is, the table is looked at once more: with no rows
    /// in it there is less to be careful about.
    async fn decide(
        &mut self,
        site: &Site<'_>,
        asked: &Asked<'_>,
        look: &mut Look,
        must_copy: bool,
    ) -> Flow<Decision> {
        let first = self.decide_now(site, asked, look, must_copy);
        let is_settled = first.route == Route::Direct && !first.needs_proof;
        // The look would wait for the session's own locks.
        if is_settled || look.has_looked_at_rows() || self.holds_tables() {
            return Ok(first);
        }
        look.look_at_rows(asked).await;
        Ok(self.decide_now(site, asked, look, must_copy))
    }

    fn decide_now(&self, site: &Site<'_>, asked: &Asked<'_>, look: &Look, must_copy: bool) -> Decision {
        let standing = look.standing();
        decide(&Request {
            text: asked.text,
            change: &asked.change,
            table: look.definition(),
            server: look.server(),
            // What was made a moment ago is scanned without being asked for.
            prove: site.said.ddl_prove || standing == Standing::Young,
            acknowledged: site.said.ddl_acknowledged,
            standing,
            must_copy,
        })
    }

    /// Writes the decision down. Statements are logged without their literals.
    fn log_change(&self, site: &Site<'_>, asked: &Asked<'_>, decision: &Decision) {
        let mut scan = Scan::default();
        sql::scan(asked.text, asked.mode, &mut scan);
        let known = |finding: &&Finding| finding.level > Level::Reason;
        let rules: Vec<&str> = decision.all_findings().filter(known).map(|found| found.rule.id).collect();
        tracing::info!(
            target: "bulkhead::ddl",
            session = self.admission.id.0,
            user = %self.user.name,
            cluster = %site.place.cluster,
            database = site.place.database.as_deref().unwrap_or_default(),
            table = asked.change.table.name.text,
            route = decision.route.word(),
            rules = rules.join(","),
            acknowledged = site.said.ddl_acknowledged && decision.breaks,
            statement = sql::normalize(asked.text, asked.mode, &scan),
            "schema change"
        );
    }
}

/// The job as a text of its own; `None` for commands that are no statements, or that have parameters.
fn as_text<'b>(job: &Job<'b>, text: &'b [u8]) -> Result<Job<'b>, ClientError> {
    let attributes = match job.payload {
        Payload::Text { attributes, .. } => attributes,
        Payload::Execute(execution) if execution.statement.params == 0 => &[],
        Payload::Execute(_) | Payload::Raw(_) => {
            return Err(ClientError::new(Code::NotSupported, "a schema change with parameters"));
        }
    };
    Ok(Job { payload: Payload::Text { attributes, text }, kind: CommandKind::Query, ..*job })
}
