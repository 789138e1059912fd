//! The graph: pipelines of the configuration in, what runs and what is shared out.
//!
//! Pipelines that share a set of receivers and a run of processors share those instances: one dialog
//! table, not two. A set of receivers is a shard; behind it stands a tree of runs of processors, and where
//! a pipeline ends an outlet. Pure: it knows ids and roles, no component.

use crate::config::node::{Step, path_text};
use crate::config::{ComponentId, Problems, Role, Service};

/// Everything that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// One thread each.
    pub shards: Vec<ShardPlan>,
}

/// A set of receivers with what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlan {
    /// In order of their ids.
    pub receivers: Vec<ComponentId>,
    /// What their frames go through first.
    pub trunk: Branch,
}

/// A run of processors that no pipeline leaves or joins in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// In the order they work.
    pub processors: Vec<ComponentId>,
    /// Fed by what comes out here; empty when only further branches are.
    pub exporters: Vec<ComponentId>,
    /// Pipelines that go on.
    pub branches: Vec<Branch>,
}

/// A component's id in a pipeline, resolved: it exists and is of the right kind.
struct Member {
    id: ComponentId,
    role: Role,
    path: String,
}

/// A pipeline whose members all exist.
struct Route {
    path: String,
    receivers: Vec<Member>,
    processors: Vec<Member>,
    exporters: Vec<Member>,
}

/// What a pipeline carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Metrics,
    Traces,
}

/// Tells the role of a defined component by list (`receivers`, ...) and id; `None` if it is not defined.
pub(crate) type RoleOf<'a> = dyn Fn(&str, &ComponentId) -> Option<Role> + 'a;

impl Graph {
    /// Joins the pipelines of `service`. `None` after an error; paths of problems begin with `service`.
    pub(crate) fn build(service: &Service, role_of: &RoleOf<'_>, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        let routes: Vec<Route> = service
            .pipelines
            .iter()
            .map(|(name, pipeline)| {
                let steps =
                    [Step::Key("service".to_owned()), Step::Key("pipelines".to_owned()), Step::Key(name.clone())];
                let path = path_text(&steps);
                let signal = signal(name, &path, &mut found);
                let mut members = |list: &str, ids: &[String]| members(&path, list, ids, role_of, &mut found);
                let route = Route {
                    receivers: members("receivers", &pipeline.receivers),
                    processors: members("processors", &pipeline.processors),
                    exporters: members("exporters", &pipeline.exporters),
                    path,
                };
                route.check(signal, &mut found);
                route
            })
            .collect();
        check_sharing(&routes, &mut found);
        let graph = (!found.has_errors()).then(|| Self::join(&routes));
        problems.append(found);
        graph
    }

    fn join(routes: &[Route]) -> Self {
        let mut graph = Self::default();
        for route in routes {
            let receivers = ids(&route.receivers);
            let index = graph.shards.iter().position(|shard| shard.receivers == receivers).unwrap_or_else(|| {
                graph.shards.push(ShardPlan { receivers, trunk: Branch::default() });
                graph.shards.len() - 1
            });
            graph.shards[index].trunk.add(&route.processors, &route.exporters);
        }
        graph.shards.iter_mut().for_each(|shard| shard.trunk.compact());
        graph
    }
}

impl Branch {
    /// Grows the tree by a pipeline, one processor a branch.
    fn add(&mut self, processors: &[Member], exporters: &[Member]) {
        let Some((first, rest)) = processors.split_first() else {
            for exporter in exporters {
                if !self.exporters.contains(&exporter.id) {
                    self.exporters.push(exporter.id.clone());
                }
            }
            return;
        };
        let index = self.branches.iter().position(|branch| branch.processors[0] == first.id).unwrap_or_else(|| {
            self.branches.push(Self { processors: vec![first.id.clone()], ..Self::default() });
            self.branches.len() - 1
        });
        self.branches[index].add(rest, exporters);
    }

    /// Joins a branch with the only one that goes on from it.
    fn compact(&mut self) {
        while self.exporters.is_empty() && self.branches.len() == 1 {
            let only = self.branches.remove(0);
            self.processors.extend(only.processors);
            (self.exporters, self.branches) = (only.exporters, only.branches);
        }
        self.branches.iter_mut().for_each(Self::compact);
    }

    /// This branch and all that go on from it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        self.branches.iter().for_each(|branch| branch.walk(visit));
    }
}

