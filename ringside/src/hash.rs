//! `ringside hash`: the token that stands for a number in traces and call objects, to search a store for it.

use call_records::Privacy;
use config::Node;
use config::node::Value;
use engine::Catalogue;
use pipeline::ComponentId;

use crate::cli::Hash;
use crate::failure::Failure;
use crate::{settings, show};

/// A line for each number: its token under the key of the configuration.
pub fn hash(catalogue: &Catalogue, arguments: &Hash) -> Result<(), Failure> {
    let mut loaded = settings::load(&arguments.run, catalogue).map_err(|problems| settings::refused(&problems))?;
    show::say(&loaded.warnings.to_string());
    let Some(key) = key(&mut loaded.tree) else {
        return Err(Failure::Usage(format!(
            "{}: there is no key to hash with; set processors.dialog.calls.privacy.key, best as \"${{env:NAME}}\"",
            loaded.files.join(", ")
        )));
    };
    let privacy = Privacy { key, ..Privacy::default() };
    let line = |number: &String| format!("{}\n", privacy.number_token(number.as_bytes()));
    show::print(&arguments.numbers.iter().map(line).collect::<String>())
}

/// The key of the first dialog processor that has one.
pub fn key(tree: &mut Node) -> Option<String> {
    let processors = tree.entries_mut().filter(|(section, _)| *section == "processors");
    let all = processors.flat_map(|(_, processors)| processors.entries_mut());
    let mut dialogs = all.filter(|(id, _)| ComponentId::parse(id).is_some_and(|id| id.kind() == "dialog"));
    dialogs.find_map(|(_, dialog)| {
        let privacy = &dialog.get("calls")?.node.get("privacy")?.node;
        match &privacy.get("key")?.node.value {
            Value::Text(key) if !key.is_empty() => Some(key.clone()),
            _ => None,
        }
    })
}
