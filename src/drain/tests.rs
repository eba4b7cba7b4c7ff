//! The ladder and the permits under everything that may happen to them.

mod ladder;
mod permits;
