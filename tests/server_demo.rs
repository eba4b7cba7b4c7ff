//! The demo as `make demo` runs it: it starts, answers, starts again on what is there, stops and cleans up.

mod common;

use std::path::Path;
use std::process::Command;

use common::servers::free_port;

/// `docker/demo.sh` on ports and in a folder of its own.
struct Demo {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// A free port whose successor, the replica's, is free too.
fn free_port_pair() -> u16 {
    let mut port = free_port();
    loop {
        let next = free_port();
        if next == port + 1 {
            return port;
        }
        port = next;
    }
}

impl Demo {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut environment = vec![
            ("BULKHEAD_BIN".to_owned(), env!("CARGO_BIN_EXE_bulkhead").to_owned()),
            ("DEMO_DIR".to_owned(), folder.path().join("demo").display().to_string()),
        ];
        for name in ["DEMO_PORT", "DEMO_ADMIN_PORT", "DEMO_HTTP_PORT"] {
            environment.push((name.to_owned(), free_port().to_string()));
        }
        for name in ["DEMO_C1_PORT", "DEMO_C2_PORT", "DEMO_C3_PORT"] {
            environment.push((name.to_owned(), free_port_pair().to_string()));
        }
        Self { folder, environment }
    }

    /// Runs an action; returns whether it succeeded and all it printed.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/demo.sh");
        let mut command = Command::new(script);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the script runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs an action that must succeed.
    fn must(&self, arguments: &[&str]) -> String {
        let (succeeded, text) = self.run(arguments);
        assert!(succeeded, "demo.sh {arguments:?} failed:\n{text}");
        text
    }

    /// One value through Bulkhead, as the user `app`.
    fn value(&self, sql: &str) -> String {
        self.must(&["mysql", "--skip-column-names", "-e", sql]).trim().to_owned()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A failure to clean up must not hide the failure of the test.
        let _ = self.run(&["clean"]);
        assert!(
            std::thread::panicking() || !self.folder.path().join("demo").exists(),
            "clean leaves nothing"
        );
    }
}

#[test]
#[ignore = "needs servers: make test"]
fn demo_starts_answers_and_starts_again() {
    let demo = Demo::new();
    let greeting = demo.must(&["start"]);
    assert!(greeting.contains("Bulkhead is ready") && greeting.contains("make demo-stop"), "{greeting}");

    assert_eq!(demo.value("USE ws_42; SELECT COUNT(*) FROM issues"), "3");
    assert_eq!(demo.value("SELECT title FROM ws_300.issues WHERE id = 1"), "Welcome to workspace 300");
    assert_eq!(demo.value("SELECT SUM(total) FROM shop.orders WHERE workspace_id = 7"), "152.50");
    assert_eq!(demo.value("SELECT COUNT(*) FROM app.accounts"), "300");
    let (succeeded, refusal) = demo.run(&["mysql", "-e", "DELETE FROM shop.orders WHERE id = 3"]);
    assert!(
        !succeeded && refusal.contains("workspace"),
        "the statement of the greeting is refused: {refusal}"
    );
    demo.must(&["admin", "-e", "EXPLAIN ROUTE FOR shop SELECT * FROM orders WHERE workspace_id = 7"]);
    let explained = demo.must(&["explain", "-d", "shop", "SELECT * FROM orders WHERE workspace_id = 7"]);
    assert!(explained.contains("equal_unique") && explained.contains("by_workspace"), "{explained}");
    demo.must(&["status"]);

    demo.must(&["stop"]);
    assert!(!demo.run(&["status"]).0, "a stopped demo is down");
    let again = demo.must(&["start"]);
    assert!(!again.contains("creating tables"), "the second start keeps the data: {again}");
    assert_eq!(demo.value("USE ws_42; SELECT COUNT(*) FROM issues"), "3");
}
