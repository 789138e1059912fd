//! What is shared, and what may not be.

use std::collections::BTreeMap;

use super::*;

fn roles() -> Roles {
    let known = [
        ("receivers", "pcap", Some(Role::ReadsFiles)),
        ("receivers", "wire wire/2", Some(Role::Receives)),
        ("receivers", "probe probe/2", Some(Role::Asks)),
        ("processors", "dialog dialog/2", Some(Role::StatesFacts)),
        ("processors", "enrich sample", Some(Role::UsesFacts)),
        ("processors", "sampling sampling/2", Some(Role::ChoosesCalls)),
        ("processors", "misspelt", None),
        (
            "exporters",
            "prometheus prometheus/2 prometheus/all prometheus/some prometheus/raw",
            Some(Role::ExportsMetrics),
        ),
        ("exporters", "otlp otlp/2", Some(Role::Exports)),
        ("exporters", "pcap", Some(Role::Records)),
    ];
    let ids = |text: &'static str| text.split_whitespace().map(|id| ComponentId::parse(id).expect("an id"));
    known.into_iter().flat_map(|(list, names, role)| ids(names).map(move |id| ((list, id), role))).collect()
}

/// Each pipeline as `name: receivers > processors > exporters`.
fn build(pipelines: &[&str]) -> (Option<Graph>, Vec<String>) {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let pipelines: BTreeMap<String, Pipeline> = pipelines
        .iter()
        .map(|line| {
            let (name, rest) = line.split_once(':').expect("a name and a colon");
            let [receivers, processors, exporters] =
                rest.split('>').map(words).collect::<Vec<_>>().try_into().expect("three lists");
            (name.to_owned(), Pipeline { receivers, processors, exporters })
        })
        .collect();
    let mut problems = Problems::default();
    let service = Service { pipelines, ..Service::default() };
    let graph = Graph::build(&service, &roles(), &mut problems);
    (graph, problems.iter().map(ToString::to_string).collect())
}

fn graph(pipelines: &[&str]) -> Graph {
    let (graph, problems) = build(pipelines);
    graph.unwrap_or_else(|| panic!("{problems:?}"))
}

/// `receivers: a b [c] <d> {e f}`: processors, exporters of metrics, exporters of calls, branches.
fn draw(graph: &Graph) -> Vec<String> {
    fn branch(branch: &Branch) -> String {
        let list = |ids: &[ComponentId]| ids.iter().map(ComponentId::as_str).collect::<Vec<_>>().join(" ");
        let mut text = list(&branch.processors);
        if !branch.exporters.is_empty() {
            text += &format!(" [{}]", list(&branch.exporters));
        }
        if !branch.call_exporters.is_empty() {
            text += &format!(" <{}>", list(&branch.call_exporters));
        }
        for next in &branch.branches {
            text += &format!(" {{{}}}", self::draw_branch(next));
        }
        text
    }
    let shard = |shard: &ShardPlan| {
        let shown_by: String = shard.shown_by.iter().map(|id| format!("({id})")).collect();
        let recorders: String = shard.recorders.iter().map(|id| format!("!{id}")).collect();
        format!("{}: {}{shown_by}{recorders}", shard.receivers[0], branch(&shard.trunk))
    };
    graph.shards.iter().map(shard).collect()
}

#[test]
fn what_records_gets_what_receivers_bring_once() {
    let drawn = draw(&graph(&["metrics: wire > dialog > prometheus pcap", "traces: wire > dialog > pcap otlp"]));
    assert_eq!(drawn, ["wire: dialog [prometheus] <otlp>!pcap"]);
}

#[test]
fn what_records_stands_beside_an_exporter_and_behind_a_receiver() {
    let (_, problems) = build(&["metrics: wire > dialog > pcap"]);
    assert!(problems[0].contains("name it beside another exporter"), "{problems:?}");
    let (_, problems) = build(&["metrics: probe > > pcap prometheus"]);
    assert!(problems[0].contains("has nothing to record"), "{problems:?}");
}

fn draw_branch(branch: &Branch) -> String {
    let shard = ShardPlan {
        receivers: vec![ComponentId::parse("x").expect("an id")],
        trunk: branch.clone(),
        ..ShardPlan::default()
    };
    draw(&Graph { shards: vec![shard] })[0].trim_start_matches("x: ").to_owned()
}

