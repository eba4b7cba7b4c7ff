//! Schema changes of one table, sent by a client while another one writes: what becomes of the table is what
//! the same writes and a plain ALTER make of it.
//!
//! `tests/migrations/CASE/` has a case: `create.sql`, `load.sql` (absent: no rows), `writes.sql` (a line is
//! one step of the writer, `{n}` is its number; absent: nobody writes), `alter.sql`, and `expect`: `copied`,
//! `direct`, or `refused ERRNO [CODE]`, for both servers or after the name of one; `only SERVER` leaves the
//! other out. `UPDATE_GOLDEN=1` writes down what happened, for a person to read; `BULKHEAD_CASES=WORD` plays
//! those whose path has the word.

mod common;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::clients::run;
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use tokio::sync::watch;

const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n\
                      template = \"ws.sql\"\n";
/// Cases at a time.
const SIDE_BY_SIDE: usize = 2;
/// The writer writes so long at least before the change begins, and after it has ended.
const AROUND: Duration = Duration::from_millis(150);
/// And this many rounds, however slow the machine is: what a case says of its writes is so by then.
const ROUNDS_BEFORE: u64 = 2;
/// No case takes longer.
const PATIENCE: Duration = Duration::from_secs(600);
/// How the engine's sessions take values: as they are.
const PLAIN_MODE: &str = "SET SESSION time_zone = '+00:00', SESSION sql_mode = \
                          'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

struct Case {
    name: String,
    folder: PathBuf,
    create: Vec<String>,
    load: Vec<String>,
    writes: Vec<Vec<String>>,
    alter: String,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        let writes = text("writes.sql").lines().map(statements).filter(|step| !step.is_empty()).collect();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let [create, load] = ["create.sql", "load.sql"].map(|file| statements(&text(file)));
        let alter = text("alter.sql").trim_end().trim_end_matches(';').to_owned();
        Self { name, folder: folder.to_owned(), create, load, writes, alter }
    }

    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrations");
        let wanted = std::env::var("BULKHEAD_CASES").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
            .expect("the cases")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.is_dir() && format!("{}/", path.display()).contains(&wanted))
            .collect();
        folders.sort();
        folders.iter().map(|folder| Self::read(folder)).collect()
    }

    /// What is to be, on this server; absent: the case is not for it.
    fn expected(&self, flavour: Flavour) -> Option<String> {
        let text = std::fs::read_to_string(self.folder.join("expect")).expect("expect");
        let mut all = None;
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("only", name)) if name != word(flavour) => return None,
                Some(("only", _)) => {}
                Some((name, outcome)) if name == word(flavour) => return Some(outcome.to_owned()),
                Some(("mysql" | "mariadb", _)) => {}
                _ => all = Some(line.to_owned()),
            }
        }
        all
    }

    fn write_down(&self, outcome: &str, flavour: Flavour) {
        let text = std::fs::read_to_string(self.folder.join("expect")).expect("expect");
        let other = if word(flavour) == "mysql" { Flavour::MariaDb } else { Flavour::MySql };
        let only: String =
            text.lines().filter(|line| line.starts_with("only")).fold(String::new(), |mut all, line| {
                let _ = writeln!(all, "{line}");
                all
            });
        let of_other =
            self.expected(other).filter(|other| other != "?" && other != outcome && only.is_empty());
        let told = match of_other {
            None => format!("{only}{outcome}\n"),
            Some(of_other) => format!("{} {outcome}\n{} {of_other}\n", word(flavour), word(other)),
        };
        std::fs::write(self.folder.join("expect"), told).expect("written");
    }
}

fn word(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => "mysql",
        Flavour::MariaDb => "mariadb",
    }
}

/// The statements of a text: parts that end in a semicolon outside quotes, without comments of whole lines.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let (mut all, mut one, mut quote) = (Vec::new(), String::new(), None);
    let mut chars: VecDeque<char> = text.chars().collect();
    while let Some(char) = chars.pop_front() {
        match (char, quote) {
            (';', None) => all.push(std::mem::take(&mut one)),
            ('\\', Some('\'')) => {
                one.push(char);
                one.extend(chars.pop_front());
            }
            _ => {
                if quote == Some(char) {
                    quote = None;
                } else if quote.is_none() && matches!(char, '\'' | '"' | '`') {
                    quote = Some(char);
                }
                one.push(char);
            }
        }
    }
    all.push(one);
    all.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
}

