use std::io::Write as _;

use proptest::prelude::*;

use super::header::kind;
use super::*;
use crate::gtid::Origin;
use crate::migrations::changes::change::TableName;
use crate::migrations::changes::values::{ColumnKind, Value};
use crate::protocol::codec::{Cursor, put_lenenc, put_lenenc_bytes};

const UUID: u128 = 0x3e11_fa47_71ca_11e1_9e33_c80a_a942_9562;

/// An event as a server without checksums sends it.
fn event(kind: u8, next: u32, body: &[u8]) -> Vec<u8> {
    let mut event = 1_700_000_000_u32.to_le_bytes().to_vec();
    event.push(kind);
    event.extend_from_slice(&7_u32.to_le_bytes());
    event.extend_from_slice(&(19 + body.len() as u32).to_le_bytes());
    event.extend_from_slice(&next.to_le_bytes());
    event.extend_from_slice(&[0, 0]);
    event.extend_from_slice(body);
    event
}

fn with_checksum(event: &[u8]) -> Vec<u8> {
    let mut event = event.to_vec();
    let size = event.len() as u32 + 4;
    event[9..13].copy_from_slice(&size.to_le_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&event);
    event.extend_from_slice(&crc.sum().to_le_bytes());
    event
}

fn gtid(number: u64) -> Vec<u8> {
    [&[0][..], &UUID.to_be_bytes(), &number.to_le_bytes(), &[2, 0, 0]].concat()
}

/// `ws`.`t` with an INT and a VARCHAR(10).
fn table_map(id: u8) -> Vec<u8> {
    [&[id, 0, 0, 0, 0, 0, 1, 0][..], b"\x02ws\0\x01t\0", &[2, 3, 15, 2, 40, 0, 3]].concat()
}

fn insert(id: u8, number: i32, text: &str) -> Vec<u8> {
    let mut body = vec![id, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 0];
    body.extend_from_slice(&number.to_le_bytes());
    body.push(text.len() as u8);
    body.extend_from_slice(text.as_bytes());
    body
}

fn query(text: &str) -> Vec<u8> {
    let mut body = vec![0; 8];
    body.extend_from_slice(&[2, 0, 0, 14, 0]);
    body.extend_from_slice(&[0, 0, 0, 0, 0]);
    body.push(1);
    body.extend_from_slice(&4_u64.to_le_bytes());
    body.extend_from_slice(b"ws\0");
    body.extend_from_slice(text.as_bytes());
    body
}

fn interest() -> Interest {
    let mut interest = Interest::default();
    interest.insert(&TableName::new("ws", "t"), 5);
    interest
}

fn kinds() -> [ColumnKind; 2] {
    [ColumnKind::Integer { is_unsigned: false }, ColumnKind::of("varchar(10)", Some("utf8mb4")).unwrap()]
}

/// Everything that one packet says.
fn read(reader: &mut Reader, packet: &[u8]) -> Result<Vec<Happening>, BinlogError> {
    let interest = interest();
    let mut all: Vec<_> = reader.read(packet, &interest)?.into_iter().collect();
    while let Some(happening) = reader.read_inside(&interest)? {
        all.push(happening);
    }
    Ok(all)
}

fn rows(happening: &Happening) -> Vec<Vec<Value>> {
    let Happening::Rows(event) = happening else { panic!("rows, not {happening:?}") };
    assert_eq!(event.map.table, 5);
    let mut event = event.clone();
    let mut rows = Vec::new();
    while let Some(change) = event.next(&kinds()).unwrap() {
        rows.push(change.after.unwrap());
    }
    rows
}

