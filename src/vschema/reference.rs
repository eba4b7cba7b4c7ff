//! The reference of every key and the JSON schemas for editors, made from the decoder's own tables of keys.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::config::keys::{Key, Section, Shape};
use crate::config::load::ROOT as MAIN;

use super::vindexes::TYPES;
use super::{native, vitess};

/// The reference, `docs/config.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration reference\n\n\
         Made from the tables that the decoder itself uses; a test keeps it so\n\
         (`UPDATE_GOLDEN=1 cargo test --lib reference`). Samples: `vschema/`.\n\
         Check files with `bulkhead check`.\n\
         Editors complete and check keys by the schemas in `docs/schema/` (a first line `#:schema <path>`\n\
         in TOML, the editor's own settings for JSON).\n\n\
         Durations are text with a unit (`us`, `ms`, `s`, `m`, `h`, `d`), sizes too (`B`, `KiB`, `MiB`,\n\
         `GiB`).\n\
         Paths are relative to the file that names them. Unknown keys are faults.\n",
    );
    section_markdown(&mut out, 2, "bulkhead.toml", "", &MAIN);
    section_markdown(&mut out, 2, "vschema/&lt;keyspace&gt;.toml", "", &native::ROOT);
    let _infallible = write!(out, "\n### Vindex types\n\n| type | maps |\n|---|---|\n");
    for (kind, maps) in TYPES {
        let _infallible = writeln!(out, "| `{kind}` | {maps} |");
    }
    section_markdown(&mut out, 2, "vschema/&lt;keyspace&gt;.json (Vitess)", "", &vitess::ROOT);
    out
}

/// `docs/schema/bulkhead.schema.json`.
pub fn config_schema() -> Json {
    document_schema("Bulkhead: bulkhead.toml", &MAIN)
}

/// `docs/schema/vschema.schema.json`.
pub fn vschema_schema() -> Json {
    document_schema("Bulkhead: vschema/<keyspace>.toml", &native::ROOT)
}

/// `docs/schema/vitess.schema.json`.
pub fn vitess_schema() -> Json {
    document_schema("Bulkhead: vschema/<keyspace>.json, as in Vitess", &vitess::ROOT)
}

fn section_markdown(out: &mut String, level: usize, title: &str, path: &str, section: &Section) {
    let hashes = "#".repeat(level.min(4));
    let _infallible = write!(out, "\n{hashes} {title}\n\n{}\n", section.doc);
    let _infallible = write!(out, "\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in section.keys {
        let default = match (key.default, key.required) {
            (Some(""), _) => "`\"\"`".into(),
            (Some(default), _) => format!("`{default}`"),
            (None, true) => "required".into(),
            (None, false) => String::new(),
        };
        let value = key.shape.expected().replace('|', "\\|");
        let _infallible = writeln!(out, "| `{}` | {value} | {default} | {} |", key.name, key.doc);
    }
    for key in section.keys {
        let (path, inner): (String, &Section) = match key.shape {
            Shape::Section(inner) => (format!("{path}{}.", key.name), inner),
            Shape::Named(inner) | Shape::NamedOrText(inner) => {
                (format!("{path}{}.&lt;name&gt;.", key.name), inner)
            }
            Shape::List(Shape::Section(inner)) => (format!("{path}{}[].", key.name), inner),
            _ => continue,
        };
        section_markdown(out, level + 1, path.trim_end_matches('.'), &path, inner);
    }
}

fn document_schema(title: &str, section: &Section) -> Json {
    let mut schema = section_schema(section);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!(title));
    }
    schema
}

fn section_schema(section: &Section) -> Json {
    let properties: Map<String, Json> =
        section.keys.iter().map(|key| (key.name.into(), key_schema(key))).collect();
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn key_schema(key: &Key) -> Json {
    let mut schema = shape_schema(&key.shape);
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".into(), json!(key.doc));
        if let Some(default) = key.default {
            object.insert("default".into(), default_json(default, &key.shape));
        }
    }
    schema
}

fn default_json(default: &str, shape: &Shape) -> Json {
    match shape {
        Shape::Flag | Shape::Number(..) | Shape::List(_) => serde_json::from_str(default).unwrap_or_default(),
        _ => json!(default),
    }
}

fn shape_schema(shape: &Shape) -> Json {
    match shape {
        Shape::Text | Shape::Secret | Shape::Path => json!({"type": "string"}),
        Shape::Name => json!({"type": "string", "minLength": 1, "maxLength": 64}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Number(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Duration(_) => json!({"type": "string", "pattern": "^[0-9]+ *(us|ms|s|m|h|d)$"}),
        Shape::Size(..) => json!({"type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB)$"}),
        Shape::Choice(words) => json!({"type": "string", "enum": words}),
        Shape::Address | Shape::Server => json!({"type": "string", "pattern": "^.+:[0-9]+$"}),
        Shape::List(item) => json!({"type": "array", "items": shape_schema(item)}),
        Shape::Section(section) => section_schema(section),
        Shape::Named(section) => json!({"type": "object", "additionalProperties": section_schema(section)}),
        Shape::NamedOrText(section) => json!({
            "type": "object",
            "additionalProperties": {"oneOf": [{"type": "string"}, section_schema(section)]},
        }),
        Shape::NamedText => json!({
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        }),
        Shape::Anything => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn check(path: &str, expected: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(file.parent().map(PathBuf::from).unwrap()).unwrap();
            std::fs::write(&file, expected).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == expected,
            "{path} is not what the tables of keys say: UPDATE_GOLDEN=1 cargo test --lib reference"
        );
    }

    #[test]
    fn reference_files_say_what_the_decoder_knows() {
        let pretty = |json: Json| serde_json::to_string_pretty(&json).unwrap() + "\n";
        check("docs/config.md", &markdown());
        check("docs/schema/bulkhead.schema.json", &pretty(config_schema()));
        check("docs/schema/vschema.schema.json", &pretty(vschema_schema()));
        check("docs/schema/vitess.schema.json", &pretty(vitess_schema()));
    }

    /// Every key of the tables is in the schema with its default, and the schema has no other.
    #[test]
    fn schema_and_tables_have_the_same_keys() {
        fn compare(section: &Section, schema: &Json) {
            let properties = schema["properties"].as_object().unwrap();
            assert_eq!(properties.len(), section.keys.len());
            for key in section.keys {
                let own = &properties[key.name];
                match key.shape {
                    Shape::Section(inner) => compare(inner, own),
                    Shape::Named(inner) => compare(inner, &own["additionalProperties"]),
                    Shape::NamedOrText(inner) => compare(inner, &own["additionalProperties"]["oneOf"][1]),
                    Shape::List(Shape::Section(inner)) => compare(inner, &own["items"]),
                    _ => {}
                }
            }
        }
        compare(&MAIN, &config_schema());
        compare(&native::ROOT, &vschema_schema());
        compare(&vitess::ROOT, &vitess_schema());
    }
}
