use proptest::prelude::*;

use super::*;
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::packet::{HEADER_BYTES, Header};

const TRACK: Capabilities = Capabilities::SESSION_TRACK;

fn payloads(mut wire: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut sequence = None;
    while let Some(header) = Header::read(wire) {
        assert!(sequence.is_none_or(|due| due == header.sequence));
        sequence = Some(header.sequence.wrapping_add(1));
        found.push(&wire[HEADER_BYTES..HEADER_BYTES + header.length]);
        wire = &wire[HEADER_BYTES + header.length..];
    }
    found
}

#[test]
fn a_text_result_reads_back() {
    let columns =
        [Column::unsigned_bigint("id").not_null().of_table("app", "users"), Column::text("name", 64)];
    let mut result = TextResult::new(Capabilities::NONE, &columns, 1, StatusFlags::AUTOCOMMIT);
    result.display(7).text("Ada");
    result.row([Some("8")]);
    let wire = result.finish(StatusFlags::AUTOCOMMIT, 0);
    let packets = payloads(&wire);
    assert_eq!(packets.len(), 1 + 2 + 1 + 2 + 1);
    assert_eq!(Column::parse(packets[1]).unwrap(), columns[0]);
    assert_eq!(Column::parse(packets[2]).unwrap(), columns[1]);
    assert_eq!(parse_text_row(packets[4], 2).unwrap(), [Some(&b"7"[..]), Some(b"Ada")]);
    assert_eq!(parse_text_row(packets[5], 2).unwrap(), [Some(&b"8"[..]), None]);
    assert_eq!(packets[6], eof(StatusFlags::AUTOCOMMIT, 0));
    assert!(parse_text_row(packets[4], 1).is_err());
    assert!(parse_text_row(packets[4], 3).is_err());
}

#[test]
fn metadata_is_mysqls() {
    let text = Column::text("t", 64);
    assert_eq!((text.charset, text.length, text.decimals, text.flags), (255, 256, 0, 0));
    let number = Column::bigint("n");
    assert_eq!((number.charset, number.flags & column_flags::BINARY), (63, column_flags::BINARY));
    assert_eq!(Column::datetime("d", 6).length, 26);
    assert_eq!(Column::text("t", 1).computed().decimals, 31);
}

#[test]
fn result_end_by_capability() {
    assert_eq!(result_end(Capabilities::NONE, StatusFlags(2), 1), [0xfe, 1, 0, 2, 0]);
    assert_eq!(result_end(Capabilities::DEPRECATE_EOF, StatusFlags(2), 1), [0xfe, 0, 0, 2, 0, 1, 0]);
}

#[test]
fn errors_read_back() {
    let error = ServerError::parse(&err(1045, "28000", "Access denied")).unwrap();
    assert_eq!((error.errno, error.sqlstate_text(), &*error.message), (1045, "28000", "Access denied"));
    assert_eq!(ServerError::parse(&err(1, "bad", "x")).unwrap().sqlstate_text(), "HY000");
    let old = ServerError::parse(b"\xff\x10\x04Too many connections").unwrap();
    assert_eq!((old.errno, &*old.message), (1040, "Too many connections"));
    assert!(ServerError::parse(b"\xff\x10").is_err());
    assert!(ServerError::parse(b"\xff\x10\x04#42").is_err());
}

fn changes() -> impl Strategy<Value = SessionChanges> {
    let text = "[a-zé]{0,40}";
    let pairs = proptest::collection::vec((text, text), 0..4);
    let options =
        (proptest::option::of(text), proptest::option::of(text), proptest::option::of(any::<bool>()));
    (pairs, options, proptest::option::of(text), proptest::option::of(text)).prop_map(
        |(system_variables, (schema, gtids, is_changed), characteristics, state)| SessionChanges {
            schema,
            system_variables,
            gtids,
            is_changed,
            transaction_characteristics: characteristics,
            transaction_state: state,
        },
    )
}

proptest! {
    #[test]
    fn ok_round_trip(
        numbers in any::<(u64, u64, u16, u16)>(),
        info in "[a-z ]{0,300}",
        changes in proptest::option::of(changes()),
        tracks: bool,
    ) {
        let caps = if tracks { TRACK } else { Capabilities::NONE };
        let changes = changes.filter(|_| tracks);
        let mut status = StatusFlags(numbers.2).without(StatusFlags::SESSION_STATE_CHANGED);
        if changes.is_some() {
            status = status.with(StatusFlags::SESSION_STATE_CHANGED);
        }
        let (affected_rows, last_insert_id, warnings) = (numbers.0, numbers.1, numbers.3);
        let ok = OkPacket { affected_rows, last_insert_id, status, warnings, info, changes };
        let payload = ok.payload(caps);
        let mut read = OkPacket::parse(&payload, caps).unwrap();
        if read.changes == Some(SessionChanges::default()) && ok.changes.is_none() {
            read.changes = None;
        }
        prop_assert_eq!(read, ok);
        for cut in 0..payload.len().min(7) {
            prop_assert!(OkPacket::parse(&payload[..cut], caps).is_err());
        }
    }

    #[test]
    fn column_round_trip(names in any::<[String; 3]>(), numbers in any::<(u16, u32, u8, u16, u8)>()) {
        let [schema, table, name] = names;
        let column = Column {
            org_table: table.clone(), org_name: name.clone(), schema, table, name,
            charset: numbers.0, length: numbers.1, column_type: ColumnType(numbers.2),
            flags: numbers.3, decimals: numbers.4,
        };
        let mut out = Vec::new();
        column.put(&mut out);
        prop_assert_eq!(Column::parse(&out).unwrap(), column);
        for cut in 0..out.len() {
            prop_assert!(Column::parse(&out[..cut]).is_err());
        }
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = OkPacket::parse(&bytes, TRACK);
        let _ = ServerError::parse(&bytes);
        let _ = Column::parse(&bytes);
        let _ = SessionChanges::parse(&bytes);
        let _ = parse_text_row(&bytes, 4);
    }
}
