//! The table that is changed, as a Rails application would have it, and the SQL about it.
//!
//! Rows are made from their number alone, so that a table can be made again and again, and compared. The load
//! updates rows whose id is a multiple of [`HOT_EVERY`], and only their columns `state`, `lock_version` and
//! `updated_at`; it inserts rows with ids above those that were there; it deletes its own. So a column or row
//! that it never writes can be compared with the template, and what it writes with its ledger.

/// The database of the workspace whose tables are changed.
pub const DATABASE: &str = "ws_1";
/// The database of what is compared with, which no tool is told of.
pub const ASIDE: &str = "bench";
/// The table that most scenarios change.
pub const CHANGED: &str = "conversation_parts";
/// A table that nobody changes, which the load writes too.
pub const OTHER: &str = "events";
/// Rows of [`OTHER`].
pub const OTHER_ROWS: u64 = 10_000;
/// Of so many rows one may be updated by the load.
pub const HOT_EVERY: u64 = 16;
/// Secondary indexes of a table.
pub const INDEXES: u64 = 5;

/// What is asked for, behind `ALTER TABLE name`.
pub const CLAUSE: &str = "MODIFY conversation_id BIGINT NOT NULL";

const COLUMNS: &str = "id BIGINT NOT NULL AUTO_INCREMENT, conversation_id INT NOT NULL, author_id INT \
    DEFAULT NULL, state VARCHAR(16) NOT NULL DEFAULT 'open', token CHAR(32) NOT NULL, subject VARCHAR(255) \
    DEFAULT NULL, body TEXT, lock_version INT NOT NULL DEFAULT 0, created_at DATETIME(6) NOT NULL, \
    updated_at DATETIME(6) NOT NULL, PRIMARY KEY (id)";

/// Name and columns.
const KEYS: [(&str, &str); INDEXES as usize] = [
    ("UNIQUE KEY index_parts_on_token", "(token)"),
    ("KEY index_parts_on_conversation_id_and_created_at", "(conversation_id, created_at)"),
    ("KEY index_parts_on_author_id", "(author_id)"),
    ("KEY index_parts_on_state_and_updated_at", "(state, updated_at)"),
    ("KEY index_parts_on_created_at", "(created_at)"),
];

/// Values of row number `i`, about 250 bytes. MySQL 9 has no MD5 and SHA1 of its own any more.
const VALUES: &str = "i, 1 + i * 7919 % 200003, IF(i % 9 = 0, NULL, 1 + i * 104729 % 5003), \
    ELT(1 + i % 3, 'open', 'snoozed', 'closed'), LEFT(SHA2(i, 256), 32), \
    IF(i % 4 = 0, NULL, CONCAT('Re: ', RIGHT(SHA2(i, 256), 30))), \
    REPEAT(CONCAT(LEFT(SHA2(i, 224), 40), ' '), 1 + i % 7), 0, \
    '2020-01-01 00:00:00.123456' + INTERVAL i * 31 SECOND, \
    '2020-01-01 00:00:00.123456' + INTERVAL i * 31 + i % 1000 * 60 SECOND";

/// The state that an update leaves, by the row's new version.
pub const STATE_OF_VERSION: &str = "ELT(1 + lock_version % 3, 'open', 'snoozed', 'closed')";

/// The template with its rows, and the table that nobody changes. Nothing of it is in the binary log.
pub fn create(rows: u64) -> String {
    let depth = rows.max(OTHER_ROWS);
    let numbers = |max: u64| {
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {max})")
    };
    format!(
        "SET SESSION sql_log_bin = 0; SET SESSION cte_max_recursion_depth = {depth};
         CREATE DATABASE {ASIDE}; CREATE DATABASE {DATABASE}; USE {ASIDE};
         CREATE TABLE {ASIDE}.template ({COLUMNS});
         INSERT INTO {ASIDE}.template {} SELECT {VALUES} FROM n;
         ANALYZE TABLE {ASIDE}.template;
         CREATE TABLE {DATABASE}.{OTHER} (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) \
         NOT NULL, n INT NOT NULL DEFAULT 0, created_at DATETIME(6) NOT NULL, KEY (created_at));
         INSERT INTO {DATABASE}.{OTHER} (name, created_at) {} SELECT CONCAT('event ', i), NOW(6) FROM n;",
        numbers(rows),
        numbers(OTHER_ROWS)
    )
}