#[test]
fn a_transaction() {
    let mut reader = Reader::new("", 0);
    let rotate = [&4_u64.to_le_bytes()[..], b"binlog.000009"].concat();
    assert!(read(&mut reader, &event(kind::ROTATE, 0, &rotate)).unwrap().is_empty());
    assert_eq!(reader.place(), (&"binlog.000009".into(), 4));
    let began = read(&mut reader, &event(kind::GTID, 200, &gtid(12))).unwrap();
    let origin = Origin::MySql { uuid: UUID, tag: "".into() };
    assert!(
        matches!(&began[..], [Happening::Began(id)] if *id == TransactionId::Gtid { origin, number: 12 })
    );
    assert!(read(&mut reader, &event(kind::QUERY, 300, &query("BEGIN"))).unwrap().is_empty());
    assert!(read(&mut reader, &event(kind::TABLE_MAP, 400, &table_map(9))).unwrap().is_empty());
    let written = read(&mut reader, &event(kind::WRITE_ROWS, 500, &insert(9, -3, "abc"))).unwrap();
    assert_eq!(rows(&written[0]), [[Value::Integer(-3), Value::Bytes("abc".into())]]);
    let ended = read(&mut reader, &event(kind::XID, 600, &[0; 8])).unwrap();
    assert!(matches!(ended[..], [Happening::Ended(Ending::Committed)]));
    assert_eq!(reader.place().1, 600);
    assert_eq!((reader.events(), reader.timestamp()), (6, 1_700_000_000));
    let late = read(&mut reader, &event(kind::WRITE_ROWS, 700, &insert(9, 1, "x")));
    assert!(late.is_err(), "the table map was the transaction's");
}

#[test]
fn rows_of_other_tables_are_passed_over_unread() {
    let mut reader = Reader::new("b.1", 4);
    let mut map = table_map(3);
    map[13] = b'u';
    read(&mut reader, &with_format(event(kind::TABLE_MAP, 100, &map))).unwrap();
    assert!(
        read(&mut reader, &event(kind::WRITE_ROWS, 200, &[3, 0, 0, 0, 0, 0, 255, 255])).unwrap().is_empty()
    );
    assert!(read(&mut reader, &event(kind::WRITE_ROWS, 300, &[4, 0, 0, 0, 0, 0, 1, 0, 9])).is_err());
}

fn with_format(event: Vec<u8>) -> Vec<u8> {
    event
}

#[test]
fn checksums() {
    let mut reader = Reader::new("b.1", 4);
    let mut format = vec![4, 0];
    format.extend_from_slice(&[0; 50 + 4]);
    format.extend_from_slice(&[19, 1]);
    let format = event(kind::FORMAT_DESCRIPTION, 120, &format);
    read(&mut reader, &with_checksum(&format)).unwrap();
    let good = with_checksum(&event(kind::GTID, 200, &gtid(12)));
    assert_eq!(read(&mut reader, &good).unwrap().len(), 1);
    let mut bad = good.clone();
    bad[25] ^= 1;
    assert_eq!(read(&mut reader, &bad).unwrap_err(), BinlogError::Checksum { kind: kind::GTID });
    assert!(matches!(read(&mut reader, &good[..30]), Err(BinlogError::Malformed { .. })), "cut off");
}

#[test]
fn the_first_rotation_may_or_may_not_have_a_checksum() {
    let rotate = [&4_u64.to_le_bytes()[..], b"binlog.000009"].concat();
    let plain = event(kind::ROTATE, 0, &rotate);
    for packet in [plain.clone(), with_checksum(&plain)] {
        let mut reader = Reader::new("", 0);
        read(&mut reader, &packet).unwrap();
        assert_eq!(&**reader.place().0, "binlog.000009");
    }
}

