//! The graph: pipelines of the configuration in, what runs and what is shared out.
//!
//! Pipelines that share a set of receivers and a run of processors share those instances: one dialog
//! table, not two. A set of receivers is a shard; behind it stands a tree of runs of processors, and where
//! a pipeline ends an outlet. Pure: it knows ids and roles, no component.

use std::collections::BTreeMap;

use pipeline::settings::Problems;
use pipeline::{ComponentId, id};

use super::catalogue::Role;
use super::node::{Step, path_text};
use super::service::{Pipeline, Service};
use super::suggest;

/// Everything that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// One thread each.
    pub shards: Vec<ShardPlan>,
}

/// A set of receivers with what hangs on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardPlan {
    /// In order of their ids.
    pub receivers: Vec<ComponentId>,
    /// What their frames go through first.
    pub trunk: Branch,
    /// Exporters that record the messages these bring.
    pub recorders: Vec<ComponentId>,
    /// Exporters that show the rows a receiver has of its own; then it stands alone here, and nothing behind it.
    pub shown_by: Vec<ComponentId>,
}

/// A run of processors that no pipeline leaves or joins in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// In the order they work.
    pub processors: Vec<ComponentId>,
    /// Fed by what is counted here: metrics pipelines end here. Empty when none does.
    pub exporters: Vec<ComponentId>,
    /// Fed by the calls that come out here: traces pipelines end here. Empty when none does.
    pub call_exporters: Vec<ComponentId>,
    /// Pipelines that go on.
    pub branches: Vec<Branch>,
}

/// Where in a shard every call comes out, with its labels and before anything chooses among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// The branch, counted in the order of [`Branch::walk`].
    pub branch: usize,
    /// In front of which of its processors; their number for behind the last.
    pub place: usize,
}

/// A component's id in a pipeline, resolved: it exists and is of the right kind.
struct Member {
    id: ComponentId,
    role: Role,
    path: String,
}

/// A pipeline with those of its members that exist.
struct Route {
    /// Every member exists and is known, so that what they make together can be judged.
    whole: bool,
    /// `None` when its name is that of no signal.
    signal: Option<Signal>,
    path: String,
    /// Those that bring frames.
    receivers: Vec<Member>,
    /// Those that ask.
    asking: Vec<Member>,
    processors: Vec<Member>,
    exporters: Vec<Member>,
    /// Those that record messages.
    recorders: Vec<Member>,
}

/// What a pipeline carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Counts: an exporter reads the rows.
    Metrics,
    /// Calls: an exporter gets each.
    Traces,
}

impl Signal {
    /// By the name of a pipeline, `metrics`, `metrics/name`, `traces` or `traces/name`; `None` for another.
    pub fn of(pipeline: &str) -> Option<Self> {
        match ComponentId::parse(pipeline)?.kind() {
            "metrics" => Some(Self::Metrics),
            "traces" => Some(Self::Traces),
            _ => None,
        }
    }
}

