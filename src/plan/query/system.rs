//! Tables of the system schemas: which of their columns name a database, and which of them a server answers
//! without opening every table of every database.

use crate::plan::names::SystemSchema;

/// Tables of `information_schema` with rows for each database, and the columns that say which.
const PER_DATABASE: &[(&str, &[&str])] = &[
    ("check_constraints", &["constraint_schema"]),
    ("column_privileges", &["table_schema"]),
    ("column_statistics", &["schema_name"]),
    ("columns", &["table_schema"]),
    ("columns_extensions", &["table_schema"]),
    ("events", &["event_schema"]),
    ("geometry_columns", &["f_table_schema", "g_table_schema"]),
    ("index_statistics", &["table_schema"]),
    ("key_column_usage", &["constraint_schema", "table_schema"]),
    ("parameters", &["specific_schema"]),
    ("partitions", &["table_schema"]),
    ("periods", &["table_schema"]),
    ("referential_constraints", &["constraint_schema"]),
    ("routines", &["routine_schema"]),
    ("schema_privileges", &["table_schema"]),
    ("schemata", &["schema_name"]),
    ("schemata_extensions", &["schema_name"]),
    ("sequences", &["sequence_schema"]),
    ("st_geometry_columns", &["table_schema"]),
    ("statistics", &["table_schema", "index_schema"]),
    ("table_constraints", &["constraint_schema", "table_schema"]),
    ("table_constraints_extensions", &["constraint_schema"]),
    ("table_privileges", &["table_schema"]),
    ("table_statistics", &["table_schema"]),
    ("tables", &["table_schema"]),
    ("tables_extensions", &["table_schema"]),
    ("triggers", &["trigger_schema", "event_object_schema"]),
    ("view_routine_usage", &["table_schema"]),
    ("view_table_usage", &["view_schema"]),
    ("views", &["table_schema"]),
];

/// Tables of `information_schema` whose cost does not grow with the number of databases.
const CHEAP: &[&str] = &[
    "administrable_role_authorizations",
    "all_plugins",
    "applicable_roles",
    "character_sets",
    "client_statistics",
    "collation_character_set_applicability",
    "collations",
    "connection_control_failed_login_attempts",
    "enabled_roles",
    "engines",
    "global_status",
    "global_variables",
    "innodb_cmp",
    "innodb_cmp_reset",
    "innodb_cmpmem",
    "innodb_cmpmem_reset",
    "innodb_ft_default_stopword",
    "innodb_lock_waits",
    "innodb_locks",
    "innodb_metrics",
    "innodb_session_temp_tablespaces",
    "innodb_temp_table_info",
    "innodb_trx",
    "keywords",
    "libraries",
    "optimizer_costs",
    "optimizer_trace",
    "plugins",
    "processlist",
    "profiling",
    "resource_groups",
    "role_column_grants",
    "role_routine_grants",
    "role_table_grants",
    "routine_libraries",
    "session_status",
    "session_variables",
    "spatial_ref_sys",
    "sql_functions",
    "st_spatial_reference_systems",
    "st_units_of_measure",
    "system_variables",
    "thread_pool_groups",
    "thread_pool_queues",
    "thread_pool_stats",
    "thread_pool_waits",
    "user_attributes",
    "user_privileges",
    "user_statistics",
];

/// The columns of a system table that name the database a row is about; empty for other tables.
pub(super) fn schema_columns(schema: SystemSchema, table: &str) -> &'static [&'static str] {
    if schema != SystemSchema::Information {
        return &[];
    }
    PER_DATABASE.iter().find(|(name, _)| *name == table).map_or(&[], |(_, columns)| columns)
}

/// Tables of `performance_schema` that tell of the session or of the server alone.
const OWN: &[&str] = &[
    "column_masking_policy",
    "global_status",
    "global_variables",
    "session_account_connect_attrs",
    "session_status",
    "session_variables",
    "variables_info",
];

/// Tables of `information_schema` that tell of other sessions.
const PRIVATE_INFORMATION: &[&str] = &[
    "client_statistics",
    "index_statistics",
    "innodb_lock_waits",
    "innodb_locks",
    "innodb_trx",
    "processlist",
    "table_statistics",
    "user_statistics",
];

/// Says whether a system table shows what other sessions do, or the servers' accounts: all sessions reach a
/// server as one account, so its grants keep nobody from seeing everybody's statements.
pub(in crate::plan) fn is_private(schema: SystemSchema, table: &str) -> bool {
    match schema {
        SystemSchema::Information => PRIVATE_INFORMATION.contains(&table),
        SystemSchema::Performance => !OWN.contains(&table),
        SystemSchema::Mysql => !["time_zone", "help_"].iter().any(|prefix| table.starts_with(prefix)),
        SystemSchema::Sys => table != "version",
    }
}

/// Says whether a server answers from the table without visiting every database.
///
/// `sys` has views over all tables of all databases; those are not.
pub(in crate::plan) fn is_cheap(schema: SystemSchema, table: &str) -> bool {
    match schema {
        SystemSchema::Information => CHEAP.contains(&table),
        SystemSchema::Performance | SystemSchema::Mysql => true,
        SystemSchema::Sys => {
            let view = table.strip_prefix("x$").unwrap_or(table);
            !["schema_", "innodb_", "statements_with", "memory_"].iter().any(|p| view.starts_with(p))
        }
    }
}
