//! Bulkhead's configuration of what it may do by itself. Pure.

use super::record::Protection;

/// Sections of the main configuration.
pub fn config(_may: Protection) -> String {
    String::new()
}

/// What is added to the keyspace's vschema.
pub fn vschema(_may: Protection) -> String {
    String::new()
}