#[test]
fn statements() {
    let mut reader = Reader::new("b.1", 4);
    read(&mut reader, &event(kind::GTID, 100, &gtid(1))).unwrap();
    let ddl = read(&mut reader, &event(kind::QUERY, 200, &query("DROP TABLE \"t\""))).unwrap();
    let Happening::Statement { statement, ends: true } = &ddl[0] else { panic!("{ddl:?}") };
    assert_eq!((&*statement.database, &*statement.modes()), ("ws", "ANSI_QUOTES"));
    read(&mut reader, &event(kind::QUERY, 300, &query("BEGIN"))).unwrap();
    let within = read(&mut reader, &event(kind::QUERY, 400, &query("CREATE TABLE u (a INT)"))).unwrap();
    assert!(matches!(within[0], Happening::Statement { ends: false, .. }));
    let rolled_back = read(&mut reader, &event(kind::QUERY, 500, &query("ROLLBACK"))).unwrap();
    assert!(matches!(rolled_back[0], Happening::Ended(Ending::RolledBack)));
    let prepared = read(&mut reader, &event(kind::XA_PREPARE, 600, &[0])).unwrap();
    assert!(matches!(prepared[0], Happening::Ended(Ending::Prepared)));
}

#[test]
fn offsets_go_on_beyond_four_gigabytes() {
    let mut reader = Reader::new("b.1", u64::from(u32::MAX) - 10);
    read(&mut reader, &event(kind::XID, 50, &[0; 8])).unwrap();
    assert_eq!(reader.place().1, (1 << 32) + 50);
    read(&mut reader, &event(kind::ANONYMOUS_GTID, 150, &gtid(0))).unwrap();
    assert_eq!(reader.place().1, (1 << 32) + 150);
}

#[test]
fn compressed_transactions() {
    let inside = [
        event(kind::QUERY, 0, &query("BEGIN")),
        event(kind::TABLE_MAP, 0, &table_map(9)),
        event(kind::WRITE_ROWS, 0, &insert(9, 1, "one")),
        event(kind::WRITE_ROWS, 0, &insert(9, 2, "two")),
        event(kind::XID, 0, &[0; 8]),
    ];
    let packed = zstd::encode_all(&inside.concat()[..], 3).unwrap();
    let mut body = Vec::new();
    for (field, number) in [(2, 0), (3, inside.concat().len() as u64), (1, packed.len() as u64)] {
        let mut value = Vec::new();
        put_lenenc(&mut value, number);
        put_lenenc(&mut body, field);
        put_lenenc_bytes(&mut body, &value);
    }
    body.push(0);
    body.extend_from_slice(&packed);
    let mut reader = Reader::new("b.1", 4);
    let all = read(&mut reader, &event(kind::TRANSACTION_PAYLOAD, 900, &body)).unwrap();
    assert_eq!(rows(&all[0])[0][1], Value::Bytes("one".into()));
    assert_eq!(rows(&all[1])[0][1], Value::Bytes("two".into()));
    assert!(matches!(all[2], Happening::Ended(Ending::Committed)));
    assert_eq!((all.len(), reader.place().1), (3, 900));
    for cut in [body.len() - 1, body.len() - 20] {
        assert!(read(&mut reader, &event(kind::TRANSACTION_PAYLOAD, 900, &body[..cut])).is_err());
    }
    let mut broken = body.clone();
    let at = broken.len() - 6;
    broken[at] ^= 0x55;
    let mut reader = Reader::new("b.1", 4);
    let whole = read(&mut reader, &event(kind::TRANSACTION_PAYLOAD, 900, &broken));
    // What is damaged is an error, or (zstd has no checksum here) other bytes; never a shorter transaction.
    assert!(whole.is_err() || whole.is_ok_and(|all| all.len() == 3));
}

/// MariaDB's form: a byte of kind and length, the length, zlib.
fn envelope(plain: &[u8]) -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(plain).unwrap();
    [&[0x80 | 1, plain.len() as u8][..], &zlib.finish().unwrap()].concat()
}

