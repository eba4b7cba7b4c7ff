use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::codec::Cursor;

/// One column of a table map: type and metadata.
fn shape(logged: u8, metadata: &[u8]) -> ColumnShape {
    let mut cursor = Cursor::new(metadata);
    let shape = ColumnShape::read(logged, &mut cursor).unwrap();
    assert!(cursor.is_empty(), "all of the metadata");
    shape
}

fn value(logged: u8, metadata: &[u8], kind: &ColumnKind, bytes: &[u8]) -> Result<Value, ValueError> {
    let event = Bytes::copy_from_slice(bytes);
    let shape = shape(logged, metadata);
    let (value, end) = decode(shape, kind, &event, 0)?;
    assert_eq!(end, bytes.len(), "all of the value");
    assert_eq!(skip(shape, &event, 0).unwrap(), end);
    Ok(value)
}

fn literal(logged: u8, metadata: &[u8], kind: &ColumnKind, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    value(logged, metadata, kind, bytes).unwrap().write_literal(kind, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const SIGNED: ColumnKind = ColumnKind::Integer { is_unsigned: false };
const UNSIGNED: ColumnKind = ColumnKind::Integer { is_unsigned: true };

fn kind(column_type: &str) -> ColumnKind {
    ColumnKind::of(column_type, Some("utf8mb4")).unwrap()
}

/// Bytes as MySQL 9.7 and MariaDB 10.11 log them.
#[test]
fn golden_numbers() {
    assert_eq!(literal(1, &[], &SIGNED, &[0xff]), "-1");
    assert_eq!(literal(1, &[], &UNSIGNED, &[0xff]), "255");
    assert_eq!(literal(2, &[], &SIGNED, &[0x00, 0x80]), "-32768");
    assert_eq!(literal(9, &[], &SIGNED, &[0xff, 0xff, 0xff]), "-1");
    assert_eq!(literal(9, &[], &SIGNED, &[0x00, 0x00, 0x80]), "-8388608");
    assert_eq!(literal(9, &[], &UNSIGNED, &[0xff, 0xff, 0xff]), "16777215");
    assert_eq!(literal(3, &[], &SIGNED, &[0, 0, 0, 0x80]), "-2147483648");
    assert_eq!(literal(8, &[], &UNSIGNED, &[0xff; 8]), "18446744073709551615");
    assert_eq!(literal(8, &[], &SIGNED, &[0, 0, 0, 0, 0, 0, 0, 0x80]), "-9223372036854775808");
    assert_eq!(literal(246, &[4, 2], &ColumnKind::Decimal, &[0x7f, 0xcd]), "-0.50");
    assert_eq!(literal(4, &[4], &ColumnKind::Float, &0.1_f32.to_le_bytes()), "1.0000000149011612e-1");
    assert_eq!(literal(5, &[8], &ColumnKind::Double, &(-0.0_f64).to_le_bytes()), "-0e0");
    assert_eq!(literal(16, &[0, 8], &ColumnKind::Bit, &[0xff; 8]), "18446744073709551615");
    assert_eq!(literal(16, &[2, 1], &ColumnKind::Bit, &[2, 1]), "513");
    assert_eq!(literal(13, &[], &ColumnKind::Year, &[0]), "'0000'");
    assert_eq!(literal(13, &[], &ColumnKind::Year, &[124]), "'2024'");
}

#[test]
fn golden_times() {
    assert_eq!(literal(10, &[], &ColumnKind::Date, &[0x5c, 0xd0, 0x0f]), "'2024-02-28'");
    assert_eq!(literal(10, &[], &ColumnKind::Date, &[0, 0, 0]), "'0000-00-00'");
    let time = |decimals: u8, bytes: &[u8]| literal(19, &[decimals], &ColumnKind::Time, bytes);
    assert_eq!(time(0, &[0x80, 0x10, 0x83]), "'01:02:03'");
    assert_eq!(time(0, &[0x7f, 0xff, 0xff]), "'-00:00:01'");
    assert_eq!(time(2, &[0x7f, 0xff, 0xff, 0xce]), "'-00:00:00.50'");
    assert_eq!(time(1, &[0x7f, 0xff, 0xff, 0xce]), "'-00:00:00.5'");
    assert_eq!(time(4, &[0x7f, 0xff, 0xff, 0xff, 0xff]), "'-00:00:00.0001'");
    assert_eq!(time(6, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff]), "'-00:00:00.000001'");
    assert_eq!(time(0, &[0xb4, 0x6e, 0xfb]), "'838:59:59'");
    assert_eq!(time(0, &[0x4b, 0x91, 0x05]), "'-838:59:59'");
    let datetime = |decimals: u8, bytes: &[u8]| literal(18, &[decimals], &ColumnKind::DateTime, bytes);
    assert_eq!(datetime(0, &[0x99, 0xb2, 0xb9, 0x7e, 0xfb]), "'2024-02-28 23:59:59'");
    assert_eq!(datetime(3, &[0x80, 0, 0, 0, 0, 0, 0]), "'0000-00-00 00:00:00.000'");
    let timestamp = |decimals: u8, bytes: &[u8]| literal(17, &[decimals], &ColumnKind::Timestamp, bytes);
    assert_eq!(timestamp(0, &[0, 0, 0, 0]), "'0000-00-00 00:00:00'");
    assert_eq!(timestamp(0, &[0, 0, 0, 1]), "'1970-01-01 00:00:01'");
    assert_eq!(timestamp(6, &[0x7f, 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f]), "'2038-01-19 03:14:07.999999'");
    assert_eq!(timestamp(2, &[0x65, 0xdf, 0x23, 0x80, 50]), "'2024-02-28 12:13:52.50'");
    // Types of before MySQL 5.6.
    assert_eq!(literal(11, &[], &ColumnKind::Time, &[0xff, 0xff, 0xff]), "'-00:00:01'");
    assert_eq!(
        literal(12, &[], &ColumnKind::DateTime, &20_240_228_235_959_u64.to_le_bytes()),
        "'2024-02-28 23:59:59'"
    );
    assert_eq!(literal(7, &[], &ColumnKind::Timestamp, &[1, 0, 0, 0]), "'1970-01-01 00:00:01'");
}

#[test]
fn golden_strings() {
    let text = kind("varchar(10)");
    assert_eq!(literal(15, &[40, 0], &text, b"\x04it's"), "_utf8mb4'it\\'s'");
    assert_eq!(literal(15, &[0, 4], &text, b"\x02\x00a\\"), "_utf8mb4'a\\\\'");
    let char_255 = kind("char(255)");
    // 1020 bytes: two bits of the length are hidden in the type.
    assert_eq!(literal(254, &[0xce, 0xfc], &char_255, b"\x01\x00a"), "_utf8mb4'a'");
    let binary = ColumnKind::of("binary(4)", None).unwrap();
    assert_eq!(literal(254, &[254, 4], &binary, b"\x02a'"), "_binary'a\\'\0\0'");
    assert_eq!(literal(252, &[2], &kind("blob"), b"\x00\x00"), "_binary''");
    assert_eq!(literal(252, &[2], &kind("blob"), b"\x01\x00\0"), "_binary'\0'");
    assert_eq!(literal(254, &[247, 1], &kind("enum('a','it''s')"), &[2]), "_utf8mb4'it\\'s'");
    assert_eq!(literal(254, &[247, 2], &kind("enum('a')"), &[0, 0]), "_utf8mb4''");
    assert_eq!(literal(254, &[248, 1], &kind("set('a','b','c')"), &[5]), "_utf8mb4'a,c'");
    assert_eq!(literal(254, &[248, 1], &kind("set('a')"), &[0]), "_utf8mb4''");
    assert_eq!(literal(245, &[4], &ColumnKind::Json, b"\x03\0\0\0\x0c\x01'"), "_utf8mb4'\"\\'\"'");
}

#[test]
fn what_does_not_fit_is_told() {
    let mut out = Vec::new();
    let one = value(254, &[247, 1], &kind("enum('a','b')"), &[2]).unwrap();
    assert_eq!(one.write_literal(&kind("enum('a')"), &mut out), Err(ValueError::Member { number: 2 }));
    assert_eq!(value(3, &[], &kind("varchar(3)"), &[0; 4]), Err(ValueError::Mismatch { logged: 3 }));
    assert_eq!(value(254, &[254, 9], &kind("binary(4)"), b"\0"), Err(ValueError::Mismatch { logged: 254 }));
    assert_eq!(ColumnShape::read(141, &mut Cursor::new(&[1, 0])), Err(ValueError::Mismatch { logged: 141 }));
    assert_eq!(Value::Skipped.write_literal(&SIGNED, &mut out), Err(ValueError::LeftOut));
    assert!(Value::Float(f32::NAN).write_literal(&ColumnKind::Float, &mut out).is_err());
    assert!(Value::Year(1).write_literal(&SIGNED, &mut out).is_err());
    for unknown in
        ["uuid", "inet6", "varchar(10) /*M!100301 COMPRESSED*/", "blob /*M!100301 COMPRESSED*/", "xmltype"]
    {
        assert!(ColumnKind::of(unknown, Some("latin1")).is_err(), "{unknown}");
    }
}

#[test]
fn kinds_of_definitions() {
    assert_eq!(kind("int(10) unsigned zerofill"), UNSIGNED);
    assert_eq!(kind("mediumint"), SIGNED);
    assert_eq!(kind("tinyint(1)"), SIGNED);
    assert_eq!(kind("int zerofill"), UNSIGNED);
    assert_eq!(kind("decimal(65,30) unsigned"), ColumnKind::Decimal);
    assert_eq!(kind("double(10,2)"), ColumnKind::Double);
    assert_eq!(kind("datetime(6)"), ColumnKind::DateTime);
    assert_eq!(kind("year(4)"), ColumnKind::Year);
    assert_eq!(kind("geomcollection"), ColumnKind::Geometry);
    assert_eq!(kind("vector(3)"), ColumnKind::Vector);
    assert_eq!(kind("binary(16)"), ColumnKind::Binary { length: 16 });
    assert_eq!(ColumnKind::of("char(3)", Some("gbk")).unwrap(), ColumnKind::Text { charset: "gbk".into() });
    assert!(ColumnKind::of("char(3)", None).is_err());
    assert!(kind("float").select_expression("`a`").contains("1e0"));
    assert_eq!(SIGNED.select_expression("`a`"), "`a`");
}

/// Text of a SELECT and bytes of the log give the same literal.
#[test]
fn selected_and_logged_rows_have_one_identity() {
    let text = |kind: &ColumnKind, text: &[u8]| {
        let mut out = Vec::new();
        write_text_literal(kind, Some(text), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(text(&UNSIGNED, b"0000000042"), literal(3, &[], &UNSIGNED, &[42, 0, 0, 0]));
    assert_eq!(text(&UNSIGNED, b"0000"), "0");
    assert_eq!(
        text(&ColumnKind::Decimal, b"-0.50"),
        literal(246, &[4, 2], &ColumnKind::Decimal, &[0x7f, 0xcd])
    );
    assert_eq!(text(&ColumnKind::Decimal, b"0000000.50"), "0.50");
    assert_eq!(text(&ColumnKind::Float, b"0.10000000149011612"), "1.0000000149011612e-1");
    assert_eq!(text(&ColumnKind::Bit, &[2, 1]), "513");
    assert_eq!(text(&ColumnKind::Year, b"0000"), "'0000'");
    let binary = kind("binary(4)");
    assert_eq!(text(&binary, b"a\0\0\0"), literal(254, &[254, 4], &binary, b"\x01a"));
    assert!(write_text_literal(&ColumnKind::Date, Some(b"2024'"), &mut Vec::new()).is_err());
    assert!(write_text_literal(&SIGNED, Some(b"1 OR 1"), &mut Vec::new()).is_err());

    let (columns, row) = ([SIGNED, kind("varchar(3)")], [Value::Integer(-7), Value::Bytes("x,y".into())]);
    let logged = RowKey::of_row(&row, &columns, &[1, 0]).unwrap();
    let selected = [(&columns[1], Some(&b"x,y"[..])), (&columns[0], Some(&b"-7"[..]))];
    assert_eq!(RowKey::of_texts(selected).unwrap(), logged);
    assert_eq!(logged.as_sql(), b"_utf8mb4'x,y',-7");
    assert_eq!(format!("{logged:?}"), "RowKey(16 bytes)");
    assert!(RowKey::of_row(&row, &columns, &[2]).is_err());
}

fn any_kind() -> impl Strategy<Value = ColumnKind> {
    let types = [
        "int",
        "bigint unsigned",
        "decimal(9,2)",
        "float",
        "double",
        "bit(5)",
        "year",
        "date",
        "time(3)",
        "datetime",
        "timestamp",
        "varchar(9)",
        "binary(9)",
        "blob",
        "enum('a')",
        "set('a','b')",
        "json",
        "point",
        "vector(3)",
    ];
    prop_oneof![(0..types.len()).prop_map(move |at| kind(types[at])), Just(ColumnKind::Skipped)]
}

proptest! {
    #[test]
    fn any_bytes_are_a_value_or_none(
        logged in any::<u8>(),
        metadata in proptest::collection::vec(any::<u8>(), 2),
        kind in any_kind(),
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let Ok(shape) = ColumnShape::read(logged, &mut Cursor::new(&metadata)) else { return Ok(()) };
        let event = Bytes::from(bytes);
        let _ = skip(shape, &event, 0);
        if let Ok((value, end)) = decode(shape, &kind, &event, 0) {
            prop_assert!(end <= event.len());
            let mut out = Vec::new();
            let _ = value.write_literal(&kind, &mut out);
            prop_assert!(out.len() < 4096);
        }
    }

    #[test]
    fn strings_are_escaped(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut out = Vec::new();
        Value::Bytes(bytes.clone().into()).write_literal(&ColumnKind::Bytes, &mut out).unwrap();
        let inside = &out[b"_binary'".len()..out.len() - 1];
        let mut plain = Vec::new();
        let mut rest = inside.iter();
        while let Some(byte) = rest.next() {
            prop_assert_ne!(*byte, b'\'', "a quote that is not escaped");
            plain.push(if *byte == b'\\' { *rest.next().unwrap() } else { *byte });
        }
        prop_assert_eq!(plain, bytes);
    }

    #[test]
    fn doubles_keep_all_bits(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
        let mut out = Vec::new();
        Value::Double(number).write_literal(&ColumnKind::Double, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
        prop_assert!(text.contains('e'));
    }

    #[test]
    fn days_of_the_calendar(seconds in 1_u32..) {
        let mut out = Vec::new();
        let stamp = Value::Timestamp(super::time::Timestamp { seconds, micros: 0, decimals: 0 });
        stamp.write_literal(&ColumnKind::Timestamp, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let field = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
        let (year, month, day) = (field(1, 5), field(6, 8), field(9, 11));
        // The count of days by adding up years and months.
        let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let of_years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
        let lengths = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let days = of_years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
        let clock = field(12, 14) * 3600 + field(15, 17) * 60 + field(18, 20);
        prop_assert_eq!(days * 86_400 + clock, i64::from(seconds));
    }
}
