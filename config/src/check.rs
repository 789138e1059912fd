//! From the tree to a configuration that can run: every component checked, every pipeline joined.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use pipeline::settings::{Place, Problems, duration};
use pipeline::{ComponentId, Processor, ProcessorContext, id};

use super::catalogue::{Catalogue, Checked, Role, Type};
use super::graph::{Graph, Roles, ShardPlan, Signal};
use super::node::{self, Node, Step, Value, path_text};
use super::read::Partly;
use super::service::{Pipeline, Service};
use super::suggest;

/// A configuration without errors.
pub struct Configuration {
    /// `[service]`.
    pub service: Service,
    /// `[receivers.<id>]`.
    pub receivers: Components,
    /// `[processors.<id>]`.
    pub processors: Components,
    /// `[exporters.<id>]`.
    pub exporters: Components,
    /// `[extensions.<id>]`.
    pub extensions: Components,
    /// What runs.
    pub graph: Graph,
}

/// The components of one kind by id, ready to be built.
pub type Components = BTreeMap<ComponentId, Checked>;

impl Configuration {
    /// Checks everything that stands in `tree`. `None` after an error; `problems` then holds every one found.
    pub fn check<E, X>(tree: &Node, catalogue: &Catalogue<E, X>, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        check_top(tree, &mut found);
        let receivers = section("receivers", tree, &catalogue.receivers, &mut found);
        let mut processors = section("processors", tree, &catalogue.processors, &mut found);
        let exporters = section("exporters", tree, &catalogue.exporters, &mut found);
        let extensions = section("extensions", tree, &catalogue.extensions, &mut found);
        let service = service(tree, &mut found);
        // What a list lacks would be missed once more.
        let [pipelines_lack, extensions_lack] = ["pipelines", "extensions"].map(|key| service.lacks(key));
        let mut service = service.value;
        if let Some(service) = service.as_ref().filter(|_| !extensions_lack) {
            check_extensions(tree, service, catalogue, &mut found);
            check_named_extensions(&exporters, service, catalogue, &mut found);
        }
        let graph = service.as_mut().filter(|_| !pipelines_lack).and_then(|service| {
            let mut roles = roles(tree, catalogue);
            check_unused(tree, service, &roles, &mut found);
            add_choosers(service, catalogue, &mut roles, &mut processors);
            Graph::build(service, &roles, &mut found)
        });
        let configuration = (!found.has_errors())
            .then(|| Some(Self { service: service?, receivers, processors, exporters, extensions, graph: graph? }))
            .flatten();
        let configuration = configuration.filter(|whole| whole.check_windows(catalogue, &mut found));
        tree.locate(&mut found);
        problems.append(found);
        configuration
    }

    /// Capture duplicates are removed once, by the receiver: all who hang on it must want the same.
    fn check_windows<E, X>(&self, catalogue: &Catalogue<E, X>, problems: &mut Problems) -> bool {
        let before = problems.has_errors();
        for ShardPlan { receivers, trunk, .. } in &self.graph.shards {
            let mut instances = Vec::new();
            trunk.walk(&mut |branch| instances.extend(&branch.processors));
            let stating =
                |id: &&&ComponentId| catalogue.processor(id).is_some_and(|kind| kind.role == Role::StatesFacts);
            let stating: Vec<&ComponentId> = instances.iter().filter(stating).copied().collect();
            let [first, others @ ..] = stating.as_slice() else { continue };
            let window = |id: &ComponentId| {
                let context = ProcessorContext {
                    label_sets: Default::default(),
                    calls: None,
                    shards: 1,
                    media: None,
                    id: id.clone(),
                    common: Default::default(),
                };
                let kind = catalogue.processor(id).expect("its role was found there");
                kind.build(self.processors[id].settings(), &context).duplicate_window()
            };
            for other in others {
                if let (Some(wanted), Some(also)) = (window(first), window(other))
                    && wanted != also
                {
                    let (wanted, also) = (duration::format(wanted), duration::format(also));
                    let receiver = &receivers[0];
                    let path = path_text(&[Step::Key("processors".to_owned()), Step::Key(other.to_string())]);
                    let what = format!("wants capture duplicates within {also} removed, `{first}` within {wanted}");
                    problems.error(path, what, format!("give both the same window, for both are fed by `{receiver}`"));
                }
            }
        }
        problems.has_errors() == before
    }
}

impl<E, X> Catalogue<E, X> {
    /// The type of a processor.
    pub(crate) fn processor(&self, id: &ComponentId) -> Option<&Type<dyn Processor, ProcessorContext>> {
        self.processors.iter().find(|kind| kind.name == id.kind())
    }
}

