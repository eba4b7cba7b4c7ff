//! Orders to the ladder: `DRAIN CLUSTER`, `UNDRAIN`, `FAILOVER CLUSTER`, `FREEZE DDL ON`, `THAW DDL ON`.
//!
//! Each says why, and with `DRY RUN` only what it would do.

use super::super::context::AdminContext;
use super::super::ladder::Ordered;
use super::super::table::{AdminAnswer, AdminTable, ColumnKind};
use super::super::words::Words;
use crate::drain::{Action, Command, DRAIN_WITHIN, Lane, Order, Stage};
use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, Keyspace, ServerId, ShardName};

/// Longest reason, in bytes.
const WHY_BYTES_MAX: usize = 1000;

/// Reads an order and gives it; `None` when the statement is none.
pub(in crate::admin) async fn order(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Option<Result<AdminAnswer, ClientError>> {
    let order = if words.take("DRAIN") {
        Order::Drain
    } else if words.take("UNDRAIN") {
        Order::Undrain
    } else if words.take("FAILOVER") {
        Order::FailOver(None)
    } else if words.take_all(&["FREEZE", "DDL"]) {
        Order::FreezeDdl
    } else if words.take_all(&["THAW", "DDL"]) {
        Order::ThawDdl
    } else {
        return None;
    };
    Some(give(order, words, context).await)
}

async fn give(
    order: Order,
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    words.take("ON");
    let cluster = if words.take("SHARD") {
        shards_cluster(&words.name("<keyspace>")?, words, context)?
    } else {
        words.take("CLUSTER");
        ClusterName::new(words.name("a cluster (SHOW CLUSTERS)")?)
    };
    let mut rest = Rest { order, why: None, is_rehearsal: false };
    rest.read(words)?;
    let Some(why) = rest.why else { return Err(words.expected("WHY '<reason>'")) };
    if !context.snapshots.load().config.clusters.contains_key(&cluster) {
        return Err(ClientError::new(Code::AdminNotFound, format!("no cluster {cluster}")));
    }
    let by = context.operator.to_string();
    let command = Command { cluster: cluster.clone(), order: rest.order, by, why };
    let lasting = match &command.order {
        Order::FreezeDdl => Some("until THAW DDL no schema change begins"),
        Order::ThawDdl => Some("schema changes begin again where the ladder allows them"),
        Order::Drain | Order::Undrain | Order::FailOver(_) => None,
    };
    let done = context.ladder.order(command, rest.is_rehearsal).await?;
    let mut table = table(&done, rest.is_rehearsal);
    if let Some(what) = lasting {
        table.push([cluster.as_str().into(), "lasting".into(), what.into()]);
    }
    Ok(AdminAnswer::Rows(table))
}

struct Rest {
    order: Order,
    why: Option<String>,
    is_rehearsal: bool,
}

impl Rest {
    fn read(&mut self, words: &mut Words<'_>) -> Result<(), ClientError> {
        while !words.is_done() {
            if words.take("WHY") {
                self.why = Some(reason(words)?);
            } else if words.take_all(&["DRY", "RUN"]) {
                self.is_rehearsal = true;
            } else if let (Order::FailOver(to), true) = (&mut self.order, words.is_next("TO")) {
                words.take("TO");
                let text = words.name("'<host>:<port>' of a replica")?;
                let server = ServerId::parse(&text);
                let wrong = || syntax(format!("found {text:?}, expected '<host>:<port>' of a replica"));
                *to = Some(server.ok_or_else(wrong)?);
            } else {
                return Err(words.expected("WHY '<reason>' or DRY RUN"));
            }
        }
        Ok(())
    }
}

fn reason(words: &mut Words<'_>) -> Result<String, ClientError> {
    let why = words.name("'<reason>'")?;
    let why = why.trim();
    if why.is_empty() || why.len() > WHY_BYTES_MAX {
        return Err(syntax(format!("a reason has 1 to {WHY_BYTES_MAX} bytes")));
    }
    Ok(why.to_owned())
}

fn syntax(message: String) -> ClientError {
    ClientError::new(Code::AdminSyntax, message)
}

/// The cluster of `<keyspace>/<shard>`.
fn shards_cluster(
    keyspace: &str,
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<ClusterName, ClientError> {
    if !words.take_symbol('/') {
        return Err(words.expected("/<shard>"));
    }
    let (keyspace, shard) = (Keyspace::new(keyspace), ShardName::new(words.name("a shard (SHOW SHARDS)")?));
    let snapshot = context.snapshots.load();
    let unknown = || ClientError::new(Code::AdminNotFound, format!("no shard {keyspace}/{shard}"));
    let topology = snapshot.config.keyspaces.get(&keyspace).ok_or_else(unknown)?;
    let place = topology.shards.iter().find(|place| place.name == shard).ok_or_else(unknown)?;
    Ok(place.cluster.clone())
}

/// What was done or would be, one row each.
fn table(done: &Ordered, is_rehearsal: bool) -> AdminTable {
    let text = ColumnKind::Text;
    let mut table = AdminTable::new([("cluster", text), ("done", text), ("what", text)]);
    let cluster = done.step.cluster.as_str();
    let event = &done.step.event;
    let how = if is_rehearsal { "would be" } else { "done" };
    let stage = if event.from == event.to {
        format!("stays {}", event.to.name())
    } else {
        format!("{} → {}", event.from.name(), event.to.name())
    };
    table.push([cluster.into(), how.into(), stage.into()]);
    for action in &done.step.actions {
        let begun = if !is_rehearsal && action.touches_server() { "begun" } else { how };
        table.push([cluster.into(), begun.into(), in_words(action).into()]);
    }
    if event.to == Stage::Draining {
        let seconds = DRAIN_WITHIN.as_secs();
        let later = format!("in {seconds} s no write passes, and what still writes on the primary is killed");
        table.push([cluster.into(), "later".into(), later.into()]);
    }
    match &done.plan {
        Some(Ok(plan)) => {
            plan.lines().for_each(|line| table.push([cluster.into(), "plan".into(), line.trim_end().into()]));
        }
        Some(Err(why)) => table.push([cluster.into(), "refused".into(), why.as_str().into()]),
        None => {}
    }
    table
}

fn in_words(action: &Action) -> String {
    match action {
        Action::DdlLane(Lane::Closed) => "no schema change begins".into(),
        Action::DdlLane(Lane::Open) => "schema changes may begin".into(),
        Action::Permits(held) => format!("permits for writes: {}", held.name()),
        Action::Gate(gate) => format!("gate for writes: {}", gate.name()),
        Action::KillDdl => "schema changes on the primary are killed".into(),
        Action::KillTransactions => "what still writes on the primary is killed".into(),
        Action::FailOver(None) => "the most advanced replica becomes the primary".into(),
        Action::FailOver(Some(server)) => format!("{server} becomes the primary"),
        Action::FindPrimary => "the primary is looked for".into(),
    }
}
