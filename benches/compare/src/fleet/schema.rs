//! The fleet's databases, what is changed in them, and what the servers are asked about it. Pure: SQL as
//! text.
//!
//! There are two kinds of databases, each with the same four tables: those of the keyspace that is changed,
//! and *unrelated* ones beside them. The database `bench` is in no keyspace; it has the table as it is before
//! and after the change, made by the server itself, to be compared with.

use std::fmt::Write as _;

use crate::incident::schema::put_database;
use crate::servers::cluster_of;

/// The table that is changed; the load inserts into it.
pub const TABLE: &str = "issues";
/// What is asked for, behind `ALTER TABLE name`: a type that the server changes by a copy only.
pub const CLAUSE: &str = "MODIFY position BIGINT NOT NULL DEFAULT 0";
/// The database of what is compared with.
const ASIDE: &str = "bench";

/// A kind of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Those that are changed.
    Changed,
    /// Those that nobody changes.
    Unrelated,
}

impl Group {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Changed, Self::Unrelated];

    /// What their names begin with, before `_` and the workspace.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Changed => "ws",
            Self::Unrelated => "account",
        }
    }

    /// As in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unrelated => "unrelated",
        }
    }

    /// Tells the ledgers of both apart.
    pub fn run(self) -> u32 {
        match self {
            Self::Changed => 1,
            Self::Unrelated => 2,
        }
    }
}

/// The statement, as it is sent into a database.
pub fn alter() -> String {
    format!("ALTER TABLE {TABLE} {CLAUSE}")
}

/// The same with the database's name.
pub fn alter_in(database: &str) -> String {
    format!("ALTER TABLE {database}.{TABLE} {CLAUSE}")
}

/// A workspace's database.
pub fn database(group: Group, workspace: u64) -> String {
    format!("{}_{workspace}", group.prefix())
}

/// Workspaces of a cluster, of all clusters together `1` up to `count`.
pub fn of_cluster(cluster: usize, count: u64) -> impl Iterator<Item = u64> {
    (1..=count).filter(move |workspace| cluster_of(*workspace) == cluster)
}

/// Lasting settings: enough memory for thousands of tables.
pub const SETTINGS: &str = "SET PERSIST innodb_buffer_pool_size = 536870912;
    SET PERSIST innodb_redo_log_capacity = 536870912; SET PERSIST table_open_cache = 4000;
    SET PERSIST table_definition_cache = 6000;";

/// While databases are made nothing has to outlive a crash. Gone with the next start.
pub const HASTY: &str = "SET GLOBAL sync_binlog = 0; SET GLOBAL innodb_flush_log_at_trx_commit = 0;
    ALTER INSTANCE DISABLE INNODB REDO_LOG;";

/// The end of [`HASTY`].
pub const LASTING: &str = "ALTER INSTANCE ENABLE INNODB REDO_LOG;
    SET GLOBAL sync_binlog = 1; SET GLOBAL innodb_flush_log_at_trx_commit = 1;";

/// What the servers say of their settings; the report shows it.
pub const DURABLE: &str = "SELECT CONCAT('sync_binlog ', @@sync_binlog, ', flush_log_at_trx_commit ',
    @@innodb_flush_log_at_trx_commit, ', doublewrite ', @@innodb_doublewrite)";

/// Makes databases. Nothing of it is in the binary log.
pub fn create(databases: &[String]) -> String {
    let mut sql = "SET SESSION sql_log_bin = 0;\n".to_owned();
    databases.iter().for_each(|database| put_database(&mut sql, database));
    sql
}

/// Makes what is compared with. Its table is empty, in a database of its own.
pub fn create_aside() -> String {
    let mut sql = create(&[ASIDE.to_owned()]);
    let _ = writeln!(
        sql,
        "CREATE TABLE before_change LIKE {TABLE}; CREATE TABLE after_change LIKE {TABLE};
         ALTER TABLE after_change {CLAUSE};"
    );
    sql
}

