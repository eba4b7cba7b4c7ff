//! What statements came to.
