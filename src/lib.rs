//! Bulkhead: a MySQL-protocol sharding proxy.