/// One thing that a writer did: it succeeded, and gave this id.
struct Done {
    sql: String,
    insert_id: u64,
}

/// Writes until told to stop, telling each round that is over; gives what it did, in order.
async fn keep_writing(
    mut conn: Conn,
    steps: Vec<Vec<String>>,
    (rounds, stop): (watch::Sender<u64>, Arc<AtomicBool>),
) -> Result<Vec<Done>, String> {
    let mut done = Vec::new();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) && !steps.is_empty() {
        for step in &steps {
            let mut began = Vec::new();
            for sql in step {
                let sql = sql.replace("{n}", &number.to_string());
                match conn.query_drop(&sql).await {
                    Ok(()) => began.push(Done { sql, insert_id: conn.last_insert_id().unwrap_or(0) }),
                    // The server's own word about the values: nothing of the statement was done.
                    Err(Error::Server(error)) if is_about_values(error.code) => {}
                    Err(error) => return Err(format!("a write failed: {sql}: {error}")),
                }
            }
            done.extend(began);
        }
        number += 1;
        rounds.send_replace(number);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(done)
}

/// Waits until the writer has been there, or has ended: why is told at the end.
async fn wait_for_rounds(mut rounds: watch::Receiver<u64>) {
    // An error says that the writer has ended.
    let _ = rounds.wait_for(|rounds| *rounds >= ROUNDS_BEFORE).await;
}

fn is_about_values(errno: u16) -> bool {
    matches!(errno, 1062 | 1048 | 1264 | 1265 | 1366 | 1406 | 3819 | 4025)
}

/// A table's rows and definition, as a server shows them.
async fn picture(conn: &mut Conn, database: &str, table: &str) -> Result<(String, Vec<String>), Error> {
    let quoted = format!("`{database}`.`{}`", table.replace('`', "``"));
    let shown: Row = conn.query_first(format!("SHOW CREATE TABLE {quoted}")).await?.expect("a row");
    let definition: String = shown.get(1).expect("text");
    let is_view = shown.columns_ref()[0].name_str() == "View";
    let definition = if is_view { String::new() } else { definition };
    let definition = match definition.split_once(" AUTO_INCREMENT=") {
        Some((before, after)) => {
            format!("{before}{}", after.trim_start_matches(|char: char| char.is_ascii_digit()))
        }
        None => definition,
    };
    let rows: Vec<Row> = conn.query(format!("SELECT * FROM {quoted}")).await?;
    let mut rows: Vec<String> = rows.into_iter().map(|row| format!("{:?}", row.unwrap())).collect();
    rows.sort();
    Ok((definition, rows))
}

struct Stand {
    cluster: Cluster,
    bulkhead: Bulkhead,
    flavour: Flavour,
}

impl Stand {
    async fn start(flavour: Flavour) -> Self {
        let cluster = Cluster::start("c1", flavour);
        let bulkhead = Setup::default()
            .cluster(&cluster)
            .config("[keyspaces.spaces]\nshards = { a = \"c1\" }\n")
            .vschema("spaces.toml", SPACES)
            .vschema("ws.sql", "CREATE TABLE unused (id INT PRIMARY KEY);\n")
            .start();
        Self { cluster, bulkhead, flavour }
    }

