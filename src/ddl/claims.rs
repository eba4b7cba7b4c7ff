//! What a proof has to show: which columns' values a change could lose, and what they are to become.

use super::conversion::{Conversion, compare};
use super::resolved::{Charset, ResolvedType, resolve};
use super::table::Table;
use crate::sql::{
    ClauseKind, ColumnDefinition, DataType, ServerVersion, TableChange, TableDefinition, TypeKind, quote,
};

/// What is to be shown of one column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The column, as it is called now.
    pub column: String,
    /// No row holds NULL.
    pub not_null: bool,
    /// Every value comes back as it was from the new type; absent where the type stays.
    pub conversion: Option<Converts>,
}

/// Two types, in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converts {
    /// The type now.
    pub old: String,
    /// The type then.
    pub new: String,
    /// Values are compared byte by byte; else as numbers and times are.
    pub as_bytes: bool,
}

/// What cannot be shown: a type for which no scratch column can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the values of `{column}` cannot be tried out in another type")]
pub struct Unprovable {
    /// The column.
    pub column: String,
}

/// The texts that a definition's and a change's places belong to.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    /// Of the definition.
    pub definition: &'a [u8],
    /// Of the change.
    pub change: &'a [u8],
}

/// What a proof of the change has to show. Duplicates are not among it: a copy's own unique keys refuse them
/// while the table is as it was.
///
/// # Errors
/// [`Unprovable`]: the change cannot be proven to lose nothing.
pub fn claims(
    change: &TableChange,
    definition: &TableDefinition,
    server: ServerVersion,
    texts: Texts<'_>,
) -> Result<Vec<Claim>, Unprovable> {
    let table = Table { definition: Some(definition), server };
    let mut claims = Vec::new();
    for clause in &change.clauses {
        match &clause.kind {
            ClauseKind::ChangeColumn { from, column, .. } => {
                let Some(old) = table.column(&from.text) else { continue };
                claims.extend(claim_of(table, (old, column), texts)?);
            }
            ClauseKind::Convert { charset, collation } => {
                let target = Charset::of(charset.as_deref(), collation.as_deref(), server);
                for column in table.columns() {
                    claims.extend(claim_of_text(table, column, &target, texts)?);
                }
            }
            _ => {}
        }
    }
    Ok(claims)
}

fn claim_of(
    table: Table<'_>,
    (old, new): (&ColumnDefinition, &ColumnDefinition),
    texts: Texts<'_>,
) -> Result<Option<Claim>, Unprovable> {
    let not_null = new.nullable == Some(false) && !table.is_not_null(old) && new.generated.is_none();
    let (from, to) = (table.resolve(old), table.resolve(new));
    let conversion = match compare(&from, &to) {
        Conversion::Converted { loss: Some(_) } => {
            let unprovable = || Unprovable { column: old.name.text.clone() };
            let old_type = type_sql(&from, &old.data_type, texts.definition).ok_or_else(unprovable)?;
            let new_type = type_sql(&to, &new.data_type, texts.change).ok_or_else(unprovable)?;
            Some(Converts { old: old_type, new: new_type, as_bytes: is_compared_as_bytes(&from.kind) })
        }
        _ => None,
    };
    let column = old.name.text.clone();
    Ok((not_null || conversion.is_some()).then_some(Claim { column, not_null, conversion }))
}

/// CONVERT TO CHARACTER SET: a TEXT grows where it has to, so its room is not what counts.
fn claim_of_text(
    table: Table<'_>,
    column: &ColumnDefinition,
    target: &Charset,
    texts: Texts<'_>,
) -> Result<Option<Claim>, Unprovable> {
    let from = table.resolve(column);
    if from.charset.is_none() {
        return Ok(None);
    }
    let mut bare = column.data_type.clone();
    (bare.charset, bare.collation, bare.binary) = (None, None, false);
    let mut to = resolve(&bare, target, table.server);
    if let TypeKind::Text(size) = to.kind {
        to.kind = TypeKind::Text((size + 1).min(4));
    }
    let Conversion::Converted { loss: Some(_) } = compare(&from, &to) else { return Ok(None) };
    let name = &column.name.text;
    let sql = |of: &ResolvedType, data_type: &DataType| {
        type_sql(of, data_type, texts.definition).ok_or_else(|| Unprovable { column: name.clone() })
    };
    let (old, new) = (sql(&from, &column.data_type)?, sql(&to, &bare)?);
    let conversion = Some(Converts { old, new, as_bytes: true });
    Ok(Some(Claim { column: name.clone(), not_null: false, conversion }))
}