#[test]
fn pipelines_with_the_same_start_share_it_and_fork_where_they_differ() {
    let graph = graph(&[
        "metrics: wire > dialog enrich > prometheus",
        "metrics/all: wire > dialog enrich > prometheus/all",
        "metrics/some: wire > dialog enrich sample > prometheus/some",
        "metrics/raw: wire > dialog > prometheus/raw",
    ]);
    let drawn = "wire: dialog [prometheus/raw] {enrich [prometheus prometheus/all] {sample [prometheus/some]}}";
    assert_eq!(draw(&graph), [drawn]);
}

#[test]
fn a_receiver_that_asks_stands_alone_and_is_shown_where_its_pipelines_end() {
    let beside = graph(&["metrics: wire probe > dialog > prometheus", "traces: wire > dialog > otlp"]);
    assert_eq!(draw(&beside), ["wire: dialog [prometheus] <otlp>", "probe: (prometheus)"]);
    let apart = graph(&["metrics: wire > dialog > prometheus", "metrics/p: probe probe/2 >> prometheus otlp"]);
    let drawn = ["wire: dialog [prometheus]", "probe: (prometheus)(otlp)", "probe/2: (prometheus)(otlp)"];
    assert_eq!(draw(&apart), drawn);
    let (alone, problems) = build(&["metrics: probe >> prometheus", "metrics/2: probe >> otlp prometheus"]);
    assert_eq!(draw(&alone.expect("it may be the only one")), ["probe: (prometheus)(otlp)"]);
    assert_eq!(problems, Vec::<String>::new());
    let file = graph(&["metrics: pcap probe > dialog > prometheus"]);
    assert_eq!(draw(&file), ["pcap: dialog [prometheus]", "probe: (prometheus)"]);
}

#[test]
fn a_receiver_that_asks_has_no_calls_and_nothing_to_process() {
    let (graph, problems) = build(&["traces: wire probe > dialog > otlp", "metrics: probe > dialog > prometheus"]);
    assert!(graph.is_none());
    assert_eq!(
        problems,
        [
            "service.pipelines.metrics.processors[0]: `dialog` has nothing to work on: no receiver here brings \
             messages; take it out, or add a receiver such as `ebpf_sip`",
            "service.pipelines.traces.receivers[1]: `probe` asks others and sees no calls; name it in \
             `[service.pipelines.metrics]` instead",
        ]
    );
}

#[test]
fn the_order_of_receivers_means_nothing() {
    let graph =
        graph(&["metrics: wire wire/2 > dialog > prometheus", "metrics/2: wire/2 wire > dialog > prometheus/2"]);
    assert_eq!(draw(&graph), ["wire: dialog [prometheus prometheus/2]"]);
}

#[test]
fn other_receivers_make_another_shard() {
    let graph = graph(&["metrics: wire > dialog > prometheus", "metrics/2: wire/2 > dialog > prometheus/2"]);
    assert_eq!(draw(&graph), ["wire: dialog [prometheus]", "wire/2: dialog [prometheus/2]"]);
}

#[test]
fn a_receiver_cannot_be_in_two_sets() {
    let (graph, problems) =
        build(&["metrics: wire > dialog > prometheus", "metrics/2: wire wire/2 > dialog > prometheus/2"]);
    assert_eq!(graph, None);
    assert!(problems[0].contains("`wire` is in service.pipelines.metrics with other receivers"), "{problems:?}");
}

#[test]
fn an_exporter_cannot_carry_two_different_counts() {
    let (graph, problems) =
        build(&["metrics: wire > dialog > prometheus", "metrics/2: wire > dialog enrich > prometheus"]);
    assert_eq!(graph, None);
    assert!(problems[0].contains("which counts differently"), "{problems:?}");
    let same = ["metrics: wire > dialog > prometheus", "metrics/2: wire > dialog > prometheus"];
    assert!(build(&same).0.is_some());
}

