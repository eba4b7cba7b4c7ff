//! Which error numbers speak against the server, not against the statement.

/// Says whether a server that answers with this error number is not fit to do its work. Errors that a healthy
/// server gives a wrong or unlucky statement (duplicate key, syntax, deadlock, lock wait) are not.
///
/// **Source**: MySQL Error Message Reference, "Server Error Message Reference".
pub fn is_servers_fault(errno: u16) -> bool {
    matches!(
        errno,
        1020..=1023 // cannot read, disk full, duplicate on write, close failed
            | 1026 // error writing a file
            | 1030 // error from the storage engine
            | 1037 | 1038 | 1041 // out of memory, of sort memory, of both
            | 1040 // too many connections
            | 1053 // shutdown in progress
            | 1077..=1080 // shutting down
            | 1105 // unknown error, as Aurora's storage gives
            | 1114 // table full
            | 1135 // cannot create a thread
            | 1158..=1161 // network errors in the server
            | 1180 // error during COMMIT
            | 1290 // --super-read-only, --read-only
            | 1836 // read-only mode
            | 3024 // the statement's time limit is over
            | 3100 // error in a commit hook, as of group replication
            | 3168 // server not ready
    )
}
