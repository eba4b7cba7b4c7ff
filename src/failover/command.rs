//! The site's own failover: a command with a bound in time, then the new primary is looked for.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::end::Found;
use super::run::{Context, FailoverRequest, Failovers, VIEW_WITHIN};
use crate::config::Failover;
use crate::drain::FailoverEnd;
use crate::ids::{ClusterName, ServerId};

/// Between two looks for the new primary.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What a command says is kept up to here, for the log.
const OUTPUT_BYTES_MAX: u64 = 4096;

impl Failovers {
    /// Runs the command and follows what it did.
    pub(super) async fn by_command(&self, context: &Context, request: &FailoverRequest) -> FailoverEnd {
        let until = Instant::now() + context.declared.failover.command_within;
        let (cluster, from) = (&context.name, &context.cluster.primary);
        // What it acknowledges while another server takes over reaches no client of ours.
        self.pools.bar(cluster, from);
        let ran = run(&context.declared.failover, cluster, from, request.to.as_ref()).await;
        let ended = match &ran {
            Ok(()) => "the command ended well".to_owned(),
            Err(why) => why.clone(),
        };
        tracing::warn!(%cluster, %from, ended, "the failover command is over");
        let end = loop {
            let views = context.views(VIEW_WITHIN).await;
            match self.settle_found(context, &views, true).await {
                Found::Followed { to, .. } => break FailoverEnd::Done(to),
                Found::Same(_) if ran.is_err() => {
                    break FailoverEnd::Undone(format!("{ended}; {from} still takes writes"));
                }
                found if Instant::now() >= until => {
                    break FailoverEnd::Unknown(format!("{ended}; {found}"));
                }
                _ => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        // If it leads there still; another server's pool was never barred.
        self.pools.lift(cluster, from);
        end
    }
}

/// Runs the command to its end.
///
/// # Errors
/// It could not be started, failed, or took too long and was killed.
async fn run(
    failover: &Failover,
    cluster: &ClusterName,
    from: &ServerId,
    to: Option<&ServerId>,
) -> Result<(), String> {
    let words = fill(&failover.command, cluster, from, to);
    let Some((program, arguments)) = words.split_first() else {
        return Err("there is no command".to_owned());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{program} could not be started: {error}"))?;
    let mut said = Vec::new();
    let running = async {
        if let Some(stderr) = child.stderr.take() {
            let mut stderr = stderr.take(OUTPUT_BYTES_MAX);
            // What it says is only for the log.
            let _ = stderr.read_to_end(&mut said).await;
            // The rest is thrown away, so that it does not wait for a reader.
            let _ = tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await;
        }
        child.wait().await
    };
    let within = failover.command_within;
    let status = timeout(within, running).await;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    match status {
        Err(_) => {
            Err(format!("{program} took longer than {} s and was killed; it said: {said}", within.as_secs()))
        }
        Ok(Err(error)) => Err(format!("{program} could not be waited for: {error}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{program} failed ({status}); it said: {said}")),
    }
}

/// Puts the names in. Each word stays one argument, whatever a name holds.
fn fill(words: &[Box<str>], cluster: &ClusterName, from: &ServerId, to: Option<&ServerId>) -> Vec<String> {
    let to_text = to.map(ToString::to_string).unwrap_or_default();
    let to_host = to.map(|to| to.host.to_string()).unwrap_or_default();
    let names = [
        ("{cluster}", cluster.to_string()),
        ("{from}", from.to_string()),
        ("{to}", to_text),
        ("{from_host}", from.host.to_string()),
        ("{to_host}", to_host),
    ];
    words
        .iter()
        .map(|word| names.iter().fold(word.to_string(), |word, (mark, name)| word.replace(mark, name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FailoverMode;

    fn failover(words: &[&str], within: Duration) -> Failover {
        Failover {
            mode: FailoverMode::Command,
            command: words.iter().map(|word| (*word).into()).collect(),
            command_within: within,
            replication: None,
        }
    }

    async fn run_it(words: &[&str], within: Duration) -> Result<(), String> {
        let (cluster, from) = (ClusterName::new("c 1"), ServerId { host: "db1".into(), port: 3306 });
        run(&failover(words, within), &cluster, &from, None).await
    }

    #[tokio::test]
    async fn a_command_gets_names_and_is_bounded() {
        let long = Duration::from_secs(10);
        let check = "test \"$1\" = 'c 1' && test \"$2\" = db1:3306/db1 && test -z \"$3\"";
        run_it(&["sh", "-c", check, "sh", "{cluster}", "{from}/{from_host}", "{to}"], long).await.unwrap();
        let failed = run_it(&["sh", "-c", "echo broken >&2; exit 3"], long).await.unwrap_err();
        assert!(failed.contains("exit status: 3") && failed.contains("broken"), "{failed}");
        let absent = run_it(&["/no/such/program"], long).await.unwrap_err();
        assert!(absent.contains("could not be started"), "{absent}");
        let began = Instant::now();
        let late = run_it(&["sleep", "60"], Duration::from_millis(200)).await.unwrap_err();
        assert!(late.contains("was killed") && began.elapsed() < long, "{late}");
        // Much talk does not stop it.
        run_it(&["sh", "-c", "head -c 1000000 /dev/zero >&2"], long).await.unwrap();
    }
}
