//! Feeds mutated packets, SQL and configuration to everything that reads what a stranger sends: no input may
//! make it panic, loop, or contradict itself.
//!
//! Plain `cargo test` runs each target for a moment; `make fuzz` or `BULKHEAD_FUZZ_SECONDS=600` for longer. A
//! run is repeated by `BULKHEAD_FUZZ_SEED`, which a failure prints together with the input.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead::protocol::binary::{ParameterTypes, Parameters};
use bulkhead::protocol::capability::{Capabilities, OFFERED};
use bulkhead::protocol::command::{Command, StmtExecute};
use bulkhead::protocol::handshake::{ChangeUser, ClientHello, Greeting};
use bulkhead::protocol::response::{Advance, CommandKind, ResponseTracker};
use bulkhead::protocol::result::{Column, ServerError, parse_text_row};
use bulkhead::sql::{Lexer, Scan, SqlMode, TokenKind, digest, normalize, parse, scan};
use bulkhead::vschema::{load, parse_vschema};

/// Longest input made by mutation.
const INPUT_BYTES_MAX: usize = 4096;

/// A small random generator (xorshift64*): the same seed gives the same inputs everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("usize fits");
        usize::try_from(self.next() % end).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}

/// Changes an input a little: bytes flipped, cut, repeated, numbers pushed to their limits, parts of others
/// mixed in.
fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = random.below(input.len());
        match random.below(8) {
            0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            1 if !input.is_empty() => input[at] = random.byte(),
            2 => input.insert(at, random.byte()),
            3 if !input.is_empty() => drop(input.remove(at)),
            4 => input.truncate(at),
            5 if !input.is_empty() => {
                let edge =
                    [0x00, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, b'\'', b'`', b'\\', b'*', b'/'];
                input[at] = edge[random.below(edge.len())];
            }
            6 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                let to = from + random.below(other.len() - from + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let to = at + random.below(input.len() - at + 1);
                let part = input[at..to].to_vec();
                input.extend(part);
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
}

/// Runs a target on the corpus, then on mutations of it, until the time is over.
fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8], &mut Random)) {
    let seconds = std::env::var("BULKHEAD_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let bound = seconds.map_or(Duration::from_millis(500), Duration::from_secs);
    let seed = std::env::var("BULKHEAD_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) * 2 + 1);
    let mut random = Random(seed | 1);
    let start = Instant::now();
    let mut count = 0_u64;
    let mut inputs = corpus.iter().cloned();
    while start.elapsed() < bound {
        let input = inputs.next().unwrap_or_else(|| {
            let mut input = corpus[random.below(corpus.len())].clone();
            mutate(&mut input, corpus, &mut random);
            input
        });
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&input, &mut random)));
        assert!(outcome.is_ok(), "{name}: seed {seed}, input {count}: {}", input.escape_ascii());
        count += 1;
    }
    println!("{name}: {count} inputs, seed {seed}");
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Statements with what makes lexing hard: quotes, escapes, comments, introducers, numbers.
fn statements() -> Vec<Vec<u8>> {
    texts(&[
        "SELECT `na``me`, 'it''s', \"x\\\"y\" FROM `db`.`t` WHERE w = 42 AND b IN (1, 2.5e-3, 0x1F, b'01')",
        "/*workspace_id:42*/ SELECT /*+ NO_INDEX(t) */ 1 /*!80000 + 1 */ -- end\n",
        "INSERT INTO t (w, a) VALUES (1, _utf8mb4'x' 'y'), (2, N'z') ON DUPLICATE KEY UPDATE a = VALUES(a)",
        "UPDATE a JOIN b ON a.id = b.id SET a.x = b.y WHERE a.workspace_id = ? LIMIT 10",
        "DELETE a, b FROM a INNER JOIN b USING (id) WHERE a.workspace_id = @w AND b.c <=> NULL",
        "SET NAMES utf8mb4, @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), @a := 1",
        "ALTER TABLE t ADD COLUMN c DECIMAL(10, 2) NOT NULL DEFAULT '0.00' AFTER b, ALGORITHM=INSTANT",
        "SELECT a.b.c.d, .5, 1., 1e, 0b, 0x, @@global.x, \\N, a->>'$.b', a||b, a&&b FROM t1 -- \n; SELECT 2;",
        "PREPARE s FROM 'SELECT ?'; EXECUTE s USING @a; DEALLOCATE PREPARE s",
        "WITH RECURSIVE c AS (SELECT 1 n UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT * FROM c",
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE t FIELDS TERMINATED BY ',' (a, @b) SET c = @b DIV 2",
    ])
}

