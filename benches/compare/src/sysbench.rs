//! Load by sysbench, for the mixes of statements that everybody knows: its own scripts, unchanged.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use crate::client::Login;
use crate::histogram::Histogram;
use crate::load::Counted;

/// Tables that sysbench spreads its statements over.
pub const TABLES: u32 = 4;

/// One of sysbench's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// 14 reads in a transaction.
    ReadOnly,
    /// 14 reads and 4 writes in a transaction.
    ReadWrite,
    /// 4 writes in a transaction.
    WriteOnly,
}

impl Script {
    fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "oltp_read_only",
            Self::ReadWrite => "oltp_read_write",
            Self::WriteOnly => "oltp_write_only",
        }
    }
}

/// A run of sysbench.
#[derive(Clone, Copy, Debug)]
pub struct Wave {
    /// What.
    pub script: Script,
    /// Clients.
    pub threads: usize,
    /// Rows of each table.
    pub rows: u64,
    /// A wave before, of which nothing is counted.
    pub warm_up: Duration,
    /// The counted one.
    pub window: Duration,
}

/// Runs the warm-up, then the counted wave. Counts are of statements, latencies of whole transactions.
/// `mark` is called before and behind the counted wave: its logins are a part of what is measured.
///
/// # Errors
/// sysbench fails, as it does on any error of a statement other than a deadlock.
pub async fn run<M>(
    wave: Wave,
    login: &Login,
    mut mark: impl FnMut() -> io::Result<M>,
) -> io::Result<(Counted, u64, M, M)> {
    call(wave, wave.warm_up, login).await?;
    let first = mark()?;
    let text = call(wave, wave.window, login).await?;
    let last = mark()?;
    let parsed = parse(&text).ok_or_else(|| io::Error::other(format!("sysbench said:\n{text}")))?;
    let counted = Counted { latencies: parsed.latencies, elapsed: parsed.elapsed };
    Ok((counted, parsed.statements, first, last))
}

async fn call(wave: Wave, time: Duration, login: &Login) -> io::Result<String> {
    let mut command = tokio::process::Command::new("sysbench");
    command.arg(wave.script.name());
    command.args(["--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-ssl=off", "--db-ps-mode=disable"]);
    command.arg(format!("--mysql-port={}", login.address.port()));
    command.args([format!("--mysql-user={}", login.user), format!("--mysql-password={}", login.password)]);
    command.args([format!("--mysql-db={}", login.database), format!("--threads={}", wave.threads)]);
    command.args([format!("--tables={TABLES}"), format!("--table-size={}", wave.rows)]);
    // Whole seconds are all it takes.
    command.arg(format!("--time={}", time.as_secs().max(1)));
    command.args(["--events=0", "--histogram=on", "--rand-seed=7", "run"]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let fatal: Vec<&str> = text.lines().filter(|line| line.contains("FATAL")).take(2).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("sysbench: {} {}", fatal.join("; "), errors.trim())))
}

struct Parsed {
    latencies: Histogram,
    statements: u64,
    elapsed: Duration,
}

/// Reads what sysbench prints.
fn parse(text: &str) -> Option<Parsed> {
    let mut latencies = Histogram::default();
    let (mut statements, mut elapsed) = (None, None);
    for line in text.lines() {
        let line = line.trim();
        if let Some((bar, count)) = line
            .split_once('|')
            .and_then(|(value, rest)| Some((value.trim(), rest.split_whitespace().next_back()?)))
        {
            let millis: f64 = bar.parse().ok()?;
            latencies.record_many((millis * 1e6) as u64, count.parse().ok()?);
        } else if let Some(rest) = line.strip_prefix("queries:") {
            statements = rest.split_whitespace().next()?.parse().ok();
        } else if let Some(rest) = line.strip_prefix("total time:") {
            elapsed = rest.trim().strip_suffix('s')?.parse().ok().map(Duration::from_secs_f64);
        }
    }
    Some(Parsed { latencies, statements: statements?, elapsed: elapsed? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       4.000 |****************************************  90
       8.000 |*                                         10

SQL statistics:
    queries performed:
        read:                            1400
        write:                           0
        other:                           200
        total:                           1600
    transactions:                        100    (9.97 per sec.)
    queries:                             1600   (159.56 per sec.)

General statistics:
    total time:                          10.0273s
    total number of events:              100
";

    #[test]
    fn output_is_read() {
        let parsed = parse(OUTPUT).expect("it is whole");
        assert_eq!((parsed.statements, parsed.latencies.count()), (1600, 100));
        assert_eq!(parsed.elapsed, Duration::from_secs_f64(10.0273));
        assert!((parsed.latencies.quantile_us(0.5) - 4_000.0).abs() < 64.0);
        assert!((parsed.latencies.quantile_us(0.95) - 8_000.0).abs() < 128.0);
    }

    #[test]
    fn output_without_its_end_is_refused() {
        let cut = OUTPUT.find("General").expect("it is there");
        assert!(parse(&OUTPUT[..cut]).is_none());
    }
}
