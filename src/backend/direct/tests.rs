use super::*;
use crate::error::Outcome;
use crate::protocol::codec::put_lenenc_bytes;
use crate::protocol::result::ServerError;
use proptest::prelude::*;

fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for value in values {
        match value {
            Some(value) => put_lenenc_bytes(&mut payload, value),
            None => payload.push(0xfb),
        }
    }
    payload
}

#[test]
fn values_of_a_row() {
    let payload = row(&[Some(b"12"), None, Some(b""), Some("ä".as_bytes())]);
    let text = TextRow::new(&payload);
    assert!(text.check(4).is_ok());
    assert!(text.check(3).is_err(), "something is behind the last value");
    assert!(text.check(5).is_err(), "a value is missing");
    assert_eq!(text.number::<u64>(0), Some(12));
    assert_eq!(text.value(1), None);
    assert_eq!(text.value(2), Some(&b""[..]));
    assert_eq!(text.text(3).as_deref(), Some("ä"));
    assert_eq!(text.values().count(), 4);
}

#[test]
fn rows_stand_one_behind_the_other() {
    let (a, b) = (row(&[Some(b"a")]), row(&[None]));
    let rows = Rows {
        bytes: [a.clone(), b.clone()].concat(),
        ends: vec![a.len(), a.len() + b.len()],
        ..Rows::default()
    };
    let values: Vec<_> = rows.iter().map(|row| row.value(0)).collect();
    assert_eq!(values, [Some(&b"a"[..]), None]);
    assert_eq!((rows.len(), rows.bytes(), rows.get(2)), (2, 3, None));
}

#[test]
fn a_kill_is_a_loss_and_a_duplicate_is_not() {
    let error =
        |errno| DirectError::of_server(ServerError { errno, sqlstate: *b"HY000", message: "m".into() });
    for errno in [1053, 1927, 3169, 4031] {
        assert!(error(errno).is_lost());
        assert_eq!(error(errno).outcome(), Outcome::Unknown);
    }
    assert_eq!(error(1062).errno(), Some(1062));
    assert!(!error(1062).is_lost());
    assert_eq!(error(1062).to_string(), "the server says 1062 (HY000): m");
}

proptest! {
    #[test]
    fn any_bytes_are_a_row_or_none(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        width in 0usize..9,
    ) {
        let text = TextRow::new(&bytes);
        if text.check(width).is_ok() {
            prop_assert_eq!(text.values().count(), width);
        }
    }
}