#[test]
fn compressed_events() {
    let mut reader = Reader::new("b.1", 4);
    let mut begun = 5_u64.to_le_bytes().to_vec();
    begun.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let began = read(&mut reader, &event(kind::MARIADB_GTID, 100, &begun)).unwrap();
    let origin = Origin::MariaDb { domain: 0, server: 7 };
    assert!(matches!(&began[0], Happening::Began(id) if *id == TransactionId::Gtid { origin, number: 5 }));
    read(&mut reader, &event(kind::TABLE_MAP, 200, &table_map(9))).unwrap();
    let plain = insert(9, 4, "four");
    // Version 1 has no extra fields.
    let body = [&plain[..8], &plain[10..12], &envelope(&plain[12..])].concat();
    let all = read(&mut reader, &event(kind::WRITE_ROWS_COMPRESSED_V1, 300, &body)).unwrap();
    assert_eq!(rows(&all[0]), [[Value::Integer(4), Value::Bytes("four".into())]]);
    let text = query("");
    let body = [&text[..], &envelope(b"COMMIT")].concat();
    let all = read(&mut reader, &event(kind::QUERY_COMPRESSED, 400, &body)).unwrap();
    assert!(matches!(all[0], Happening::Ended(Ending::Committed)));
    let bomb = [&text[..], &[0x84, 0xff, 0xff, 0xff, 0xff], &envelope(b"x")[2..]].concat();
    assert!(matches!(
        read(&mut reader, &event(kind::QUERY_COMPRESSED, 400, &bomb)),
        Err(BinlogError::TooLarge { .. })
    ));
    let short = [&text[..], &[0x81, 9], &envelope(b"COMMIT")[2..]].concat();
    assert!(read(&mut reader, &event(kind::QUERY_COMPRESSED, 400, &short)).is_err());
}

#[test]
fn tagged_gtids() {
    let varint = |bytes: &[u8]| transaction::varint(&mut Cursor::new(bytes)).unwrap();
    assert_eq!(varint(&[0]), 0);
    assert_eq!(varint(&[254]), 127);
    assert_eq!(varint(&[0b0000_0001, 2]), 128);
    assert_eq!(varint(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80]), (1 << 63) + 1);
    assert!(transaction::varint(&mut Cursor::new(&[1])).is_err());
    // Version 1, size, last field that matters, flags, UUID, number 3 (signed), tag `ab`.
    let mut body = vec![2, 100, 4, 0, 0, 2];
    for byte in UUID.to_be_bytes() {
        let wide = u16::from(byte) << 2 | 1;
        if byte < 128 { body.push(byte << 1) } else { body.extend_from_slice(&wide.to_le_bytes()) }
    }
    body.extend_from_slice(&[4, 12, 6, 4, b'a', b'b', 8, 0]);
    let mut reader = Reader::new("b.1", 4);
    let began = read(&mut reader, &event(kind::TAGGED_GTID, 100, &body)).unwrap();
    let origin = Origin::MySql { uuid: UUID, tag: "ab".into() };
    assert!(
        matches!(&began[..], [Happening::Began(id)] if *id == TransactionId::Gtid { origin, number: 3 }),
        "{began:?}"
    );
}

#[test]
fn images_that_are_not_whole() {
    let mut reader = Reader::new("b.1", 4);
    read(&mut reader, &event(kind::TABLE_MAP, 100, &table_map(9))).unwrap();
    let next = |reader: &mut Reader, body: &[u8], of: u8, kinds: &[ColumnKind]| {
        let all = read(reader, &event(of, 200, body)).unwrap();
        let Happening::Rows(event) = &all[0] else { panic!("{all:?}") };
        event.clone().next(kinds)
    };
    let minimal = [9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 1, 0, 1, 0, 0, 0];
    assert_eq!(next(&mut reader, &minimal, kind::WRITE_ROWS, &kinds()), Err(RowFault::NotWhole));
    // What is not wanted may be left out.
    let skipped = [kinds()[0].clone(), ColumnKind::Skipped];
    let row = next(&mut reader, &minimal, kind::WRITE_ROWS, &skipped).unwrap().unwrap();
    assert_eq!(row.after, Some(vec![Value::Integer(1), Value::Skipped]));
    let whole = insert(9, 1, "x");
    let row = next(&mut reader, &whole, kind::WRITE_ROWS, &skipped).unwrap().unwrap();
    assert_eq!(row.after, Some(vec![Value::Integer(1), Value::Skipped]));
    let one = &kinds()[..1];
    assert_eq!(next(&mut reader, &whole, kind::WRITE_ROWS, one), Err(RowFault::Columns { logged: 2 }));
    let cut = &whole[..whole.len() - 1];
    assert!(matches!(
        next(&mut reader, cut, kind::WRITE_ROWS, &kinds()),
        Err(RowFault::Value { column: 2, .. })
    ));
    let partial = [9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 3, 0];
    assert_eq!(next(&mut reader, &partial, kind::PARTIAL_UPDATE_ROWS, &kinds()), Err(RowFault::Partial));
    let none = [9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0, 7, 7];
    let skip_all = [ColumnKind::Skipped, ColumnKind::Skipped];
    assert_eq!(
        next(&mut reader, &none, kind::WRITE_ROWS, &skip_all),
        Err(RowFault::NotWhole),
        "it would not end"
    );
}

