//! `HELP [<word>]`: every statement, with an example that works.

use super::super::table::{AdminAnswer, AdminTable, ColumnKind};
use super::super::words::Words;
use crate::error::ClientError;

/// One statement of the admin endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Help {
    /// How it is written.
    pub syntax: &'static str,
    /// What it does.
    pub what: &'static str,
    /// A statement that works on the demo.
    pub example: &'static str,
}

const fn entry(syntax: &'static str, what: &'static str, example: &'static str) -> Help {
    Help { syntax, what, example }
}

/// Every statement, in the order of the manual.
pub fn help() -> &'static [Help] {
    &HELP
}

const HELP: [Help; 62] = [
    entry("SHOW SHARDS <tail>", "shards with their clusters, workspaces and traffic", "SHOW SHARDS"),
    entry("SHOW CLUSTERS <tail>", "clusters of the config", "SHOW CLUSTERS"),
    entry(
        "SHOW HEALTH <tail>",
        "how clusters are, and where they stand on the ladder",
        "SHOW HEALTH WHERE state != healthy",
    ),
    entry(
        "SHOW PRIMARIES <tail>",
        "which server is each cluster's primary, and which are not used",
        "SHOW PRIMARIES WHERE cut_off != ''",
    ),
    entry(
        "SHOW ADMISSION <tail>",
        "statements in flight, waiting and refused, by cluster",
        "SHOW ADMISSION WHERE refused > 0",
    ),
    entry("SHOW GATES <tail>", "gates that are not open, and what is held there", "SHOW GATES"),
    entry(
        "SHOW SHARD STATUS <tail>",
        "for an on-call: each cluster, its gates, and the command to consider next",
        "SHOW SHARD STATUS WHERE stage != open",
    ),
    entry(
        "SHOW EVENTS [LIKE '<pattern>'] <tail>",
        "what happened and what was done, newest first",
        "SHOW EVENTS LIKE '%limited%' LIMIT 5",
    ),
    entry(
        "SHOW INCIDENT [<cluster>] [SINCE '<duration>']",
        "the evidence about a cluster, or that of the last step",
        "SHOW INCIDENT c2",
    ),
    entry(
        "SHOW MIGRATIONS <tail>",
        "schema changes that copy their table or change all databases of a keyspace, newest first",
        "SHOW MIGRATIONS WHERE state = copying",
    ),
    entry("SHOW MIGRATION '<id>'", "everything that is known of one", "SHOW MIGRATION '018f00000000aaaa'"),
    entry(
        "SHOW MIGRATION WAVES '<id>' <tail>",
        "the waves of a fleet migration, with their databases by state",
        "SHOW MIGRATION WAVES '018f00000000dddd'",
    ),
    entry(
        "SHOW MIGRATION CLUSTERS '<id>' <tail>",
        "the clusters of a fleet migration: budget, why closed, their databases by state",
        "SHOW MIGRATION CLUSTERS '018f00000000dddd'",
    ),
    entry(
        "SHOW MIGRATION DATABASES '<id>' [STATE <state>] [ON <cluster>] [SKIP <n>] [LIMIT <n>]",
        "databases of a fleet migration, 100 unless told",
        "SHOW MIGRATION DATABASES '018f00000000dddd' STATE failed",
    ),
    entry(
        "SHOW DDL LANES <tail>",
        "what each cluster bears of schema changes now, and why not more",
        "SHOW DDL LANES",
    ),
    entry("SHOW SERVERS <tail>", "servers and whether connections to them open", "SHOW SERVERS"),
    entry(
        "SHOW POOLS <tail>",
        "connections to servers: idle, busy, waited for",
        "SHOW POOLS WHERE role = primary",
    ),
    entry("SHOW SESSIONS <tail>", "connected clients", "SHOW SESSIONS ORDER BY command_s DESC"),
    entry(
        "SHOW DIGESTS <tail>",
        "what each kind of statement costs",
        "SHOW DIGESTS ORDER BY p99_ms DESC LIMIT 10",
    ),
    entry("SHOW VSCHEMA [<keyspace>]", "keyspaces, or the tables of one", "SHOW VSCHEMA shop"),
    entry("SHOW DIRECTORIES <tail>", "workspaces by shard and state; damaged pages", "SHOW DIRECTORIES"),
    entry("SHOW WORKSPACE <keyspace> <id>", "where a workspace is", "SHOW WORKSPACE workspaces 1"),
    entry(
        "SHOW WORKSPACES <keyspace> [ON <shard>] [STATE <state>] [AFTER <id>] [LIMIT <n>]",
        "workspaces in order, 1000 unless told",
        "SHOW WORKSPACES workspaces ON ws-a LIMIT 2",
    ),
    entry(
        "SHOW WORKSPACE LIMITS <tail>",
        "what all workspaces may use of a cluster, and those with limits of their own",
        "SHOW WORKSPACE LIMITS",
    ),
    entry("SHOW SNAPSHOT", "generation and size of the routing snapshot", "SHOW SNAPSHOT"),
    entry("SHOW CONFIG <tail>", "the main config, without secrets", "SHOW CONFIG WHERE section = listen"),
    entry("SHOW STATS <tail>", "counts of the proxy itself", "SHOW STATS"),
    entry("SHOW ERRORS <tail>", "every error code with its remedy", "SHOW ERRORS WHERE code = E2004"),
    entry("SHOW VERSION", "version of this program", "SHOW VERSION"),
    entry("SELECT * FROM <table> <tail>", "the same tables", "SELECT * FROM pools LIMIT 1"),
    entry(
        "EXPLAIN ROUTE [FOR <keyspace>[/<workspace>]] <sql>",
        "where a statement would go, and why; nothing is run",
        "EXPLAIN ROUTE FOR workspaces/1 select * from issues",
    ),
    entry("RELOAD", "reads config and vschema again; swaps all or nothing", "RELOAD"),
    entry("KILL [QUERY] <session>", "ends a session, or what it runs", "KILL QUERY 7"),
    entry(
        "DRAIN CLUSTER <cluster> WHY '<reason>' [DRY RUN]",
        "no new writes, then none; also DRAIN SHARD <keyspace>/<shard>, here and below",
        "DRAIN CLUSTER c2 WHY 'writes stall' DRY RUN",
    ),
    entry(
        "UNDRAIN CLUSTER <cluster> WHY '<reason>' [DRY RUN]",
        "lets writes in again, slowly",
        "UNDRAIN CLUSTER c2 WHY 'the disk is replaced'",
    ),
    entry(
        "FAILOVER CLUSTER <cluster> [TO '<host>:<port>'] WHY '<reason>' [DRY RUN]",
        "makes the most advanced replica, or this one, the primary",
        "FAILOVER CLUSTER c2 WHY 'it does not recover' DRY RUN",
    ),
    entry(
        "FREEZE DDL ON <cluster> WHY '<reason>' [DRY RUN]",
        "no schema change begins",
        "FREEZE DDL ON c2 WHY 'a flood of ALTERs'",
    ),
    entry(
        "THAW DDL ON <cluster> WHY '<reason>' [DRY RUN]",
        "schema changes may begin again",
        "THAW DDL ON c2 WHY 'the campaign is over'",
    ),
    entry(
        "SUBMIT MIGRATION ON <keyspace> '<statements>' [DRY RUN] [CANARY <n> | '<names>'] \
         [WAVES '<percents>'] [SOAK '<duration>'] [ORDER SIZE | NAME | '<names>'] [AT ONCE <n>] \
         [PER SECOND <n>] [FAILURES <n>] [DRIFTED] [PROVE] [ACKNOWLEDGED]",
        "changes all databases of a keyspace: a fleet migration",
        "SUBMIT MIGRATION ON workspaces 'ALTER TABLE issues ADD a INT' CANARY 2 SOAK '1m' DRY RUN",
    ),
    entry(
        "PACE MIGRATION '<id>' [AT ONCE <n>] [PER SECOND <n>] | OFF",
        "a fleet migration goes no faster on each cluster",
        "PACE MIGRATION '018f00000000dddd' AT ONCE 2 PER SECOND 1",
    ),
    entry(
        "SKIP DATABASE <database> OF MIGRATION '<id>'",
        "leaves one out of a fleet migration",
        "SKIP DATABASE ws_7 OF MIGRATION '018f00000000dddd'",
    ),
    entry(
        "SKIP WORKSPACE <id> OF MIGRATION '<id>'",
        "the same, by its workspace",
        "SKIP WORKSPACE 7 OF MIGRATION '018f00000000dddd'",
    ),
    entry(
        "PAUSE MIGRATION '<id>'",
        "copies no further, holds no lock; a fleet migration begins no further database",
        "PAUSE MIGRATION '018f00000000aaaa'",
    ),
    entry(
        "RESUME MIGRATION '<id>'",
        "ends a pause or a throttling; a fleet migration that stopped goes on",
        "RESUME MIGRATION '018f00000000aaaa'",
    ),
    entry(
        "THROTTLE MIGRATION '<id>' FOR <seconds>",
        "a pause that ends by itself",
        "THROTTLE MIGRATION '018f00000000aaaa' FOR 600",
    ),
    entry(
        "CANCEL MIGRATION '<id>'",
        "ends it; the table is as it was, and what a fleet migration has done stays",
        "CANCEL MIGRATION '018f00000000aaaa'",
    ),
    entry(
        "POSTPONE MIGRATION '<id>'",
        "copies and compares, and exchanges the tables only when told",
        "POSTPONE MIGRATION '018f00000000aaaa'",
    ),
    entry(
        "CUT OVER MIGRATION '<id>' [FORCE]",
        "ends a postponement; FORCE also ends connections that hold the table, but no large transaction",
        "CUT OVER MIGRATION '018f00000000aaaa'",
    ),
    entry(
        "RETRY MIGRATION '<id>'",
        "begins one again that failed or was cancelled; of a fleet migration, the databases that failed",
        "RETRY MIGRATION '018f00000000cccc'",
    ),
    entry(
        "REVERT MIGRATION '<id>'",
        "puts the old table back, while it is kept; of a fleet migration that is over, by another one",
        "REVERT MIGRATION '018f00000000bbbb'",
    ),
    entry("RETIRE MIGRATION '<id>'", "drops the kept old table now", "RETIRE MIGRATION '018f00000000bbbb'"),
    entry(
        "CREATE WORKSPACE <keyspace> <id> [ON <shard>] [STATE <state>] [WITH DATABASE]",
        "adds a workspace, by weight unless a shard is named; WITH DATABASE runs the template first",
        "CREATE WORKSPACE workspaces 4 ON ws-b",
    ),
    entry(
        "SET WORKSPACE <keyspace> <id> STATE <state>",
        "active, read_only, moving or suspended",
        "SET WORKSPACE workspaces 1 STATE moving",
    ),
    entry(
        "SET WORKSPACE <keyspace> <id> SHARD <shard> [FORCE]",
        "says where its data is now; needs moving or suspended, or FORCE; moves no data",
        "SET WORKSPACE workspaces 1 SHARD ws-c FORCE",
    ),
    entry(
        "DROP WORKSPACE <keyspace> <id> [FORCE]",
        "takes it out of the directory; needs suspended, or FORCE; its data stays",
        "DROP WORKSPACE workspaces 1 FORCE",
    ),
    entry(
        "SET WORKSPACE LIMIT <keyspace> <id> [IN_FLIGHT <n>] [PER_SECOND <n>]",
        "limits of its own, for writes and reads each; 0 is none; kept in the store",
        "SET WORKSPACE LIMIT workspaces 1 IN_FLIGHT 5 PER_SECOND 200",
    ),
    entry(
        "DROP WORKSPACE LIMIT <keyspace> <id>",
        "gives it the limits of all again",
        "DROP WORKSPACE LIMIT workspaces acme",
    ),
    entry(
        "SET GATE CLUSTER <cluster> | SHARD <keyspace> <shard> | TABLE <keyspace> <shard> <table> <state> \
         [FOR <seconds>] [ALL]",
        "open, limited, buffering (holds for 10 s), refusing or drained; for writes unless ALL",
        "SET GATE SHARD workspaces ws-b BUFFERING FOR 5",
    ),
    entry(
        "SET DDL LANE <cluster> OPEN | CLOSED",
        "whether schema changes are let through",
        "SET DDL LANE c1 CLOSED",
    ),
    entry(
        "IMPORT WORKSPACES <keyspace> FROM '<file>' [FORMAT csv | jsonl] [SKIP EXISTING | REPLACE EXISTING]",
        "adds the workspaces of a file on the proxy's machine; all rows are checked first",
        "IMPORT WORKSPACES workspaces FROM '/tmp/workspaces.csv' SKIP EXISTING",
    ),
    entry(
        "EXPORT WORKSPACES <keyspace> TO '<file>' [FORMAT csv | jsonl]",
        "writes the directory to a new file",
        "EXPORT WORKSPACES workspaces TO '/tmp/out.csv'",
    ),
    entry(
        "HELP [<word>]",
        "this list; <tail> is [WHERE <column> = <value> [AND …]] [ORDER BY <column> [DESC]] [LIMIT <n>]",
        "HELP WORKSPACE",
    ),
];

pub(in crate::admin) fn show_help(words: &mut Words<'_>) -> Result<AdminAnswer, ClientError> {
    let wanted = if words.is_done() { None } else { Some(words.rest().trim().to_ascii_uppercase()) };
    let wanted = wanted.as_deref().map(|text| text.trim_end_matches([';', ' ']));
    let text = ColumnKind::Text;
    let mut table = AdminTable::new([("statement", text), ("what", text), ("example", text)]);
    for entry in help() {
        if wanted.is_none_or(|wanted| entry.syntax.contains(wanted)) {
            table.push([entry.syntax.into(), entry.what.into(), entry.example.into()]);
        }
    }
    Ok(AdminAnswer::Rows(table))
}
