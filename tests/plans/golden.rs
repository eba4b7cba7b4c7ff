//! Golden files: reading, running, writing.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulkhead::ids::WorkspaceId;
use bulkhead::plan::{
    Bound, NoParams, ParamValues, Plan, PlanInput, Refusal, TargetShape, WorkspacePins, describe,
    describe_destination, plan, plan_unread,
};
use bulkhead::sql::{Scan, ServerVersion, SqlMode, directives, parse, scan, workspace_tag};
use bulkhead::vschema::{DatabaseTarget, Value, Vschema, parse_vschema};

/// Key of workspace tags in comments.
const COMMENT_KEY: &str = "workspace_id";

/// One golden file.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    header: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// One case.
pub(crate) struct Case {
    comment: Vec<String>,
    settings: Vec<String>,
    pub(crate) session: Session,
    pub(crate) statement: String,
    pub(crate) expected: String,
    pub(crate) line: usize,
}

/// The session a statement comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) database: Option<String>,
    pub(crate) variable: Option<WorkspaceId>,
    pub(crate) may_cross: bool,
    pub(crate) confined: bool,
    pub(crate) sql_mode: String,
    pub(crate) mariadb: bool,
    pub(crate) params: Vec<String>,
    pub(crate) preparing: bool,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Session {
    fn set(&mut self, setting: &str) -> Result<(), String> {
        let (key, value) = setting.split_once(':').unwrap_or((setting, ""));
        let value = value.trim();
        match key.trim() {
            "use" if value == "-" => self.database = None,
            "use" => self.database = Some(value.to_owned()),
            "workspace" if value == "-" => self.variable = None,
            "workspace" => self.variable = WorkspaceId::parse(value),
            "may_cross" => self.may_cross = true,
            "sql_mode" => value.clone_into(&mut self.sql_mode),
            "mariadb" => self.mariadb = true,
            "params" => self.params = value.split(", ").map(str::to_owned).collect(),
            "preparing" => self.preparing = true,
            _ => return Err(format!("unknown setting {setting:?}")),
        }
        Ok(())
    }

    fn mode(&self) -> SqlMode {
        let server = if self.mariadb {
            ServerVersion { mariadb: true, number: 101_106 }
        } else {
            ServerVersion { mariadb: false, number: 80_408 }
        };
        SqlMode { server, ..SqlMode::default() }.with_names(&self.sql_mode)
    }
}

/// Parameters as a case writes them: `42`, `'text'`, `null`.
struct Params(Vec<String>);

impl ParamValues for Params {
    fn value(&self, index: usize) -> Option<Value<'_>> {
        let text = self.0.get(index)?;
        Some(match text.as_str() {
            "null" => Value::Null,
            _ if text.starts_with('\'') => Value::text(text.trim_matches('\'')),
            _ => text.parse().map_or(Value::Other("decimal"), Value::Int),
        })
    }
}

/// The sample vschema of all cases.
pub(crate) fn vschema() -> Arc<Vschema> {
    const FILES: [&str; 4] = ["app", "shop", "workspaces", "regions"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/vschema");
    let schemas = FILES.iter().map(|name| {
        let path = folder.join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path).expect("the vschema file is there");
        parse_vschema(&path, &text).unwrap_or_else(|faults| panic!("{path:?}: {faults:?}"))
    });
    Arc::new(Vschema::new(schemas.collect::<Vec<_>>()))
}

/// What planning and binding a statement of a session came to.
pub(crate) struct Outcome {
    pub(crate) plan: Result<Plan, Refusal>,
    pub(crate) bound: Option<Result<bulkhead::plan::Destination, Refusal>>,
}

