use super::*;
use crate::ids::WorkspaceId;

fn scanned(text: &str) -> Scan {
    let mut scan = Scan::default();
    super::scan(text.as_bytes(), SqlMode::default(), &mut scan);
    scan
}

#[test]
fn shapes_hide_values_only() {
    let same = |a: &str, b: &str| scanned(a).shape == scanned(b).shape;
    assert!(same("select * from t where a = 1", "SELECT  * from t -- x\nwhere a = 'it''s'"));
    assert!(!same("select * from t where a = 1", "select * from T where a = 1"));
    assert!(!same("select * from t where a in (1)", "select * from t where a in (1, 2)"));
    assert!(!same("select ab c", "select a bc"));
    assert!(!same("select a 'x' from t", "select a 'y' from t"));
    assert!(!same("use a", "use b") && !same("set @a = 1", "set @a = 2"));
    assert!(!same("select 1 /*!99999 + 1 */", "select 1"));
}

#[test]
fn digests_collapse_lists() {
    let name = |text: &str| digest(text.as_bytes(), SqlMode::default(), &scanned(text));
    let same = |a: &str, b: &str| name(a) == name(b);
    assert!(same("select * from t where a in (1, -2, null)", "SELECT * FROM t WHERE a IN ('x')"));
    assert!(same("insert into t values (1, now(), 2), (3, now(), 4)", "insert into t values (1, now(), 2)"));
    assert!(same("insert into t values (1), (2), (3)", "insert into t values (?)"));
    assert!(!same("select a from t", "select b from t"));
    assert!(!same("select a - 1", "select a + b"));
    let text = "insert into t (a, b) values (1, 'x'), (2, 'y') on duplicate key update a = values(a)";
    assert_eq!(
        normalize(text.as_bytes(), SqlMode::default(), &scanned(text)),
        "INSERT INTO t(a, b) VALUES (?, …), … ON duplicate KEY UPDATE a = VALUES (a)"
    );
}

#[test]
fn kinds_and_flags() {
    let kind = |text| scanned(text).kind;
    assert_eq!(kind("((select 1))"), StatementKind::Select);
    assert_eq!(kind("with a as (select 1) delete from t"), StatementKind::Delete);
    assert_eq!(kind("/* x */ start transaction"), StatementKind::Begin);
    assert_eq!(kind("begin not atomic select 1; end"), StatementKind::Compound);
    assert_eq!(kind("analyze table t"), StatementKind::TableAdmin);
    assert_eq!(kind(" -- nothing"), StatementKind::Empty);
    assert_eq!(kind("frobnicate"), StatementKind::Unknown);
    let has = |text, flag| scanned(text).flags.contains(flag);
    assert!(has("select get_lock('a', 1)", ScanFlags::LOCK_FUNCTION));
    assert!(!has("select get_lock from t", ScanFlags::LOCK_FUNCTION));
    assert!(has("select 1 for update", ScanFlags::LOCKING_READ));
    assert!(has("select 1 into @a", ScanFlags::INTO_VARIABLE));
    assert!(has("select 1 lock in share mode", ScanFlags::LOCKING_READ));
}

#[test]
fn statements_end_at_semicolons() {
    let text = "select 1; select 2";
    let scan = scanned(text);
    assert_eq!((scan.end, scan.flags.contains(ScanFlags::MORE)), (9, true));
    assert_eq!(scan.body.of(text.as_bytes()), b"select 1");
    let scan = scanned("select 1 ; -- done");
    assert_eq!((scan.end, scan.flags.contains(ScanFlags::MORE)), (18, false));
    let text = "create procedure p() begin if a then select 1; end if; \
                select case 1 when 1 then 2 end; end; select 2";
    assert_eq!(&text[scanned(text).end..], " select 2");
}

#[test]
fn comments_name_the_workspace() {
    let tag = |text: &str| workspace_tag(text.as_bytes(), &scanned(text), "workspace_id");
    let number = |n| Ok(Some(WorkspaceId::Number(n)));
    assert_eq!(tag("select 1 /*application:Shop,workspace_id:42*/"), number(42));
    assert_eq!(tag("/*action='a%27b',workspace_id='42'*/ select 1;"), number(42));
    assert_eq!(tag("select 1; /* workspace_id:42 */"), number(42));
    assert_eq!(tag("select /*workspace_id:42*/ 1"), Ok(None));
    assert_eq!(tag("/*workspace_id='a%20b'*/ select 1"), Ok(WorkspaceId::parse("a b")));
    assert!(matches!(tag("/*workspace_id:1*/ select 1 /*workspace_id:2*/"), Err(TagError::Conflict { .. })));
    assert!(matches!(tag("/*workspace_id:*/ select 1"), Err(TagError::BadValue { .. })));
    assert_eq!(tag("/*note='x,workspace_id:7'*/ select 1"), Ok(None));
    let directive = |text: &str| directives(text.as_bytes(), &scanned(text));
    assert!(directive("/*bulkhead: replica */ select 1").unwrap().replica);
    assert!(directive("select 1 /*bulkhead:all_shards*/").unwrap().all_shards);
    assert!(directive("/*bulkhead: fly */ select 1").is_err());
}
