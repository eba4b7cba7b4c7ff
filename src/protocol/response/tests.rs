use proptest::prelude::*;

use super::*;
use crate::protocol::capability::Capabilities;
use crate::protocol::codec::put_lenenc_bytes;
use crate::protocol::packet::{HEADER_BYTES, PAYLOAD_BYTES_MAX, put_packets};
use crate::protocol::result::{Column, OkPacket, TextResult, eof, err, result_end};

const MODERN: Capabilities = Capabilities(Capabilities::DEPRECATE_EOF.0 | Capabilities::SESSION_TRACK.0);
const CLASSIC: Capabilities = Capabilities::NONE;
const AUTOCOMMIT: StatusFlags = StatusFlags::AUTOCOMMIT;

/// Shows the whole stream in chunks that end at `cuts`; gives the bytes forwarded and the end.
fn run(
    kind: CommandKind,
    caps: Capabilities,
    wire: &[u8],
    cuts: &[usize],
) -> Result<(usize, ResponseEnd), crate::protocol::errors::ProtocolError> {
    let mut tracker = ResponseTracker::new();
    tracker.start(kind, caps);
    let mut forwarded = 0;
    for cut in cuts.iter().copied().chain([wire.len()]) {
        if cut < forwarded {
            continue;
        }
        match tracker.advance(&wire[forwarded..cut])? {
            Advance::Done { forward } => {
                assert!(tracker.is_done());
                return Ok((forwarded + forward, tracker.take_end()));
            }
            Advance::More { forward } | Advance::LocalInfile { forward } => forwarded += forward,
        }
    }
    panic!("the answer did not end: {tracker:?}");
}

fn whole(kind: CommandKind, caps: Capabilities, wire: &[u8]) -> ResponseEnd {
    let (forwarded, end) = run(kind, caps, wire, &[]).unwrap();
    assert_eq!(forwarded, wire.len());
    assert_eq!(end.bytes, wire.len() as u64);
    end
}

fn packets(payloads: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut sequence = 1;
    for payload in payloads {
        sequence = put_packets(&mut wire, payload, sequence);
    }
    wire
}

fn column() -> Vec<u8> {
    let mut out = Vec::new();
    Column::bigint("n").put(&mut out);
    out
}

fn result_set(caps: Capabilities, rows: usize, sequence: u8, status: StatusFlags) -> (Vec<u8>, u8) {
    let columns = [Column::bigint("n"), Column::text("t", 10)];
    let mut result = TextResult::new(caps, &columns, sequence, status);
    for row in 0..rows {
        result.display(row).value(if row % 2 == 0 { None } else { Some(b"text") });
    }
    let mut next = result.sequence();
    next = next.wrapping_add(1);
    (result.finish(status, 2), next)
}

#[test]
fn ok_and_error() {
    let ok = OkPacket { affected_rows: 3, last_insert_id: 300, status: AUTOCOMMIT, ..OkPacket::default() };
    for caps in [MODERN, CLASSIC] {
        let end = whole(CommandKind::Query, caps, &packets(&[&ok.payload(caps)]));
        assert_eq!((end.affected_rows, end.last_insert_id, end.status), (3, 300, AUTOCOMMIT));
        let end = whole(CommandKind::Simple, caps, &packets(&[&err(1064, "42000", "You have")]));
        let error = end.error.unwrap();
        assert_eq!((error.errno, error.sqlstate_text(), &*error.message), (1064, "42000", "You have"));
    }
}

#[test]
fn result_sets() {
    for caps in [MODERN, CLASSIC] {
        for rows in [0, 1, 300] {
            let (wire, _) = result_set(caps, rows, 1, AUTOCOMMIT);
            let end = whole(CommandKind::Query, caps, &wire);
            assert_eq!((end.rows, end.warnings, end.status, end.columns), (rows as u64, 2, AUTOCOMMIT, 2));
        }
    }
}

#[test]
fn several_results_then_an_error() {
    for caps in [MODERN, CLASSIC] {
        let more = AUTOCOMMIT.with(StatusFlags::MORE_RESULTS);
        let (mut wire, next) = result_set(caps, 2, 1, more);
        let ok = OkPacket { affected_rows: 1, status: more, ..OkPacket::default() };
        let next = put_packets(&mut wire, &ok.payload(caps), next);
        put_packets(&mut wire, &err(1146, "42S02", "no table"), next);
        let end = whole(CommandKind::Query, caps, &wire);
        assert_eq!((end.results, end.rows, end.affected_rows), (3, 2, 1));
        assert_eq!(end.error.unwrap().errno, 1146);
        assert!(!end.status.contains(StatusFlags::MORE_RESULTS));
    }
}

