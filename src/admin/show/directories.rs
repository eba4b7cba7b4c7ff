//! `SHOW DIRECTORIES`.

use super::super::context::AdminContext;
use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::ids::ShardName;

/// Workspaces by keyspace, shard and state; then the pages that cannot be read.
pub(super) fn directories(context: &AdminContext) -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("keyspace", Text),
        ("shard", Text),
        ("active", Number),
        ("read_only", Number),
        ("moving", Number),
        ("suspended", Number),
        ("note", Text),
    ]);
    let snapshot = context.snapshots.load();
    for directory in snapshot.directories.iter() {
        let keyspace = directory.keyspace();
        let mut counts = directory.counts();
        let is_counted =
            |counts: &[(ShardName, [u64; 4])], name: &ShardName| counts.iter().any(|(n, _)| n == name);
        for shard in snapshot.shards(keyspace) {
            if !is_counted(&counts, &shard.name) {
                counts.push((shard.name.clone(), [0; 4]));
            }
        }
        counts.sort_by(|a, b| a.0.cmp(&b.0));
        for (shard, states) in counts {
            let is_configured = snapshot.shard(keyspace, shard.as_str()).is_some();
            let note = if is_configured { AdminValue::Null } else { "not in the config".into() };
            let mut row = vec![AdminValue::text(keyspace), AdminValue::text(shard)];
            row.extend(states.map(AdminValue::from));
            row.push(note);
            table.push(row);
        }
        for page in directory.damaged() {
            let mut row = vec![AdminValue::text(keyspace), AdminValue::Null];
            row.extend([const { AdminValue::Null }; 4]);
            row.push(AdminValue::text(format!("page {} is damaged: {}", page.key, page.reason)));
            table.push(row);
        }
    }
    table
}
