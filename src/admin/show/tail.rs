//! `[WHERE <column> <op> <value> [AND …]] [ORDER BY <column> [DESC], …] [LIMIT <n>]` on any table.

use std::cmp::Ordering;

use super::super::table::{AdminTable, AdminValue};
use super::super::words::Words;
use crate::error::{ClientError, Code};

/// Applies what is left of a statement to a table.
pub(super) fn apply(words: &mut Words<'_>, mut table: AdminTable) -> Result<AdminTable, ClientError> {
    if words.take("WHERE") {
        loop {
            filter(words, &mut table)?;
            if !words.take("AND") {
                break;
            }
        }
    }
    if words.take_all(&["ORDER", "BY"]) {
        order(words, &mut table)?;
    }
    if words.take("LIMIT") {
        let limit = words.number("a number of rows")?;
        table.rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    words.end()?;
    Ok(table)
}

fn column(words: &mut Words<'_>, table: &AdminTable) -> Result<usize, ClientError> {
    let name = words.name("a column")?;
    table.position(&name).ok_or_else(|| {
        let known: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
        ClientError::new(Code::AdminNotFound, format!("no column {name:?}; there are {}", known.join(", ")))
    })
}

fn filter(words: &mut Words<'_>, table: &mut AdminTable) -> Result<(), ClientError> {
    let at = column(words, table)?;
    let wanted: &[Ordering] = if words.take_symbol('=') {
        &[Ordering::Equal]
    } else if words.take_symbol('!') && words.take_symbol('=') {
        &[Ordering::Less, Ordering::Greater]
    } else if words.take_symbol('<') {
        &[Ordering::Less]
    } else if words.take_symbol('>') {
        &[Ordering::Greater]
    } else {
        return Err(words.expected("=, !=, < or >"));
    };
    let text = words.name("a value")?;
    let number = text.parse::<f64>().ok();
    table.rows.retain(|row| wanted.contains(&compare(&row[at], &text, number)));
    Ok(())
}

/// Numbers compare as numbers, text without case.
fn compare(value: &AdminValue, text: &str, number: Option<f64>) -> Ordering {
    match (value, number) {
        (AdminValue::Number(_) | AdminValue::Fraction(_), Some(number)) => {
            value.compare(&AdminValue::Fraction(number))
        }
        _ => value.printed().unwrap_or_default().to_lowercase().cmp(&text.to_lowercase()),
    }
}

fn order(words: &mut Words<'_>, table: &mut AdminTable) -> Result<(), ClientError> {
    let mut keys = Vec::new();
    loop {
        let at = column(words, table)?;
        let descending = words.take("DESC");
        if !descending {
            words.take("ASC");
        }
        keys.push((at, descending));
        if !words.take_symbol(',') {
            break;
        }
    }
    table.rows.sort_by(|a, b| {
        keys.iter().fold(Ordering::Equal, |so_far, (at, descending)| {
            let by_key = a[*at].compare(&b[*at]);
            so_far.then(if *descending { by_key.reverse() } else { by_key })
        })
    });
    Ok(())
}
