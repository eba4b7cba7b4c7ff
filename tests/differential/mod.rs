//! The differential test's parts: scripts, the two sides they run on, and what is compared.

// Used by one test crate only, in parts.
#![allow(unreachable_pub, reason = "a test's own modules")]

pub mod exceptions;
pub mod facts;
pub mod script;
pub mod side;
