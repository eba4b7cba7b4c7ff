//! Makes the shadow table, and reads the plan from both tables.

use super::ShadowRequest;
use super::error::EngineError;
use super::records::{Records, Single};
use super::session::{rows, run, settle_session};
use crate::backend::direct::Direct;
use crate::ddl::apply;
use crate::migrations::StatementSettings;
use crate::migrations::plan::{
    CopyPlan, Facts, Inputs, LateIndexes, Names, read_change, read_definition, shadow_statements,
};
use crate::sql::quote::string;
use crate::sql::{ClientCharset, ServerVersion, SqlMode, TableChange, TableDefinition};

/// What is known of the source.
struct Source {
    text: Vec<u8>,
    definition: TableDefinition,
    types: Vec<(String, Option<String>)>,
    facts: Facts,
    bytes: u64,
}

/// The server, as the readers of SQL want it.
fn version(direct: &Direct) -> ServerVersion {
    ServerVersion::parse(&direct.version().text).unwrap_or_default()
}

/// See [`super::make_shadow`].
pub(super) async fn make(admin: &mut Direct, request: &ShadowRequest<'_>) -> Result<CopyPlan, EngineError> {
    let mode = mode_of(admin, request);
    let change = read_change(request.text.as_bytes(), mode)?;
    let source = read_source(admin, request.names).await?;
    predict(admin, request, (&source, &change))?;
    let text = (request.text.as_bytes(), &change);
    let statements = shadow_statements(request.names, (&source.text, &source.definition), text, mode)?;
    Records::prepare(admin).await?;
    let target = request.names.target();
    run(admin, format!("DROP TABLE IF EXISTS {target}"), "dropping a shadow table").await?;
    run(admin, "SET NAMES utf8mb4", "making the shadow table").await?;
    run(admin, &statements.create, "making the shadow table").await?;
    let made = change_shadow(admin, request, statements.change.as_deref(), (&source, &change)).await;
    if made.is_err() && !admin.is_lost() {
        // What failed is told; the ledger knows the shadow's name in any case.
        let _ = run(admin, format!("DROP TABLE IF EXISTS {target}"), "dropping a shadow table").await;
    }
    settle_session(admin).await?;
    made
}

/// Refuses by what the definition will be, before anything is made.
fn predict(
    admin: &Direct,
    request: &ShadowRequest<'_>,
    (source, change): (&Source, &TableChange),
) -> Result<(), EngineError> {
    let mut predicted = source.definition.clone();
    apply(&mut predicted, change);
    CopyPlan::new(inputs(admin, request.names, source, (&predicted, change)))?;
    Ok(())
}

fn inputs<'a>(
    admin: &Direct,
    names: &'a Names,
    source: &'a Source,
    (shadow, change): (&'a TableDefinition, &'a TableChange),
) -> Inputs<'a> {
    Inputs {
        names,
        source: &source.definition,
        shadow,
        change,
        types: &source.types,
        facts: &source.facts,
        server: version(admin),
    }
}

fn mode_of(admin: &Direct, request: &ShadowRequest<'_>) -> SqlMode {
    let charset = ClientCharset::of(&request.settings.character_set).unwrap_or_default();
    SqlMode { charset, server: version(admin), ..SqlMode::default() }.with_names(&request.settings.sql_mode)
}

async fn change_shadow(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    change_text: Option<&[u8]>,
    (source, change): (&Source, &TableChange),
) -> Result<CopyPlan, EngineError> {
    if let Some(text) = change_text {
        for setting in client_settings(request.settings) {
            run(admin, setting, "taking the client's settings").await?;
        }
        run(admin, text, "changing the shadow table").await.map_err(rejected)?;
        settle_session(admin).await?;
    }
    let shadow_text = show_create(admin, &request.names.target()).await?;
    let shadow = read_definition(&shadow_text, version(admin))?;
    let plan = CopyPlan::new(inputs(admin, request.names, source, (&shadow, change)))?;
    let records = Records::new(request.id);
    run(admin, records.forget(), "recording the beginning").await?;
    let definition = records.set(Single::Definition, &without_counter(&source.text));
    run(admin, definition, "recording the beginning").await?;
    if source.bytes <= request.late_indexes_bytes_max
        && let Some(late) = LateIndexes::of(&request.names.target(), &shadow_text, &shadow, &plan.key)
    {
        let record = records.set(Single::Late, late.build.as_bytes());
        run(admin, record, "recording the beginning").await?;
        run(admin, "SET NAMES utf8mb4", "leaving indexes out").await?;
        run(admin, &late.drop, "leaving indexes out").await?;
    }
    Ok(plan)
}