#[test]
fn every_mistake_in_a_pipeline_is_told_at_once() {
    let (_, problems) = build(&[
        "metrics: pcap wire wire > enrich dialog dialog/2 dialog > prometheus",
        "metrics/2: nothing 1x > dialogs enrich > prometheus/2",
        "metrics/3: wire > misspelt enrich > prometheus/2",
        "traces: wire/2 > dialog > prometheus",
        "logs: wire > > ",
    ]);
    let expected = [
        "service.pipelines.logs: `logs` is no kind of pipeline",
        "service.pipelines.logs: a pipeline without exporters does nothing",
        "service.pipelines.metrics.receivers[2]: `wire` stands twice",
        "service.pipelines.metrics.processors[3]: `dialog` stands twice",
        "service.pipelines.metrics.receivers[0]: `pcap` reads files",
        "service.pipelines.metrics.processors[0]: `enrich` works on what `dialog` finds",
        "service.pipelines.metrics.processors[2]: `dialog/2` would count everything again after `dialog`",
        "service.pipelines.\"metrics/2\".receivers[0]: `nothing` is not defined; add a table `[receivers.nothing]`",
        "service.pipelines.\"metrics/2\".receivers[1]: \"1x\" is no name of a component",
        "service.pipelines.\"metrics/2\".processors[0]: `dialogs` is not defined; did you mean `dialog`?",
        "service.pipelines.traces.exporters[0]: `prometheus` carries metrics only",
    ];
    for expected in expected {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} not in {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "nothing follows from another mistake: {problems:#?}");
}

#[test]
fn traces_branch_off_where_calls_are_chosen_and_one_exporter_carries_both() {
    let graph = graph(&[
        "metrics: wire > dialog enrich > prometheus otlp",
        "traces: wire > dialog enrich sampling > otlp otlp/2",
    ]);
    assert_eq!(draw(&graph), ["wire: dialog enrich [prometheus otlp] {sampling <otlp otlp/2>}"]);
    let trunk = &graph.shards[0].trunk;
    assert!(trunk.counts() && trunk.traces());
    assert!(!trunk.branches[0].counts() && trunk.branches[0].traces());
}

#[test]
fn calls_of_several_receivers_may_leave_by_one_exporter() {
    let graph = graph(&["traces: wire > dialog sampling > otlp", "traces/2: wire/2 > dialog sampling > otlp"]);
    assert_eq!(draw(&graph), ["wire: dialog sampling <otlp>", "wire/2: dialog sampling <otlp>"]);
}

#[test]
fn every_mistake_in_a_traces_pipeline_is_told() {
    let (_, problems) = build(&[
        "metrics: wire > dialog sampling > otlp/2",
        "traces: wire > dialog enrich sampling > otlp",
        "traces/2: wire > dialog sampling/2 enrich > otlp",
        "traces/3: wire > enrich sampling > otlp/2",
    ]);
    let expected = [
        "service.pipelines.metrics.processors[1]: `sampling` chooses calls for traces, and metrics count all",
        "service.pipelines.\"traces/2\".processors[2]: `enrich` comes too late for `sampling/2`",
        "service.pipelines.\"traces/3\": nothing finds calls, so there is nothing to trace",
        "service.pipelines.\"traces/2\".exporters[0]: `otlp` gets the same calls from service.pipelines.traces too",
    ];
    for expected in expected {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} not in {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "nothing follows from another mistake: {problems:#?}");
}

#[test]
fn watchers_get_calls_with_their_labels_and_before_any_is_chosen() {
    let tap = |pipelines: &[&str]| {
        let roles = roles();
        let role = |id: &ComponentId| roles[&("processors", id.clone())].expect("it is known");
        graph(pipelines).shards[0].tap(&role).map(|tap| (tap.branch, tap.place))
    };
    assert_eq!(tap(&["metrics: wire > dialog enrich > prometheus"]), Some((0, 2)));
    assert_eq!(
        tap(&["metrics: wire > dialog enrich > prometheus", "traces: wire > dialog enrich sampling > otlp"]),
        Some((0, 2))
    );
    assert_eq!(tap(&["traces: wire > dialog enrich sampling > otlp"]), Some((0, 2)));
    // Where counting has no labels, calls have none either.
    let both = ["metrics: wire > dialog > prometheus", "traces: wire > dialog enrich sampling > otlp"];
    assert_eq!(tap(&both), Some((0, 1)));
    let apart = ["metrics: wire > > prometheus", "metrics/2: wire > dialog > prometheus/2"];
    assert_eq!(tap(&apart), Some((1, 1)));
    assert_eq!(tap(&["metrics: wire > > prometheus"]), None);
}
