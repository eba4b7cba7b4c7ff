//! `SET WORKSPACE LIMIT` and `DROP WORKSPACE LIMIT`.

use super::super::context::AdminContext;
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::{done, take_workspace};
use crate::drain::WorkspaceLimits;
use crate::error::ClientError;

/// `SET WORKSPACE LIMIT <keyspace> <id> [IN_FLIGHT <n>] [PER_SECOND <n>]`: 0 is no limit of that kind; what
/// is not named is as for all.
pub(in crate::admin) async fn set_limit(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let (keyspace, workspace) = take_workspace(words)?;
    let mut limits = WorkspaceLimits::default();
    while !words.is_done() {
        if words.take("IN_FLIGHT") {
            let wrong = words.expected("a number of statements");
            let number = u32::try_from(words.number("a number of statements")?).map_err(|_| wrong)?;
            limits.in_flight_max = Some(number);
        } else if words.take("PER_SECOND") {
            let wrong = words.expected("a number of statements per second, such as 50 or 0.5");
            let rate: f64 = words.name("a number of statements per second")?.parse().unwrap_or(f64::NAN);
            limits.per_second_max = Some(rate).filter(|rate| rate.is_finite() && *rate >= 0.0);
            limits.per_second_max.ok_or(wrong)?;
        } else {
            return Err(words.expected("IN_FLIGHT <n> or PER_SECOND <n>"));
        }
    }
    if limits == WorkspaceLimits::default() {
        return Err(words.expected("IN_FLIGHT <n> or PER_SECOND <n>"));
    }
    context.limits.set(&keyspace, &workspace, limits).await?;
    tracing::info!(%keyspace, %workspace, ?limits, "workspace's limits set");
    let part = |name: &str, limit: Option<f64>| match limit {
        None => format!("{name} as for all"),
        Some(0.0) => format!("{name} without limit"),
        Some(limit) => format!("{name} {limit}"),
    };
    let in_flight = part("in flight", limits.in_flight_max.map(f64::from));
    let per_second = part("per second", limits.per_second_max);
    done(1, format!("workspace {workspace} of {keyspace}: {in_flight}, {per_second}"))
}

/// `DROP WORKSPACE LIMIT <keyspace> <id>`: it has those of all from now on.
pub(in crate::admin) async fn drop_limit(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let (keyspace, workspace) = take_workspace(words)?;
    words.end()?;
    context.limits.clear(&keyspace, &workspace).await?;
    tracing::info!(%keyspace, %workspace, "workspace's limits taken away");
    done(1, format!("workspace {workspace} of {keyspace} has the limits of all"))
}
