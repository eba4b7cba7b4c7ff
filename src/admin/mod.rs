//! The admin endpoint: what operators see and change.
//!
//! Owns the admin statements (`execute`: text in, typed table out), their rendering as packets, text and
//! JSON, and the HTTP endpoint for `/metrics` and `/healthz`. Listening and login on the admin port are the
//! server's; what is shown comes from the modules below through [`AdminContext`].
//!
//! A statement is read by `words`, found by its first words in `execute`, and each command is one file:
//! what shows in `show/`, what acts or explains in `commands/`. Nothing here decides by itself.

mod commands;
mod context;
mod execute;
mod fleet;
mod http;
mod ladder;
mod packets;
mod show;
mod table;
mod words;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use commands::{Help, help};
pub use context::{
    AdminContext, AdminFuture, Advice, ClustersView, HealthRow, KillTarget, MigrationsView, PoolsView,
    PrimariesView, ProxyStats, Reload, ReloadFault, SessionRow, SessionsView, StatsView,
};
pub use execute::execute;
pub use fleet::{FleetOrders, FleetView};
pub use http::{metrics_text, serve as serve_http};
pub use ladder::{ClusterSample, LadderStanding, LadderView, LoggedEntry, Ordered, RunningStatement};
pub use packets::encode;
pub use table::{AdminAnswer, AdminTable, AdminValue, ColumnKind, RenderError};
