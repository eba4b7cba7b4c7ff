//! `SHOW CONFIG`: the main config with its defaults, without secrets.

use std::time::Duration;

use super::super::context::AdminContext;
use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::config::{Access, AuthPlugin, Cluster, Config, FailoverMode, Password, Reads, User};

/// One row for each setting.
pub(super) fn config(context: &AdminContext) -> AdminTable {
    let snapshot = context.snapshots.load();
    let config = &snapshot.config;
    let text = ColumnKind::Text;
    let mut rows = Rows { table: AdminTable::new([("section", text), ("name", text), ("value", text)]) };
    files(&mut rows, config);
    listen(&mut rows, config);
    routing_to_limits(&mut rows, config);
    config.users.values().for_each(|each| user(&mut rows, each));
    config.clusters.values().for_each(|each| cluster(&mut rows, each));
    for keyspace in config.keyspaces.values() {
        let section = format!("keyspaces.{}", keyspace.name);
        for shard in &keyspace.shards {
            let value = format!("{} weight {}", shard.cluster, shard.weight);
            rows.add(&section, &format!("shards.{}", shard.name), value);
        }
        rows.add(&section, "reads_after_writes", keyspace.reads_after_writes);
        let when_drained = format!("{:?}", keyspace.replica_reads_when_drained);
        rows.add(&section, "replica_reads_when_drained", when_drained);
    }
    rows.table
}

struct Rows {
    table: AdminTable,
}

impl Rows {
    fn add(&mut self, section: &str, name: &str, value: impl ToString) {
        self.table.push([section.into(), name.into(), AdminValue::text(value)]);
    }

    fn add_time(&mut self, section: &str, name: &str, value: Duration) {
        let text = if value.is_zero() { "0s".to_owned() } else { format!("{value:?}") };
        self.add(section, name, text);
    }
}

fn files(rows: &mut Rows, config: &Config) {
    rows.add("", "path", config.path.display());
    rows.add("", "vschema_dir", config.vschema_dir.display());
    rows.add("store", "path", config.store.path.display());
    rows.add("admin", "address", config.admin.address);
    rows.add("admin", "http", config.admin.http);
    rows.add("log", "format", format!("{:?}", config.log.format).to_lowercase());
    rows.add("log", "level", &config.log.level);
    rows.add_time("log", "slow_statement", config.log.slow_statement);
}

fn listen(rows: &mut Rows, config: &Config) {
    let listen = &config.listen;
    let section = "listen";
    rows.add(section, "address", listen.address);
    if let Some(socket) = &listen.socket {
        rows.add(section, "socket", socket.display());
    }
    rows.add(section, "server_version", &listen.server_version);
    rows.add(section, "max_connections", listen.max_connections);
    rows.add(section, "max_connections_per_user", listen.max_connections_per_user);
    rows.add(section, "max_connections_per_address", listen.max_connections_per_address);
    rows.add_time(section, "handshake_timeout", listen.handshake_timeout);
    rows.add(section, "max_allowed_packet", listen.max_allowed_packet);
    rows.add(section, "require_tls", listen.require_tls);
    rows.add(section, "compression", listen.compression);
    match &listen.tls {
        Some(tls) => rows.add(section, "tls.certificate", tls.certificate.display()),
        None => rows.add(section, "tls.certificate", "(made at start)"),
    }
}

