//! Instructions and allocations per statement of the one-shard path, counted by valgrind's callgrind in the
//! released program: numbers that hardly depend on how busy the machine is.
//!
//! One client, so that every statement is a read, a write, a read and a write. What is done by the clock
//! (heartbeats, status probes, timers) is counted in as long a time without statements, and taken off.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::callgrind::Dump;
use crate::client::Client;
use crate::process::{on_path, run as call};
use crate::report::{Bar, Side};
use crate::stage::Stage;
use crate::systems::{self, BulkheadSetup};

/// Statements before counting: caches and buffers are filled.
const WARM_STATEMENTS: u64 = 3_000;
/// Statements that are counted.
const STATEMENTS: u64 = 2_000;

/// Counts for text and prepared statements.
pub(super) async fn run(stage: &mut Stage) {
    if on_path("valgrind").is_none() {
        let error = io::Error::other("valgrind is not on PATH; on Debian: apt-get install valgrind");
        return stage.fail("instructions", "bulkhead", &error);
    }
    if let Err(error) = try_run(stage).await {
        stage.fail("instructions", "bulkhead", &error);
    }
}

async fn try_run(stage: &mut Stage) -> io::Result<()> {
    let out = stage.places.folder.join("callgrind.out");
    let wrapper = ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", out.display())];
    let mut setup = BulkheadSetup { name: "bulkhead-callgrind".to_owned(), ..stage.standard() };
    setup.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
    let system = systems::start_bulkhead(&setup, &stage.places, &stage.clusters)?;
    let pid = system.pids()[0];
    let mut client = Client::connect(&system.login("ws_1")).await?;
    let statement = client.prepare("SELECT c FROM sbtest1 WHERE id=?").await?;
    for (words, prepared) in [("text", None), ("prepared", Some(statement))] {
        statements(&mut client, prepared, WARM_STATEMENTS).await?;
        dump(pid, &out)?;
        let began = Instant::now();
        statements(&mut client, prepared, STATEMENTS).await?;
        let counted = dump(pid, &out)?;
        tokio::time::sleep(began.elapsed()).await;
        let idle = dump(pid, &out)?;
        let each = |counted: u64, idle: u64| (counted as f64 - idle as f64) / STATEMENTS as f64;
        let instructions = each(counted.instructions, idle.instructions);
        let allocations = each(counted.allocations(), idle.allocations());
        stage.measure("instructions", format!("instructions per statement, {words}"), instructions, "Ir");
        stage.measure("instructions", format!("allocations per statement, {words}"), allocations, "calls");
        if prepared.is_none() {
            // Two digits: the clock's part differs by a probe more or less. None is less than none.
            let rounded = ((allocations * 100.0).round() / 100.0).max(0.0);
            let name = "allocations per statement, one-shard text path, warm";
            stage.judge(Bar::new(name, rounded, "calls", Side::Most, 0.0));
        }
    }
    system.stop();
    Ok(())
}

async fn statements(client: &mut Client, prepared: Option<u32>, count: u64) -> io::Result<()> {
    for number in 1..=count {
        let id = number % 1_000 + 1;
        match prepared {
            Some(statement) => client.execute(statement, id as i64).await?,
            None => client.query(&format!("SELECT c FROM sbtest1 WHERE id={id}")).await?,
        };
    }
    Ok(())
}

/// Has callgrind write what it counted and begin anew; reads it.
fn dump(pid: u32, out: &Path) -> io::Result<Dump> {
    let before = newest(out)?.map_or(0, |(number, _)| number);
    call(Command::new("callgrind_control").args(["--dump", &pid.to_string()]))?;
    let (number, file) = newest(out)?.ok_or_else(|| io::Error::other("callgrind wrote no dump"))?;
    if number == before {
        return Err(io::Error::other("callgrind wrote no further dump"));
    }
    let text = fs::read_to_string(&file)?;
    Dump::parse(&text).ok_or_else(|| io::Error::other(format!("{} is not whole", file.display())))
}

/// The dump with the highest number: `callgrind.out.N`.
fn newest(out: &Path) -> io::Result<Option<(u32, PathBuf)>> {
    let folder = out.parent().unwrap_or(Path::new("."));
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_dump = path.file_stem() == out.file_name();
        let number = path.extension().and_then(|number| number.to_str()?.parse::<u32>().ok());
        if let Some(number) = number.filter(|_| is_dump) {
            last = last.max(Some((number, path)));
        }
    }
    Ok(last)
}