/// A table as it is before the change: dropped if it is there, filled, its indexes built, its pages written
/// out. Nothing of it is in the binary log.
pub fn make(name: &str, rows: u64) -> String {
    let keys: Vec<String> = KEYS.iter().map(|(key, columns)| format!("ADD {key} {columns}")).collect();
    format!(
        "SET SESSION sql_log_bin = 0; USE {DATABASE}; DROP TABLE IF EXISTS {name};
         CREATE TABLE {name} ({COLUMNS});
         INSERT INTO {name} SELECT * FROM {ASIDE}.template WHERE id <= {rows} ORDER BY id;
         ALTER TABLE {name} {}, ALGORITHM=INPLACE;
         ANALYZE TABLE {name};
         FLUSH TABLES {name} FOR EXPORT; UNLOCK TABLES;\n",
        keys.join(", ")
    )
}

/// The statement.
pub fn alter(name: &str) -> String {
    format!("ALTER TABLE {name} {CLAUSE}")
}

/// 64 bits of these columns of all rows; NULL is none of the values.
fn sum(columns: &[&str], rows: &str) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| format!("QUOTE({column})")).collect();
    let hash = format!("CONV(LEFT(SHA2(CONCAT_WS(',', {}), 256), 16), 16, 10)", quoted.join(", "));
    format!("BIT_XOR(IF({rows}, CAST({hash} AS UNSIGNED), 0))")
}

/// Number of rows and two sums over what the load never writes, of the rows up to this id: columns that it
/// leaves alone, and rows that it leaves alone.
pub fn sums(table: &str, rows: u64) -> String {
    let kept = ["id", "conversation_id", "author_id", "token", "subject", "body", "created_at"];
    let written = ["id", "state", "lock_version", "updated_at"];
    format!(
        "SELECT 'sums', COUNT(*), {}, {} FROM {table} WHERE id <= {rows};\n",
        sum(&kept, "TRUE"),
        sum(&written, &format!("id % {HOT_EVERY} <> 0"))
    )
}

/// What the template says of them.
pub fn template_sums(rows: u64) -> String {
    sums(&format!("{ASIDE}.template"), rows)
}

/// Everything that is compared after a change; [`super::ledger::faults`] reads the answer.
pub fn ask(name: &str, rows: u64) -> String {
    let table = format!("{DATABASE}.{name}");
    let of = |key: &str| format!("table_schema = '{DATABASE}' AND table_name = '{key}'");
    format!(
        "SELECT 'type', data_type, is_nullable FROM information_schema.columns WHERE {named} AND \
         column_name = 'conversation_id';
         SELECT 'indexes', COUNT(DISTINCT index_name) - 1 FROM information_schema.statistics WHERE {named};
         SELECT 'triggers', COUNT(*) FROM information_schema.triggers WHERE trigger_schema = '{DATABASE}';
         {sums}
         SELECT 'updated', id, lock_version, state = {STATE_OF_VERSION} FROM {table} \
         WHERE id <= {rows} AND lock_version <> 0;
         SELECT 'inserted', token FROM {table} WHERE id > {rows};\n",
        named = of(name),
        sums = sums(&table, rows),
    )
}

/// Tables that tools leave beside those that are there: their names begin with an underscore.
pub const LEFT_BEHIND: &str = "SELECT table_name FROM information_schema.tables WHERE table_schema = \
    'ws_1' AND table_name LIKE '\\_%'";

/// Tables that Bulkhead keeps or has not done with.
pub const KEPT: &str = "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE \
    table_schema LIKE 'zz\\_bulkhead%' AND (table_name LIKE 'old\\_%' OR table_name LIKE 'new\\_%')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_its_indexes_before_the_change() {
        let sql = make("t", 10);
        assert_eq!(sql.matches("ADD UNIQUE KEY").count() + sql.matches("ADD KEY").count(), INDEXES as usize);
        assert!(sql.contains("conversation_id INT NOT NULL"), "{sql}");
        assert!(!sql.contains("BIGINT NOT NULL, author_id"), "{sql}");
    }

    #[test]
    fn every_column_is_compared() {
        let sql = sums("t", 10);
        for column in COLUMNS.split(", ").filter(|part| !part.starts_with("PRIMARY")) {
            let name = column.split_whitespace().next().expect("has a name");
            assert!(sql.contains(&format!("QUOTE({name})")), "{name}");
        }
    }

    #[test]
    fn nothing_of_the_preparation_is_logged() {
        for sql in [create(10), make("t", 10)] {
            assert!(sql.starts_with("SET SESSION sql_log_bin = 0;"), "{sql}");
        }
    }
}
