//! An answer taken apart into named facts, so that two answers can be compared and an exception can name what
//! may differ.

use bulkhead::protocol::capability::{Capabilities, StatusFlags};
use bulkhead::protocol::response::CommandKind;
use bulkhead::protocol::result::{Column, EOF_BYTES_MAX, OkPacket, ServerError, parse_text_row};

use crate::common::raw::Answer;

/// Bytes of a value that are shown.
const SHOWN_BYTES: usize = 200;

/// Name and value.
pub type Fact = (String, String);

/// Takes an answer apart.
pub fn facts_of(answer: &Answer, capabilities: Capabilities) -> Vec<Fact> {
    let payloads = answer.payloads();
    let mut reader = Reader { packets: &payloads, at: 0, capabilities, facts: Vec::new() };
    match answer.kind {
        Some(CommandKind::Prepare) => reader.prepared(),
        Some(CommandKind::FieldList) => {
            while reader.left() > 1 {
                reader.column();
            }
            reader.end();
        }
        Some(CommandKind::Fetch) => drop(reader.rows(None)),
        Some(CommandKind::Execute) => reader.results(true),
        _ => reader.results(false),
    }
    while reader.left() > 0 {
        let packet = reader.take();
        reader.put("left_over", hex(packet));
    }
    reader.facts
}

struct Reader<'a> {
    packets: &'a [&'a [u8]],
    at: usize,
    capabilities: Capabilities,
    facts: Vec<Fact>,
}

impl<'a> Reader<'a> {
    fn left(&self) -> usize {
        self.packets.len().saturating_sub(self.at)
    }

    fn take(&mut self) -> &'a [u8] {
        let packet = self.packets.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        packet
    }

    fn put(&mut self, name: &str, value: impl std::fmt::Display) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    fn deprecates_eof(&self) -> bool {
        self.capabilities.contains(Capabilities::DEPRECATE_EOF)
    }

    fn status(&mut self, status: StatusFlags) {
        self.put("status", format!("{status:?}"));
    }

    /// OK, ERR or EOF; returns the status of what was no error.
    fn end(&mut self) -> Option<StatusFlags> {
        let packet = self.take();
        match packet.first() {
            Some(0xff) => {
                let error = ServerError::parse(packet).expect("an ERR packet");
                self.put("errno", error.errno);
                self.put("sqlstate", error.sqlstate_text());
                self.put("message", &error.message);
                None
            }
            Some(0xfe) if packet.len() <= EOF_BYTES_MAX && packet.len() == 5 => {
                let status = StatusFlags(u16::from_le_bytes([packet[3], packet[4]]));
                self.put("warnings", u16::from_le_bytes([packet[1], packet[2]]));
                self.status(status);
                Some(status)
            }
            Some(0 | 0xfe) => {
                let ok = OkPacket::parse(packet, self.capabilities).expect("an OK packet");
                self.put("affected_rows", ok.affected_rows);
                self.put("last_insert_id", ok.last_insert_id);
                self.put("warnings", ok.warnings);
                self.put("info", &ok.info);
                self.status(ok.status.without(StatusFlags::SESSION_STATE_CHANGED));
                self.put("session", format!("{:?}", ok.changes));
                Some(ok.status)
            }
            _ => {
                self.put("packet", hex(packet));
                None
            }
        }
    }

    fn column(&mut self) {
        let packet = self.take();
        let Ok(column) = Column::parse(packet) else {
            return self.put("column.unreadable", hex(packet));
        };
        self.put("column.schema", &column.schema);
        self.put("column.table", format!("{}/{}", column.table, column.org_table));
        self.put("column.name", format!("{}/{}", column.name, column.org_name));
        self.put("column.type", format!("{:?}", column.column_type));
        self.put("column.length", column.length);
        self.put("column.charset", column.charset);
        self.put("column.flags", column.flags);
        self.put("column.decimals", column.decimals);
        // Compared as a whole too: nothing of the packet is left out.
        self.put("column.packet", hex(packet));
    }

    fn columns_eof(&mut self) {
        if !self.deprecates_eof() {
            self.end();
        }
    }

    fn rows(&mut self, text_columns: Option<usize>) -> Option<StatusFlags> {
        while self.left() > 0 {
            let packet = self.packets[self.at];
            let is_end = match packet.first() {
                Some(0xff) => true,
                Some(0xfe) if self.deprecates_eof() => packet.len() < 0xff_ffff,
                Some(0xfe) => packet.len() <= EOF_BYTES_MAX,
                _ => false,
            };
            if is_end {
                return self.end();
            }
            self.at += 1;
            let shown = match text_columns {
                Some(count) => text_row(packet, count),
                None => hex(packet),
            };
            self.put("row", shown);
        }
        None
    }

    fn results(&mut self, binary: bool) {
        loop {
            let status = match self.packets.get(self.at).and_then(|packet| packet.first()) {
                Some(0 | 0xff) => self.end(),
                Some(0xfb) => {
                    let packet = self.take();
                    self.put("file", String::from_utf8_lossy(&packet[1..]));
                    self.end()
                }
                Some(&count) => {
                    let packet = self.take();
                    let count = if packet.len() == 1 { usize::from(count) } else { columns_of(packet) };
                    self.put("columns", count);
                    for _ in 0..count {
                        self.column();
                    }
                    self.columns_eof();
                    if self.left() > 0 { self.rows((!binary).then_some(count)) } else { None }
                }
                None => None,
            };
            if !status.is_some_and(|status| status.contains(StatusFlags::MORE_RESULTS)) {
                return;
            }
        }
    }

    fn prepared(&mut self) {
        let packet = self.packets.first().copied().unwrap_or_default();
        if packet.first() != Some(&0) || packet.len() < 9 {
            self.end();
            return;
        }
        self.at = 1;
        let columns = u16::from_le_bytes([packet[5], packet[6]]);
        let parameters = u16::from_le_bytes([packet[7], packet[8]]);
        self.put("prepared.columns", columns);
        self.put("prepared.parameters", parameters);
        self.put("prepared.rest", hex(&packet[9..]));
        for count in [parameters, columns] {
            for _ in 0..count {
                self.column();
            }
            if count > 0 {
                self.columns_eof();
            }
        }
    }
}

fn columns_of(packet: &[u8]) -> usize {
    match packet {
        [0xfc, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => usize::from(packet[0]),
    }
}

fn text_row(packet: &[u8], count: usize) -> String {
    let Ok(values) = parse_text_row(packet, count) else { return format!("unreadable {}", hex(packet)) };
    let shown = values.into_iter().map(|value| match value {
        None => "NULL".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => shown_text(text),
            Err(_) => hex(bytes),
        },
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn hex(bytes: &[u8]) -> String {
    if bytes.len() > SHOWN_BYTES {
        return format!("{} bytes, {:016x}", bytes.len(), hash(bytes));
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Long values are told apart by length and a hash.
fn shown_text(text: &str) -> String {
    if text.len() <= SHOWN_BYTES {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(60).collect();
    format!("{head:?}… ({} bytes, {:016x})", text.len(), hash(text.as_bytes()))
}
