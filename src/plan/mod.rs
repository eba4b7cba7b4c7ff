//! Deciding where a statement goes.
