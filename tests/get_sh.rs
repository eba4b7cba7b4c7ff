//! `docker/mysql/get.sh` where a server is on PATH, where it is too old, and where there is no apt.
//!
//! The programs on PATH are stubs that print a version; nothing is fetched and no server is started.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the script uses of a system, apt left out.
const TOOLS: [&str; 16] = [
    "bash", "cat", "cut", "dirname", "env", "flock", "grep", "head", "ln", "mkdir", "printf", "rm", "sed",
    "sort", "tr", "true",
];

struct Stand {
    folder: tempfile::TempDir,
}

impl Stand {
    /// A PATH with these stubs, of programs that print `version`, and a cache of its own.
    fn new(programs: &[&str], version: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let stand = Self { folder };
        fs::create_dir(stand.path("bin")).expect("the folder is ours");
        for tool in TOOLS {
            let found = ["/usr/bin", "/bin"].iter().map(|at| Path::new(at).join(tool)).find(|at| at.exists());
            let found = found.unwrap_or_else(|| panic!("{tool} is missing"));
            symlink(found, stand.path("bin").join(tool)).expect("the folder is ours");
        }
        for program in programs {
            let at = stand.path("bin").join(program);
            fs::write(&at, format!("#!/bin/bash\necho '{program}  {version}'\n"))
                .expect("the folder is ours");
            fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        }
        stand
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, flavour: &str) -> Output {
        Command::new("/bin/bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/mysql/get.sh"))
            .args(["--flavour", flavour])
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("BULKHEAD_CACHE", self.path("cache"))
            .output()
            .expect("bash starts")
    }
}

fn error_of(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server outside PATH, in the places where the script looks as well, would be found before the stubs.
fn is_installed() -> bool {
    ["/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin"]
        .iter()
        .any(|at| ["mysqld", "mariadbd"].iter().any(|name| Path::new(at).join(name).exists()))
}

#[test]
fn a_server_on_path_is_used() {
    let programs = ["mysqld", "mysql", "mysqladmin", "mysqldump"];
    let stand = Stand::new(&programs, "Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)");
    let output = stand.run("mysql");
    assert!(output.status.success(), "{output:?}");
    let prefix = stand.path("cache/server/mysql").canonicalize().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), prefix.to_str().unwrap());
    for program in programs {
        assert_eq!(fs::read_link(prefix.join("bin").join(program)).unwrap(), stand.path("bin").join(program));
    }
    assert!(fs::read_to_string(prefix.join("ready")).unwrap().starts_with("8.4.3 installed "));
}

#[test]
fn one_that_is_too_old_or_of_another_kind_is_not() {
    if is_installed() {
        return;
    }
    let old = Stand::new(&["mysqld", "mysql", "mysqladmin", "mysqldump"], "Ver 8.0.36 for Linux on x86_64");
    let error = error_of(&old.run("mysql"));
    assert!(error.contains("mysqld is 8.0.36; mysql 8.4 or later is needed"), "{error}");
    let other = Stand::new(&["mysqld"], "Ver 10.11.6-MariaDB for debian-linux-gnu on x86_64");
    assert!(error_of(&other.run("mysql")).contains("no mysql 8.4 or later on PATH"));
}

#[test]
fn without_apt_it_says_what_to_do() {
    if is_installed() {
        return;
    }
    let error = error_of(&Stand::new(&[], "").run("mysql"));
    for said in ["this system has no apt", "install mysql", "docker compose", "BULKHEAD_DEBIAN_MIRROR"] {
        assert!(error.contains(said), "{said}: {error}");
    }
}
