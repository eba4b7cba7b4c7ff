//! Answers of admin statements as packets.

use super::table::{AdminAnswer, AdminTable, ColumnKind};
use crate::error::ClientError;
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::packet;
use crate::protocol::result::{self, Column, OkPacket, TextResult};

/// The wire bytes of an answer, headers included, numbered from `sequence` (1 after a command).
pub fn encode(
    answer: &Result<AdminAnswer, ClientError>,
    capabilities: Capabilities,
    sequence: u8,
    status: StatusFlags,
) -> Vec<u8> {
    match answer {
        Ok(AdminAnswer::Rows(table)) => encode_table(table, capabilities, sequence, status),
        Ok(AdminAnswer::Done { affected, info }) => {
            let ok = OkPacket { affected_rows: *affected, status, info: info.clone(), ..OkPacket::default() };
            framed(&ok.payload(capabilities), sequence)
        }
        Err(error) => framed(&result::err(error.errno(), error.sqlstate(), &error.wire_message()), sequence),
    }
}

fn framed(payload: &[u8], sequence: u8) -> Vec<u8> {
    let mut wire = Vec::with_capacity(payload.len() + 4);
    packet::put_packets(&mut wire, payload, sequence);
    wire
}

fn encode_table(
    table: &AdminTable,
    capabilities: Capabilities,
    sequence: u8,
    status: StatusFlags,
) -> Vec<u8> {
    let columns: Vec<Column> = table.columns.iter().map(|(name, kind)| column(name, *kind)).collect();
    let mut rows = TextResult::new(capabilities, &columns, sequence, status);
    for row in &table.rows {
        for value in row {
            rows.value(value.printed().as_deref().map(str::as_bytes));
        }
    }
    rows.finish(status, 0)
}

fn column(name: &str, kind: ColumnKind) -> Column {
    match kind {
        ColumnKind::Text => Column::long_text(name),
        ColumnKind::Number => Column::unsigned_bigint(name),
        ColumnKind::Fraction => Column::double(name),
    }
}
