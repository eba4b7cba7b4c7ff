//! Makes the shadow table, and reads the plan from both tables.
//!
//! - `temporary`: what a table is like with the statement applied, by way of a temporary one.
//! - `known`: the same of tables of one definition, asked once.

mod known;
mod temporary;

pub use self::known::Known;
pub(super) use self::known::{Question, Types};
use super::ShadowRequest;
use super::error::EngineError;
use super::look::{Source, show_create, version};
use super::records::{Records, Single};
use super::session::{meaning, run, settle_for_words, settle_session};
use crate::backend::direct::Direct;
use crate::ddl::apply;
use crate::migrations::StatementSettings;
use crate::migrations::plan::{
    CopyPlan, Inputs, LateIndexes, Names, read_change, read_definition, shadow_statements,
};
use crate::sql::quote::string;
use crate::sql::{ClientCharset, SqlMode, TableChange, TableDefinition};

/// "Table already exists".
const ER_TABLE_EXISTS: u16 = 1050;

/// See [`super::make_shadow`].
pub(super) async fn make(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    source: &Source,
) -> Result<CopyPlan, EngineError> {
    let mode = mode_of(admin, request);
    let change = read_change(request.text.as_bytes(), mode)?;
    predict(admin, request, (source, &change))?;
    let text = (request.text.as_bytes(), &change);
    let statements = shadow_statements(request.names, (&source.text, &source.definition), text, mode)?;
    // Where nobody was before there is nobody to be kept from writing, and nobody follows without entering.
    if !request.is_whole || request.epoch > 1 {
        Records::new(request.id, request.epoch).enter(admin).await?;
    }
    run(admin, "SET NAMES utf8mb4", "making the shadow table").await?;
    let is_changed = temporary::make(admin, request, &statements).await?;
    let target = request.names.target();
    if !is_changed {
        create(admin, &target, &statements.create).await?;
    }
    let left = statements.change.as_deref().filter(|_| !is_changed);
    let made = change_shadow(admin, request, left, (source, &change)).await;
    if made.is_err() && !admin.is_lost() {
        // What failed is told; the ledger knows the shadow's name in any case.
        let _ = run(admin, format!("DROP TABLE IF EXISTS {target}"), "dropping a shadow table").await;
    }
    settle_session(admin).await?;
    made
}

/// Runs the CREATE TABLE of a shadow. One that is there is of an earlier attempt. It is not looked for: a
/// DROP of what is not there is written to the binary log like any other.
async fn create(admin: &mut Direct, target: &str, text: &[u8]) -> Result<(), EngineError> {
    let what = "making the shadow table";
    match admin.execute(text).await {
        Err(error) if error.errno() == Some(ER_TABLE_EXISTS) => {
            run(admin, format!("DROP TABLE IF EXISTS {target}"), "dropping a shadow table").await?;
            run(admin, text, what).await.map(drop)
        }
        made => made.map(drop).map_err(|error| meaning(what, error)),
    }
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
        settle_for_words(admin).await?;
    }
    let target = request.names.target();
    let shadow_text = show_create(admin, &target).await?;
    let shadow = read_definition(&shadow_text, version(admin))?;
    let plan = CopyPlan::new(inputs(admin, request.names, source, (&shadow, change)))?;
    if request.is_whole {
        return Ok(plan);
    }
    let bytes = source.data_bytes + source.index_bytes;
    let late = (bytes <= request.late_indexes_bytes_max)
        .then(|| LateIndexes::of(&target, &shadow_text, &shadow, &plan.key))
        .flatten();
    let records = Records::new(request.id, request.epoch);
    let mut all = vec![records.clear().into_bytes()];
    all.push(records.set(Single::Definition, &without_counter(&source.text)));
    all.extend(late.as_ref().map(|late| records.set(Single::Late, late.recorded().as_bytes())));
    records.guarded_all(admin, &all, "recording the beginning").await?;
    if let Some(late) = late {
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

/// Statements that give a connection the settings of the client.
pub(crate) fn client_settings(settings: &StatementSettings) -> Vec<String> {
    let mut all = match settings.character_set.as_str() {
        "" => "SET NAMES utf8mb4".to_owned(),
        charset => format!("SET NAMES {}", string(charset)),
    };
    if !settings.collation.is_empty() && !settings.character_set.is_empty() {
        all.push_str(&format!(" COLLATE {}", string(&settings.collation)));
    }
    if !settings.time_zone.is_empty() {
        all.push_str(&format!(", SESSION time_zone = {}", string(&settings.time_zone)));
    }
    // Last: it says how texts are read.
    all.push_str(&format!(", SESSION sql_mode = {}", string(&settings.sql_mode)));
    vec![all]
}

/// See [`super::read_plan`].
pub(super) async fn read(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    source: &Source,
) -> Result<CopyPlan, EngineError> {
    let records = Records::new(request.id, request.epoch);
    records.enter(admin).await?;
    let recorded = records.read_definition(admin).await?;
    if recorded.as_deref() != Some(&without_counter(&source.text)[..]) {
        return Err(EngineError::TableChanged(
            "its definition is not what it was at the beginning".to_owned(),
        ));
    }
    plan_of_both(admin, request, source).await
}

/// See [`super::adopt_shadow`].
pub(super) async fn adopt(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    source: &Source,
) -> Result<CopyPlan, EngineError> {
    let plan = plan_of_both(admin, request, source).await?;
    let records = Records::new(request.id, request.epoch);
    records.enter(admin).await?;
    let definition = records.set(Single::Definition, &without_counter(&source.text));
    let all = [records.clear().into_bytes(), definition];
    records.guarded_all(admin, &all, "recording the beginning").await?;
    Ok(plan)
}

/// The plan, as both tables are.
async fn plan_of_both(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    source: &Source,
) -> Result<CopyPlan, EngineError> {
    let change = read_change(request.text.as_bytes(), mode_of(admin, request))?;
    let what = "reading a definition";
    run(admin, "SET NAMES utf8mb4", what).await?;
    let shadow_text = show_create(admin, &request.names.target()).await?;
    run(admin, "SET NAMES binary", what).await?;
    let shadow = read_definition(&shadow_text, version(admin))?;
    Ok(CopyPlan::new(inputs(admin, request.names, source, (&shadow, &change)))?)
}

/// A definition without the counter, which moves with each row.
fn without_counter(text: &[u8]) -> Vec<u8> {
    let Some((start, end, _)) = counter(text) else { return text.to_vec() };
    let mut rest = text[..start].to_vec();
    rest.extend_from_slice(&text[end..]);
    rest
}

/// Where AUTO_INCREMENT stands among a definition's options, and its value.
fn counter(text: &[u8]) -> Option<(usize, usize, u64)> {
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
    let Some((_, _, wanted)) = counter(&source) else { return Ok(()) };
    let target = show_create(direct, &names.target()).await?;
    if !has_counter(&target) || counter(&target).is_some_and(|(_, _, known)| known >= wanted) {
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
    fn settings_of_the_client_are_one_statement() {
        let mut settings = StatementSettings::default();
        assert_eq!(client_settings(&settings), ["SET NAMES utf8mb4, SESSION sql_mode = ''"]);
        settings.character_set = "utf8mb4".to_owned();
        settings.collation = "utf8mb4_bin".to_owned();
        settings.time_zone = "+02:00".to_owned();
        settings.sql_mode = "ANSI".to_owned();
        let all = "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin', SESSION time_zone = '+02:00', SESSION \
                   sql_mode = 'ANSI'";
        assert_eq!(client_settings(&settings), [all]);
    }
}
