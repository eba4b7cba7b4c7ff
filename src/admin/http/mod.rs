//! `/metrics` and `/healthz`.

mod fleet;
mod metrics;
mod server;

pub use metrics::metrics_text;
pub use server::serve;
