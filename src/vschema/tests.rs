use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::ids::WorkspaceId;

use super::*;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vschema")
}

/// The samples' passwords come from the environment, which a test must not set: they are made empty files
/// instead.
fn sample_with_passwords() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let scratch = tempfile::tempdir().unwrap();
    let password = scratch.path().join("pw");
    std::fs::write(&password, "secret\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = std::fs::read_to_string(sample().join("bulkhead.toml")).unwrap();
    let directory = sample().join("keyspaces");
    let text = text.replace("vschema_dir = \"keyspaces\"", &format!("vschema_dir = {directory:?}"));
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim() == "password_env" => "password_file = \"pw\"".into(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = text.lines().map(line).collect();
    let main = scratch.path().join("bulkhead.toml");
    std::fs::write(&main, text.join("\n")).unwrap();
    (scratch, main)
}

#[test]
fn samples_load() {
    let (_scratch, main) = sample_with_passwords();
    let loaded = match load(&main) {
        Ok(loaded) => loaded,
        Err(faults) => panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    };
    assert_eq!(loaded.warnings, []);
    let shop = loaded.vschema.keyspace("shop").unwrap();
    assert_eq!(shop.layout, Layout::SharedTables);
    let orders = shop.table("orders").unwrap().primary_vindex().unwrap();
    assert_eq!((&*orders.columns[0], orders.workspace_at), ("workspace_id", Some(0)));
    let accounts = shop.table("accounts").unwrap().primary_vindex().unwrap();
    assert_eq!((accounts.position("WORKSPACE_ID"), accounts.workspace_at), (Some(1), Some(1)));
    assert!(
        matches!(accounts.map(&[Value::Int(3)]), Ok(Mapped::Range(range)) if range.to_string() == "00-01")
    );
    assert_eq!(accounts.workspace_of(&[Value::Int(3), Value::Int(42)]), Some(WorkspaceId::Number(42)));
    assert!(shop.table("job_locks").is_some_and(|table| matches!(table.kind, TableKind::Pinned(_))));
    assert!(shop.require_known_tables);
    let legacy = loaded.vschema.keyspace("legacy").unwrap();
    let customer = legacy.table("customer").unwrap().primary_vindex().unwrap();
    let id = 0x166b_40b4_4aba_4bd6.into();
    assert_eq!(customer.map(&[Value::Int(1)]), Ok(Mapped::KeyspaceId(id)));
    assert_eq!(legacy.table("corder").unwrap().columns.len(), 4);
    let shards: Vec<_> =
        loaded.config.keyspaces["workspaces"].shards.iter().map(|shard| shard.weight).collect();
    assert_eq!(shards, [1, 1, 2]);
    assert_eq!(loaded.config.timeouts.idle.as_secs(), 8 * 3600);
    assert_eq!(loaded.config.listen.max_allowed_packet, 64 << 20);
    assert!(!format!("{:?}", loaded.config).contains("secret"));
}

#[test]
fn databases_resolve() {
    let (_scratch, main) = sample_with_passwords();
    let vschema = load(&main).unwrap().vschema;
    let resolve = |name: &str| match vschema.resolve_database(name) {
        Some(DatabaseTarget::Keyspace(keyspace)) => keyspace.name.to_string(),
        Some(DatabaseTarget::Workspace(keyspace, workspace)) => format!("{} {workspace:?}", keyspace.name),
        None => "none".into(),
    };
    assert_eq!(resolve("app"), "app");
    assert_eq!(resolve("ws_42"), "workspaces WorkspaceId(42)");
    assert_eq!(resolve("ws_acme"), "workspaces WorkspaceId(acme)");
    assert_eq!(resolve("ws_"), "none");
    assert_eq!(resolve("WS_42"), "none");
    assert_eq!(resolve("mysql"), "none");
}

#[test]
fn patterns_refuse_what_is_not_a_name() {
    for bad in
        ["", "ws", "{workspace_id}", "{workspace_id}{workspace_id}x", "a.{workspace_id}", "a/{workspace_id}"]
    {
        assert!(DatabasePattern::parse(bad).is_err(), "{bad}");
    }
    let pattern = DatabasePattern::parse("ws_{workspace_id}_db").unwrap();
    assert_eq!(pattern.to_string(), "ws_{workspace_id}_db");
    assert_eq!(pattern.match_database("ws_7_db"), Some(WorkspaceId::Number(7)));
    assert_eq!(pattern.match_database("ws_db"), None);
    let text = |text: &str| WorkspaceId::parse(text).unwrap();
    assert_eq!(pattern.render(&text(&"x".repeat(100))), None);
    assert_eq!(pattern.render(&text("a.b")), None);
    assert!(pattern.overlaps(&DatabasePattern::parse("ws_{workspace_id}").unwrap()));
    assert!(!pattern.overlaps(&DatabasePattern::parse("tenant_{workspace_id}").unwrap()));
}

proptest! {
    /// A workspace's database is no other workspace's, and is found again.
    #[test]
    fn patterns_round_trip(id in "[^\\x00]{1,70}", prefix in "[a-z_]{1,8}", suffix in "[a-z_]{0,8}") {
        let pattern = DatabasePattern::parse(&format!("{prefix}{{workspace_id}}{suffix}")).unwrap();
        let Some(workspace) = WorkspaceId::parse(&id) else { return Ok(()) };
        if let Some(database) = pattern.render(&workspace) {
            prop_assert_eq!(pattern.match_database(&database), Some(workspace));
        }
    }

    #[test]
    fn patterns_match_only_what_they_render(database in "ws_.{0,12}") {
        let pattern = DatabasePattern::parse("ws_{workspace_id}").unwrap();
        if let Some(workspace) = pattern.match_database(&database) {
            prop_assert_eq!(pattern.render(&workspace), Some(database));
        }
    }

    /// Whatever the text: faults or a keyspace, never a panic.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _toml = parse_vschema(Path::new("any.toml"), &text);
        let _json = parse_vschema(Path::new("any.json"), &text);
    }
}
