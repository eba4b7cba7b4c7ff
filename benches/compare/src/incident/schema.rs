//! The workspaces' databases, and what of them the ledgers are checked against. Pure: SQL as text.

use std::fmt::Write as _;

use super::workers::{ROWS, SLOTS};

/// Workspaces of a cluster, of all clusters together `1` up to `workspaces`.
pub fn workspaces_of(cluster: usize, workspaces: u64) -> impl Iterator<Item = u64> {
    (1..=workspaces).filter(move |workspace| crate::servers::cluster_of(*workspace) == cluster)
}

/// What the names of the workspaces' databases begin with.
pub const PREFIX: &str = "ws";

/// Makes a database with four tables as Rails makes them, and rows to be read.
pub fn put_database(sql: &mut String, database: &str) {
    let _ = writeln!(
        sql,
        "CREATE DATABASE {database}; USE {database};
         CREATE TABLE users (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, email VARCHAR(255) NOT NULL,
         name VARCHAR(255), created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
         UNIQUE KEY index_users_on_email (email));
         CREATE TABLE issues (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
         ledger_id BIGINT NOT NULL DEFAULT 0, title VARCHAR(255) NOT NULL, state VARCHAR(20) NOT NULL,
         position INT NOT NULL DEFAULT 0, created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
         KEY index_issues_on_state (state));
         CREATE TABLE comments (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
         ledger_id BIGINT NOT NULL DEFAULT 0, issue_id BIGINT NOT NULL, body TEXT,
         created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
         KEY index_comments_on_issue_id (issue_id));
         CREATE TABLE counters (slot INT NOT NULL PRIMARY KEY, n BIGINT NOT NULL);"
    );
    let users = rows(|id| format!("({id}, 'user{id}@example.com', 'User {id}')"));
    let issues = rows(|id| format!("({id}, 'issue {id}', 'open')"));
    let _ = writeln!(
        sql,
        "INSERT INTO users (id, email, name) VALUES {users};
         INSERT INTO issues (id, title, state) VALUES {issues}; INSERT INTO counters VALUES {};",
        (0..SLOTS).map(|slot| format!("({slot}, 0)")).collect::<Vec<_>>().join(", ")
    );
}

fn rows(row: impl Fn(u64) -> String) -> String {
    (1..=ROWS).map(row).collect::<Vec<_>>().join(", ")
}

/// Makes a cluster's databases, with a fifth table for the flood.
pub fn create(cluster: usize, workspaces: u64) -> String {
    let mut sql = String::new();
    for workspace in workspaces_of(cluster, workspaces) {
        put_database(&mut sql, &format!("{PREFIX}_{workspace}"));
        let _ = writeln!(
            sql,
            "CREATE TABLE labels (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL,
             weight INT NOT NULL DEFAULT 0);
             INSERT INTO labels (id, name) VALUES {};",
            rows(|id| format!("({id}, 'label {id}')"))
        );
    }
    sql
}

/// Sets a cluster's counters back.
pub fn reset(cluster: usize, workspaces: u64) -> String {
    let each = workspaces_of(cluster, workspaces);
    each.map(|workspace| format!("UPDATE ws_{workspace}.counters SET n = 0;\n")).collect()
}

/// Asks a cluster for everything that a run's ledgers tell of, in the lines that `ledger::Held` reads.
pub fn ask(cluster: usize, workspaces: u64, run: u32) -> String {
    ask_databases(PREFIX, workspaces_of(cluster, workspaces), run)
}

/// The same of these workspaces, whose databases' names begin otherwise.
pub fn ask_databases(prefix: &str, workspaces: impl Iterator<Item = u64>, run: u32) -> String {
    let (first, last) = (u64::from(run) << 40, (u64::from(run) + 1) << 40);
    let mut sql = String::new();
    for workspace in workspaces {
        for (letter, table) in [("i", "issues"), ("c", "comments")] {
            let _ = writeln!(
                sql,
                "SELECT '{letter}', ledger_id, COUNT(*) FROM {prefix}_{workspace}.{table} \
                 WHERE ledger_id >= {first} AND ledger_id < {last} GROUP BY ledger_id;"
            );
        }
        let _ = writeln!(sql, "SELECT 'n', {workspace}, slot, n FROM {prefix}_{workspace}.counters;");
    }
    sql
}

/// Makes semi-synchronous replication persistent, on the primary and on the replica. The primary waits for
/// its replica for an hour: what it acknowledges is on both. A promoted replica waits for nobody.
pub const SEMI_SYNC: [&str; 2] = [
    "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';
     SET PERSIST rpl_semi_sync_source_timeout = 3600000; SET PERSIST rpl_semi_sync_source_enabled = ON;",
    "SET GLOBAL super_read_only = OFF; INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so';
     SET GLOBAL super_read_only = ON; SET PERSIST rpl_semi_sync_replica_enabled = ON;
     STOP REPLICA IO_THREAD; START REPLICA IO_THREAD;",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_has_its_own_workspaces() {
        assert_eq!(workspaces_of(0, 6).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(workspaces_of(2, 6).collect::<Vec<_>>(), [3, 6]);
        assert_eq!(create(1, 6).matches("CREATE DATABASE").count(), 2);
        assert_eq!(reset(1, 6), "UPDATE ws_2.counters SET n = 0;\nUPDATE ws_5.counters SET n = 0;\n");
    }

    #[test]
    fn only_the_run_s_own_rows_are_asked_for() {
        let sql = ask(0, 3, 2);
        assert_eq!(sql.lines().count(), 3);
        assert!(sql.contains("ledger_id >= 2199023255552 AND ledger_id < 3298534883328"), "{sql}");
    }
}