/// Every component that is defined, by list (`receivers`, ...) and id, with its role; `None` where its type is
/// not compiled in, which has been reported.
pub(crate) type Roles = BTreeMap<(&'static str, ComponentId), Option<Role>>;

impl Graph {
    /// Joins the pipelines of `service`. `None` after an error; paths of problems begin with `service`.
    pub(crate) fn build(service: &Service, roles: &Roles, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        let pipelines = service.pipelines.iter();
        let routes = pipelines.map(|(name, pipeline)| Route::build(name, pipeline, roles, &mut found));
        let routes: Vec<Route> = routes.collect();
        check_sharing(&routes, &mut found);
        let graph = (!found.has_errors()).then(|| Self::join(&routes));
        problems.append(found);
        graph
    }

    fn join(routes: &[Route]) -> Self {
        let mut graph = Self::default();
        for route in routes.iter().filter(|route| !route.receivers.is_empty()) {
            let receivers = ids(&route.receivers);
            let index = graph.shards.iter().position(|shard| shard.receivers == receivers).unwrap_or_else(|| {
                graph.shards.push(ShardPlan { receivers, ..ShardPlan::default() });
                graph.shards.len() - 1
            });
            let ShardPlan { trunk, recorders, .. } = &mut graph.shards[index];
            trunk.add(&route.processors, route);
            for recorder in &route.recorders {
                if !recorders.contains(&recorder.id) {
                    recorders.push(recorder.id.clone());
                }
            }
        }
        graph.shards.iter_mut().for_each(|shard| shard.trunk.compact());
        for route in routes {
            for asking in &route.asking {
                graph.show(&asking.id, &route.exporters);
            }
        }
        graph
    }

    /// Gives a receiver that asks a thread of its own, once, and `exporters` its rows.
    fn show(&mut self, asking: &ComponentId, exporters: &[Member]) {
        let index = self.shards.iter().position(|shard| shard.receivers.contains(asking)).unwrap_or_else(|| {
            let receivers = vec![asking.clone()];
            self.shards.push(ShardPlan { receivers, ..ShardPlan::default() });
            self.shards.len() - 1
        });
        let shown_by = &mut self.shards[index].shown_by;
        for exporter in exporters {
            if !shown_by.contains(&exporter.id) {
                shown_by.push(exporter.id.clone());
            }
        }
    }
}

impl ShardPlan {
    /// Where watchers get the calls: at the first end of a metrics pipeline, for that is what is counted, else at that
    /// of a traces pipeline. Only where `role` tells of a processor that finds calls.
    pub fn tap(&self, role: &dyn Fn(&ComponentId) -> Role) -> Option<Tap> {
        let mut branches = Vec::new();
        self.trunk.find_calls(false, role, &mut branches);
        let end = |is: fn(&Branch) -> bool| branches.iter().position(|(found, branch)| *found && is(branch));
        let branch =
            end(|branch| !branch.exporters.is_empty()).or_else(|| end(|branch| !branch.call_exporters.is_empty()))?;
        let processors = &branches[branch].1.processors;
        let chooser = processors.iter().position(|id| role(id) == Role::ChoosesCalls);
        Some(Tap { branch, place: chooser.unwrap_or(processors.len()) })
    }
}

impl Branch {
    /// Adds this branch and all that go on from it, each with whether calls are found in it or before.
    fn find_calls<'a>(&'a self, before: bool, role: &dyn Fn(&ComponentId) -> Role, out: &mut Vec<(bool, &'a Self)>) {
        let found = before || self.processors.iter().any(|id| role(id) == Role::StatesFacts);
        out.push((found, self));
        self.branches.iter().for_each(|branch| branch.find_calls(found, role, out));
    }

    /// Grows the tree by a pipeline, one processor a branch.
    fn add(&mut self, processors: &[Member], route: &Route) {
        let Some((first, rest)) = processors.split_first() else {
            let fed = match route.signal {
                Some(Signal::Traces) => &mut self.call_exporters,
                Some(Signal::Metrics) | None => &mut self.exporters,
            };
            for exporter in &route.exporters {
                if !fed.contains(&exporter.id) {
                    fed.push(exporter.id.clone());
                }
            }
            return;
        };
        let index = self.branches.iter().position(|branch| branch.processors[0] == first.id).unwrap_or_else(|| {
            self.branches.push(Self { processors: vec![first.id.clone()], ..Self::default() });
            self.branches.len() - 1
        });
        self.branches[index].add(rest, route);
    }

    /// Joins a branch with the only one that goes on from it.
    fn compact(&mut self) {
        while self.exporters.is_empty() && self.call_exporters.is_empty() && self.branches.len() == 1 {
            let only = self.branches.remove(0);
            self.processors.extend(only.processors);
            (self.exporters, self.call_exporters, self.branches) = (only.exporters, only.call_exporters, only.branches);
        }
        self.branches.iter_mut().for_each(Self::compact);
    }

    /// Whether anything here or behind it is counted.
    pub fn counts(&self) -> bool {
        !self.exporters.is_empty() || self.branches.iter().any(Self::counts)
    }

    /// Whether calls leave from here or from behind it.
    pub fn traces(&self) -> bool {
        !self.call_exporters.is_empty() || self.branches.iter().any(Self::traces)
    }

    /// This branch and all that go on from it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        self.branches.iter().for_each(|branch| branch.walk(visit));
    }
}

