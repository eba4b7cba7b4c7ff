//! Scripts: SQL statements that end in `;` at the end of a line, `#` comments, and directives, one a line:
//!
//! ```text
//! !modes unsharded,use,comment,shared   where the script runs
//! !only mysql | mariadb                 the next step is for one kind of server
//! !text                                 the next statement is text also in a binary run
//! !session NAME                         goes on in another session, opened at first use
//! !raw SQL                              the rest of the line as it stands (several statements)
//! !send SQL · !receive                  sends and reads the answer later · !blocked waits for a lock wait
//! !prepare NAME SQL · !execute NAME PARAMETER… · !cursor NAME PARAMETER… · !fetch NAME ROWS
//! !long NAME INDEX TEXT · !reset NAME · !close NAME
//! !init_db NAME · !fields TABLE · !ping · !reset_connection · !multi on|off · !file TEXT · !quit
//! ```
//! A parameter is `null`, `int:5`, `uint:5`, `double:1.5`, `str:text`, `hex:00ff`, or `long` (sent before).

/// What one line or statement asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Sql(String),
    Raw(String),
    Session(String),
    Send(String),
    Receive,
    Blocked,
    Prepare(String, String),
    Execute { name: String, parameters: Vec<Parameter>, cursor: bool },
    Fetch(String, u32),
    Long(String, u16, String),
    Reset(String),
    Close(String),
    InitDb(String),
    Fields(String),
    Ping,
    ResetConnection,
    Multi(bool),
    File(String),
    Quit,
}

/// A parameter of a prepared statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    Null,
    Int(i64),
    Unsigned(u64),
    Double(f64),
    Bytes(Vec<u8>),
    Long,
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub line: usize,
    pub action: Action,
    /// `mysql` or `mariadb`; `None` for both.
    pub only: Option<String>,
    /// Never as a prepared statement.
    pub text: bool,
}

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: String,
    pub modes: Vec<String>,
    pub steps: Vec<Step>,
}

impl Script {
    /// Reads a script; panics with the line of what it does not know.
    pub fn read(name: &str, text: &str) -> Self {
        let mut script = Self { name: name.to_owned(), modes: Vec::new(), steps: Vec::new() };
        let (mut statement, mut start): (String, usize) = (String::new(), 0);
        let (mut only, mut as_text) = (None, false);
        for (at, line) in text.lines().enumerate() {
            let line_number = at + 1;
            if statement.is_empty() {
                start = line_number;
                if line.trim().is_empty() || line.starts_with('#') {
                    continue;
                }
                if let Some(directive) = line.strip_prefix('!') {
                    let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
                    match word {
                        "modes" => script.modes = rest.split(',').map(str::to_owned).collect(),
                        "only" => only = Some(rest.to_owned()),
                        "text" => as_text = true,
                        _ => {
                            let action = action(word, rest)
                                .unwrap_or_else(|| panic!("{name}:{line_number}: cannot read {line:?}"));
                            let step = Step { line: start, action, only: only.take(), text: as_text };
                            as_text = false;
                            script.steps.push(step);
                        }
                    }
                    continue;
                }
            } else {
                statement.push('\n');
            }
            statement.push_str(line);
            if let Some(whole) = statement.strip_suffix(';') {
                let action = Action::Sql(whole.to_owned());
                script.steps.push(Step { line: start, action, only: only.take(), text: as_text });
                as_text = false;
                statement.clear();
            }
        }
        assert!(statement.is_empty(), "{name}:{start}: a statement without an end");
        assert!(!script.modes.is_empty(), "{name}: no !modes");
        script
    }
}

fn action(word: &str, rest: &str) -> Option<Action> {
    let (name, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    let (name_owned, tail_owned) = (name.to_owned(), tail.to_owned());
    Some(match word {
        "session" => Action::Session(name_owned),
        "raw" => Action::Raw(rest.to_owned()),
        "send" => Action::Send(rest.to_owned()),
        "receive" => Action::Receive,
        "blocked" => Action::Blocked,
        "prepare" => Action::Prepare(name_owned, tail_owned),
        "execute" | "cursor" => Action::Execute {
            name: name_owned,
            parameters: tail.split(' ').filter(|word| !word.is_empty()).map(parameter).collect(),
            cursor: word == "cursor",
        },
        "fetch" => Action::Fetch(name_owned, tail.parse().ok()?),
        "long" => {
            let (index, text) = tail.split_once(' ')?;
            Action::Long(name_owned, index.parse().ok()?, text.to_owned())
        }
        "reset" => Action::Reset(name_owned),
        "close" => Action::Close(name_owned),
        "init_db" => Action::InitDb(name_owned),
        "fields" => Action::Fields(name_owned),
        "ping" => Action::Ping,
        "reset_connection" => Action::ResetConnection,
        "multi" => Action::Multi(rest == "on"),
        "file" => Action::File(rest.replace("\\n", "\n").replace("\\t", "\t")),
        "quit" => Action::Quit,
        _ => return None,
    })
}

fn parameter(word: &str) -> Parameter {
    let bad = || -> ! { panic!("cannot read the parameter {word:?}") };
    match word.split_once(':') {
        Some(("int", value)) => value.parse().map_or_else(|_| bad(), Parameter::Int),
        Some(("uint", value)) => value.parse().map_or_else(|_| bad(), Parameter::Unsigned),
        Some(("double", value)) => value.parse().map_or_else(|_| bad(), Parameter::Double),
        Some(("str", value)) => Parameter::Bytes(value.as_bytes().to_vec()),
        Some(("hex", value)) => Parameter::Bytes(
            (0..value.len() / 2)
                .map(|at| u8::from_str_radix(&value[2 * at..2 * at + 2], 16).unwrap_or_else(|_| bad()))
                .collect(),
        ),
        _ if word == "null" => Parameter::Null,
        _ if word == "long" => Parameter::Long,
        _ => bad(),
    }
}