/// Plans and binds one statement.
pub(crate) fn outcome(text: &str, session: &Session, vschema: &Vschema) -> Outcome {
    let mode = session.mode();
    let mut scanned = Scan::default();
    scan(text.as_bytes(), mode, &mut scanned);
    let comment = match workspace_tag(text.as_bytes(), &scanned, COMMENT_KEY) {
        Ok(comment) => comment,
        Err(error) => panic!("{text}: {error:?}"),
    };
    let (keyspace, database) = match session.database.as_deref() {
        None => (None, None),
        Some(name) => match vschema.resolve_database(name).expect("the session's database is known") {
            DatabaseTarget::Keyspace(keyspace) => (Some(keyspace.name.clone()), None),
            DatabaseTarget::Workspace(keyspace, workspace) => (Some(keyspace.name.clone()), Some(workspace)),
        },
    };
    let pins = WorkspacePins {
        database: database.as_ref(),
        variable: session.variable.as_ref(),
        comment: comment.as_ref(),
    };
    let target = TargetShape {
        keyspace,
        workspace_pinned: pins.is_pinned(),
        pinned_by_database: database.is_some(),
        may_cross: session.may_cross,
        confined: session.confined,
        all_shards: directives(text.as_bytes(), &scanned).is_ok_and(|directives| directives.all_shards),
    };
    let input = PlanInput { text: text.as_bytes(), scan: &scanned, mode, vschema, target: &target };
    let plan = match parse(text.as_bytes(), &scanned, mode) {
        Ok(parsed) => plan(&parsed, &input),
        Err(unread) => plan_unread(&unread, &input),
    };
    let params = Params(session.params.clone());
    let bound = Bound {
        text: text.as_bytes(),
        scan: &scanned,
        mode,
        vschema,
        params: if session.params.is_empty() { &NoParams } else { &params },
        pins,
        may_cross: session.may_cross,
    };
    let destination = plan
        .as_ref()
        .ok()
        .map(|plan| if session.preparing { plan.bind_prepare(&bound) } else { plan.bind(&bound) });
    Outcome { plan, bound: destination }
}

impl Case {
    /// What the planner says now.
    pub(crate) fn run(&self) -> String {
        let outcome = outcome(&self.statement, &self.session, &vschema());
        let mut text = String::new();
        match &outcome.plan {
            Ok(plan) => text.push_str(&describe(plan)),
            Err(refusal) => text.push_str(&refused(refusal)),
        }
        match &outcome.bound {
            Some(Ok(destination)) => {
                let _ = write!(text, "\n-> {}", describe_destination(destination));
            }
            Some(Err(refusal)) => {
                let _ = write!(text, "\n-> {}", refused(refusal));
            }
            None => {}
        }
        text
    }
}

fn refused(refusal: &Refusal) -> String {
    let mut line = format!("refused {} {}", refusal.code.id(), refusal.code.name());
    if !refusal.detail.is_empty() {
        let _ = write!(line, "\n  why: {}", refusal.detail);
    }
    line
}

impl File {
    /// Reads a golden file: settings that hold for all that follows stand alone between blank lines; a case
    /// is comment lines, `@` settings, the statement, `----`, and what the planner says.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the file is readable");
        let fail = |line: usize, why: &str| -> ! { panic!("{}:{line}: {why}", path.display()) };
        let mut header: Vec<String> = Vec::new();
        let mut base = Session::default();
        let mut cases = Vec::new();
        for (line, block) in blocks(&text) {
            if cases.is_empty() && block.iter().all(|line| !line.starts_with("----")) {
                for setting in block.iter().filter(|line| !line.starts_with('#')) {
                    base.set(setting).unwrap_or_else(|why| fail(line, &why));
                }
                header.extend(block.iter().map(|line| (*line).to_owned()));
                continue;
            }
            let Some(bar) = block.iter().position(|line| *line == "----") else {
                fail(line, "a case needs ----");
            };
            let (front, back) = (&block[..bar], &block[bar + 1..]);
            let comment: Vec<String> =
                front.iter().take_while(|line| line.starts_with("# ")).map(|l| (*l).to_owned()).collect();
            let rest = &front[comment.len()..];
            let settings: Vec<String> =
                rest.iter().take_while(|l| l.starts_with("@ ")).map(|l| (*l).to_owned()).collect();
            let statement = rest[settings.len()..].join("\n");
            if statement.is_empty() {
                fail(line, "a case needs a statement");
            }
            let mut session = base.clone();
            for setting in &settings {
                session.set(&setting[2..]).unwrap_or_else(|why| fail(line, &why));
            }
            let expected = back.join("\n");
            cases.push(Case { comment, settings, session, statement, expected, line });
        }
        Self { path: path.to_owned(), header, cases }
    }

    /// The file as it should be.
    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        let mut lines = |lines: &[String]| {
            for line in lines {
                text.push_str(line);
                text.push('\n');
            }
        };
        lines(&self.header);
        for case in &self.cases {
            lines(&[String::new()]);
            lines(&case.comment);
            lines(&case.settings);
            lines(&[case.statement.clone(), "----".to_owned(), case.expected.clone()]);
        }
        text
    }
}

/// Blocks between blank lines, with the numbers of their first lines.
fn blocks(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut blocks: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    let mut start = None;
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            start = None;
        } else {
            blocks.entry(*start.get_or_insert(at + 1)).or_default().push(line);
        }
    }
    blocks.into_iter().collect()
}
