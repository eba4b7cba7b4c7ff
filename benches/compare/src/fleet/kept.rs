//! The fleet's data, made once and kept between runs: thousands of tables take minutes to make and seconds to
//! copy.
//!
//! A kept fleet is a folder beside the report: a data folder for each cluster, and the password of the
//! accounts in them. Its name tells the server's version and what is in it, so that another fleet is never
//! taken for it; it gets that name when it is complete.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::process::run;

/// Kept fleets, at most: the latest are left.
const KEPT_MAX: usize = 3;
const PREFIX: &str = "kept-";
/// Behind the name of one that is not complete.
const MAKING: &str = "making";

/// A kept fleet, or the place for it.
#[derive(Clone, Debug)]
pub struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// The place for what this SQL makes on this version of the server.
    pub fn of(output: &Path, version: &str, sql: &[String]) -> Self {
        Self { folder: output.join(format!("{PREFIX}{}", key(version, sql))) }
    }

    /// The accounts' password, if the fleet is there.
    pub fn password(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("password")).ok()
    }

    /// Keeps copies of these data folders, whose servers are stopped.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written.
    pub fn keep(&self, password: &str, data: &[(String, PathBuf)]) -> io::Result<()> {
        remove_old(self.folder.parent().unwrap_or(&self.folder))?;
        let making = self.folder.with_extension(MAKING);
        remove(&making)?;
        fs::create_dir_all(&making)?;
        for (name, folder) in data {
            copy(folder, &making.join(name))?;
        }
        let mut options = fs::File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(making.join("password"))?;
        file.write_all(password.as_bytes())?;
        remove(&self.folder)?;
        fs::rename(&making, &self.folder)
    }

    /// Puts a cluster's data where its server, which does not run, looks for it.
    ///
    /// # Errors
    /// The disk is full, or the fleet is not there.
    pub fn put(&self, name: &str, data: &Path) -> io::Result<()> {
        remove(data)?;
        copy(&self.folder.join(name), data)
    }
}

fn key(version: &str, sql: &[String]) -> String {
    let mut hash = Sha256::new().chain_update(version);
    for text in sql {
        // Lengths first, so that no two lists look alike.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn remove(folder: &Path) -> io::Result<()> {
    if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

/// Removes all but the latest, and what was never completed; one more is going to be made.
fn remove_old(output: &Path) -> io::Result<()> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(output)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let is_whole = entry.path().extension().is_none_or(|extension| extension != MAKING);
            let made = if is_whole { entry.metadata()?.modified()? } else { SystemTime::UNIX_EPOCH };
            found.push((made, entry.path()));
        }
    }
    found.sort();
    let surplus = (found.len() + 1).saturating_sub(KEPT_MAX);
    let incomplete = |made: &SystemTime| *made == SystemTime::UNIX_EPOCH;
    for (at, (made, folder)) in found.iter().enumerate() {
        if at < surplus || incomplete(made) {
            fs::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_content_has_another_name() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let one = key("9.7.4", &texts(&["a", "bc"]));
        assert_eq!(one, key("9.7.4", &texts(&["a", "bc"])));
        assert_eq!(one.len(), 16);
        for (version, sql) in [("9.7.5", ["a", "bc"]), ("9.7.4", ["ab", "c"]), ("9.7.4", ["a", "bd"])] {
            assert_ne!(one, key(version, &texts(&sql)));
        }
    }

    #[test]
    fn a_fleet_is_kept_whole_and_put_back() -> io::Result<()> {
        let place = std::env::temp_dir().join(format!("bulkhead-kept-{}", std::process::id()));
        let data = place.join("data");
        fs::create_dir_all(&data)?;
        fs::write(data.join("ibdata1"), "rows")?;
        let kept = Kept::of(&place, "9.7.4", &["x".to_owned()]);
        assert_eq!(kept.password(), None);
        for other in 0..KEPT_MAX + 1 {
            let kept = Kept::of(&place, "9.7.4", &[other.to_string()]);
            kept.keep("other", &[("c1".to_owned(), data.clone())])?;
        }
        kept.keep("secret", &[("c1".to_owned(), data.clone())])?;
        fs::write(data.join("ibdata1"), "changed")?;
        kept.put("c1", &data)?;
        assert_eq!(fs::read_to_string(data.join("ibdata1"))?, "rows");
        assert_eq!(kept.password().as_deref(), Some("secret"));
        let names = fs::read_dir(&place)?.filter_map(Result::ok);
        let count = names.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)).count();
        assert_eq!(count, KEPT_MAX);
        fs::remove_dir_all(place)
    }
}
