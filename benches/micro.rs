//! Single steps of a statement's life, by criterion: lexer, scan, plan, bind, admission, vindexes, codec.
//!
//! `cargo bench --bench micro`; `-- scan` runs those whose name holds "scan". What the whole path costs is
//! measured by `make bench`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead::admission::{Admissions, Entry, NearAdmission, Request, workspace_key};
use bulkhead::health::Class;
use bulkhead::ids::{ClusterName, Generation, Keyspace, WorkspaceId};
use bulkhead::plan::{
    Bound, NoParams, PlanCache, PlanInput, PlanKey, Planned, Tables, TargetShape, WorkspacePins,
};
use bulkhead::protocol::capability::{Capabilities, StatusFlags};
use bulkhead::protocol::command::{self, Command};
use bulkhead::protocol::packet::put_packets;
use bulkhead::protocol::response::{Advance, CommandKind, ResponseTracker};
use bulkhead::protocol::result::{Column, TextResult};
use bulkhead::sql::{Lexer, Scan, SqlMode, TokenKind, scan};
use bulkhead::vschema::{Value, Vindex, Vschema, parse_vschema};
use criterion::{Criterion, Throughput};

const CAPABILITIES: Capabilities =
    Capabilities(Capabilities::DEPRECATE_EOF.0 | Capabilities::SESSION_TRACK.0);

/// Statements as applications send them, short to long.
const STATEMENTS: [(&str, &str); 4] = [
    ("point", "SELECT c FROM sbtest1 WHERE id=4711"),
    (
        "rails_point",
        "SELECT `issues`.* FROM `issues` WHERE `issues`.`workspace_id` = 42 AND `issues`.`id` = 4711 \
         LIMIT 1 /*workspace_id:42,action:show*/",
    ),
    (
        "join",
        "SELECT o.id, c.name, SUM(l.price * l.count) FROM orders o JOIN customers c ON c.workspace_id = \
         o.workspace_id AND c.id = o.customer_id LEFT JOIN order_lines l ON l.workspace_id = o.workspace_id \
         AND l.order_id = o.id WHERE o.workspace_id = 7 AND o.state IN ('open', 'paid') AND o.created_at > \
         '2026-01-01' GROUP BY o.id, c.name ORDER BY 3 DESC LIMIT 20",
    ),
    (
        "insert",
        "INSERT INTO orders (workspace_id, id, customer_id, state, total, note) VALUES (7, 1, 3, 'open', \
         12.50, 'left at the door'), (7, 2, 3, 'paid', 99.00, NULL), (7, 3, 4, 'open', 1.25, 'it''s a gift')",
    ),
];

const SHARED: &str = "\
layout = \"shared_tables\"
workspace_column = \"workspace_id\"
workspace_vindex = \"by_workspace\"
[vindexes.by_workspace]
type = \"hash\"
[tables.orders]
[tables.customers]
[tables.order_lines]
[tables.issues]
";
const OWN_DATABASES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";

fn lexing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sql");
    for (name, text) in STATEMENTS {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("lex/{name}"), |bencher| {
            bencher.iter(|| {
                let mut lexer = Lexer::new(black_box(text.as_bytes()), SqlMode::default());
                let mut count = 0_u32;
                while lexer.next_token().kind != TokenKind::End {
                    count += 1;
                }
                count
            });
        });
        let mut into = Scan::default();
        group.bench_function(format!("scan/{name}"), |bencher| {
            bencher.iter(|| {
                scan(black_box(text.as_bytes()), SqlMode::default(), &mut into);
                into.shape
            });
        });
    }
    group.finish();
}

/// A vschema of one keyspace, from the text of its file.
fn vschema(file: &str, text: &str) -> Vschema {
    let keyspace = parse_vschema(std::path::Path::new(file), text);
    Vschema::new([keyspace.unwrap_or_else(|faults| panic!("{file}: {faults:?}"))])
}

/// One statement of a session that has selected a keyspace, or one workspace's database.
struct Case {
    name: &'static str,
    text: &'static str,
    vschema: Vschema,
    target: TargetShape,
    database: Option<WorkspaceId>,
}

fn cases() -> Vec<Case> {
    let shared = TargetShape { keyspace: Some(Keyspace::new("shop")), ..TargetShape::default() };
    let own = TargetShape {
        keyspace: Some(Keyspace::new("workspaces")),
        workspace_pinned: true,
        pinned_by_database: true,
        ..TargetShape::default()
    };
    let in_shop = |at: usize, name| Case {
        name,
        text: STATEMENTS[at].1,
        vschema: vschema("shop.toml", SHARED),
        target: shared.clone(),
        database: None,
    };
    vec![
        Case {
            name: "own_database_point",
            text: STATEMENTS[0].1,
            vschema: vschema("workspaces.toml", OWN_DATABASES),
            target: own,
            database: Some(WorkspaceId::Number(42)),
        },
        in_shop(1, "shared_point"),
        in_shop(2, "shared_join"),
        in_shop(3, "shared_insert"),
    ]
}

