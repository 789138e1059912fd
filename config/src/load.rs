//! From texts to one tree: files merged in their order, `--set` over them, variables replaced.

use pipeline::settings::{Place, Problems};

use super::node::{Node, Step, Value};
use super::source;
use super::variable::{self, Variables};

/// What a configuration is made of. Reading files is the caller's.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Name and text of each file; a later one is merged over an earlier one.
    pub files: Vec<(String, String)>,
    /// `path=value`, merged over the files in this order.
    pub set: Vec<String>,
    /// Tells at which paths a variable may be unset or empty: the value is then an empty text. `None`: nowhere.
    pub may_be_unset: Option<fn(&[Step]) -> bool>,
}

/// What is said of files that configure nothing. For another file than pipeline.toml its reader changes the help.
pub const NOTHING: &str = "nothing is configured";

impl Sources {
    /// The merged tree. `look_up` tells a variable's value, `None` if it is unset. `None` after a text that
    /// is not TOML or when nothing is configured at all; other errors leave a tree, so that more are found.
    pub fn load(&self, look_up: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Option<Node> {
        let parsed = self.files.iter().map(|(name, text)| source::file(name, text, problems));
        let parsed: Vec<Option<Node>> = parsed.collect();
        let set: Vec<Option<Node>> = self.set.iter().map(|argument| source::set(argument, problems)).collect();
        let texts: Vec<Node> = parsed.into_iter().collect::<Option<_>>()?;
        let mut tree = Node::empty(Place::file(self.files.first().map_or("--set", |(name, _)| name)));
        texts.into_iter().chain(set.into_iter().flatten()).for_each(|node| tree.merge(node));
        if matches!(&tree.value, Value::Table(entries) if entries.is_empty()) {
            // Not even a text: whoever should have read one has said why not.
            if self.files.is_empty() {
                return None;
            }
            problems.error_at(&tree.place, "", NOTHING, "start from pipeline.toml of the project");
            return None;
        }
        let may_be_unset = self.may_be_unset.unwrap_or(|_| false);
        variable::expand(&mut tree, &mut Vec::new(), &Variables { look_up, may_be_unset }, problems);
        Some(tree)
    }
}