#[test]
fn lexer_and_parser_take_any_bytes() {
    fuzz("lexer", &statements(), |text, random| {
        let mode = SqlMode {
            ansi_quotes: random.below(4) == 0,
            no_backslash_escapes: random.below(4) == 0,
            ..SqlMode::default()
        };
        let mut lexer = Lexer::new(text, mode);
        let mut end = 0;
        loop {
            let token = lexer.next_with_comments();
            assert!(token.span.start >= end && token.span.end as usize <= text.len(), "tokens go forward");
            if token.kind == TokenKind::End {
                break;
            }
            assert!(token.span.end > token.span.start, "a token is not empty");
            end = token.span.end;
        }
        let mut found = Scan::default();
        scan(text, mode, &mut found);
        assert!(
            found.end <= text.len() && found.body.end as usize <= text.len(),
            "a statement ends in its text"
        );
        assert!(found.literals.is_sorted_by_key(|literal| literal.span.start), "literals are in order");
        let mut again = Scan::default();
        scan(text, mode, &mut again);
        assert_eq!((found.shape, found.kind), (again.shape, again.kind));
        assert_eq!(digest(text, mode, &found), digest(text, mode, &again));
        let _ = normalize(text, mode, &found);
        let _ = parse(text, &found, mode);
    });
}