/// The role of every component that is defined.
fn roles<E, X>(tree: &Node, catalogue: &Catalogue<E, X>) -> Roles {
    fn role<P: ?Sized, X>(types: &[Type<P, X>], id: &ComponentId) -> Option<Role> {
        types.iter().find(|kind| kind.name == id.kind()).map(|kind| kind.role)
    }
    let mut roles = Roles::new();
    for list in LISTS {
        let Some(Value::Table(entries)) = tree.get(list).map(|entry| &entry.node.value) else { continue };
        for id in entries.keys().filter_map(|name| ComponentId::parse(name)) {
            let role = match list {
                "receivers" => role(&catalogue.receivers, &id),
                "processors" => role(&catalogue.processors, &id),
                _ => role(&catalogue.exporters, &id),
            };
            roles.insert((list, id), role);
        }
    }
    roles
}

/// The lists of a pipeline.
const LISTS: [&str; 3] = ["receivers", "processors", "exporters"];

/// Tables that may stand at the top.
const TOP: [&str; 5] = ["receivers", "processors", "exporters", "extensions", "service"];

fn check_top(tree: &Node, problems: &mut Problems) {
    let Value::Table(entries) = &tree.value else { return };
    for (key, entry) in entries {
        let path = path_text(&[Step::Key(key.clone())]);
        if !TOP.contains(&key.as_str()) {
            problems.error_at(&entry.key, path, "unknown key", suggest::help(key, &TOP));
        } else if !matches!(entry.node.value, Value::Table(_)) {
            problems.error_at(&entry.node.place, path, "not a table", format!("write `[{key}...]`"));
        }
    }
}

/// Checks every component of one kind.
fn section<P: ?Sized, X>(list: &str, tree: &Node, types: &[Type<P, X>], problems: &mut Problems) -> Components {
    let mut components = Components::new();
    let Some(Value::Table(entries)) = tree.get(list).map(|entry| &entry.node.value) else { return components };
    for (name, node::Entry { key, node }) in entries {
        let path = [Step::Key(list.to_owned()), Step::Key(name.clone())];
        let Some(id) = ComponentId::parse(name) else {
            problems.error_at(key, path_text(&path), format!("{name:?} is no name of a component"), id::FORM);
            continue;
        };
        let Some(kind) = types.iter().find(|kind| kind.name == id.kind()) else {
            let known: Vec<&str> = types.iter().map(|kind| kind.name).collect();
            let what = format!("`{}` is not among the {list} compiled in", id.kind());
            let help = match known.is_empty() {
                true => format!("take it out; no {list} are compiled in"),
                false => suggest::help(id.kind(), &known),
            };
            problems.error_at(key, path_text(&path), what, help);
            continue;
        };
        if let Some(checked) = kind.check(node, &path, problems) {
            components.insert(id, checked);
        }
    }
    components
}

fn service(tree: &Node, problems: &mut Problems) -> Partly<Service> {
    let prefix = [Step::Key("service".to_owned())];
    let empty = Node::empty(tree.place.clone());
    let node = tree.get("service").map_or(&empty, |entry| &entry.node);
    let read: Partly<Service> = node.read(&prefix, problems);
    let mut found = Problems::default();
    read.check(&mut found, Service::check);
    found.iter_mut().for_each(|problem| problem.path.insert_str(0, "service."));
    problems.append(found);
    read
}

/// A table that no pipeline names is a mistake: most likely a misspelt or forgotten reference.
fn check_unused(tree: &Node, service: &Service, roles: &Roles, problems: &mut Problems) {
    for ((list, id), role) in roles {
        let mut pipelines = service.pipelines.values();
        let used = pipelines.any(|pipeline| {
            let names = match *list {
                "receivers" => &pipeline.receivers,
                "processors" => &pipeline.processors,
                _ => &pipeline.exporters,
            };
            names.iter().any(|name| name == id.as_str())
        });
        // Files are read by commands of their own, with the same configuration; media are listened to, and balancers
        // looked at, by a word in a pipeline.
        if used || role.is_none_or(|role| matches!(role, Role::ReadsFiles | Role::HearsMedia | Role::ReadsFrames)) {
            continue;
        }
        let path = path_text(&[Step::Key((*list).to_owned()), Step::Key(id.to_string())]);
        let help = format!("name it in `{list}` of a pipeline under `[service.pipelines]`, or take it out");
        let entry = tree.get(list).and_then(|section| section.node.get(id.as_str()));
        let place = entry.map_or(&tree.place, |entry| &entry.key);
        problems.error_at(place, path, "no pipeline uses it", help);
    }
}

