//! `bulkhead check --live` against real servers: silent when all is well, and exact when it is not.

mod common;

use std::path::Path;

use bulkhead::server::live;
use bulkhead::vschema::check::{self, Finding};
use common::servers::{Cluster, Flavour, Role};
use mysql_async::prelude::Queryable;

const SHOP: &str = r#"
layout = "shared_tables"
workspace_column = "workspace_id"
workspace_vindex = "by_workspace"
[vindexes.by_workspace]
type = "hash"
[vindexes.by_name]
type = "xxhash"
[tables.orders]
columns = ["id", "workspace_id"]
[tables.slow]
[tables.gone]
[tables.other]
workspace_column = "ws"
[tables.priced]
workspace_column = "price"
[tables.named]
workspace_column = "name"
workspace_vindex = "by_name"
"#;

/// Writes files for one cluster whose passwords are in a file that only we can read.
fn write_files(folder: &Path, cluster: &Cluster, password: &str) {
    use std::os::unix::fs::PermissionsExt;
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("can be written");
    write("pw", password);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(folder.join("pw"), private).expect("can be changed");
    let replica = cluster.replica_port.map(|port| format!("replicas = [\"127.0.0.1:{port}\"]"));
    let text = format!(
        "[users.app]\npassword_file = \"pw\"\n\
         [clusters.c1]\nprimary = \"127.0.0.1:{}\"\n{}\nuser = \"bulkhead_app\"\npassword_file = \"pw\"\n\
         admin = {{ user = \"bulkhead_admin\", password_file = \"pw\" }}\n\
         [timeouts]\nconnect = \"10s\"\n[listen]\nmax_allowed_packet = \"1MiB\"\n\
         [keyspaces]\nshop = {{ shards = {{ \"-\" = \"c1\" }} }}\nspaces = {{ shards = {{ a = \"c1\" }} }}\n",
        cluster.primary_port,
        replica.unwrap_or_default(),
    );
    write("bulkhead.toml", &text);
    std::fs::create_dir_all(folder.join("vschema")).expect("can be made");
    write("vschema/shop.toml", SHOP);
    let spaces = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n[tables.issues]\n";
    write("vschema/spaces.toml", spaces);
}

async fn findings(folder: &Path) -> Vec<Finding> {
    let (report, checked) = check::run(&folder.join("bulkhead.toml"));
    live::check(&checked.unwrap_or_else(|| panic!("{}", report.to_text()))).await
}

fn found(findings: &[Finding], about: &str, part: &str) -> bool {
    findings.iter().any(|finding| finding.about == about && finding.message.contains(part))
}

async fn reports_what_is_wrong(flavour: Flavour) {
    let cluster = Cluster::start_with_replica("c1", flavour);
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_files(folder.path(), &cluster, &cluster.password);
    let mut app = cluster.connect(Role::Primary, "bulkhead_app").await;
    let missing = findings(folder.path()).await;
    assert!(found(&missing, "keyspace shop", "does not exist"), "{missing:#?}");
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, workspace_id BIGINT, KEY (workspace_id))",
        "CREATE TABLE shop.slow (id INT PRIMARY KEY AUTO_INCREMENT, workspace_id BIGINT)",
        "CREATE TABLE shop.other (id INT)",
        "CREATE TABLE shop.priced (price DECIMAL(10,2) PRIMARY KEY)",
        "CREATE TABLE shop.named (name VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY)",
        "CREATE DATABASE ws_1",
        "CREATE VIEW shop.locking AS SELECT GET_LOCK('a', 0) AS q",
        "CREATE PROCEDURE shop.fine(a INT) SET @x = a",
        "CREATE PROCEDURE ws_1.leaving() SELECT 1 INTO @x",
    ] {
        app.query_drop(sql).await.expect("may be created");
    }
    let now = findings(folder.path()).await;
    let expected = [
        ("shop.orders", "the unique key `PRIMARY` (id) does not hold"),
        ("shop.slow", "no index begins with the column `workspace_id`"),
        ("shop.gone", "the table does not exist"),
        ("shop.other", "the column `ws` does not exist"),
        ("shop.priced", "no vindex maps such values"),
        ("shop.named", "utf8mb4_general_ci"),
        ("ws_1.issues", "the table does not exist"),
        ("view shop.locking", "a user lock in stored code"),
        ("procedure ws_1.leaving", "INTO @x"),
    ];
    for (about, part) in expected {
        assert!(found(&now, about, part), "{about}: {part}: {now:#?}");
    }
    assert_eq!(now.len(), expected.len(), "{now:#?}");

    cluster.kill(Role::Replica);
    let now = findings(folder.path()).await;
    assert!(found(&now, "login of bulkhead_admin", "cannot connect"), "{now:#?}");
    write_files(folder.path(), &cluster, "wrong");
    let now = findings(folder.path()).await;
    assert!(found(&now, "login of bulkhead_admin", "1045"), "{now:#?}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_is_checked() {
    reports_what_is_wrong(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_is_checked() {
    reports_what_is_wrong(Flavour::MariaDb).await;
}
