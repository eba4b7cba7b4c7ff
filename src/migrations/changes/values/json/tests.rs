use super::*;
use proptest::prelude::*;

fn text(document: &[u8]) -> Result<String, ValueError> {
    let mut out = Vec::new();
    write_text(document, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn double(number: f64) -> String {
    text(&[&[DOUBLE][..], &number.to_le_bytes()].concat()).unwrap()
}

#[test]
fn scalars() {
    assert_eq!(text(&[]).unwrap(), "null");
    assert_eq!(text(&[LITERAL, 0]).unwrap(), "null");
    assert_eq!(text(&[LITERAL, 1]).unwrap(), "true");
    assert_eq!(text(&[LITERAL, 2]).unwrap(), "false");
    assert_eq!(text(&[INT16, 0xff, 0xff]).unwrap(), "-1");
    assert_eq!(text(&[UINT16, 0xff, 0xff]).unwrap(), "65535");
    assert_eq!(text(&[INT64, 0, 0, 0, 0, 0, 0, 0, 0x80]).unwrap(), "-9223372036854775808");
    assert_eq!(text(&[UINT64, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap(), "18446744073709551615");
    assert_eq!(
        text(&[STRING, 6, b'a', b'"', b'\\', b'\n', 1, 0x7f]).unwrap(),
        "\"a\\\"\\\\\\n\\u0001\u{7f}\""
    );
    assert_eq!(text(&[OPAQUE, 246, 4, 4, 2, 0x80, 0x32]).unwrap(), "0.50");
    assert_eq!(text(&[OPAQUE, 253, 4, b'a', b'b', b'c', b'd']).unwrap(), "\"base64:type253:YWJjZA==\"");
}

#[test]
fn doubles_as_the_server_prints_them() {
    let cases = [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (1e15, "1e15"),
        (123_456_789_012_345.0, "123456789012345.0"),
        (1e14, "100000000000000.0"),
        (1_234_567_890_123_456.7, "1234567890123456.8"),
        (1e-5, "0.00001"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (1.7976931348623157e308, "1.7976931348623157e308"),
        (5e-324, "5e-324"),
        (0.30000000000000004, "0.30000000000000004"),
    ];
    for (number, expected) in cases {
        assert_eq!(double(number), expected);
    }
    assert!(text(&[&[DOUBLE][..], &f64::NAN.to_le_bytes()].concat()).is_err());
}

/// `{"a": 1, "bc": [true, "x"]}` as the server stores it.
#[test]
fn golden_document() {
    let document = [
        &[SMALL_OBJECT, 2, 0, 35, 0][..],
        &[18, 0, 1, 0, 19, 0, 2, 0],
        &[INT16, 1, 0, SMALL_ARRAY, 21, 0],
        b"abc",
        &[2, 0, 14, 0, LITERAL, 1, 0, STRING, 10, 0, 1, b'x'],
    ];
    assert!(text(&document.concat()).is_err(), "sizes beyond the end");
    let document = [
        &[SMALL_OBJECT, 2, 0, 33, 0][..],
        &[18, 0, 1, 0, 19, 0, 2, 0],
        &[INT16, 1, 0, SMALL_ARRAY, 21, 0],
        b"abc",
        &[2, 0, 12, 0, LITERAL, 1, 0, STRING, 10, 0, 1, b'x'],
    ];
    assert_eq!(text(&document.concat()).unwrap(), "{\"a\": 1, \"bc\": [true, \"x\"]}");
}

/// Arrays whose two elements are the same array, which is within itself.
#[test]
fn circles_and_fans_end() {
    let circle = [SMALL_ARRAY, 1, 0, 7, 0, SMALL_ARRAY, 0, 0];
    assert!(matches!(text(&circle), Err(ValueError::TooDeep | ValueError::Malformed { .. })));
    let fan = [SMALL_ARRAY, 2, 0, 10, 0, SMALL_ARRAY, 0, 0, SMALL_ARRAY, 0, 0];
    assert!(text(&fan).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_json_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut out = Vec::new();
        let _ = write_text(&bytes, &mut out);
        prop_assert!(out.len() <= bytes.len() * (GROWTH_MAX + 6) + TEXT_BYTES_SPARE);
    }

    #[test]
    fn containers_of_any_bytes(kind in 0_u8..4, bytes in proptest::collection::vec(0_u8..24, 0..120)) {
        let document = [&[kind][..], &bytes].concat();
        let mut out = Vec::new();
        let _ = write_text(&document, &mut out);
        prop_assert!(out.len() <= document.len() * (GROWTH_MAX + 6) + TEXT_BYTES_SPARE);
    }

    #[test]
    fn doubles_read_back(number in any::<f64>().prop_filter("a number", |number| number.is_finite())) {
        prop_assert_eq!(double(number).parse::<f64>().unwrap().to_bits(), number.to_bits());
    }
}