#[test]
fn error_among_rows() {
    let wire = packets(&[&[1], &column(), &eof(AUTOCOMMIT, 0), b"\x011", &err(1317, "70100", "killed")]);
    let end = whole(CommandKind::Query, CLASSIC, &wire);
    assert_eq!((end.rows, end.error.map(|error| error.errno)), (1, Some(1317)));
}

#[test]
fn cursors() {
    let cursor = AUTOCOMMIT.with(StatusFlags::CURSOR_EXISTS);
    let wire = packets(&[&[1], &column(), &eof(cursor, 0)]);
    assert_eq!(whole(CommandKind::Execute, CLASSIC, &wire).status, cursor);
    let wire = packets(&[&[1], &column(), &result_end(MODERN, cursor, 0)]);
    assert_eq!(whole(CommandKind::Execute, MODERN, &wire).status, cursor);
    let last = AUTOCOMMIT.with(StatusFlags::LAST_ROW_SENT);
    let wire = packets(&[b"\x00\x00\x01", b"\x00\x00\x02", &result_end(MODERN, last, 0)]);
    let end = whole(CommandKind::Fetch, MODERN, &wire);
    assert_eq!((end.rows, end.status), (2, last));
}

#[test]
fn prepares() {
    let prepared = |columns: u8, params: u8| [0, 7, 0, 0, 0, columns, 0, params, 0, 0, 1, 0];
    for (columns, params) in [(0, 0), (2, 0), (0, 3), (2, 3)] {
        for caps in [MODERN, CLASSIC] {
            let (head, definition, end) = (prepared(columns, params), column(), eof(AUTOCOMMIT, 0));
            let mut parts: Vec<&[u8]> = vec![&head];
            for count in [params, columns] {
                parts.extend((0..count).map(|_| &definition[..]));
                if count > 0 && caps == CLASSIC {
                    parts.push(&end);
                }
            }
            let end = whole(CommandKind::Prepare, caps, &packets(&parts)).prepared.unwrap();
            assert_eq!((end.statement_id, end.columns, end.params), (7, columns.into(), params.into()));
        }
    }
}

#[test]
fn other_kinds() {
    let wire = packets(&[b"Uptime: 1  Threads: 1"]);
    whole(CommandKind::Statistics, MODERN, &wire);
    whole(CommandKind::SetOption, CLASSIC, &packets(&[&eof(AUTOCOMMIT, 0)]));
    whole(CommandKind::SetOption, MODERN, &packets(&[&result_end(MODERN, AUTOCOMMIT, 0)]));
    whole(CommandKind::SetOption, MODERN, &packets(&[&eof(AUTOCOMMIT, 0)]));
    whole(CommandKind::FieldList, CLASSIC, &packets(&[&column(), &column(), &eof(AUTOCOMMIT, 0)]));
    let mut tracker = ResponseTracker::new();
    tracker.start(CommandKind::None, MODERN);
    assert_eq!(tracker.advance(b"next answer"), Ok(Advance::Done { forward: 0 }));
}

