//! `SHOW ERRORS`: the code table.

use super::super::table::{AdminTable, AdminValue, ColumnKind};
use crate::error::{Code, Origin, Retry};

/// Every code, in order.
pub(super) fn errors() -> AdminTable {
    use ColumnKind::{Number, Text};
    let mut table = AdminTable::new([
        ("code", Text),
        ("name", Text),
        ("errno", Number),
        ("sqlstate", Text),
        ("origin", Text),
        ("retry", Text),
        ("meaning", Text),
        ("remedy", Text),
    ]);
    for code in Code::ALL {
        table.push([
            code.id().into(),
            code.name().into(),
            u32::from(code.errno()).into(),
            code.sqlstate().into(),
            AdminValue::text(match code.origin() {
                Origin::Client => "client",
                Origin::Proxy => "proxy",
                Origin::Shard => "shard",
            }),
            AdminValue::text(match code.retry() {
                Retry::Never => "never",
                Retry::FreshConnection => "fresh_connection",
                Retry::Replan => "replan",
                Retry::Later => "later",
            }),
            code.sentence().into(),
            code.remedy().into(),
        ]);
    }
    table
}