    /// Plays a case in a workspace of its own; gives what happened.
    async fn play(&self, case: &Case, number: usize) -> Result<String, String> {
        let (database, oracle) = (format!("ws_{number}"), format!("oracle_{number}"));
        let mut admin = self.bulkhead.connect_admin().await;
        run(&mut admin, &format!("CREATE WORKSPACE spaces {number} ON a WITH DATABASE")).await;
        let mut root = self.cluster.connect(Role::Primary, "root").await;
        run(&mut root, PLAIN_MODE).await;
        run(&mut root, &format!("CREATE DATABASE {oracle}")).await;
        for place in [&database, &oracle] {
            run(&mut root, &format!("USE {place}")).await;
            for sql in case.create.iter().chain(&case.load) {
                root.query_drop(sql).await.map_err(|error| format!("{sql}: {error}"))?;
            }
        }
        let writer = self.client(&database).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, rounds) = watch::channel(0);
        let writing = tokio::spawn(keep_writing(writer, case.writes.clone(), (sender, stop.clone())));
        tokio::time::sleep(AROUND).await;
        wait_for_rounds(rounds).await;
        let mut client = self.client(&database).await;
        let alter = case.alter.replace("{database}", &database);
        let before = self.copies(&mut admin, &database).await;
        let altered = client.query_drop(&alter).await;
        tokio::time::sleep(AROUND).await;
        stop.store(true, Ordering::Relaxed);
        let done = writing.await.expect("no panic")?;
        let outcome = match &altered {
            Ok(()) if self.copies(&mut admin, &database).await > before => "copied".to_owned(),
            Ok(()) => "direct".to_owned(),
            Err(Error::Server(error)) => {
                let code = error.message.split([' ', ':', '[', ']']).find(|word| is_code(word));
                format!("refused {} {}", error.code, code.unwrap_or_default()).trim_end().to_owned()
            }
            Err(error) => return Err(format!("the connection: {error}")),
        };
        // The same on the oracle, one after the other.
        run(&mut root, &format!("USE {oracle}")).await;
        for Done { sql, insert_id } in &done {
            if *insert_id > 0 {
                run(&mut root, &format!("SET INSERT_ID = {insert_id}")).await;
            }
            root.query_drop(sql).await.map_err(|error| format!("the oracle: {sql}: {error}"))?;
        }
        if altered.is_ok() {
            let alter = case.alter.replace("{database}", &oracle);
            root.query_drop(&alter).await.map_err(|error| format!("the oracle: {alter}: {error}"))?;
        }
        self.compare(&mut root, (&database, &oracle))
            .await
            .map_err(|why| format!("{outcome} ({}), after {} writes: {why}", told(&altered), done.len()))?;
        for place in [&database, &oracle] {
            run(&mut root, &format!("DROP DATABASE {place}")).await;
        }
        Ok(outcome)
    }

    async fn client(&self, database: &str) -> Conn {
        let mut conn = self.bulkhead.connect(Some(database)).await;
        run(&mut conn, PLAIN_MODE).await;
        conn
    }

    /// Migrations of the database that came to their end.
    async fn copies(&self, admin: &mut Conn, database: &str) -> usize {
        let rows: Vec<Row> = admin.query("SHOW MIGRATIONS").await.expect("works");
        let is_one = |row: &&Row| {
            let text = |name: &str| row.get::<Option<String>, _>(name).flatten().unwrap_or_default();
            text("database") == database && text("state") == "done"
        };
        rows.iter().filter(is_one).count()
    }

    /// What Bulkhead and the server say of a workspace's change that does not end, and of the cluster.
    async fn tell(&self, number: usize) -> String {
        let mut admin = self.bulkhead.connect_admin().await;
        let mut told = String::new();
        for sql in ["SHOW MIGRATIONS", "SHOW SHARD STATUS", "SHOW ADMISSION"] {
            let rows: Vec<Row> = admin.query(sql).await.expect("works");
            let is_meant = |row: &&Row| match row.get::<Option<String>, _>("database").flatten() {
                Some(database) => database == format!("ws_{number}"),
                None => true,
            };
            rows.iter().filter(is_meant).for_each(|row| {
                let _ = write!(told, "\n{row:?}");
            });
        }
        let mut root = self.cluster.connect(Role::Primary, "root").await;
        let running: Vec<Row> = root.query("SHOW FULL PROCESSLIST").await.expect("works");
        running.iter().for_each(|row| {
            let _ = write!(told, "\n{row:?}");
        });
        told
    }

    /// Compares every table of both databases, and finds nothing left behind.
    async fn compare(&self, root: &mut Conn, (database, oracle): (&str, &str)) -> Result<(), String> {
        let tables = |place: &str| {
            format!(
                "SELECT CONVERT(table_name USING utf8mb4) FROM information_schema.tables \
                     WHERE table_schema = '{place}' AND table_name <> 'unused' ORDER BY 1"
            )
        };
        let names: Vec<String> = root.query(tables(database)).await.map_err(|error| error.to_string())?;
        let of_oracle: Vec<String> = root.query(tables(oracle)).await.map_err(|error| error.to_string())?;
        if names != of_oracle {
            return Err(format!("tables {names:?}, not {of_oracle:?}"));
        }
        for table in names {
            let seen = picture(root, database, &table).await.map_err(|error| error.to_string())?;
            let meant = picture(root, oracle, &table).await.map_err(|error| error.to_string())?;
            let definition = meant.0.replace(oracle, database);
            if seen.0 != definition {
                return Err(format!("{table} is defined\n{}\nnot\n{definition}", seen.0));
            }
            if seen.1 != meant.1 {
                let missing = meant.1.iter().filter(|row| seen.1.binary_search(row).is_err()).take(3);
                let extra = seen.1.iter().filter(|row| meant.1.binary_search(row).is_err()).take(3);
                return Err(format!(
                    "{table} has {} rows, not {}; missing {:?}, extra {:?}",
                    seen.1.len(),
                    meant.1.len(),
                    missing.collect::<Vec<_>>(),
                    extra.collect::<Vec<_>>()
                ));
            }
        }
        Ok(())
    }
}

