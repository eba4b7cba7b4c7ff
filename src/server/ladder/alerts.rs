//! Alerts: what happened, sent to webhooks and commands of the config.
//!
//! Nothing waits for them: entries go into a bounded queue for each receiver, whose own task takes them out
//! one after the other. A receiver that fails is tried again a few times for each and then passed over; that
//! is counted and logged, without its address, which may be a secret.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::http;
use crate::config::{AlertCommand, Alerts, Webhook};
use crate::drain::{Action, Entry, Witness, utc};
use crate::session::Services;

/// Entries that wait to be sent, at most; more are not sent.
const QUEUE_MAX: usize = 256;
/// Between the attempts to reach a receiver: so there are three of them.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Counts of what was sent.
#[derive(Debug, Default)]
pub(in crate::server) struct Sent {
    pub(in crate::server) delivered: AtomicU64,
    pub(in crate::server) failed: AtomicU64,
    /// The queue was full.
    pub(in crate::server) dropped: AtomicU64,
}

/// Where the watching task leaves what is to be sent.
#[derive(Clone, Debug)]
pub(in crate::server) struct Outbox {
    queue: mpsc::Sender<Arc<Value>>,
    proxy: Arc<str>,
    pub(in crate::server) sent: Arc<Sent>,
}

impl Outbox {
    /// An outbox, and the task that empties it.
    pub(super) fn new(
        services: Arc<Services>,
        proxy: &str,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, entries) = mpsc::channel(QUEUE_MAX);
        let sent = Arc::new(Sent::default());
        let outbox = Self { queue, proxy: proxy.into(), sent: sent.clone() };
        let receivers = move || services.snapshots.load().config.alerts.clone();
        (outbox, send_all(receivers, entries, sent))
    }

    /// Leaves an entry to be sent; does not wait.
    pub(super) fn offer(&self, entry: &Entry) {
        let alert = Arc::new(alert_of(entry, &self.proxy));
        if self.queue.try_send(alert).is_err() {
            self.sent.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An entry as receivers get it.
pub(super) fn alert_of(entry: &Entry, proxy: &str) -> Value {
    let kind = match entry {
        Entry::Step(_) => "step",
        Entry::Act(_) => "act",
        Entry::State(_) => "state",
        Entry::Fleet(_) => "fleet",
        Entry::Notice(_) => "notice",
    };
    let fleet = match entry {
        Entry::Fleet(event) => Some(event),
        _ => None,
    };
    json!({
        "program": "bulkhead",
        "proxy": proxy,
        "at": utc(entry.at()),
        "kind": kind,
        "cluster": entry.cluster(),
        "what": entry.what(),
        "how": entry.how(),
        "by": entry.by(),
        "why": entry.why(),
        "text": entry.to_string(),
        "evidence": entry.evidence().iter().map(signal).collect::<Vec<_>>(),
        "actions": entry.actions().iter().map(Action::name).collect::<Vec<_>>(),
        "migration": fleet.map(|event| &event.id),
        "keyspace": fleet.map(|event| &event.keyspace),
        "statements": match entry { Entry::Act(end) => end.statements.clone(), _ => Vec::new() },
    })
}

fn signal(witness: &Witness) -> Value {
    let Witness { signal, value, threshold, unit, for_seconds } = witness;
    json!({"signal": signal, "value": value, "threshold": threshold, "unit": unit, "for_s": for_seconds})
}

/// Who gets alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Receiver {
    Web(Webhook),
    Program(AlertCommand),
}

impl Receiver {
    fn name(&self) -> &str {
        match self {
            Self::Web(hook) => &hook.name,
            Self::Program(hook) => &hook.name,
        }
    }

    async fn tell(&self, alert: &Value) -> Result<(), String> {
        match self {
            Self::Web(hook) => post(hook, alert).await,
            Self::Program(hook) => run(hook, alert).await,
        }
    }
}

/// Gives each alert to all receivers. Each has a queue and a task of its own: one that does not answer delays
/// no other's page.
pub(super) async fn send_all(
    configured: impl Fn() -> Alerts,
    mut entries: mpsc::Receiver<Arc<Value>>,
    sent: Arc<Sent>,
) {
    let mut lines: Vec<(Receiver, mpsc::Sender<Arc<Value>>)> = Vec::new();
    let mut sending = JoinSet::new();
    while let Some(alert) = entries.recv().await {
        // As the config is now: a reload counts for the next alert. What waits for a receiver that has left
        // is still sent.
        let alerts = configured();
        let webhooks = alerts.webhooks.into_iter().map(Receiver::Web);
        let receivers: Vec<_> = webhooks.chain(alerts.commands.into_iter().map(Receiver::Program)).collect();
        lines.retain(|(receiver, _)| receivers.contains(receiver));
        while sending.try_join_next().is_some() {}
        for receiver in receivers {
            if !lines.iter().any(|(known, _)| *known == receiver) {
                let (line, waiting) = mpsc::channel(QUEUE_MAX);
                sending.spawn(serve(receiver.clone(), waiting, sent.clone()));
                lines.push((receiver.clone(), line));
            }
            let line = lines.iter().find(|(known, _)| *known == receiver);
            if line.is_some_and(|(_, line)| line.try_send(alert.clone()).is_err()) {
                sent.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Sends one receiver what waits for it, in order.
async fn serve(receiver: Receiver, mut waiting: mpsc::Receiver<Arc<Value>>, sent: Arc<Sent>) {
    while let Some(alert) = waiting.recv().await {
        deliver(receiver.name(), &sent, || receiver.tell(&alert)).await;
    }
}

/// Tries until it is delivered, a bounded number of times.
async fn deliver<F: Future<Output = Result<(), String>>>(name: &str, sent: &Sent, attempt: impl Fn() -> F) {
    let mut pauses = PAUSES.iter();
    loop {
        let Err(why) = attempt().await else {
            sent.delivered.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(pause) = pauses.next() else {
            sent.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(receiver = name, why, "an alert was not delivered");
            return;
        };
        tokio::time::sleep(*pause).await;
    }
}

async fn post(hook: &Webhook, alert: &Value) -> Result<(), String> {
    let body = alert.to_string();
    let token = hook.token.as_ref().map(|token| token.reveal());
    match timeout(hook.timeout, http::post(&hook.address, token, hook.ca.as_deref(), &body)).await {
        Ok(Ok(status)) if (200..300).contains(&status) => Ok(()),
        Ok(Ok(status)) => Err(format!("it answered {status}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("no answer within {} ms", hook.timeout.as_millis())),
    }
}

async fn run(hook: &AlertCommand, alert: &Value) -> Result<(), String> {
    let mut command = Command::new(&hook.program);
    command.args(hook.arguments.iter().map(|argument| &**argument));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let told = async {
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let Some(mut input) = child.stdin.take() {
            // A program that does not want to know is no failure: its exit code counts.
            let _ = input.write_all(format!("{alert}\n").as_bytes()).await;
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
    };
    match timeout(hook.timeout, told).await {
        Ok(done) => done,
        Err(_elapsed) => Err(format!("it ran longer than {} ms and was ended", hook.timeout.as_millis())),
    }
}