#[test]
fn optional_metadata() {
    let caps = MODERN.with(Capabilities::OPTIONAL_RESULTSET_METADATA);
    let wire = packets(&[&[1, 0], b"\x011", &result_end(caps, AUTOCOMMIT, 0)]);
    assert_eq!(whole(CommandKind::Query, caps, &wire).rows, 1);
    let prepared = [0, 7, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    whole(CommandKind::Prepare, caps, &packets(&[&prepared]));
}

#[test]
fn rows_beyond_16_mib() {
    for caps in [MODERN, CLASSIC] {
        for size in [PAYLOAD_BYTES_MAX - 9, PAYLOAD_BYTES_MAX - 8, 2 * PAYLOAD_BYTES_MAX - 9] {
            let mut row = Vec::new();
            put_lenenc_bytes(&mut row, &vec![b'x'; size]);
            let (head, definition) = ([1], column());
            let mut parts: Vec<&[u8]> = vec![&head, &definition];
            let (middle, end) = (eof(AUTOCOMMIT, 0), result_end(caps, AUTOCOMMIT, 0));
            if caps == CLASSIC {
                parts.push(&middle);
            }
            parts.extend([&row[..], b"\x011", &end]);
            let wire = packets(&parts);
            let cuts: Vec<usize> = (0..wire.len()).step_by(65_536).collect();
            let (forwarded, end) = run(CommandKind::Query, caps, &wire, &cuts).unwrap();
            assert_eq!((forwarded, end.rows), (wire.len(), 2));
        }
    }
}

#[test]
fn local_infile() {
    let mut tracker = ResponseTracker::new();
    tracker.start(CommandKind::Query, MODERN);
    let request = packets(&[b"\xfbdata.csv"]);
    assert_eq!(tracker.advance(&request), Ok(Advance::LocalInfile { forward: request.len() }));
    let mut upload = UploadTracker::new(tracker.sequence());
    let mut wire = Vec::new();
    let next = put_packets(&mut wire, b"1,2\n", 2);
    let next = put_packets(&mut wire, b"", next);
    for cut in 0..wire.len() {
        assert!(!matches!(upload.clone().advance(&wire[..cut]).unwrap(), Advance::Done { .. }));
    }
    assert_eq!(upload.advance(&wire), Ok(Advance::Done { forward: wire.len() }));
    assert_eq!(upload.sequence(), next);
    let mut verdict = Vec::new();
    let ok = OkPacket { affected_rows: 1, ..OkPacket::default() };
    put_packets(&mut verdict, &ok.payload(MODERN), next);
    assert_eq!(tracker.advance(&verdict), Ok(Advance::Done { forward: verdict.len() }));
    assert_eq!(tracker.end().affected_rows, 1);
}

#[test]
fn mariadb_progress_is_passed_on() {
    let progress = b"\xff\xff\xff\x01\x01\x02\x00\x00\x00\x05stage";
    let wire = packets(&[progress, progress, &OkPacket::default().payload(CLASSIC)]);
    assert_eq!(whole(CommandKind::Query, CLASSIC, &wire).results, 1);
}

#[test]
fn session_changes_of_several_results() {
    let change = |schema: &str, status| OkPacket {
        status,
        changes: Some(SessionChanges { schema: Some(schema.into()), ..SessionChanges::default() }),
        ..OkPacket::default()
    };
    let first = change("a", StatusFlags::MORE_RESULTS).payload(MODERN);
    let second = change("b", AUTOCOMMIT).payload(MODERN);
    let end = whole(CommandKind::Query, MODERN, &packets(&[&first, &second]));
    assert_eq!(end.session_state.unwrap().schema.as_deref(), Some("b"));
}

#[test]
fn packets_that_tell_of_changed_state_are_named() {
    let ok = |is_changed: bool, status| OkPacket {
        status,
        changes: is_changed.then(|| SessionChanges { is_changed: Some(true), ..SessionChanges::default() }),
        ..OkPacket::default()
    };
    let more = StatusFlags::MORE_RESULTS;
    let [first, second, last] =
        [ok(false, more), ok(true, more), ok(false, AUTOCOMMIT)].map(|packet| packet.payload(MODERN));
    let wire = packets(&[&first, &second, &last]);
    let start = HEADER_BYTES + first.len();
    for cut in 0..=wire.len() {
        let mut tracker = ResponseTracker::new();
        tracker.start(CommandKind::Query, MODERN);
        let (mut at, mut named) = (0, Vec::new());
        for end in [cut, wire.len()] {
            let advance = tracker.advance(&wire[at..end.max(at)]).unwrap();
            named.extend(tracker.changed().iter().map(|place| at + place.start..at + place.end));
            at += advance.forward();
        }
        let place = start..start + HEADER_BYTES + second.len();
        assert_eq!(named, std::slice::from_ref(&place), "cut {cut}");
        assert!(tracker.end().state_changed && tracker.end().is_state_told);
    }
    let flagged = eof(AUTOCOMMIT | StatusFlags::SESSION_STATE_CHANGED, 0);
    let (head, next) = result_set(CLASSIC, 0, 1, AUTOCOMMIT);
    let end = whole(CommandKind::Query, CLASSIC, &head);
    assert!(!end.state_changed && !end.is_state_told);
    let mut wire = head[..head.len() - HEADER_BYTES - flagged.len()].to_vec();
    put_packets(&mut wire, &flagged, next.wrapping_sub(1));
    assert!(whole(CommandKind::Query, CLASSIC, &wire).state_changed);
}

#[test]
fn lies_are_errors() {
    let refused = |kind, caps, wire: &[u8]| run(kind, caps, wire, &[]).unwrap_err();
    refused(CommandKind::Query, CLASSIC, b"\x01\x00\x00\x02\x00");
    refused(CommandKind::Query, CLASSIC, &packets(&[b"\xfd\xff\xff\xff"]));
    refused(CommandKind::Query, CLASSIC, &packets(&[b""]));
    refused(CommandKind::Query, CLASSIC, &packets(&[b"\x00\x00"]));
    refused(CommandKind::Query, CLASSIC, &packets(&[&[1], b""]));
    refused(CommandKind::Query, CLASSIC, &packets(&[&[1], &eof(AUTOCOMMIT, 0)]));
    refused(CommandKind::Query, CLASSIC, &packets(&[&[1], &column(), b"\x011"]));
    refused(CommandKind::Simple, CLASSIC, &packets(&[&[1]]));
    refused(CommandKind::Prepare, CLASSIC, &packets(&[&[1]]));
    refused(CommandKind::Query, CLASSIC, b"\xff\xff\xff\x01\x00");
    let mut skipped = packets(&[&[1], &column()]);
    skipped[8] = 9;
    refused(CommandKind::Query, CLASSIC, &skipped);
}

/// One answer of random shape.
fn answers() -> impl Strategy<Value = (Capabilities, Vec<u8>)> {
    let shape = (any::<bool>(), 0usize..6, 0usize..3);
    (any::<bool>(), proptest::collection::vec(shape, 1..4)).prop_map(|(modern, results)| {
        let caps = if modern { MODERN } else { CLASSIC };
        let mut wire = Vec::new();
        let mut sequence = 1;
        let last = results.len() - 1;
        for (index, (is_ok, rows, tracked)) in results.into_iter().enumerate() {
            let status = if index < last { AUTOCOMMIT.with(StatusFlags::MORE_RESULTS) } else { AUTOCOMMIT };
            if is_ok {
                let pair = |n| (format!("name{n}"), "value".repeat(n));
                let changes = SessionChanges {
                    system_variables: (0..tracked).map(pair).collect(),
                    gtids: Some("uuid:1-9".into()),
                    ..SessionChanges::default()
                };
                let changes = (tracked > 0).then_some(changes);
                let ok = OkPacket { affected_rows: rows as u64, status, changes, ..OkPacket::default() };
                sequence = put_packets(&mut wire, &ok.payload(caps), sequence);
            } else {
                let (bytes, next) = result_set(caps, rows, sequence, status);
                wire.extend(bytes);
                sequence = next;
            }
        }
        (caps, wire)
    })
}

proptest! {
    /// However the bytes are cut, the same ones are forwarded and the end is the same; what follows is left.
    #[test]
    fn cuts_change_nothing(
        (caps, wire) in answers(),
        seed in proptest::collection::vec(any::<u16>(), 0..20),
    ) {
        let expected = whole(CommandKind::Query, caps, &wire);
        let mut cuts: Vec<usize> = seed.iter().map(|cut| usize::from(*cut) % (wire.len() + 1)).collect();
        cuts.sort_unstable();
        let mut followed = wire.clone();
        followed.extend_from_slice(b"\x01\x00\x00\x01\x00");
        let (forwarded, end) = run(CommandKind::Query, caps, &followed, &cuts).unwrap();
        prop_assert_eq!(forwarded, wire.len());
        prop_assert_eq!(&end, &expected);
        let every: Vec<usize> = (0..wire.len()).collect();
        let (forwarded, end) = run(CommandKind::Query, caps, &followed, &every).unwrap();
        prop_assert_eq!((forwarded, &end), (wire.len(), &expected));
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..8, caps: u64) {
        let kinds = [
            CommandKind::Query, CommandKind::Prepare, CommandKind::Execute, CommandKind::Fetch,
            CommandKind::FieldList, CommandKind::Simple, CommandKind::Statistics, CommandKind::SetOption,
        ];
        let mut tracker = ResponseTracker::new();
        tracker.start(kinds[kind], Capabilities(caps));
        if let Ok(advance) = tracker.advance(&bytes) {
            prop_assert!(advance.forward() <= bytes.len());
        }
    }

    /// A valid answer with one byte changed ends, waits or is an error; it never claims bytes that are not
    /// there.
    #[test]
    fn mutations_are_bounded((caps, mut wire) in answers(), at: usize, to: u8) {
        let at = at % wire.len();
        wire[at] = to;
        let mut tracker = ResponseTracker::new();
        tracker.start(CommandKind::Query, caps);
        if let Ok(advance) = tracker.advance(&wire) {
            prop_assert!(advance.forward() <= wire.len());
        }
    }
}
