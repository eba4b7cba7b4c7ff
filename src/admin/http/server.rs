//! The HTTP listener of the admin endpoint.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::super::context::AdminContext;
use super::metrics_text;

/// Serves `/metrics` and `/healthz`; ends only by being dropped or when accepting fails.
///
/// # Errors
/// Accepting failed.
pub async fn serve(listener: TcpListener, context: AdminContext) -> std::io::Result<()> {
    axum::serve(listener, routes(context)).await
}

fn routes(context: AdminContext) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).with_state(context)
}

async fn metrics(State(context): State<AdminContext>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics_text(&context))
}

/// 200 when new clients are welcome, 503 with the reasons when they are not.
async fn healthz(State(context): State<AdminContext>) -> impl IntoResponse {
    let stats = context.stats.stats();
    let is_ready = stats.not_ready.is_empty();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({
        "status": if is_ready { "ready" } else { "not_ready" },
        "reasons": stats.not_ready,
        "generation": context.snapshots.peek().generation.0,
    });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::admin::tests::fixed_context;

    async fn request(context: AdminContext, path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, context));
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serving.abort();
        answer
    }

    #[tokio::test]
    async fn readiness_has_a_status_and_reasons() {
        let ready = request(fixed_context(&[]).await, "/healthz").await;
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        assert!(ready.ends_with("{\"generation\":1,\"reasons\":[],\"status\":\"ready\"}\n"), "{ready}");
        let draining = request(fixed_context(&["draining"]).await, "/healthz").await;
        assert!(draining.starts_with("HTTP/1.1 503"), "{draining}");
        assert!(draining.contains("\"reasons\":[\"draining\"]"), "{draining}");
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let answer = request(fixed_context(&[]).await, "/metrics").await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("bulkhead_snapshot_generation 1\n"), "{answer}");
        let unknown = request(fixed_context(&[]).await, "/").await;
        assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    }
}
