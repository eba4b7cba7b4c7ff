//! Golden files of schema changes: reading, deciding, writing. The format is in `tests/ddl/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use bulkhead::ddl::{Decision, Request, Route, Standing, decide, edited};
use bulkhead::sql::{
    Scan, ServerVersion, SqlMode, TableChange, TableDefinition, read_change, read_definition, scan,
};

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
    pub(crate) setting: Setting,
    pub(crate) statement: String,
    pub(crate) expected: String,
    pub(crate) line: usize,
}

/// What a case is decided with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) server: ServerVersion,
    pub(crate) table: Option<String>,
    prove: bool,
    acknowledged: bool,
    standing: Standing,
    must_copy: bool,
}

impl Setting {
    fn set(&mut self, setting: &str) {
        let (key, value) = setting.split_once(':').unwrap_or((setting, ""));
        match (key.trim(), value.trim()) {
            ("server", value) => {
                let (flavour, version) = value.split_once(' ').expect("a flavour and a version");
                let suffix = if flavour == "mariadb" { "-MariaDB" } else { "" };
                self.server = ServerVersion::parse(&format!("{version}{suffix}")).expect("a version");
            }
            ("table", "-") => self.table = None,
            ("table", value) => self.table = Some(value.to_owned()),
            ("prove", _) => self.prove = true,
            ("acknowledged", _) => self.acknowledged = true,
            ("standing", word) => {
                let all = [Standing::InUse, Standing::Empty, Standing::Young, Standing::Unused];
                let known = all.into_iter().find(|standing| standing.word() == word);
                self.standing = known.expect("in_use, empty, young or unused");
            }
            ("must-copy", _) => self.must_copy = true,
            (other, _) => panic!("unknown setting {other:?}"),
        }
    }

    fn flavour(&self) -> &'static str {
        if self.server.mariadb { "mariadb" } else { "mysql" }
    }

    fn mode(&self) -> SqlMode {
        SqlMode { server: self.server, ..SqlMode::default() }
    }

    /// The text of the table's CREATE TABLE, as the server shows it.
    pub(crate) fn table_text(&self) -> Option<String> {
        let file = format!("tests/ddl/tables/{}/{}.sql", self.flavour(), self.table.as_ref()?);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    pub(crate) fn definition(&self) -> Option<TableDefinition> {
        self.table_text().map(|text| define(&text, self.mode()))
    }
}

/// Reads a CREATE TABLE.
pub(crate) fn define(text: &str, mode: SqlMode) -> TableDefinition {
    let mut found = Scan::default();
    scan(text.as_bytes(), mode, &mut found);
    read_definition(text.as_bytes(), &found, mode).unwrap_or_else(|unread| panic!("{unread}: {text}"))
}

impl Case {
    pub(crate) fn change(&self) -> Result<Option<TableChange>, bulkhead::sql::Unread> {
        let mode = self.setting.mode();
        let mut found = Scan::default();
        scan(self.statement.as_bytes(), mode, &mut found);
        read_change(self.statement.as_bytes(), &found, mode)
    }

    /// Its clauses and those of another ALTER TABLE of the same table.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let clauses = other.statement.strip_prefix("alter table t ").expect("it is such a statement");
        Self {
            comment: Vec::new(),
            settings: Vec::new(),
            setting: self.setting.clone(),
            statement: format!("{}, {clauses}", self.statement),
            expected: String::new(),
            line: self.line,
        }
    }

    /// The decision; `None` when the statement is not about a table or cannot be read.
    pub(crate) fn decide(&self) -> Option<Decision> {
        let change = self.change().ok()??;
        let definition = self.setting.definition();
        Some(decide(&Request {
            text: self.statement.as_bytes(),
            change: &change,
            table: definition.as_ref(),
            server: self.setting.server,
            prove: self.setting.prove,
            acknowledged: self.setting.acknowledged,
            standing: self.setting.standing,
            must_copy: self.setting.must_copy,
        }))
    }

    /// What is decided now, in the words of the file.
    pub(crate) fn run(&self) -> String {
        match self.change() {
            Err(unread) => return format!("unread: {unread}"),
            Ok(None) => return "not about a table".to_owned(),
            Ok(Some(_)) => {}
        }
        let decision = self.decide().expect("it was read");
        let mut text = summary(&decision);
        for finding in decision.all_findings() {
            let rule = finding.rule;
            let _ = write!(text, "\n  {} {} {}", finding.level.word(), rule.id, rule.name);
        }
        if decision.route == Route::Direct {
            let sent = edited(self.statement.as_bytes(), &decision.edits);
            let _ = write!(text, "\nsends: {}", String::from_utf8_lossy(&sent));
        }
        text
    }
}

fn summary(decision: &Decision) -> String {
    let class = decision.class().map_or("unknown", |class| class.word());
    let mut text = format!("{} {class}", decision.route.word());
    let blocks = decision.offer.is_some_and(|offer| offer.blocks_writes());
    let marks = [
        (blocks, " blocks-writes"),
        (decision.loses, " loses"),
        (decision.breaks, " breaks-code"),
        (decision.needs_proof, " after-a-scan"),
    ];
    marks.iter().filter(|(is, _)| *is).for_each(|(_, word)| text.push_str(word));
    text
}

/// Every golden file.
pub(crate) fn files() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ddl");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "plan"))
        .collect();
    paths.sort();
    paths.iter().map(|path| File::read(path)).collect()
}

impl File {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the file is readable");
        let fail = |line: usize, why: &str| -> ! { panic!("{}:{line}: {why}", path.display()) };
        let mut base = Setting {
            server: ServerVersion { mariadb: false, number: 90_700 },
            table: None,
            prove: false,
            acknowledged: false,
            standing: Standing::InUse,
            must_copy: false,
        };
        let (mut header, mut cases) = (Vec::new(), Vec::new());
        for (line, block) in blocks(&text) {
            let Some(bar) = block.iter().position(|line| *line == "----") else {
                if !cases.is_empty() {
                    fail(line, "a case needs ----");
                }
                block.iter().filter(|line| !line.starts_with('#')).for_each(|setting| base.set(setting));
                header.extend(block.iter().map(|line| (*line).to_owned()));
                continue;
            };
            let (front, back) = (&block[..bar], &block[bar + 1..]);
            let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
            let comments = front.iter().take_while(|line| line.starts_with("# ")).count();
            let settings = front[comments..].iter().take_while(|line| line.starts_with("@ ")).count();
            let statement = front[comments + settings..].join("\n");
            if statement.is_empty() {
                fail(line, "a case needs a statement");
            }
            let mut setting = base.clone();
            front[comments..comments + settings].iter().for_each(|line| setting.set(&line[2..]));
            cases.push(Case {
                comment: owned(&front[..comments]),
                settings: owned(&front[comments..comments + settings]),
                setting,
                statement,
                expected: back.join("\n"),
                line,
            });
        }
        Self { path: path.to_owned(), header, cases }
    }

    /// The file as it should be.
    pub(crate) fn print(&self) -> String {
        let mut lines = self.header.clone();
        for case in &self.cases {
            lines.push(String::new());
            lines.extend(case.comment.iter().chain(&case.settings).cloned());
            lines.extend([case.statement.clone(), "----".to_owned(), case.expected.clone()]);
        }
        lines.join("\n") + "\n"
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