/// Payloads that clients send: a handshake response, commands, an execution with parameters.
fn client_payloads() -> Vec<Vec<u8>> {
    let mut hello = Vec::from(0x01ff_a68d_u32.to_le_bytes());
    hello.extend([0, 0, 0, 1, 45]);
    hello.extend([0; 23]);
    hello.extend(b"app\0\x20");
    hello.extend([7; 32]);
    hello.extend(b"shop\0caching_sha2_password\0\x0c\x04_pid\x0212\x03_os\x00");
    let mut execute = vec![0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    execute
        .extend([0x08, 0, 0xfd, 0, 0x0c, 0, 42, 0, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c', 4, 0xe8, 7, 1, 2]);
    let change_user = b"\x11app\0\x14aaaaaaaaaaaaaaaaaaaashop\0\x2d\0mysql_native_password\0".to_vec();
    let query = b"\x03SELECT 1".to_vec();
    let attributes = b"\x03\x01\x01\x00\x01\xfe\x00\x03key\x05valueSELECT 1".to_vec();
    vec![hello, execute, change_user, query, attributes, b"\x04table\0%".to_vec(), b"\x0c\x05\0\0\0".to_vec()]
}

#[test]
fn client_packets_take_any_bytes() {
    fuzz("client packets", &client_payloads(), |payload, random| {
        let capabilities = Capabilities(OFFERED.0 & (random.next() | random.next()));
        let _ = ClientHello::parse(payload, capabilities);
        let _ = ChangeUser::parse(payload, capabilities);
        let Ok(command) = Command::parse(payload, capabilities) else { return };
        if let Command::StmtExecute(StmtExecute { raw, flags, .. }) = command {
            let mut types = ParameterTypes::default();
            let count = random.below(4);
            if let Ok(parameters) = Parameters::parse(raw, flags, count, capabilities, &mut types) {
                let _ = parameters.values(&types, |index| index == 1);
            }
        }
    });
}

/// Answers as a server sends them, headers included.
fn answers() -> Vec<Vec<u8>> {
    let column = b"\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00";
    let packet = |sequence: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).expect("short");
        [&[length, 0, 0, sequence], payload].concat()
    };
    let ok = packet(1, &[0, 1, 2, 2, 0, 0, 0]);
    let error = packet(1, b"\xff\x15\x04#28000Access denied");
    let with_eof = [
        packet(1, &[1]),
        packet(2, column),
        packet(3, &[0xfe, 0, 0, 2, 0]),
        packet(4, b"\x011"),
        packet(5, &[0xfb]),
        packet(6, &[0xfe, 0, 0, 2, 0]),
    ];
    let without_eof =
        [packet(1, &[1]), packet(2, column), packet(3, b"\x011"), packet(4, &[0xfe, 0, 0, 2, 0, 0, 0])];
    let more = [packet(1, &[0, 0, 0, 10, 0, 0, 0]), packet(2, &[0, 1, 0, 2, 0, 0, 0])];
    let prepared = [
        packet(1, &[0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]),
        packet(2, column),
        packet(3, &[0xfe, 0, 0, 2, 0]),
        packet(4, column),
        packet(5, &[0xfe, 0, 0, 2, 0]),
    ];
    vec![ok, error, with_eof.concat(), without_eof.concat(), more.concat(), prepared.concat()]
}

/// Feeds an answer in pieces of at most `piece` bytes; returns how much was forwarded, and whether it ended.
fn track(
    kind: CommandKind,
    capabilities: Capabilities,
    answer: &[u8],
    piece: usize,
) -> Option<(usize, bool)> {
    let mut tracker = ResponseTracker::new();
    tracker.start(kind, capabilities);
    let (mut from, mut to) = (0, 0);
    loop {
        let before = from;
        let advance = tracker.advance(&answer[from..to]).ok()?;
        assert!(advance.forward() <= to - from, "forwards what is there");
        from += advance.forward();
        if matches!(advance, Advance::Done { .. }) {
            return Some((from, true));
        }
        if to == answer.len() && from == before {
            return Some((from, false));
        }
        to = (to + piece).min(answer.len());
    }
}

#[test]
fn server_packets_take_any_bytes() {
    let kinds = [CommandKind::Query, CommandKind::Prepare, CommandKind::Execute, CommandKind::Fetch];
    fuzz("server packets", &answers(), |answer, random| {
        let payload = answer.get(4..).unwrap_or_default();
        let capabilities = Capabilities(OFFERED.0 & (random.next() | random.next()));
        let _ = Greeting::parse(payload);
        let _ = ServerError::parse(payload);
        let _ = Column::parse(payload);
        let _ = parse_text_row(payload, random.below(5));
        let kind = kinds[random.below(kinds.len())];
        // How the bytes arrive must not matter.
        let whole = track(kind, capabilities, answer, answer.len().max(1));
        let pieces = track(kind, capabilities, answer, 1 + random.below(7));
        if let (Some(whole), Some(pieces)) = (whole, pieces) {
            assert_eq!(whole.1, pieces.1, "an answer ends or does not, however it is cut");
            assert!(!whole.1 || whole.0 == pieces.0, "an answer ends where it ends, however it is cut");
        }
    });
}

const VITESS: &str = r#"{"sharded": true, "vindexes": {"h": {"type": "hash"},
 "l": {"type": "consistent_lookup",
 "params": {"table": "t_idx", "from": "id", "to": "keyspace_id"}, "owner": "t"}}, "tables": {"t":
 {"column_vindexes": [{"column": "id", "name": "h"}],
 "auto_increment": {"column": "id", "sequence": "seq"}}}}"#;

#[test]
fn vschema_files_take_any_bytes() {
    let corpus = texts(&[
        include_str!("../docker/demo/vschema/shop.toml"),
        include_str!("../docker/demo/vschema/app.toml"),
        "layout = \"shared_tables\"\n[vindexes.m]\ntype = \"multicol\"\ncolumn_count = 2\n\
         column_bytes = \"1,7\"\n[tables.a]\n\
         column_vindexes = [ { columns = [\"region\", \"id\"], vindex = \"m\" } ]\n",
        "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n",
        VITESS,
    ]);
    fuzz("vschema", &corpus, |input, _| {
        let text = String::from_utf8_lossy(input);
        for file in ["shop.toml", "shop.json"] {
            let Err(faults) = parse_vschema(Path::new(file), &text) else { continue };
            assert!(!faults.is_empty(), "a refusal has a reason");
            assert!(faults.iter().all(|fault| !fault.to_string().is_empty()), "a reason has words");
        }
    });
}

#[test]
fn main_file_takes_any_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("bulkhead.toml");
    let corpus = texts(&[include_str!("../docker/demo/bulkhead.toml")]);
    fuzz("main file", &corpus, |input, _| {
        std::fs::write(&file, input).expect("the file can be written");
        if let Err(faults) = load(&file) {
            assert!(!faults.is_empty(), "a refusal has a reason");
        }
    });
}
