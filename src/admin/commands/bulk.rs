//! `IMPORT WORKSPACES` and `EXPORT WORKSPACES`: files on the machine that runs Bulkhead.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use super::super::context::AdminContext;
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::done;
use crate::error::{ClientError, Code};
use crate::ids::Keyspace;
use crate::topology::{Existing, RowFormat, WorkspaceError};

/// `IMPORT WORKSPACES <keyspace> FROM '<file>' [FORMAT csv | jsonl] [SKIP EXISTING | REPLACE EXISTING]`.
pub(in crate::admin) async fn import_workspaces(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let keyspace = Keyspace::new(words.name("a keyspace")?);
    if !words.take("FROM") {
        return Err(words.expected("FROM '<file>'"));
    }
    let (path, format) = take_file(words)?;
    let existing = if words.take_all(&["SKIP", "EXISTING"]) {
        Existing::Skip
    } else if words.take_all(&["REPLACE", "EXISTING"]) {
        Existing::Replace
    } else {
        Existing::Refuse
    };
    words.end()?;
    let opened = path.clone();
    let file =
        in_background(move || File::open(&opened).map_err(|error| file_error(&opened, &error))).await?;
    let report = context.workspaces.import(&keyspace, BufReader::new(file), format, existing).await?;
    let changed = u64::try_from(report.created + report.replaced).unwrap_or(u64::MAX);
    let (created, replaced, unchanged) = (report.created, report.replaced, report.unchanged);
    done(
        changed,
        format!("{} rows: {created} created, {replaced} replaced, {unchanged} unchanged", report.rows),
    )
}

/// `EXPORT WORKSPACES <keyspace> TO '<file>' [FORMAT csv | jsonl]`; the file must not exist.
pub(in crate::admin) async fn export_workspaces(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let keyspace = Keyspace::new(words.name("a keyspace")?);
    if !words.take("TO") {
        return Err(words.expected("TO '<file>'"));
    }
    let (path, format) = take_file(words)?;
    words.end()?;
    let workspaces = context.workspaces.clone();
    let shown = path.display().to_string();
    let count = in_background(move || {
        let opened = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = opened.map_err(|error| file_error(&path, &error))?;
        let write = |chunk: &[u8]| file.write_all(chunk).map_err(|error| file_error(&path, &error));
        let count = workspaces.export(&keyspace, format, write)?;
        file.sync_all().map_err(|error| file_error(&path, &error))?;
        Ok(count)
    });
    let count = count.await?;
    done(u64::try_from(count).unwrap_or(u64::MAX), format!("{count} workspaces written to {shown}"))
}

fn take_file(words: &mut Words<'_>) -> Result<(PathBuf, RowFormat), ClientError> {
    let path = PathBuf::from(words.name("a file in quotes")?);
    let name = if words.take("FORMAT") {
        words.name("csv or jsonl")?
    } else {
        path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let unknown = || ClientError::new(Code::AdminSyntax, "the file's format: add FORMAT csv or FORMAT jsonl");
    Ok((path, RowFormat::parse(&name).ok_or_else(unknown)?))
}

fn file_error(path: &Path, error: &std::io::Error) -> WorkspaceError {
    WorkspaceError::File { path: path.to_owned(), reason: error.to_string() }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, ClientError> {
    let joined = tokio::task::spawn_blocking(work).await;
    let done = joined.map_err(|error| ClientError::new(Code::AdminFailed, error.to_string()))?;
    Ok(done?)
}
