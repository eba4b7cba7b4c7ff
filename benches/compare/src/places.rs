//! Where everything is: programs, folders, and the run's password.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Places {
    /// The project.
    pub root: PathBuf,
    /// Configurations, logs and stores of this run.
    pub folder: PathBuf,
    /// The release build of Bulkhead.
    pub bulkhead: PathBuf,
    /// The prefix of the MySQL programs.
    pub mysql: PathBuf,
    /// The password of all accounts.
    pub password: String,
}

impl Places {
    /// Makes the run's folder in `output`, where what earlier runs left behind is removed, and finds MySQL.
    ///
    /// # Errors
    /// Something is not there, or a folder cannot be made.
    pub fn find(root: &Path, output: &Path, bulkhead: &Path) -> io::Result<Self> {
        fs::create_dir_all(output)?;
        remove_left_behind(output)?;
        let folder = absolute(output)?.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut command = Command::new(root.join("docker/mysql/get.sh"));
        let prefix = process::run(command.args(["--flavour", "mysql"]))?.trim().to_owned();
        Ok(Self {
            root: absolute(root)?,
            folder,
            bulkhead: absolute(bulkhead)?,
            mysql: prefix.into(),
            password: format!("bench-{:x}", random_number()?),
        })
    }

    /// The baseline proxy, which is built beside the harness.
    ///
    /// # Errors
    /// It is not there.
    pub fn baseline(&self) -> io::Result<PathBuf> {
        absolute(&std::env::current_exe()?.with_file_name("baseline"))
    }
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

/// Removes the folders of runs that are over: their servers' watchers make them again after a run's own end.
fn remove_left_behind(output: &Path) -> io::Result<()> {
    for entry in fs::read_dir(output)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_over = name.strip_prefix("run-").is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if is_over {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn random_number() -> io::Result<u64> {
    let mut bytes = [0; 8];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
