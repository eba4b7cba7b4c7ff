//! What the integration tests share: real servers and a running Bulkhead.

// Every test file compiles this module for itself and uses a part of it.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part")]

pub mod clients;
pub mod fleet;
pub mod raw;
pub mod servers;
