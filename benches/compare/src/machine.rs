//! What the run ran on: goes into the report, for numbers mean nothing without it.

use std::collections::BTreeMap;
use std::process::Command;

use crate::places::Places;
use crate::process::{on_path, run};

/// Machine and versions.
pub fn describe(places: &Places) -> BTreeMap<&'static str, String> {
    let first_line = |command: &mut Command| {
        run(command).ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or("unknown".into())
    };
    let version = |program: &str, option: &str| match on_path(program) {
        Some(path) => first_line(Command::new(path).arg(option)),
        None => "not installed".to_owned(),
    };
    let mysqld = places.mysql.join("bin/mysqld");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let words = |text: &str| text.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    BTreeMap::from([
        ("cpu", field("/proc/cpuinfo", "model name")),
        ("cores", cores.to_string()),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", first_line(Command::new("uname").arg("-sr"))),
        ("load_at_start", words(&load)),
        ("mysql", first_line(Command::new(mysqld).args(["--no-defaults", "--version"]))),
        ("haproxy", version("haproxy", "-v")),
        ("sysbench", version("sysbench", "--version")),
        ("bulkhead", first_line(Command::new(&places.bulkhead).arg("version"))),
        ("revision", first_line(Command::new("git").args(["describe", "--always", "--dirty"]))),
    ])
}

fn field(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    line.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}