/// The server refuses the client's statement: its words are the client's answer.
fn rejected(error: EngineError) -> EngineError {
    match error {
        EngineError::Server { source: crate::backend::direct::DirectError::Refused(error), .. } => {
            let sqlstate = error.sqlstate_text().to_owned();
            EngineError::Rejected { errno: error.errno, sqlstate, message: error.message }
        }
        EngineError::Lossy { errno, sqlstate, message } => EngineError::Rejected { errno, sqlstate, message },
        other => other,
    }
}

/// What gives a connection the settings of the client.
pub(crate) fn client_settings(settings: &StatementSettings) -> Vec<String> {
    let mut names = match settings.character_set.as_str() {
        "" => "SET NAMES utf8mb4".to_owned(),
        charset => format!("SET NAMES {}", string(charset)),
    };
    if !settings.collation.is_empty() && !settings.character_set.is_empty() {
        names.push_str(&format!(" COLLATE {}", string(&settings.collation)));
    }
    let mut all = vec![names, format!("SET SESSION sql_mode = {}", string(&settings.sql_mode))];
    if !settings.time_zone.is_empty() {
        all.push(format!("SET SESSION time_zone = {}", string(&settings.time_zone)));
    }
    all
}

/// See [`super::read_plan`].
pub(super) async fn read(admin: &mut Direct, request: &ShadowRequest<'_>) -> Result<CopyPlan, EngineError> {
    let change = read_change(request.text.as_bytes(), mode_of(admin, request))?;
    let source = read_source(admin, request.names).await?;
    let records = Records::new(request.id);
    let recorded = records.read_definition(admin).await?;
    if recorded.as_deref() != Some(&without_counter(&source.text)[..]) {
        return Err(EngineError::TableChanged(
            "its definition is not what it was at the beginning".to_owned(),
        ));
    }
    let shadow_text = show_create(admin, &request.names.target()).await?;
    let shadow = read_definition(&shadow_text, version(admin))?;
    Ok(CopyPlan::new(inputs(admin, request.names, &source, (&shadow, &change)))?)
}

/// See [`super::adopt_shadow`].
pub(super) async fn adopt(admin: &mut Direct, request: &ShadowRequest<'_>) -> Result<CopyPlan, EngineError> {
    let change = read_change(request.text.as_bytes(), mode_of(admin, request))?;
    let source = read_source(admin, request.names).await?;
    let shadow_text = show_create(admin, &request.names.target()).await?;
    let shadow = read_definition(&shadow_text, version(admin))?;
    let plan = CopyPlan::new(inputs(admin, request.names, &source, (&shadow, &change)))?;
    Records::prepare(admin).await?;
    let records = Records::new(request.id);
    run(admin, records.forget(), "recording the beginning").await?;
    let definition = records.set(Single::Definition, &without_counter(&source.text));
    run(admin, definition, "recording the beginning").await?;
    Ok(plan)
}

/// SHOW CREATE TABLE, in UTF-8.
pub(super) async fn show_create(admin: &mut Direct, table: &str) -> Result<Vec<u8>, EngineError> {
    run(admin, "SET NAMES utf8mb4", "reading a definition").await?;
    let shown = rows(admin, format!("SHOW CREATE TABLE {table}"), "reading a definition").await?;
    run(admin, "SET NAMES binary", "reading a definition").await?;
    let text = shown.first().and_then(|row| row.value(1)).map(<[u8]>::to_vec);
    text.ok_or_else(|| EngineError::TableChanged("it has no definition".to_owned()))
}

async fn read_source(admin: &mut Direct, names: &Names) -> Result<Source, EngineError> {
    let text = show_create(admin, &names.source()).await?;
    let definition = read_definition(&text, version(admin))?;
    let (database, table) = (string(&names.database), string(&names.table));
    let what = "reading a definition";
    run(admin, "SET NAMES utf8mb4", what).await?;
    let of = format!("table_schema = {database} AND table_name = {table}");
    let about = format!(
        "SELECT table_type, COALESCE(data_length, 0) + COALESCE(index_length, 0) FROM \
            information_schema.tables \
         WHERE {of}"
    );
    let about = rows(admin, about, what).await?;
    let row = about.first().ok_or_else(|| EngineError::TableChanged("it is gone".to_owned()))?;
    let (table_type, bytes) = (row.text(0).unwrap_or_default(), row.number(1).unwrap_or(0));
    let columns = format!(
        "SELECT column_type, character_set_name FROM information_schema.columns WHERE {of} ORDER BY \
         ordinal_position"
    );
    let columns = rows(admin, columns, what).await?;
    let types = columns.iter().map(|row| (row.text(0).unwrap_or_default(), row.text(1))).collect();
    let triggers = format!(
        "SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = {database} AND \
         event_object_table = {table}"
    );
    let triggers = rows(admin, triggers, what).await?.iter().filter_map(|row| row.text(0)).collect();
    let referenced_by = referencing(admin, names).await?;
    run(admin, "SET NAMES binary", what).await?;
    Ok(Source { text, definition, types, facts: Facts { triggers, referenced_by, table_type }, bytes })
}