impl Route {
    fn build(name: &str, pipeline: &Pipeline, roles: &Roles, problems: &mut Problems) -> Self {
        let path = path_text(&["service", "pipelines", name].map(|key| Step::Key(key.to_owned())));
        let signal = signal(name, &path, problems);
        let mut whole = signal.is_some();
        let mut list = |list, ids| {
            let (members, all) = members(&path, list, ids, roles, problems);
            whole &= all;
            members
        };
        let receivers = list("receivers", &pipeline.receivers);
        let (asking, receivers) = receivers.into_iter().partition(|receiver| receiver.role == Role::Asks);
        let processors = list("processors", &pipeline.processors);
        let exporters = list("exporters", &pipeline.exporters);
        let (recorders, exporters) = exporters.into_iter().partition(|exporter| exporter.role == Role::Records);
        let route = Self { whole, signal, path, receivers, asking, processors, exporters, recorders };
        if let Some(signal) = signal.filter(|_| whole) {
            route.check(signal, problems);
        }
        route
    }

    fn check(&self, signal: Signal, problems: &mut Problems) {
        if let Some(file) = self.receivers.iter().find(|receiver| receiver.role == Role::ReadsFiles)
            && self.receivers.len() > 1
        {
            let help = "give it a pipeline of its own; files that belong together go into one list of `files`";
            problems.error(
                &file.path,
                format!("`{}` reads files, which do not follow the clock of others", file.id),
                help,
            );
        }
        for asking in self.asking.iter().filter(|_| signal == Signal::Traces) {
            let what = format!("`{}` asks others and sees no calls", asking.id);
            problems.error(&asking.path, what, "name it in `[service.pipelines.metrics]` instead");
        }
        match self.processors.first().filter(|_| self.receivers.is_empty()) {
            // Of traces enough has been said.
            Some(_) if signal == Signal::Traces => {}
            Some(processor) => {
                let what = format!("`{}` has nothing to work on: no receiver here brings messages", processor.id);
                problems.error(&processor.path, what, "take it out, or add a receiver such as `ebpf_sip`");
            }
            None => self.check_processors(signal, problems),
        }
        if let Some(recorder) = self.recorders.first() {
            if self.exporters.is_empty() {
                let what = format!(
                    "`{}` records messages, and nothing carries out what the pipeline makes of them",
                    recorder.id
                );
                problems.error(&recorder.path, what, "name it beside another exporter, such as `prometheus`");
            } else if self.receivers.is_empty() {
                let what = format!("`{}` has nothing to record: no receiver here brings messages", recorder.id);
                problems.error(&recorder.path, what, "take it out, or add a receiver such as `ebpf_sip`");
            }
        }
        for exporter in &self.exporters {
            if signal == Signal::Traces && exporter.role == Role::ExportsMetrics {
                let what = format!("`{}` carries metrics only", exporter.id);
                problems.error(&exporter.path, what, "name it in `[service.pipelines.metrics]` instead");
            }
        }
    }
}

impl Route {
    /// Who stands where: one that states facts first, one that chooses calls last and only where calls leave.
    fn check_processors(&self, signal: Signal, problems: &mut Problems) {
        let mut states = None;
        let mut chooses = None;
        for processor in &self.processors {
            match (processor.role, &states) {
                (Role::StatesFacts, None) => states = Some(&processor.id),
                (Role::StatesFacts, Some(other)) => {
                    let what = format!("`{}` would count everything again after `{other}`", processor.id);
                    problems.error(&processor.path, what, "give it a pipeline of its own");
                }
                (Role::ReadsFrames, Some(states)) => {
                    let what =
                        format!("`{}` comes too late for `{states}`, which tells calls what it finds", processor.id);
                    problems.error(&processor.path, what, format!("put it before `{states}`"));
                }
                (Role::ChoosesCalls, _) if signal == Signal::Metrics => {
                    let what = format!("`{}` chooses calls for traces, and metrics count all", processor.id);
                    problems.error(&processor.path, what, "name it in `[service.pipelines.traces]` instead");
                }
                // That no call is found is said of a traces pipeline as a whole.
                (Role::UsesFacts | Role::HearsMedia, None) if signal == Signal::Metrics => {
                    let what = format!("`{}` works on what `dialog` finds, and nothing before it does", processor.id);
                    problems.error(&processor.path, what, "put a `dialog` before it");
                }
                (Role::UsesFacts | Role::HearsMedia, _) => {
                    if let Some(chooses) = chooses {
                        let what =
                            format!("`{}` comes too late for `{chooses}`, which uses what it finds", processor.id);
                        problems.error(&processor.path, what, format!("put it before `{chooses}`"));
                    }
                }
                (Role::ChoosesCalls, _) => chooses = Some(&processor.id),
                _ => {}
            }
        }
        match signal {
            Signal::Traces if states.is_none() => {
                let help = "put a `dialog` first in `processors`";
                problems.error(&self.path, "nothing finds calls, so there is nothing to trace", help);
            }
            Signal::Metrics if self.processors.is_empty() && !self.receivers.is_empty() => problems.warning(
                &self.path,
                "no processor: only packets are counted, no calls",
                "add `dialog` to `processors`",
            ),
            _ => {}
        }
    }
}

