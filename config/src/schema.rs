//! The JSON schema (draft 7) of a configuration, for editors: made of the types that configurations are read into.
//!
//! It holds names and types of keys, their defaults, and what each means. What a component checks beyond that, and what joins
//! pipelines, only `validate` can tell. A value that may be a number, a truth, a list or one of a few words may be text with a
//! variable in it as well.

use pipeline::id;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::catalogue::{Catalogue, Type};
use super::service::Service;

impl<E, X> Catalogue<E, X> {
    /// The schema of every configuration of this program.
    pub fn schema(&self) -> Value {
        let mut generator =
            SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator();
        let mut properties = Map::new();
        properties
            .insert("receivers".to_owned(), section("Where messages come from.", &self.receivers, &mut generator));
        properties.insert("processors".to_owned(), section("What is made of them.", &self.processors, &mut generator));
        properties.insert("exporters".to_owned(), section("Where the results go.", &self.exporters, &mut generator));
        let about = "What stands beside the pipelines.";
        properties.insert("extensions".to_owned(), section(about, &self.extensions, &mut generator));
        let mut service = generator.subschema_for::<Service>();
        Written.transform(&mut service);
        properties.insert("service".to_owned(), service.to_value());
        json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Configuration of ringside",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

/// The tables of one kind, by ids.
fn section<P: ?Sized, X>(about: &str, types: &[Type<P, X>], generator: &mut SchemaGenerator) -> Value {
    let table = |kind: &Type<P, X>| {
        let mut schema = kind.schema(generator);
        Written.transform(&mut schema);
        schema.insert("description".to_owned(), format!("{}.", kind.about).into());
        (format!("^{}(/[^\\s]+)?$", kind.name), schema.to_value())
    };
    let tables: Map<String, Value> = types.iter().map(table).collect();
    json!({
        "type": "object",
        "description": format!("{about} Each table is named `type` or `type/name`: {}.", id::FORM),
        "patternProperties": tables,
        "additionalProperties": false,
    })
}

/// Makes of the schema of what is read that of what is written.
struct Written;

impl Transform for Written {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::String(text)) = schema.get_mut("description") {
            // Links of the documentation of Rust.
            *text = text.replace("[`", "`").replace("`]", "`");
        }
        let Some(object) = schema.as_object_mut() else { return };
        if object.contains_key("properties") {
            object.entry("additionalProperties").or_insert(false.into());
        }
        or_variable(object);
    }
}

/// Lets a value that is no plain text be text with a variable in it. What a number, a list and a text has to be like stands
/// side by side: each rule of a schema looks at values of its own type only.
fn or_variable(object: &mut Map<String, Value>) {
    let variable = json!({ "type": "string", "pattern": VARIABLE });
    // There is no null in TOML: a key that is left out needs none.
    if let Some(Value::Array(types)) = object.get("type")
        && let [only, Value::String(null)] = types.as_slice()
        && null == "null"
    {
        let only = only.clone();
        object.insert("type".to_owned(), only);
    }
    if let Some(Value::Array(choices)) = object.get_mut("oneOf") {
        if choices.iter().all(|choice| choice.get("const").is_some()) {
            choices.push(variable);
        }
        return;
    }
    if let Some(words) = object.remove("enum") {
        object.remove("type");
        object.insert("anyOf".to_owned(), json!([{ "enum": words }, variable]));
        return;
    }
    let (also, pattern) = match object.get("type").and_then(Value::as_str) {
        Some(number @ ("integer" | "number")) => (number, format!(r"^\s*-?[0-9.]+\s*$|{VARIABLE}")),
        Some("boolean") => ("boolean", format!(r"^\s*(true|false)\s*$|{VARIABLE}")),
        Some("array") => ("array", VARIABLE.to_owned()),
        Some("string") => {
            if let Some(Value::String(pattern)) = object.get_mut("pattern") {
                *pattern = format!("{pattern}|{VARIABLE}");
            }
            return;
        }
        _ => return,
    };
    let types = json!([also, "string"]);
    object.insert("type".to_owned(), types);
    object.insert("pattern".to_owned(), pattern.into());
}

/// Text with a variable in it.
const VARIABLE: &str = r"\$\{env:";