/// What a statement pays for being admitted to a cluster that is well, and for giving its permit back.
fn admitting(criterion: &mut Criterion) {
    let admissions = Admissions::default();
    let mut near = NearAdmission::default();
    let cluster = ClusterName::new("c1");
    let (shop, tables) = (Keyspace::new("shop"), Tables::Unread);
    let mut group = criterion.benchmark_group("admission");
    for (name, owner) in [("of_a_workspace", 42), ("of_none", 0)] {
        group.bench_function(format!("enter_and_land/{name}"), |bencher| {
            bencher.iter(|| {
                let request = Request {
                    class: Class::Read,
                    may_write: false,
                    is_in_transaction: false,
                    has_connection: false,
                    changes_schema: false,
                    was_held: false,
                    workspace: workspace_key(black_box(&shop), owner),
                    shards: &[],
                    tables: &tables,
                    text: b"",
                    mode: SqlMode::default(),
                    bytes: 40,
                };
                match near.of(&admissions, &cluster).enter(&request, Instant::now()) {
                    Entry::In(admitted) => admitted.land(Some(1.0), false, Instant::now()),
                    other => panic!("{other:?}"),
                }
            });
        });
    }
    group.finish();
}

fn planning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for case in cases() {
        let (mode, text) = (SqlMode::default(), case.text.as_bytes());
        let mut scanned = Scan::default();
        scan(text, mode, &mut scanned);
        let input = PlanInput { text, scan: &scanned, mode, vschema: &case.vschema, target: &case.target };
        group.bench_function(format!("miss/{}", case.name), |bencher| {
            bencher.iter(|| bulkhead::plan::plan_text(black_box(&input)).is_ok());
        });
        let planned: Arc<Planned> = Arc::new(bulkhead::plan::plan_text(&input));
        let cache = PlanCache::new(1 << 20);
        let key =
            PlanKey { shape: scanned.shape, mode, target: case.target.clone(), generation: Generation(1) };
        cache.insert(key.clone(), Arc::clone(&planned));
        group.bench_function(format!("lookup/{}", case.name), |bencher| {
            bencher.iter(|| cache.get(black_box(&key)).is_some());
        });
        let plan = planned.as_ref().as_ref().unwrap_or_else(|refusal| panic!("{}: {refusal:?}", case.name));
        let bound = Bound {
            text,
            scan: &scanned,
            mode,
            vschema: &case.vschema,
            params: &NoParams,
            pins: WorkspacePins { database: case.database.as_ref(), ..WorkspacePins::default() },
            may_cross: false,
        };
        group.bench_function(format!("bind/{}", case.name), |bencher| {
            bencher.iter(|| plan.bind(black_box(&bound)).is_ok());
        });
    }
    group.finish();
}

fn vindexes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vindex");
    let number = [Value::Int(4_711)];
    let text = [Value::text("customer-4711@example.org")];
    for kind in ["hash", "xxhash", "binary_md5", "numeric", "unicode_loose_xxhash"] {
        let vindex = Vindex::of_type(kind).expect("it needs no parameters");
        let values = if vindex.takes_only_numbers() { &number } else { &text };
        group.bench_function(kind, |bencher| {
            bencher.iter(|| vindex.map(black_box(values)).is_ok());
        });
    }
    group.finish();
}

fn answer(rows: usize) -> Vec<u8> {
    let columns = [Column::bigint("id"), Column::text("c", 120)];
    let mut result = TextResult::new(CAPABILITIES, &columns, 1, StatusFlags::AUTOCOMMIT);
    for row in 0..rows {
        result.display(row).text(&"x".repeat(100));
    }
    result.finish(StatusFlags::AUTOCOMMIT, 0)
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    for rows in [1, 100] {
        let wire = answer(rows);
        let mut tracker = ResponseTracker::new();
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("track_answer/{rows}_rows"), |bencher| {
            bencher.iter(|| {
                tracker.start(CommandKind::Query, CAPABILITIES);
                let advance = tracker.advance(black_box(&wire)).expect("a valid answer");
                assert!(matches!(advance, Advance::Done { .. }));
            });
        });
    }
    let payload = command::query_payload(STATEMENTS[1].1.as_bytes(), &[], CAPABILITIES);
    group.throughput(Throughput::Bytes(payload.len() as u64));
    group.bench_function("parse_query", |bencher| {
        bencher.iter(|| Command::parse(black_box(&payload), CAPABILITIES).is_ok());
    });
    let mut out = Vec::new();
    group.bench_function("put_packet", |bencher| {
        bencher.iter(|| {
            out.clear();
            put_packets(&mut out, black_box(&payload), 0)
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    lexing(&mut criterion);
    planning(&mut criterion);
    admitting(&mut criterion);
    vindexes(&mut criterion);
    codec(&mut criterion);
    criterion.final_summary();
}