impl Route {
    fn check(&self, signal: Option<Signal>, problems: &mut Problems) {
        if let Some(file) = self.receivers.iter().find(|receiver| receiver.role == Role::ReadsFiles)
            && self.receivers.len() > 1
        {
            let cure = "give it a pipeline of its own; files that belong together go into one list of `files`";
            problems.error(
                &file.path,
                format!("`{}` reads files, which do not follow the clock of others", file.id),
                cure,
            );
        }
        let mut states = None;
        for processor in &self.processors {
            match (processor.role, &states) {
                (Role::StatesFacts, None) => states = Some(processor.id.clone()),
                (Role::StatesFacts, Some(other)) => {
                    let what = format!("`{}` would count everything again after `{other}`", processor.id);
                    problems.error(&processor.path, what, "give it a pipeline of its own");
                }
                (Role::UsesFacts, None) => {
                    let what = format!("`{}` works on what `dialog` finds, and nothing before it does", processor.id);
                    problems.error(&processor.path, what, "put a `dialog` before it");
                }
                _ => {}
            }
        }
        if states.is_none() && !self.receivers.is_empty() && self.processors.is_empty() {
            problems.warning(
                &self.path,
                "no processor: only packets are counted, no calls",
                "add `dialog` to `processors`",
            );
        }
        for exporter in &self.exporters {
            if signal == Some(Signal::Traces) && exporter.role == Role::ExportsMetrics {
                let what = format!("`{}` carries metrics only", exporter.id);
                problems.error(&exporter.path, what, "name it in `[service.pipelines.metrics]` instead");
            }
        }
    }
}

fn ids(members: &[Member]) -> Vec<ComponentId> {
    let mut ids: Vec<ComponentId> = members.iter().map(|member| member.id.clone()).collect();
    ids.sort();
    ids
}

fn signal(name: &str, path: &str, problems: &mut Problems) -> Option<Signal> {
    let id = ComponentId::parse(name);
    let signal = match id.as_ref().map(ComponentId::kind) {
        Some("metrics") => Some(Signal::Metrics),
        Some("traces") => Some(Signal::Traces),
        _ => None,
    };
    if signal.is_none() {
        let cure = "name it `metrics`, `metrics/name`, `traces` or `traces/name`";
        problems.error(path, format!("`{name}` is no kind of pipeline"), cure);
    }
    signal
}

/// The members of one list that exist. Tells what is wrong with the others.
fn members(path: &str, list: &str, names: &[String], role_of: &RoleOf<'_>, problems: &mut Problems) -> Vec<Member> {
    if names.is_empty() && list != "processors" {
        let cure = format!("list at least one in `{list}`");
        problems.error(path, format!("a pipeline without {list} does nothing"), cure);
    }
    let mut members: Vec<Member> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let path = format!("{path}.{list}[{index}]");
        let Some(id) = ComponentId::parse(name) else {
            problems.error(path, format!("{name:?} is no name of a component"), crate::config::id::FORM);
            continue;
        };
        let Some(role) = role_of(list, &id) else {
            let table = path_text(&[Step::Key(list.to_owned()), Step::Key(name.clone())]);
            problems.error(path, format!("`{name}` is not defined"), format!("add a table `[{table}]`"));
            continue;
        };
        if members.iter().any(|member| member.id == id) {
            problems.error(path, format!("`{name}` stands twice in one pipeline"), "name it once");
            continue;
        }
        members.push(Member { id, role, path });
    }
    members
}

/// A receiver belongs to one set of receivers, an exporter to what comes out of one.
fn check_sharing(routes: &[Route], problems: &mut Problems) {
    for (index, route) in routes.iter().enumerate() {
        for earlier in &routes[..index] {
            let same_source = ids(&route.receivers) == ids(&earlier.receivers);
            let shared = |member: &&Member| earlier.receivers.iter().any(|other| other.id == member.id);
            if let Some(receiver) = route.receivers.iter().find(shared)
                && !same_source
            {
                let what = format!("`{}` is in {} with other receivers", receiver.id, earlier.path);
                problems.error(&receiver.path, what, "give both pipelines the same receivers, or define a second one");
            }
            let same_way = same_source
                && route
                    .processors
                    .iter()
                    .map(|member| &member.id)
                    .eq(earlier.processors.iter().map(|member| &member.id));
            let shared = |member: &&Member| earlier.exporters.iter().any(|other| other.id == member.id);
            if let Some(exporter) = route.exporters.iter().find(shared)
                && !same_way
            {
                let what = format!("`{}` is fed by {} too, which counts differently", exporter.id, earlier.path);
                let cure = "give both pipelines the same receivers and processors, or define a second exporter";
                problems.error(&exporter.path, what, cure);
            }
        }
    }
}

#[cfg(test)]
mod tests;