/// Tables with foreign keys that point to this one. MySQL's dictionary has an index for it; MariaDB would
/// open every table of the server, so there InnoDB's own list is asked, which names tables as files.
async fn referencing(admin: &mut Direct, names: &Names) -> Result<Vec<String>, EngineError> {
    let (database, table) = (string(&names.database), string(&names.table));
    let sql = if version(admin).mariadb {
        let file = string(&format!("{}/{}", file_name(&names.database), file_name(&names.table)));
        format!("SELECT for_name FROM information_schema.innodb_sys_foreign WHERE ref_name = {file}")
    } else {
        format!(
            "SELECT CONCAT(constraint_schema, '/', table_name) FROM \
                information_schema.referential_constraints \
             WHERE unique_constraint_schema = {database} AND referenced_table_name = {table}"
        )
    };
    let found = rows(admin, sql, "looking for foreign keys").await?;
    Ok(found.iter().filter_map(|row| row.text(0)).collect())
}

/// A name as the server writes it into file names: letters, digits and `_` stay, others are `@` and four
/// digits.
fn file_name(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || character == '_' {
            text.push(character);
        } else {
            text.push_str(&format!("@{:04x}", u32::from(character)));
        }
    }
    text
}

/// A definition without the counter, which moves with each row.
pub(super) fn without_counter(text: &[u8]) -> Vec<u8> {
    let Some((start, end, _)) = counter(text) else { return text.to_vec() };
    let mut rest = text[..start].to_vec();
    rest.extend_from_slice(&text[end..]);
    rest
}

/// Where AUTO_INCREMENT stands among a definition's options, and its value.
pub(super) fn counter(text: &[u8]) -> Option<(usize, usize, u64)> {
    let word = b" AUTO_INCREMENT=";
    let closing = b"\n) ";
    let options = text.windows(closing.len()).position(|window| window == closing)? + closing.len() - 1;
    let start = options + text[options..].windows(word.len()).position(|window| window == word)?;
    let digits = start + word.len();
    let length = text[digits..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = std::str::from_utf8(&text[digits..digits + length]).ok()?.parse().ok()?;
    Some((start, digits + length, value))
}

/// Gives the shadow the source's counter, where it is behind.
pub(super) async fn carry_counter(direct: &mut Direct, names: &Names) -> Result<(), EngineError> {
    let source = show_create(direct, &names.source()).await?;
    let target = show_create(direct, &names.target()).await?;
    let (Some((_, _, wanted)), true) = (counter(&source), has_counter(&target)) else { return Ok(()) };
    if counter(&target).is_some_and(|(_, _, known)| known >= wanted) {
        return Ok(());
    }
    let sql = format!("ALTER TABLE {} AUTO_INCREMENT = {wanted}", names.target());
    run(direct, sql, "carrying AUTO_INCREMENT over").await.map(drop)
}

fn has_counter(definition: &[u8]) -> bool {
    let word = b" AUTO_INCREMENT";
    definition.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_among_the_options() {
        let text = b"CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT COMMENT 'x AUTO_INCREMENT=7',\n \
             PRIMARY \
            KEY (`id`)\n) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=latin1 COMMENT=' \
            AUTO_INCREMENT=9'\n/*!50100 \
            PARTITION BY HASH (`id`)\nPARTITIONS 4 */";
        assert_eq!(counter(text).map(|found| found.2), Some(42));
        let without = String::from_utf8(without_counter(text)).unwrap();
        assert!(without.contains(") ENGINE=InnoDB DEFAULT CHARSET=latin1"), "{without}");
        assert_eq!(counter(b"CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB"), None);
    }

    #[test]
    fn names_of_files() {
        assert_eq!(file_name("ws_42"), "ws_42");
        assert_eq!(file_name("a-b"), "a@002db");
    }
}
