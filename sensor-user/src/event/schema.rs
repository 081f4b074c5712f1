//! The JSON Schema of lines, made from the types that write and read them.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::json::Line;

/// The schema, as `docs/events.schema.json` has it.
#[must_use]
pub fn schema() -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Line<'static>>();
    schema.insert("title".to_owned(), "A line of Picket's event stream, version 1".into());
    schema
}

/// What a line has that the schema does not, and the other way round: nothing, where all is well.
#[must_use]
pub fn differences(line: &Value) -> Vec<String> {
    let schema = schema().to_value();
    let kind = line["type"].as_str().unwrap_or_default();
    let mut name = kind.to_owned();
    name[..kind.len().min(1)].make_ascii_uppercase();
    let object = &schema["$defs"][&name];
    let (none, no_line) = (Map::new(), Map::new());
    let known = object["properties"].as_object().unwrap_or(&none);
    let found = line.as_object().unwrap_or(&no_line);
    let mut wrong = Vec::new();
    for (field, value) in found.iter().filter(|(field, _)| *field != "type") {
        match known.get(field) {
            None => wrong.push(format!("{kind} has no {field}")),
            Some(of) if !is_of(value, &of["type"], of) => {
                wrong.push(format!("{field} of {kind} is {value}"));
            }
            Some(_) => {}
        }
    }
    let required = object["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for field in required.iter().filter_map(Value::as_str).filter(|f| !found.contains_key(*f)) {
        wrong.push(format!("{kind} lacks {field}"));
    }
    wrong
}

/// Whether a value is of a type of the schema. One that refers to another definition is not looked into.
fn is_of(value: &Value, kind: &Value, of: &Value) -> bool {
    let one = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    };
    match kind {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(one),
        _ => of.get("anyOf").is_some() || of.get("$ref").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::SystemTime;

    use crate::event::json::{Process, Repeat, Subject, Violation};
    use crate::event::{Context, decode};

    use super::*;

    #[test]
    fn the_schema_in_docs_is_this_one() {
        let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.schema.json");
        let own = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("PICKET_BLESS").is_some() {
            std::fs::write(&at, &own).unwrap();
        }
        let kept = std::fs::read_to_string(&at).unwrap_or_default();
        assert!(kept == own, "docs/events.schema.json is another; PICKET_BLESS=1 writes it");
    }

    fn lines() -> Vec<Line<'static>> {
        let mut record = vec![0; size_of::<sensor_ebpf::event::EventHeader>()];
        record[52..56].copy_from_slice(&3_u32.to_le_bytes());
        let event = decode::decode(&record).unwrap();
        let subject = || Subject {
            agent: "a".into(),
            agent_id: "1.1".into(),
            owner: Some(1),
            policy: "p".into(),
            version: "v".into(),
        };
        let now = SystemTime::UNIX_EPOCH;
        let bare = Violation::new(&event, Context::unknown(), now, Process::default()).into_owned();
        let mut full = bare.clone();
        full.process = Process {
            exe: Some("/x".to_owned()),
            argv: Some(vec!["x".to_owned()]),
            argv_cut: true,
            cwd: Some("/".to_owned()),
            ancestry: vec![super::super::json::Ancestor { pid: 1, exe: None }],
            cgroup_path: Some("/".to_owned()),
            container: Some("c".to_owned()),
            gone: true,
        };
        full.subject = Some("/a".to_owned());
        full.peer = Some("/b".to_owned());
        full.errno = Some("EACCES".into());
        full.fault = Some("unreadable".into());
        full.rule =
            Some(crate::event::Rule { file: "f".into(), line: 1, reason: Some("r".into()) });
        let (first, last) = (String::new(), full.clone());
        let mut lines = vec![
            Line::Violation(Box::new(bare)),
            Line::Violation(Box::new(full)),
            Line::Repeat(Box::new(Repeat { repeats: 1, first, first_seq: 1, last })),
            Line::loss(subject(), 1, 2, now),
            Line::left_over(subject(), 1, now),
            Line::gap("file", 1),
            Line::notice("w", None, None),
            Line::notice("w", Some(subject()), Some("d")),
        ];
        lines.iter_mut().skip(1).for_each(|line| line.number(1));
        lines
    }

    #[test]
    fn every_kind_of_line_is_as_the_schema_says_and_is_read_back() {
        for line in lines() {
            let text = line.text();
            let value = serde_json::from_str(&text).unwrap();
            assert_eq!(differences(&value), Vec::<String>::new(), "{text}");
            assert_eq!(Line::parse(&text).unwrap(), line);
        }
        let wrong = serde_json::json!({ "type": "gap", "sink": 1, "more": true, "missed": 1 });
        let found = differences(&wrong);
        assert!(found.iter().any(|what| what == "gap has no more"), "{found:?}");
        assert!(found.iter().any(|what| what == "sink of gap is 1"), "{found:?}");
        assert!(found.iter().any(|what| what == "gap lacks time"), "{found:?}");
    }

    #[test]
    fn every_field_is_in_the_document() {
        let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
        let text = std::fs::read_to_string(at).unwrap();
        let schema = schema().to_value();
        for (name, object) in schema["$defs"].as_object().unwrap() {
            for field in object["properties"].as_object().into_iter().flat_map(Map::keys) {
                assert!(
                    text.contains(&format!("`{field}`")),
                    "docs/events.md has no {field} of {name}"
                );
            }
        }
    }
}
