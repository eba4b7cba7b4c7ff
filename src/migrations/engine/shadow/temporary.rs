//! The shadow table, by way of a temporary one.
//!
//! To change an empty InnoDB table is to make another one, rename it and drop the first, and each of that is
//! flushed: a tenth of a second, which for a small table is most of the time. A temporary table costs next to
//! nothing and is not in the binary log. So the client's statement is run on a temporary copy of the table,
//! and the shadow is made at once as that looks then: it is still the server that says what the statement
//! means.
//!
//! Not where a temporary table is not like others (partitions are not possible, some options neither), nor
//! where what SHOW CREATE TABLE prints may not be what was said (defaults of bytes). What the server refuses
//! of a temporary table is tried on a real one, so every refusal is about that.

use super::known::Question;
use super::{client_settings, create as create_shadow};
use crate::backend::direct::Direct;
use crate::migrations::engine::ShadowRequest;
use crate::migrations::engine::error::EngineError;
use crate::migrations::engine::look::show_create;
use crate::migrations::engine::session::{run, settle_for_words};
use crate::migrations::plan::ShadowStatements;
use crate::sql::quote::identifier;

const WHAT: &str = "making the shadow table";
/// How the text of a table begins, and that of a temporary one.
pub(super) const CREATE: &[u8] = b"CREATE TABLE ";
const CREATE_TEMPORARY: &[u8] = b"CREATE TEMPORARY TABLE ";
/// Words behind which a printed default may be another one, and what temporary tables do not have.
const UNFIT: [&[u8]; 11] =
    [b"BINARY", b"BLOB", b"BIT", b"X'", b"0X", b"B'", b"0B", b"\\", b"PARTITION", b"FULLTEXT", b"TABLESPACE"];

/// Words of a change behind which a column's collation may be printed, and so said, where a table that is
/// altered leaves it out (MySQL keeps apart whether it was said).
const UNFIT_CHANGES: [&[u8]; 3] = [b"CHARSET", b"CHARACTER", b"COLLATE"];

/// Makes the shadow with the client's statement applied, in a session of UTF-8 before and after. False: it
/// has to be made the other way; nothing is left of the attempt.
///
/// # Errors
/// The connection is lost; the server refuses the table that it printed itself.
pub(super) async fn make(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    statements: &ShadowStatements,
) -> Result<bool, EngineError> {
    let (Some(create), Some(change)) = (temporary(&statements.create), &statements.change) else {
        return Ok(false);
    };
    if has_any(change, &UNFIT) || has_any(change, &UNFIT_CHANGES) || has_any(&statements.create, &UNFIT) {
        return Ok(false);
    }
    let target = request.names.target();
    let question = Question::shadow(admin, request, &statements.create);
    let known = question.and_then(|question| request.known.shadow(question, request, &statements.create));
    if let (Some(question), Some(text)) = (question, known) {
        match create_shadow(admin, &target, &text).await {
            Err(_) if !admin.is_lost() => request.known.forget_shadow(question),
            made => return made.map(|()| true),
        }
    }
    let changed = change_temporary(admin, request, (&create, change)).await;
    if admin.is_lost() {
        return changed.map(|()| false);
    }
    settle_for_words(admin).await?;
    let shown = match changed {
        Ok(()) => show_create(admin, &target).await.ok(),
        Err(_) => None,
    };
    run(admin, format!("DROP TEMPORARY TABLE IF EXISTS {target}"), WHAT).await?;
    let Some(text) = shown.and_then(|shown| permanent(&shown, &request.names.shadow, &target)) else {
        return Ok(false);
    };
    create_shadow(admin, &target, &text).await?;
    if let Some(question) = question {
        request.known.note_shadow(question, request, &text);
    }
    Ok(true)
}

/// Makes the temporary table and runs the client's statement on it, with the client's settings.
async fn change_temporary(
    admin: &mut Direct,
    request: &ShadowRequest<'_>,
    (create, change): (&[u8], &[u8]),
) -> Result<(), EngineError> {
    run(admin, create, WHAT).await?;
    for setting in client_settings(request.settings) {
        run(admin, setting, WHAT).await?;
    }
    run(admin, change, WHAT).await.map(drop)
}

fn has_any(text: &[u8], words: &[&[u8]]) -> bool {
    let upper = text.to_ascii_uppercase();
    words.iter().any(|word| upper.windows(word.len()).any(|window| window == *word))
}

/// The statement that makes the temporary table.
fn temporary(create: &[u8]) -> Option<Vec<u8>> {
    Some([CREATE_TEMPORARY, create.strip_prefix(CREATE)?].concat())
}

/// The statement that makes the table that was printed as a temporary one.
fn permanent(shown: &[u8], name: &str, target: &str) -> Option<Vec<u8>> {
    let rest = shown.strip_prefix(CREATE_TEMPORARY)?.strip_prefix(identifier(name).as_bytes())?;
    Some([CREATE, target.as_bytes(), rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_table_are_turned_into_those_of_the_other() {
        let create = b"CREATE TABLE `zz_bulkhead`.`new_1` (\n  `a` int\n) ENGINE=InnoDB";
        let made = temporary(create).unwrap();
        assert_eq!(made, b"CREATE TEMPORARY TABLE `zz_bulkhead`.`new_1` (\n  `a` int\n) ENGINE=InnoDB");
        let shown = b"CREATE TEMPORARY TABLE `new_1` (\n  `a` int\n) ENGINE=InnoDB";
        assert_eq!(permanent(shown, "new_1", "`zz_bulkhead`.`new_1`").unwrap(), create);
        assert_eq!(
            permanent(b"CREATE TABLE `new_1` (`a` int)", "new_1", "x"),
            None,
            "it is not the temporary one"
        );
        assert_eq!(permanent(shown, "new_2", "x"), None);
        assert_eq!(temporary(b"CREATE VIEW v AS SELECT 1"), None);
    }

    #[test]
    fn what_a_temporary_table_would_not_be_alike_is_not_made_by_one() {
        for text in [
            "ALTER TABLE t ADD a VARBINARY(3) DEFAULT 'x'",
            "ALTER TABLE t ADD a CHAR(3) DEFAULT x'41'",
            "ALTER TABLE t ADD a CHAR(3) DEFAULT '\\0'",
            "alter table t partition by hash (a)",
            "ALTER TABLE t ADD FULLTEXT KEY (a)",
            "ALTER TABLE t MODIFY a BIT(4) DEFAULT b'1'",
        ] {
            assert!(has_any(text.as_bytes(), &UNFIT), "{text}");
        }
        for text in ["ALTER TABLE t MODIFY a BIGINT NOT NULL", "CREATE UNIQUE INDEX i ON t (a, b)"] {
            assert!(!has_any(text.as_bytes(), &UNFIT), "{text}");
        }
    }
}