fn routing_to_limits(rows: &mut Rows, config: &Config) {
    rows.add("routing", "workspace_variable", &config.routing.workspace_variable);
    rows.add("routing", "comment_key", &config.routing.comment_key);
    let timeouts = &config.timeouts;
    rows.add_time("timeouts", "connect", timeouts.connect);
    rows.add_time("timeouts", "query", timeouts.query);
    rows.add_time("timeouts", "transaction", timeouts.transaction);
    rows.add_time("timeouts", "idle", timeouts.idle);
    rows.add_time("timeouts", "pool_wait", timeouts.pool_wait);
    rows.add_time("timeouts", "ddl_lane", timeouts.ddl_lane);
    rows.add_time("timeouts", "ddl_lock", timeouts.ddl_lock);
    rows.add_time("timeouts", "ddl_retry", timeouts.ddl_retry);
    rows.add_time("timeouts", "shutdown", timeouts.shutdown);
    rows.add("health", "heartbeat", config.health.heartbeat);
    rows.add("health", "heartbeat_database", &config.health.heartbeat_database);
    rows.add("limits", "workspace_in_flight", config.limits.in_flight.unwrap_or(0));
    rows.add("limits", "workspace_per_second", config.limits.per_second.unwrap_or(0));
}

fn user(rows: &mut Rows, user: &User) {
    let section = format!("users.{}", user.name);
    let password = match &user.password {
        Password::Plain(_) => "*** (plain, hashed in memory)",
        Password::CachingSha2(_) | Password::Native(_) => "*** (hash)",
    };
    rows.add(&section, "password", password);
    let plugin = match user.plugin {
        AuthPlugin::CachingSha2 => "caching_sha2_password",
        AuthPlugin::Native => "mysql_native_password",
    };
    rows.add(&section, "plugin", plugin);
    let keyspaces = match &user.keyspaces {
        Access::All => "*".to_owned(),
        Access::Only(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    rows.add(&section, "keyspaces", keyspaces);
    let reads = match user.reads {
        Reads::Primary => "primary",
        Reads::Replica => "replica",
    };
    rows.add(&section, "reads", reads);
    rows.add(&section, "may_cross_workspaces", user.may_cross_workspaces);
    rows.add(&section, "admin", user.admin);
    rows.add(&section, "max_connections", user.max_connections);
    rows.add(&section, "max_in_flight", user.max_in_flight);
    rows.add(&section, "max_result_bytes", user.max_result_bytes);
}

fn cluster(rows: &mut Rows, cluster: &Cluster) {
    let section = format!("clusters.{}", cluster.name);
    rows.add(&section, "primary", &cluster.primary);
    let replicas: Vec<String> = cluster.replicas.iter().map(ToString::to_string).collect();
    rows.add(&section, "replicas", replicas.join(", "));
    rows.add(&section, "user", &cluster.login.user);
    rows.add(&section, "password", "***");
    rows.add(&section, "admin.user", &cluster.admin_login.user);
    rows.add(&section, "admin.password", "***");
    rows.add(&section, "pool.max_connections", cluster.pool.max_connections);
    rows.add(&section, "pool.opening_at_once", cluster.pool.opening_at_once);
    rows.add(&section, "pool.waiters", cluster.pool.waiters);
    rows.add_time(&section, "pool.idle", cluster.pool.idle);
    rows.add_time(&section, "pool.lifetime", cluster.pool.lifetime);
    let permits = &cluster.permits;
    rows.add(&section, "permits.writes", permits.writes.unwrap_or(0));
    rows.add(&section, "permits.reads", permits.reads.unwrap_or(0));
    rows.add(&section, "permits.floor", permits.floor.unwrap_or(0));
    rows.add(&section, "permits.queue", permits.queue);
    rows.add(&section, "permits.queue_bytes", permits.queue_bytes);
    rows.add_time(&section, "permits.wait", permits.wait);
    let mode = match cluster.failover.mode {
        FailoverMode::BuiltIn => "built-in",
        FailoverMode::Command => "command",
        FailoverMode::Follow => "follow",
    };
    rows.add(&section, "failover", mode);
    if let Some(program) = cluster.failover.command.first() {
        // Its arguments may hold secrets.
        rows.add(&section, "failover_command", format!("{program} …"));
        rows.add_time(&section, "failover_timeout", cluster.failover.command_within);
    }
    if let Some(login) = &cluster.failover.replication {
        rows.add(&section, "replication.user", &login.user);
    }
}