/// Asks how many databases have the new type by now; from the data dictionary, so no table is opened.
pub fn count_changed() -> String {
    format!(
        "SELECT COUNT(*) AS changed FROM information_schema.COLUMNS WHERE TABLE_NAME = '{TABLE}' \
         AND COLUMN_NAME = 'position' AND DATA_TYPE = 'bigint' AND TABLE_SCHEMA LIKE '{}\\_%'",
        Group::Changed.prefix()
    )
}

/// Asks for each database's definition of the table: a line with the database, a tab, and `before`, `after`
/// or `other`. Columns and keys are compared, whole, with those of [`create_aside`].
pub fn ask_definitions() -> String {
    let columns = "GROUP_CONCAT(CONCAT_WS(' ', COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, \
         IFNULL(COLUMN_DEFAULT, '-'), EXTRA, IFNULL(COLLATION_NAME, '-')) ORDER BY ORDINAL_POSITION)";
    let keys = "GROUP_CONCAT(CONCAT_WS(' ', INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE) \
         ORDER BY INDEX_NAME, SEQ_IN_INDEX)";
    let like = format!("TABLE_NAME = '{TABLE}' AND TABLE_SCHEMA LIKE '{}\\_%'", Group::Changed.prefix());
    let of = |table: &str| format!("TABLE_NAME = '{table}' AND TABLE_SCHEMA = '{ASIDE}'");
    let mut sql = "SET SESSION group_concat_max_len = 1000000;\n".to_owned();
    for (variable, table) in [("before", "before_change"), ("after", "after_change")] {
        let _ = writeln!(
            sql,
            "SET @{variable} = (SELECT {columns} FROM information_schema.COLUMNS WHERE {});",
            of(table)
        );
    }
    let _ = writeln!(
        sql,
        "SET @keys = (SELECT {keys} FROM information_schema.STATISTICS WHERE {});
         SELECT c.s, CASE WHEN k.d <> @keys THEN 'other' WHEN c.d = @after THEN 'after'
         WHEN c.d = @before THEN 'before' ELSE 'other' END
         FROM (SELECT TABLE_SCHEMA s, {columns} d FROM information_schema.COLUMNS WHERE {like} GROUP BY s) c
         JOIN (SELECT TABLE_SCHEMA s, {keys} d FROM information_schema.STATISTICS WHERE {like} GROUP BY s) k
         ON k.s = c.s;",
        of("after_change")
    );
    sql
}

/// Asks for rows whose column does not hold what was written: the load writes the row's number modulo 100.
pub fn count_spoilt(workspaces: impl Iterator<Item = u64>) -> String {
    let each = workspaces.map(|workspace| {
        let database = database(Group::Changed, workspace);
        format!(
            "SELECT COUNT(*) FROM {database}.{TABLE} \
             WHERE position <> IF(ledger_id = 0, 0, ledger_id % 100);\n"
        )
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_has_its_own() {
        assert_eq!(of_cluster(1, 6).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(database(Group::Unrelated, 5), "account_5");
    }

    #[test]
    fn a_database_has_four_tables_and_nothing_is_logged() {
        let sql = create(&["ws_1".to_owned(), "ws_2".to_owned()]);
        assert_eq!((sql.matches("CREATE DATABASE").count(), sql.matches("CREATE TABLE").count()), (2, 8));
        assert!(sql.starts_with("SET SESSION sql_log_bin = 0"));
        assert!(create_aside().contains("ALTER TABLE after_change MODIFY position BIGINT"));
    }

    #[test]
    fn the_change_is_one_of_the_table_that_is_made() {
        assert!(create(&["ws_1".to_owned()]).contains("position INT NOT NULL DEFAULT 0"));
        assert_eq!(alter_in("ws_1"), alter().replace("issues", "ws_1.issues"));
    }

    #[test]
    fn only_databases_of_the_keyspace_are_asked_for() {
        for sql in [count_changed(), ask_definitions()] {
            assert!(sql.contains("LIKE 'ws\\_%'"), "{sql}");
        }
        assert_eq!(count_spoilt(of_cluster(0, 6)).lines().count(), 2);
    }
}