#[test]
fn what_is_not_known_is_told_unless_it_may_be_ignored() {
    let mut reader = Reader::new("b.1", 4);
    let mut unknown = event(99, 100, b"xyz");
    assert_eq!(read(&mut reader, &unknown).unwrap_err(), BinlogError::Unknown { kind: 99 });
    unknown[17] = 0x80;
    assert!(read(&mut reader, &unknown).unwrap().is_empty());
    assert!(matches!(
        read(&mut reader, &event(kind::INCIDENT, 100, &[1, 0])).unwrap()[0],
        Happening::Incident
    ));
    assert!(matches!(read(&mut reader, &event(kind::HEARTBEAT, 100, b"b.1")).unwrap()[0], Happening::Idle));
}

fn any_kind() -> impl Strategy<Value = u8> {
    prop_oneof![0_u8..45, 155_u8..175]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_body_is_an_event_or_none(
        kind in any_kind(),
        body in proptest::collection::vec(any::<u8>(), 0..90),
        flags in 0_u8..3,
    ) {
        let mut reader = Reader::new("b.1", 4);
        read(&mut reader, &event(kind::TABLE_MAP, 100, &table_map(0))).unwrap();
        let mut packet = event(kind, 200, &body);
        packet[17] = flags << 6;
        if let Ok(all) = read(&mut reader, &packet) {
            for happening in all {
                if let Happening::Rows(mut event) = happening {
                    while let Ok(Some(_)) = event.next(&kinds()) {}
                }
            }
        }
    }

    #[test]
    fn any_cut_of_an_event_is_an_error_or_an_event(cut in 0_usize..200, flip in 19_usize..60) {
        let whole = [
            event(kind::GTID, 100, &gtid(7)),
            event(kind::TABLE_MAP, 200, &table_map(0)),
            event(kind::WRITE_ROWS, 300, &insert(0, 1, "text")),
            event(kind::QUERY, 400, &query("ALTER TABLE t ADD c INT")),
        ];
        for packet in whole {
            let mut reader = Reader::new("b.1", 4);
            let _ = read(&mut reader, &packet[..cut.min(packet.len())]);
            let mut flipped = packet.clone();
            if let Some(byte) = flipped.get_mut(flip) {
                *byte ^= 0xff;
            }
            let _ = read(&mut reader, &flipped);
        }
    }

    #[test]
    fn rows_of_any_bytes_end(body in proptest::collection::vec(any::<u8>(), 0..60), of in 30_u8..33) {
        let mut reader = Reader::new("b.1", 4);
        read(&mut reader, &event(kind::TABLE_MAP, 100, &table_map(0))).unwrap();
        let body = [&[0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2][..], &body].concat();
        let Ok(all) = read(&mut reader, &event(of, 200, &body)) else { return Ok(()) };
        for happening in all {
            let Happening::Rows(mut event) = happening else { continue };
            let mut count = 0;
            while let Ok(Some(_)) = event.next(&kinds()) {
                count += 1;
            }
            prop_assert!(count <= body.len());
        }
    }
}
