//! `/metrics` and `/healthz`.

mod metrics;
mod server;

pub use metrics::metrics_text;
pub use server::serve;
