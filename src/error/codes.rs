//! The table of error codes: one row each, from which constants, docs and tests follow.
//!
//! 0xxx MySQL's own errors in MySQL's own words · 1xxx protocol and login · 2xxx refusals of the planner ·
//! 3xxx routing · 4xxx servers · 5xxx limits · 6xxx admin statements ·
//! 7xxx schema changes (from 7100: online ones) · 9xxx our bugs.

use super::{Origin, Retry};

macro_rules! codes {
    ($($number:literal $name:ident $snake:literal, $errno:literal $state:literal, $origin:ident $retry:ident,
       $sentence:literal, $remedy:literal;)*) => {
        /// A stable error code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $sentence] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            const fn row(self) -> Row {
                match self {
                    $(Code::$name => Row {
                        number: $number, name: $snake, errno: $errno, sqlstate: $state,
                        origin: Origin::$origin, retry: Retry::$retry, sentence: $sentence, remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

struct Row {
    number: u16,
    name: &'static str,
    errno: u16,
    sqlstate: &'static str,
    origin: Origin,
    retry: Retry,
    sentence: &'static str,
    remedy: &'static str,
}

codes! {
    1 AccessDenied "access_denied", 1045 "28000", Client Never, "access denied", "check user and password";
    2 DatabaseAccessDenied "database_access_denied", 1044 "42000", Client Never, "access denied to database", "ask an admin to add the keyspace to the user";
    3 UnknownDatabase "unknown_database", 1049 "42000", Client Replan, "unknown database", "check the name";
    4 NoDatabaseSelected "no_database_selected", 1046 "3D000", Client Never, "No database selected", "USE a keyspace";
    5 UnknownCommand "unknown_command", 1047 "08S01", Client Never, "Unknown command", "use a command of the MySQL protocol";
    6 PacketTooLarge "packet_too_large", 1153 "08S01", Client Never, "Got a packet bigger than 'max_allowed_packet' bytes", "raise listen.max_allowed_packet";
    7 HandshakeError "handshake_error", 1043 "08S01", Client Never, "Bad handshake", "check the client";
    8 NoSuchThread "no_such_thread", 1094 "HY000", Client Never, "Unknown thread id", "see SHOW PROCESSLIST";
    9 KillDenied "kill_denied", 1095 "HY000", Client Never, "You are not owner of this thread", "ask an admin";
    10 QueryInterrupted "query_interrupted", 1317 "70100", Client Never, "Query execution was interrupted", "run it again";
    11 ServerShutdown "server_shutdown", 1053 "08S01", Proxy FreshConnection, "Server shutdown in progress", "connect again";
    12 TooManyConnections "too_many_connections", 1040 "08004", Proxy FreshConnection, "Too many connections", "raise listen.max_connections";
    13 UserTooManyConnections "user_too_many_connections", 1203 "42000", Proxy FreshConnection, "the user has too many connections", "raise the user's max_connections";
    14 QueryTimeout "query_timeout", 3024 "HY000", Proxy Never, "Query execution was interrupted, maximum statement execution time exceeded", "raise timeouts.query";
    15 IdleTimeout "idle_timeout", 4031 "HY000", Proxy FreshConnection, "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.", "connect again";
    16 UnknownStatementHandler "unknown_statement_handler", 1243 "HY000", Client Never, "Unknown prepared statement handler", "prepare it again";
    17 SecureTransportRequired "secure_transport_required", 3159 "HY000", Client Never, "Connections using insecure transport are prohibited while --require_secure_transport=ON.", "connect with TLS";
    18 MalformedPacket "malformed_packet", 1835 "HY000", Client Never, "Malformed communication packet.", "check the client";
    19 UnsupportedAuthMode "unsupported_auth_mode", 1251 "08004", Client Never, "Client does not support authentication protocol requested by server; consider upgrading MySQL client", "upgrade the client";
    20 SyntaxError "syntax_error", 1064 "42000", Client Never, "You have an error in your SQL syntax", "check the statement";
    22 NoOpenCursor "no_open_cursor", 1421 "HY000", Client Never, "The statement has no open cursor.", "execute it with a cursor first";
    23 ServerError "server_error", 1105 "HY000", Shard Never, "the shard's server refused the statement", "see the server's own words";
    24 NoSavepoint "no_savepoint", 1305 "42000", Client Never, "SAVEPOINT does not exist", "set it in the transaction first";
    25 TransactionInProgress "transaction_in_progress", 1568 "25001", Client Never, "Transaction characteristics can't be changed while a transaction is in progress", "COMMIT or ROLLBACK first";
    21 EmptyQuery "empty_query", 1065 "42000", Client Never, "Query was empty", "send a statement";

    2001 UnreadStatement "unread_statement", 1235 "42000", Client Never, "the statement cannot be read well enough to route it", "pin a workspace (USE, SET @workspace_id or a comment) so that it can be routed whole";
    2002 CrossShard "cross_shard", 1235 "42000", Client Never, "the statement needs more than one shard", "tie every table to one workspace";
    2003 TenantGuard "tenant_guard", 1142 "42000", Client Never, "the statement touches another workspace than the one pinned", "switch the workspace first, or use a user that may cross workspaces";
    2004 MissingWorkspace "missing_workspace", 1235 "42000", Client Never, "no workspace id in the session, comment or statement", "USE the workspace, SET @workspace_id, add the comment, or add the workspace column to the predicate";
    2005 WorkspaceConflict "workspace_conflict", 1235 "42000", Client Never, "the sources of the workspace id disagree", "make session, comment and statement name the same workspace";
    2006 WorkspaceColumnChange "workspace_column_change", 1235 "42000", Client Never, "a row's workspace column must not change", "insert the row into the other workspace and delete it here";
    2007 UnknownTable "unknown_table", 1146 "42S02", Client Replan, "the table is not in the vschema", "add it to the keyspace's vschema file";
    2008 CrossKeyspace "cross_keyspace", 1235 "42000", Client Never, "the statement needs more than one keyspace", "split the statement";
    2009 WideDdl "wide_ddl", 1235 "42000", Client Never, "the schema change would reach more than one database", "pin one workspace, or none in a keyspace of shared tables";
    2010 FencedScan "fenced_scan", 1235 "42000", Client Never, "a scan of information_schema over all databases of a cluster is not allowed", "add table_schema = '<database>' to the predicate";
    2011 UnroutableValue "unroutable_value", 1235 "42000", Client Never, "the value of the workspace column cannot be mapped to a shard", "use a literal or a parameter of the vindex's type";
    2012 NotSupported "not_supported", 1235 "42000", Client Never, "the statement is not supported through the proxy", "connect to the server directly for this statement";
    2013 InsertWithoutWorkspace "insert_without_workspace", 1364 "HY000", Client Never, "the inserted rows do not give the workspace column", "name the workspace column and its value in the INSERT";
    2014 TransactionElsewhere "transaction_elsewhere", 1235 "25000", Client Never, "the open transaction runs on another shard", "commit or roll back first";
    2015 PinnedElsewhere "pinned_elsewhere", 1235 "42000", Client Never, "the session holds locks or temporary tables on another shard", "release them first";
    2016 ReadOnlyTarget "read_only_target", 1290 "HY000", Client Never, "the session reads from replicas, which take no writes", "USE the keyspace without @replica";

    3001 WorkspaceReadOnly "workspace_read_only", 1290 "HY000", Proxy Replan, "the workspace is read-only", "try again when it is active";
    3002 WorkspaceMoving "workspace_moving", 1290 "HY000", Proxy Replan, "the workspace is being moved", "try again shortly";
    3003 WorkspaceSuspended "workspace_suspended", 1227 "42000", Proxy Replan, "the workspace is suspended", "ask an admin";
    3004 NoShard "no_shard", 1105 "HY000", Proxy Replan, "no shard holds this keyspace id", "run `bulkhead check`";
    3005 NoReplica "no_replica", 1105 "HY000", Proxy FreshConnection, "the cluster has no usable replica", "read from the primary";
    3006 UnknownWorkspace "unknown_workspace", 1049 "42000", Client Replan, "the workspace is not in the directory", "create it with `bulkhead workspace create`";
    3007 DirectoryDamaged "directory_damaged", 1105 "HY000", Proxy Replan, "the directory page that would hold the workspace is damaged", "restore the page in the store, then RELOAD";
    3008 StoreFailed "store_failed", 1105 "HY000", Proxy Replan, "the state store did not take the change", "see the proxy's log; routing goes on from memory";
    3009 WorkspaceExists "workspace_exists", 1007 "HY000", Client Never, "the workspace is already in the directory", "SHOW WORKSPACE shows where it is";
    3010 WorkspaceBusy "workspace_busy", 1105 "HY000", Client Never, "the workspace's state does not allow the change", "set its state to moving or suspended first, or add FORCE";
    3011 ProvisionFailed "provision_failed", 1105 "HY000", Shard Never, "the workspace's database could not be made; the directory is unchanged", "mend the cause and run the command again: it goes on where it stopped";

    4001 ShardUnreachable "shard_unreachable", 1040 "08004", Shard FreshConnection, "no connection to the shard's server could be opened", "try again; see `SHOW POOLS` on the admin port";
    4002 ShardConnectionLost "shard_connection_lost", 1053 "08S01", Shard Never, "the connection to the shard was lost while the statement ran", "check whether it was applied before sending it again";
    4003 TransactionLost "transaction_lost", 1053 "25000", Shard Never, "the open transaction was lost with its connection", "ROLLBACK, then run the transaction again";
    4006 PinsLost "pins_lost", 1053 "08S01", Shard Never, "the connection was lost that held the session's locks, temporary tables, cursors or variables", "connect again, or ROLLBACK to go on without them";
    4007 ShardDraining "shard_draining", 1205 "HY000", Shard Later, "the shard takes no new statements of this kind at the moment; nothing was sent", "run the statement or transaction again after the time given; see `SHOW GATES` on the admin port";
    4008 ShardDrained "shard_drained", 1205 "HY000", Shard Later, "the shard is drained; nothing was sent", "run the statement or transaction again after the time given; see `SHOW GATES` on the admin port";
    4009 HeldTooLong "held_too_long", 1205 "HY000", Shard Later, "the statement was held for the shard's gate to open, which it did not in time; nothing was sent", "run the statement or transaction again after the time given; see `SHOW GATES` on the admin port";
    4010 DdlLaneClosed "ddl_lane_closed", 1205 "HY000", Shard Later, "the cluster takes no schema changes while it is not well; nothing was sent", "run it again when `SHOW ADMISSION` on the admin port shows its ddl_lane open";
    4011 TransactionCut "transaction_cut", 1205 "HY000", Shard Later, "the transaction was rolled back, its shard is drained; nothing of it is left", "ROLLBACK, then run the whole transaction again";
    4004 ShardProtocol "shard_protocol", 1105 "HY000", Shard Never, "the shard's server sent something that is not MySQL protocol", "check the server";
    4005 ShardLogin "shard_login", 1105 "HY000", Shard Never, "the shard's server refused the proxy's login", "check the cluster's user and password in the config";

    5001 PoolTimeout "pool_timeout", 1040 "08004", Proxy FreshConnection, "no connection to the shard became free in time", "try again later; raise the cluster's pool.max_connections";
    5002 PoolQueueFull "pool_queue_full", 1040 "08004", Proxy FreshConnection, "too many statements wait for a connection to the shard", "try again later";
    5008 ShardQueueFull "shard_queue_full", 1205 "HY000", Shard Later, "too many statements wait for the shard; nothing was sent", "run it again after the time given; see `SHOW ADMISSION` on the admin port";
    5009 ShardQueueLate "shard_queue_late", 1205 "HY000", Shard Later, "the statement waited too long for its turn at the shard; nothing was sent", "run it again after the time given; see `SHOW ADMISSION` on the admin port";
    5010 ShardLimited "shard_limited", 1205 "HY000", Shard Later, "the shard is not well and takes few statements at once; nothing was sent", "run it again after the time given; see `SHOW ADMISSION` on the admin port";
    5011 WorkspaceLimit "workspace_limit", 1205 "HY000", Client Later, "the workspace has as many statements at the shard as it may; nothing was sent", "run it again after the time given; see `SHOW WORKSPACE LIMITS` on the admin port";
    5012 ShardMemoryFull "shard_memory_full", 1205 "HY000", Shard Later, "as many bytes are held for the shard as may be; nothing was sent", "run it again after the time given; see `memory` in `SHOW ADMISSION` on the admin port";
    5003 UserBusy "user_busy", 1226 "42000", Proxy FreshConnection, "the user has too many statements in flight", "raise the user's max_in_flight";
    5004 TransactionTimeout "transaction_timeout", 1205 "HY000", Proxy Never, "the transaction ran longer than allowed and was rolled back", "raise timeouts.transaction";
    5005 TooManyPrepared "too_many_prepared", 1461 "42000", Client Never, "too many prepared statements in this session", "close statements that are no longer used";
    5006 StatementTooComplex "statement_too_complex", 1235 "42000", Client Never, "the statement is too long or too deeply nested to be read", "split it";
    5007 ResultTooLarge "result_too_large", 1226 "42000", Proxy Never, "the answer is larger than the user may have", "ask for fewer rows; raise the user's max_result_bytes";

    6001 AdminSyntax "admin_syntax", 1064 "42000", Client Never, "the admin statement cannot be read", "HELP lists the admin statements";
    6002 AdminNotFound "admin_not_found", 1146 "42S02", Client Never, "there is nothing of that name", "see the SHOW statements in HELP";
    6003 ReloadRefused "reload_refused", 1105 "HY000", Client Never, "the files have faults; the running configuration stays", "run `bulkhead check`";
    6005 OrderRefused "order_refused", 1105 "HY000", Client Never, "the ladder does not follow the order as things are", "SHOW SHARD STATUS says where the cluster stands";
    6006 OtherProxyDecides "other_proxy_decides", 1105 "HY000", Client Never, "another proxy decides about clusters now", "give the order to the proxy that the message names";
    6004 AdminFailed "admin_failed", 1105 "HY000", Proxy Never, "the admin statement failed", "see the proxy's log";

    7001 DdlRefused "ddl_refused", 1235 "42000", Client Never, "the schema change is refused", "`bulkhead ddl explain` shows every reason";
    7002 DdlUnacknowledged "ddl_unacknowledged", 1235 "42000", Client Never, "the schema change breaks running code or drops rows", "where that is known, put `/* bulkhead: ddl_acknowledged */` in front of it";
    7003 DdlUnproven "ddl_unproven", 1235 "42000", Client Never, "the schema change can lose values", "put `/* bulkhead: ddl_prove */` in front of it: the rows are scanned first";
    7004 DdlDisproved "ddl_disproved", 1265 "01000", Client Never, "the scan found rows that the schema change would lose or alter; nothing was changed", "mend the rows, then run it again";
    7005 DdlUnread "ddl_unread", 1235 "42000", Client Never, "the schema change cannot be read, so nothing can be decided about it", "check the spelling; report it, and run it on the server by hand";
    7006 DdlPinned "ddl_pinned", 1235 "42000", Client Never, "the session holds table locks or an XA transaction, for whose end an online schema change would wait", "end them first";
    7007 DdlTableBusy "ddl_table_busy", 1205 "HY000", Shard Later, "the schema change did not get its table, again and again; nothing was changed", "look for long transactions that use the table, then run it again";
    7008 DdlUnlooked "ddl_unlooked", 1105 "HY000", Shard Later, "the table's definition could not be read; nothing was sent", "run it again when the server answers; `bulkhead check --live` tries the admin login";
    7009 DdlMode "ddl_mode", 1231 "42000", Client Never, "@bulkhead_ddl has a value that is not known", "set it to 'wait', 'submit' or NULL";
    7010 DdlUnscanned "ddl_unscanned", 1105 "HY000", Shard Later, "the rows could not be scanned; nothing was changed", "run it again when the server answers";
    7011 DdlLooksFull "ddl_looks_full", 1205 "HY000", Proxy Later, "too many schema changes look at their tables on the cluster; nothing was sent", "run it again when others have ended";
    7012 OwnDatabaseUnmade "own_database_unmade", 1105 "HY000", Shard Later, "the database of the keyspace's own tables could not be made", "let the cluster's admin login create it, or create it by hand";

    7101 MigrationFailed "migration_failed", 1105 "HY000", Proxy Never, "the online schema change did not come to its end; the table is as it was", "see `SHOW MIGRATION '<id>'` on the admin port; `RETRY MIGRATION` begins it again";
    7102 MigrationCancelled "migration_cancelled", 1317 "70100", Proxy Never, "the online schema change was cancelled; the table is as it was", "ask who cancelled it";
    7103 MigrationUnknown "migration_unknown", 1105 "HY000", Shard Never, "the server could not be asked whether the tables were exchanged", "see `SHOW MIGRATION '<id>'` on the admin port: it is told there as soon as the server answers";
    7104 MigrationElsewhere "migration_elsewhere", 1105 "HY000", Proxy Never, "the online schema change goes on without this session", "see `SHOW MIGRATION '<id>'` on the admin port";
    7105 MigrationBusy "migration_busy", 1205 "HY000", Client Later, "another schema change of the table is under way", "run it again when that one has ended; see `SHOW MIGRATIONS` on the admin port";
    7106 MigrationsFull "migrations_full", 1205 "HY000", Proxy Later, "too many schema changes wait on the cluster", "run it again later; see `SHOW MIGRATIONS` on the admin port";
    7107 MigrationsOff "migrations_off", 1235 "42000", Proxy Never, "online schema changes are turned off", "set `enabled` in `[schema_changes]`";
    7108 MigrationRefused "migration_refused", 1235 "42000", Client Never, "the change cannot be made online", "see the reason; `bulkhead ddl explain` says what can be done instead";
    7109 MigrationUnwritten "migration_unwritten", 1105 "HY000", Proxy Later, "the state store could not write the schema change down; nothing was begun", "run it again when the store answers";
    7110 MigrationNotNow "migration_not_now", 1105 "HY000", Client Never, "the migration is in a state in which that cannot be done", "see `SHOW MIGRATION '<id>'`";
    7111 MigrationNotHere "migration_not_here", 1105 "HY000", Client Never, "another proxy carries the migration out", "give the command to the proxy that the message names";

    7201 FleetRefused "fleet_refused", 1235 "42000", Client Never, "the statement cannot be carried out in all databases of a keyspace", "see the reason; name a workspace, or another statement";
    7202 FleetNoTable "fleet_no_table", 1146 "42S02", Client Never, "no database of the keyspace has the table", "check the table's name and the keyspace";
    7203 FleetUnread "fleet_unread", 1105 "HY000", Shard Later, "the databases could not be read; nothing was begun", "run it again when the servers answer; `bulkhead schema drift` says which do not";
    7204 FleetIncomplete "fleet_incomplete", 1105 "HY000", Proxy Never, "the fleet migration is over, and not every database is changed", "see its databases on the admin port, mend them, and tell it to try again";
    7205 FleetStopped "fleet_stopped", 1105 "HY000", Proxy Never, "the fleet migration stopped by itself", "see why on the admin port; then resume or cancel it";
    7206 FleetCancelled "fleet_cancelled", 1317 "70100", Proxy Never, "the fleet migration was cancelled; what was changed stays", "ask who cancelled it";
    7207 FleetElsewhere "fleet_elsewhere", 1105 "HY000", Proxy Never, "the fleet migration goes on without this session", "see it on the admin port";
    7208 FleetNotNow "fleet_not_now", 1105 "HY000", Client Never, "the fleet migration is in a phase in which that cannot be done", "see it on the admin port";
    7209 FleetNotHere "fleet_not_here", 1105 "HY000", Proxy Later, "this proxy does not carry fleet migrations out at the moment", "ask the proxy that does, or again in a few seconds";
    7210 FleetUnwritten "fleet_unwritten", 1105 "HY000", Proxy Later, "the state store failed; whether it was written is not known", "see the fleet migrations on the admin port before it is asked again";

    9001 Internal "internal", 1815 "HY000", Proxy Never, "internal error", "report this with the proxy's log";
}

impl Code {
    /// `E` and four digits; `E0xxx` are MySQL's own errors.
    pub fn id(self) -> String {
        format!("E{:04}", self.row().number)
    }

    /// The number alone.
    pub const fn number(self) -> u16 {
        self.row().number
    }

    /// Snake-case name.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// MySQL errno.
    pub const fn errno(self) -> u16 {
        self.row().errno
    }

    /// SQLSTATE.
    pub const fn sqlstate(self) -> &'static str {
        self.row().sqlstate
    }

    /// Who causes it.
    pub const fn origin(self) -> Origin {
        self.row().origin
    }

    /// Whether trying again helps.
    pub const fn retry(self) -> Retry {
        self.row().retry
    }

    /// One sentence.
    pub const fn sentence(self) -> &'static str {
        self.row().sentence
    }

    /// What to do next.
    pub const fn remedy(self) -> &'static str {
        self.row().remedy
    }

    /// Says whether the message is sent in MySQL's own words, without our code.
    pub const fn is_mysql_own(self) -> bool {
        self.row().number < 1000
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut numbers = HashSet::new();
        let mut names = HashSet::new();
        for code in Code::ALL {
            assert!(numbers.insert(code.number()), "{} twice", code.id());
            assert!(names.insert(code.name()), "{} twice", code.name());
            assert_eq!(code.sqlstate().len(), 5);
            assert!(code.sqlstate().bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
            assert!(!code.sentence().is_empty() && !code.remedy().is_empty());
        }
    }
}
