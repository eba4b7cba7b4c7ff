//! Passwords of a section: given exactly once, and never in a file that everybody can read.

use std::path::Path;

use crate::redact::Secret;

use super::decode::Object;
use super::fault::Place;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 1024;

/// A password as the file gives it.
pub(super) enum Given {
    Plain(Secret),
    Hash(Box<str>),
}

/// Reads the one key of `keys` that the file gives.
pub(super) fn decode(object: &Object<'_>, keys: &[&'static str]) -> Option<Given> {
    let given: Vec<&str> = keys.iter().copied().filter(|key| object.has(key)).collect();
    match given[..] {
        [key] => read(object, key),
        [] => {
            let help = format!("give one of {}", keys.join(", "));
            object.fault(object.place().error("no password").with_help(help));
            None
        }
        [first, second, ..] => {
            let message = format!("the password is given by `{first}` and by `{second}`");
            object.fault(object.place_of(second).error(message).with_help("give one of them"));
            None
        }
    }
}

fn read(object: &Object<'_>, key: &'static str) -> Option<Given> {
    let place = object.place_of(key);
    let secret = match key {
        "password_hash" => return Some(Given::Hash(object.text(key)?)),
        "password_env" => read_variable(object, key)?,
        "password_file" => read_file(object, &place)?,
        _ => {
            let secret = Secret::new(object.text(key)?);
            if is_world_readable(object.file()) {
                let help =
                    format!("chmod o-r {}, or use password_env or password_file", object.file().display());
                object
                    .fault(place.error("a plain password in a file that everybody can read").with_help(help));
            }
            secret
        }
    };
    if secret.reveal().len() > PASSWORD_BYTES_MAX {
        object.fault(place.error(format!("a password has at most {PASSWORD_BYTES_MAX} bytes")));
    }
    Some(Given::Plain(secret))
}

/// Reads the environment variable that a key names.
pub(super) fn read_variable(object: &Object<'_>, key: &str) -> Option<Secret> {
    let place = object.place_of(key);
    let name = object.text(key)?;
    if name.is_empty() || name.contains(['=', '\0']) {
        object.fault(place.error("found text that is not the name of an environment variable"));
        return None;
    }
    match std::env::var(&*name) {
        Ok(value) => Some(Secret::new(value)),
        Err(std::env::VarError::NotPresent) => {
            object.fault(place.error(format!("the environment variable {name} is not set")));
            None
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            object.fault(place.error(format!("the environment variable {name} is not UTF-8")));
            None
        }
    }
}

fn read_file(object: &Object<'_>, place: &Place) -> Option<Secret> {
    let path = object.path("password_file")?;
    if is_world_readable(&path) {
        let help = format!("chmod o-r {}", path.display());
        object.fault(place.error("a password in a file that everybody can read").with_help(help));
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(Secret::new(text.strip_suffix('\n').unwrap_or(&text).trim_end_matches('\r'))),
        Err(error) => {
            object.fault(place.error(format!("cannot read `{}`: {error}", path.display())));
            None
        }
    }
}

/// Says whether users outside of owner and group can read the file.
#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Other systems have no such bit.
#[cfg(not(unix))]
fn is_world_readable(_path: &Path) -> bool {
    false
}