fn told(altered: &Result<(), Error>) -> String {
    altered.as_ref().err().map_or_else(|| "OK".to_owned(), ToString::to_string)
}

fn is_code(word: &str) -> bool {
    word.len() == 5 && word.starts_with('E') && word[1..].bytes().all(|byte| byte.is_ascii_digit())
}

async fn play_all(flavour: Flavour) {
    let stand = Arc::new(Stand::start(flavour).await);
    let cases: Vec<Case> = Case::all().into_iter().filter(|case| case.expected(flavour).is_some()).collect();
    let count = cases.len();
    assert!(count > 0, "no case");
    let queue = Arc::new(Mutex::new(cases.into_iter().enumerate()));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let updates = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut players = tokio::task::JoinSet::new();
    for _ in 0..SIDE_BY_SIDE {
        let (stand, queue, failures) = (stand.clone(), queue.clone(), failures.clone());
        players.spawn(async move {
            loop {
                let Some((number, case)) = queue.lock().expect("whole").next() else { return };
                let began = Instant::now();
                let played = tokio::time::timeout(PATIENCE, stand.play(&case, number + 1)).await;
                let played = match played {
                    Ok(played) => played,
                    Err(_) => Err(format!("not over after {PATIENCE:?}: {}", stand.tell(number + 1).await)),
                };
                let expected = case.expected(stand.flavour).expect("filtered");
                let failure = match played {
                    Ok(outcome) if updates => {
                        case.write_down(&outcome, stand.flavour);
                        None
                    }
                    Ok(outcome) if outcome == expected => None,
                    Ok(outcome) => Some(format!("{outcome}, not {expected}")),
                    Err(why) => Some(why),
                };
                println!(
                    "{} {:.1} s {}",
                    case.name,
                    began.elapsed().as_secs_f64(),
                    failure.as_deref().unwrap_or("ok")
                );
                failures.lock().expect("whole").extend(failure.map(|why| format!("{}: {why}", case.name)));
            }
        });
    }
    players.join_all().await;
    let failures = failures.lock().expect("whole");
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn cases_on_mysql() {
    play_all(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn cases_on_mariadb() {
    play_all(Flavour::MariaDb).await;
}

#[test]
#[ignore = "needs servers: make test"]
fn statements_are_told_apart() {
    let told =
        statements("-- why\nINSERT INTO t VALUES ('a;b', \"c;\", `d;`, 'it\\';s'); BEGIN;\nSELECT 1\n");
    assert_eq!(told, ["INSERT INTO t VALUES ('a;b', \"c;\", `d;`, 'it\\';s')", "BEGIN", "SELECT 1"]);
}