fn ids(members: &[Member]) -> Vec<ComponentId> {
    let mut ids: Vec<ComponentId> = members.iter().map(|member| member.id.clone()).collect();
    ids.sort();
    ids
}

fn signal(name: &str, path: &str, problems: &mut Problems) -> Option<Signal> {
    let signal = Signal::of(name);
    if signal.is_none() {
        let help = "name it `metrics`, `metrics/name`, `traces` or `traces/name`";
        problems.error(path, format!("`{name}` is no kind of pipeline"), help);
    }
    signal
}

/// The members of one list that exist, and whether those are all. Tells what is wrong with the others.
fn members(
    path: &str,
    list: &'static str,
    names: &[String],
    roles: &Roles,
    problems: &mut Problems,
) -> (Vec<Member>, bool) {
    let mut all = true;
    if names.is_empty() && list != "processors" {
        problems.error(
            path,
            format!("a pipeline without {list} does nothing"),
            format!("list at least one in `{list}`"),
        );
        all = false;
    }
    let mut members: Vec<Member> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let path = format!("{path}.{list}[{index}]");
        let Some(id) = ComponentId::parse(name) else {
            problems.error(path, format!("{name:?} is no name of a component"), id::FORM);
            all = false;
            continue;
        };
        if members.iter().any(|member| member.id == id) {
            problems.error(path, format!("`{name}` stands twice in one pipeline"), "name it once");
            continue;
        }
        match roles.get(&(list, id.clone())) {
            Some(Some(role)) => members.push(Member { id, role: *role, path }),
            Some(None) => all = false,
            None => {
                let defined = roles.keys().filter(|(other, _)| *other == list).map(|(_, id)| id.as_str());
                let table = path_text(&[Step::Key(list.to_owned()), Step::Key(name.clone())]);
                let help = match suggest::closest(name, defined) {
                    Some(meant) => format!("did you mean `{meant}`? Otherwise add a table `[{table}]`"),
                    None => format!("add a table `[{table}]`"),
                };
                problems.error(path, format!("`{name}` is not defined"), help);
                all = false;
            }
        }
    }
    (members, all)
}

/// A receiver belongs to one set of receivers, an exporter to what comes out of one.
fn check_sharing(routes: &[Route], problems: &mut Problems) {
    let routes: Vec<&Route> = routes.iter().filter(|route| route.whole && !route.receivers.is_empty()).collect();
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
            // Metrics and calls do not meet, and calls of other receivers are other calls.
            let other_calls = route.signal == Some(Signal::Traces) && !same_source;
            if same_way || route.signal != earlier.signal || other_calls {
                continue;
            }
            let shared = |member: &&Member| earlier.exporters.iter().any(|other| other.id == member.id);
            if let Some(exporter) = route.exporters.iter().find(shared) {
                let (what, help) = match route.signal {
                    Some(Signal::Traces) => (
                        format!("`{}` gets the same calls from {} too", exporter.id, earlier.path),
                        "give both pipelines the same processors, or define a second exporter",
                    ),
                    _ => (
                        format!("`{}` is fed by {} too, which counts differently", exporter.id, earlier.path),
                        "give both pipelines the same receivers and processors, or define a second exporter",
                    ),
                };
                problems.error(&exporter.path, what, help);
            }
        }
    }
}

#[cfg(test)]
mod tests;