/// An extension that is defined runs, and one that is to run is defined.
fn check_extensions<E, X>(tree: &Node, service: &Service, catalogue: &Catalogue<E, X>, problems: &mut Problems) {
    let defined = match tree.get("extensions").map(|entry| &entry.node.value) {
        Some(Value::Table(entries)) => {
            entries.iter().map(|(name, entry)| (name.as_str(), &entry.key)).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    };
    for (index, name) in service.extensions.iter().enumerate() {
        let path = format!("service.extensions[{index}]");
        if service.extensions[..index].contains(name) {
            problems.error(path, format!("`{name}` stands twice"), "name it once");
        } else if !defined.iter().any(|(known, _)| known == name) {
            let table = path_text(&[Step::Key("extensions".to_owned()), Step::Key(name.clone())]);
            let help = match suggest::closest(name, defined.iter().map(|(known, _)| *known)) {
                Some(meant) => format!("did you mean `{meant}`? Otherwise add a table `[{table}]`"),
                None => format!("add a table `[{table}]`"),
            };
            problems.error(path, format!("`{name}` is not defined"), help);
        }
    }
    // Of a type that is not compiled in more has been said.
    let is_known = |name: &str| {
        catalogue.extensions.iter().any(|kind| ComponentId::parse(name).is_some_and(|id| kind.name == id.kind()))
    };
    for (name, place) in defined.into_iter().filter(|(name, _)| is_known(name)) {
        if !service.extensions.iter().any(|used| used == name) {
            let path = path_text(&[Step::Key("extensions".to_owned()), Step::Key(name.to_owned())]);
            let help = "name it in `service.extensions`, or take it out";
            problems.error_at(place, path, "nothing starts it", help);
        }
    }
}

/// An exporter that names an extension names one that runs, and that does what it is needed for.
fn check_named_extensions<E, X>(
    exporters: &Components,
    service: &Service,
    catalogue: &Catalogue<E, X>,
    problems: &mut Problems,
) {
    for (id, checked) in exporters {
        let kind = catalogue.exporters.iter().find(|kind| kind.name == id.kind());
        let Some((path, role)) = kind.and_then(Type::extension) else { continue };
        let found = path.split('.').try_fold(None, |table: Option<&toml::Value>, key| {
            let value = table.map_or_else(|| checked.effective.get(key), |table| table.get(key));
            value.map(Some)
        });
        let Some(name) = found.flatten().and_then(toml::Value::as_str).filter(|name| !name.is_empty()) else {
            continue;
        };
        let does = |name: &str| {
            let kind = ComponentId::parse(name)?;
            catalogue.extensions.iter().find(|other| other.name == kind.kind()).filter(|other| other.role == role)
        };
        let fitting = service.extensions.iter().map(String::as_str).filter(|name| does(name).is_some());
        if service.extensions.iter().any(|used| used == name) && does(name).is_some() {
            continue;
        }
        let help = match suggest::closest(name, fitting) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                let known = catalogue.extensions.iter().find(|kind| kind.role == role).map_or("", |kind| kind.name);
                format!("add a table `[extensions.{known}]`, and name it in `service.extensions`")
            }
        };
        let keys = ["exporters", id.as_str()].map(|key| Step::Key(key.to_owned()));
        let path = format!("{}.{path}", path_text(&keys));
        problems.error(path, format!("`{name}` is no extension that keeps files and runs"), help);
    }
}

/// A traces pipeline that says nothing about which calls leave is as one with the default settings: they are added
/// to it under an id of their own, so that the effective configuration shows them.
fn add_choosers<E, X>(
    service: &mut Service,
    catalogue: &Catalogue<E, X>,
    roles: &mut Roles,
    processors: &mut Components,
) {
    let Some(kind) = catalogue.processors.iter().find(|kind| kind.role == Role::ChoosesCalls) else { return };
    let name = format!("{}/default", kind.name);
    let id = ComponentId::parse(&name).expect("a type of the catalogue and a plain word make an id");
    for (pipeline, Pipeline { processors: names, .. }) in &mut service.pipelines {
        let chooses = |name: &String| ComponentId::parse(name).is_some_and(|id| id.kind() == kind.name);
        if Signal::of(pipeline) != Some(Signal::Traces) || names.iter().any(chooses) {
            continue;
        }
        names.push(name.clone());
        if let Entry::Vacant(vacant) = processors.entry(id.clone()) {
            let empty = Node::empty(Place::file("default"));
            let checked = kind.check(&empty, &[], &mut Problems::default());
            vacant.insert(checked.expect("the default settings of a component are right"));
            roles.insert(("processors", id.clone()), Some(kind.role));
        }
    }
}
