//! Which table a column's name refers to, as Rails names them.

use std::collections::HashSet;

/// Words whose plural follows no rule, among those that tables are named after.
const IRREGULAR: [(&str, &str); 4] =
    [("person", "people"), ("child", "children"), ("man", "men"), ("datum", "data")];

/// The table that a column like `order_id` refers to, if there is one: by the plural of its name, else the
/// name itself, else the same of what stands behind a `_` (`billing_address_id` refers to `addresses`).
pub(super) fn parent_table<'a>(column: &str, tables: &HashSet<&'a str>) -> Option<&'a str> {
    let lower = column.to_ascii_lowercase();
    let mut name = lower.strip_suffix("_id").filter(|name| !name.is_empty())?;
    loop {
        let found = plurals(name).into_iter().find_map(|plural| tables.get(plural.as_str()).copied());
        if found.is_some() {
            return found;
        }
        (_, name) = name.split_once('_')?;
    }
}

/// Plurals of the last word of a name, most usual first, and the name itself.
fn plurals(name: &str) -> Vec<String> {
    let (front, word) = name.rsplit_once('_').map_or(("", name), |(front, word)| (front, word));
    let prefix = if front.is_empty() { String::new() } else { format!("{front}_") };
    let mut found = Vec::new();
    if let Some((_, plural)) = IRREGULAR.iter().find(|(singular, _)| *singular == word) {
        found.push((*plural).to_owned());
    }
    let ends_in_vowel_and_y = ["ay", "ey", "iy", "oy", "uy"].iter().any(|end| word.ends_with(end));
    match word {
        word if word.ends_with('y') && !ends_in_vowel_and_y => {
            found.push(format!("{}ies", &word[..word.len() - 1]));
        }
        word if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end)) => {
            found.push(format!("{word}es"));
        }
        word if word.ends_with("fe") => found.push(format!("{}ves", &word[..word.len() - 2])),
        word if word.ends_with("lf") => found.push(format!("{}ves", &word[..word.len() - 1])),
        _ => {}
    }
    found.push(format!("{word}s"));
    found.push(word.to_owned());
    found.into_iter().map(|plural| format!("{prefix}{plural}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_as_rails_names_them() {
        let tables = HashSet::from([
            "orders",
            "companies",
            "people",
            "statuses",
            "addresses",
            "message_threads",
            "shelves",
            "data",
            "keys",
            "settings",
        ]);
        for (column, table) in [
            ("order_id", Some("orders")),
            ("Order_ID", Some("orders")),
            ("company_id", Some("companies")),
            ("person_id", Some("people")),
            ("status_id", Some("statuses")),
            ("message_thread_id", Some("message_threads")),
            ("parent_message_thread_id", Some("message_threads")),
            ("billing_address_id", Some("addresses")),
            ("shelf_id", Some("shelves")),
            ("key_id", Some("keys")),
            ("settings_id", Some("settings")),
            ("external_id", None),
            ("_id", None),
            ("id", None),
            ("order", None),
        ] {
            assert_eq!(parent_table(column, &tables), table, "{column}");
        }
    }
}