fn is_compared_as_bytes(kind: &TypeKind) -> bool {
    use TypeKind::{Binary, Blob, Char, Enum, Set, Text, VarBinary, VarChar};
    matches!(kind, Char | VarChar | Text(_) | Enum | Set | Binary | VarBinary | Blob(_))
}

/// The type for a scratch column: text types with the character set they have in the table, all others in the
/// bytes that they were written in.
fn type_sql(of: &ResolvedType, written: &DataType, text: &[u8]) -> Option<String> {
    let length = of.length.map(|length| format!("({length})")).unwrap_or_default();
    let members = || {
        let quoted: Vec<String> =
            of.members.iter().map(|member| quote::string(&String::from_utf8_lossy(member))).collect();
        quoted.join(",")
    };
    let name = match &of.kind {
        TypeKind::Char => format!("CHAR{length}"),
        TypeKind::VarChar => format!("VARCHAR{length}"),
        TypeKind::Text(1) => "TINYTEXT".to_owned(),
        TypeKind::Text(2) => "TEXT".to_owned(),
        TypeKind::Text(3) => "MEDIUMTEXT".to_owned(),
        TypeKind::Text(_) => "LONGTEXT".to_owned(),
        TypeKind::Enum => format!("ENUM({})", members()),
        TypeKind::Set => format!("SET({})", members()),
        TypeKind::Spatial(_) | TypeKind::Other(_) => return None,
        _ => return String::from_utf8(written.span.of(text).to_vec()).ok(),
    };
    let charset = of.charset.as_ref()?;
    Some(format!("{name} CHARACTER SET {}", quote::identifier(charset)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Scan, SqlMode, read_change, read_definition, scan};

    const TABLE: &str = "CREATE TABLE `t` (`id` bigint unsigned NOT NULL, `n` int(11) unsigned DEFAULT NULL, \
        `v` varchar(50) CHARACTER SET latin1 DEFAULT NULL, `d` decimal(10,2) NOT NULL, `e` enum('a','b''c'), \
        `j` point, PRIMARY KEY (`id`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

    fn claims_of(clauses: &str) -> Result<Vec<Claim>, Unprovable> {
        let (mode, mut found) = (SqlMode::default(), Scan::default());
        scan(TABLE.as_bytes(), mode, &mut found);
        let definition = read_definition(TABLE.as_bytes(), &found, mode).unwrap();
        let text = format!("ALTER TABLE t {clauses}");
        scan(text.as_bytes(), mode, &mut found);
        let change = read_change(text.as_bytes(), &found, mode).unwrap().unwrap();
        let texts = Texts { definition: TABLE.as_bytes(), change: text.as_bytes() };
        claims(&change, &definition, mode.server, texts)
    }

    fn types(clauses: &str) -> Vec<(String, String, String)> {
        let claims = claims_of(clauses).unwrap();
        let of = |claim: Claim| claim.conversion.map(|types| (claim.column, types.old, types.new));
        claims.into_iter().filter_map(of).collect()
    }

    #[test]
    fn types_are_those_of_the_table_and_of_the_change() {
        let one = |column: &str, old: &str, new: &str| vec![(column.into(), old.into(), new.into())];
        assert_eq!(types("MODIFY n smallint"), one("n", "int(11) unsigned", "smallint"));
        assert_eq!(types("CHANGE d x decimal(8,1)"), one("d", "decimal(10,2)", "decimal(8,1)"));
        assert_eq!(
            types("MODIFY v varchar(20)"),
            one("v", "VARCHAR(50) CHARACTER SET `latin1`", "VARCHAR(20) CHARACTER SET `utf8mb4`")
        );
        assert_eq!(
            types("MODIFY e enum('a')"),
            one("e", "ENUM('a','b''c') CHARACTER SET `utf8mb4`", "ENUM('a') CHARACTER SET `utf8mb4`")
        );
        assert_eq!(types("MODIFY n bigint unsigned, ADD COLUMN x int"), vec![]);
        assert_eq!(types("CONVERT TO CHARACTER SET ascii").len(), 2);
        assert_eq!(claims_of("MODIFY j int").unwrap_err().column, "j");
    }

    #[test]
    fn nulls_are_looked_for_where_they_are_forbidden() {
        let claim = &claims_of("MODIFY n int unsigned NOT NULL").unwrap()[0];
        assert!(claim.not_null && claim.conversion.is_none());
        assert_eq!(claims_of("MODIFY d decimal(10,2) NOT NULL").unwrap(), vec![]);
    }
}
