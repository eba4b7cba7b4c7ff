//! Processes that the harness starts, and what the kernel says about them.

use std::ffi::OsStr;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Clock ticks per second in /proc: 100 on every Linux that Debian supports.
const TICK_US: u64 = 10_000;
/// How long a program may take to listen.
const START_WAIT_MAX: Duration = Duration::from_secs(60);
const START_WAIT_STEP: Duration = Duration::from_millis(2);
/// How long a program may take to end after SIGTERM.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Runs a harness on this thread, where it may start processes: it lives as long as the harness. `false` (not
/// all could be measured) and errors, which are printed, make the exit status 1.
pub fn run_to_exit(harness: impl Future<Output = io::Result<bool>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(harness)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C and SIGTERM, which end the harness in good order.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// From now on the signals are noted rather than deadly.
    ///
    /// # Errors
    /// The handlers cannot be set.
    pub fn listen() -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    /// Waits for one; also for one that came before.
    pub async fn arrived(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// CPU time of one or several processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In user mode, microseconds.
    pub user_us: u64,
    /// In the kernel, microseconds.
    pub system_us: u64,
}

impl CpuTime {
    /// Both together, microseconds.
    pub fn total_us(self) -> u64 {
        self.user_us + self.system_us
    }

    /// What was used since an earlier reading.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user_us: self.user_us.saturating_sub(earlier.user_us),
            system_us: self.system_us.saturating_sub(earlier.system_us),
        }
    }
}

/// CPU time so far of these processes, all threads.
///
/// # Errors
/// One of them is gone.
pub fn cpu_time(pids: &[u32]) -> io::Result<CpuTime> {
    let mut sum = CpuTime::default();
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let one = parse_stat(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: {text}")))?;
        sum.user_us += one.user_us;
        sum.system_us += one.system_us;
    }
    Ok(sum)
}

/// Fields 14 and 15 of /proc/PID/stat; the name in field 2 may hold blanks and parentheses.
fn parse_stat(text: &str) -> Option<CpuTime> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(CpuTime { user_us: user * TICK_US, system_us: system * TICK_US })
}

/// Memory in use (RSS) of these processes, bytes.
///
/// # Errors
/// One of them is gone.
pub fn memory_bytes(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        sum += kib.ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no VmRSS")))? * 1024;
    }
    Ok(sum)
}

/// A program that runs in the background and is ended with this value.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts a program with its output in a log file. Must be called on the main thread: the kernel ends the
    /// program when the thread that started it is gone (`setpriv`), so that none outlives a killed harness.
    ///
    /// # Errors
    /// The program cannot be started, or the log not written.
    pub fn spawn<S: AsRef<OsStr>>(
        program: &Path,
        arguments: &[S],
        environment: &[(String, String)],
        log: &Path,
    ) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let child = command.spawn().map_err(|error| io::Error::other(format!("setpriv {name}: {error}")))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it accepts connections on a port of 127.0.0.1; gives the time since `started`.
    ///
    /// # Errors
    /// It ended, or does not listen within the bound; with the end of its log.
    pub fn wait_for_port(&mut self, port: u16, started: Instant) -> io::Result<Duration> {
        loop {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(started.elapsed());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START_WAIT_MAX {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(8)..].join("\n");
                return Err(io::Error::other(format!("{} does not listen on {port}:\n{tail}", self.name)));
            }
            pause(START_WAIT_STEP);
        }
    }

    /// Ends it in good order, so that it can flush what it measured; insists after a while.
    pub fn stop(&mut self) {
        // It may have ended by itself, which the wait below sees.
        let _ = send_signal(self.pid(), "TERM");
        let asked = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if asked.elapsed() > STOP_WAIT_MAX {
                // Already gone is as good.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            pause(START_WAIT_STEP);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name, such as `KILL`.
///
/// # Errors
/// There is no such process.
pub fn send_signal(pid: u32, name: &str) -> io::Result<()> {
    run(Command::new("kill").args([&format!("-{name}"), &pid.to_string()])).map(drop)
}

/// Waits on the main thread for another process; no load is running then.
#[expect(clippy::disallowed_methods, reason = "nothing to wait on but the clock, and no task is behind it")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Runs a command to its end; gives what it printed.
///
/// # Errors
/// It cannot be started or fails; with its last words.
pub fn run(command: &mut Command) -> io::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| io::Error::other(format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    Err(io::Error::other(format!("{program} failed ({}): {words}", output.status)))
}

/// Where a program is on PATH.
pub fn on_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps haproxy in sbin, which users may not have.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let text = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 75 0 0 20 0 9 0 100 1 2";
        assert_eq!(parse_stat(text), Some(CpuTime { user_us: 2_500_000, system_us: 750_000 }));
        assert_eq!(parse_stat("12 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn own_process_can_be_read() {
        let own = [std::process::id()];
        assert!(cpu_time(&own).is_ok());
        assert!(memory_bytes(&own).is_ok_and(|bytes| bytes > 100_000));
        assert!(cpu_time(&[u32::MAX]).is_err());
    }
}
