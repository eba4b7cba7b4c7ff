//! What is sharded by what.
