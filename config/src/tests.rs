//! What an operator sees of a configuration: what is merged, what is replaced, what is said about mistakes.

use std::time::Duration;

use pipeline::settings::{Problems, duration};
use pipeline::{Build, Exporter, Extension, Processor, Receiver};
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
struct Table {
    ports: Vec<u16>,
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    wait: Duration,
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<duration::Written>")]
    limit: Option<Duration>,
    on: bool,
    share: f64,
    mode: Mode,
    names: Vec<Name>,
    token: String,
    headers: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Plain,
    Hidden,
}

#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
struct Name {
    name: String,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            ports: vec![5060],
            wait: Duration::from_secs(30),
            limit: None,
            on: false,
            share: 0.5,
            mode: Mode::Plain,
            names: Vec::new(),
            token: String::new(),
            headers: Default::default(),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "PORTS" => "[5070, 5071]",
        "WAIT" => "1m",
        "ON" => "true",
        "BAD" => "a secret",
        "API_TOKEN" => "s3cret",
        "PLACE" => "hall",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn tree(files: &[&str], set: &[&str]) -> (Option<Node>, Problems) {
    let mut problems = Problems::default();
    let files = files.iter().enumerate().map(|(n, text)| (format!("{n}.toml"), (*text).to_owned())).collect();
    let set = set.iter().map(|set| (*set).to_owned()).collect();
    let tree = Sources { files, set, may_be_unset: None }.load(&variable, &mut problems);
    (tree, problems)
}

/// Reads `[x]` of merged files as a [`Table`].
fn read(files: &[&str], set: &[&str]) -> Result<Table, Vec<String>> {
    let (tree, mut problems) = tree(files, set);
    let node = tree.as_ref().and_then(|tree| tree.get("x")).map(|entry| entry.node.clone());
    let table = node.and_then(|node| node.read::<Table>(&[Step::Key("x".to_owned())], &mut problems).whole());
    table.filter(|_| !problems.has_errors()).ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn later_files_are_merged_over_earlier_ones_and_lists_replaced() {
    let table = read(
        &["[x]\nports = [1, 2]\non = true\nheaders = { a = '1', b = '2' }", "[x]\nports = [3]\nheaders.b = '3'"],
        &[],
    );
    let table = table.expect("both are good");
    assert_eq!((table.ports, table.on), (vec![3], true));
    assert_eq!(table.headers.into_iter().collect::<Vec<_>>(), [("a".into(), "1".into()), ("b".into(), "3".into())]);
}

#[test]
fn set_stands_over_all_files() {
    let table = read(&["[x]\nports = [1]"], &["x.ports=[7, 8]", "x.wait=5s", "x.token=a=b", "x.headers.\"A.B\"=1:2"]);
    let table = table.expect("all are good");
    assert_eq!((table.ports, table.wait, table.token.as_str()), (vec![7, 8], Duration::from_secs(5), "a=b"));
    assert_eq!(table.headers["A.B"], "1:2");
}

#[test]
fn a_set_that_sets_nothing_is_an_error() {
    for set in ["x", "=1", "x..y=1", "x.ports[0]=1"] {
        let problems = read(&["[x]"], &[set]).expect_err(set);
        assert!(problems[0].starts_with(&format!("--set: {set:?} sets nothing; write path=value")), "{problems:?}");
    }
}

#[test]
fn a_value_out_of_place_in_set_is_found_there() {
    let problems = read(&["[x]"], &["x.ports=5060"]).expect_err("not a list");
    assert_eq!(problems, ["--set x.ports: x.ports: 5060 does not fit; write a list: [...]"]);
}

#[test]
fn a_variable_keeps_the_type_that_is_wanted() {
    let text = "[x]\nports = '${env:PORTS}'\nwait = '${env:WAIT}'\non = '${env:ON}'\ntoken = 'in the ${env:PLACE}'";
    let table = read(&[text], &[]).expect("all are set");
    assert_eq!((table.ports, table.wait, table.on), (vec![5070, 5071], Duration::from_secs(60), true));
    assert_eq!(table.token, "in the hall");
}

#[test]
fn a_default_stands_in_for_an_unset_variable_only() {
    let text = "[x]\nwait = '${env:UNSET:-5s}'\ntoken = '${env:EMPTY:-x}'\nheaders = { a = '${env:UNSET:-}' }";
    let table = read(&[text], &[]).expect("all have defaults");
    assert_eq!((table.wait, table.token.as_str()), (Duration::from_secs(5), ""));
    assert_eq!(table.headers["a"], "");
}

#[test]
fn an_unset_variable_is_an_error_at_its_line() {
    let problems = read(&["[x]\non = true\nheaders = { a = 'Basic ${env:UNSET}' }"], &[]).expect_err("unset");
    let expected =
        "0.toml:3:17: x.headers.a: the variable UNSET is not set; set it, or give a default: `${env:UNSET:-default}`";
    assert_eq!(problems, [expected]);
    let text = "[x]\nports = [1, '${env:UNSET}']\nwait = '${env:UNSET}'\non = 3";
    let problems = read(&[text], &[]).expect_err("unset");
    assert_eq!(problems.len(), 3, "nothing follows from it: {problems:?}");
}

#[test]
fn dollar_signs_stay_unless_they_begin_a_reference() {
    let table = read(&["[x]\nheaders = { a = '^sip$', b = '$${env:X}', c = '$1$' }"], &[]).expect("no references");
    let values: Vec<&str> = table.headers.values().map(String::as_str).collect();
    assert_eq!(values, ["^sip$", "${env:X}", "$1$"]);
}

#[test]
fn a_reference_to_something_else_is_an_error() {
    for reference in ["${HOME}", "${file:x}", "${env:}", "${env:A B}", "${env:X:-${env:Y}}", "${env:X"] {
        let problems = read(&[&format!("[x]\ntoken = '{reference}'")], &[]).expect_err(reference);
        assert!(problems[0].starts_with("0.toml:2:9: x.token: "), "{problems:?}");
    }
}

#[test]
fn numbers_and_booleans_may_be_text() {
    let table = read(&["[x]\nports = ['5062', 5063]\non = 'true'\nshare = '0.25'\nlimit = '1.5s'"], &[]);
    let table = table.expect("all fit");
    assert_eq!((table.ports, table.on, table.share), (vec![5062, 5063], true, 0.25));
    assert_eq!(table.limit, Some(Duration::from_millis(1500)));
}

#[test]
fn every_mistake_in_a_table_is_told_at_once() {
    let text = "[x]
ports = [5060, 70000, 'x', -1]
wait = 30
on = 'yes'
mode = 'hiden'
names = [{ name = 'a' }, {}, { name = 5, nmae = 'b' }]
prots = [1]
share = '${env:BAD}'
limit = '5 minutes'
";
    let expected = [
        "0.toml:2:16: x.ports[1]: 70000 does not fit; write a whole number from 0 to 65535",
        "0.toml:2:23: x.ports[2]: \"x\" does not fit; write a whole number from 0 to 65535",
        "0.toml:2:28: x.ports[3]: -1 does not fit; write a whole number from 0 to 65535",
        "0.toml:3:8: x.wait: 30 does not fit; write a duration such as \"30s\", \"1m30s\" or \"200ms\"",
        "0.toml:4:6: x.on: \"yes\" does not fit; write true or false",
        "0.toml:5:8: x.mode: \"hiden\" is not known; did you mean `hidden`? expected here: `plain`, `hidden`",
        "0.toml:6:26: x.names[1]: `name` is missing; add `name = ...`",
        "0.toml:6:39: x.names[2].name: 5 does not fit; write text in quotes",
        "0.toml:6:42: x.names[2].nmae: unknown key; did you mean `name`? expected here: `name`",
        "0.toml:7:1: x.prots: unknown key; did you mean `ports`? expected here: `ports`, `wait`, `limit`, \
         `on`, `share`, `mode`, `names`, `token`, `headers`",
        "0.toml:8:9: x.share: the value of ${env:BAD} does not fit; write a number",
        "0.toml:9:9: x.limit: \"5 minutes\" does not fit; write a duration such as \"30s\", \"1m30s\" or \"200ms\"",
    ];
    let problems = read(&[text], &[]).expect_err("nearly all of it is wrong");
    for expected in expected {
        assert!(problems.iter().any(|problem| problem == expected), "{expected}\nnot in {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len() + 1, "`names[2]` then misses its name: {problems:#?}");
}

#[test]
fn of_very_many_mistakes_the_first_are_told() {
    for (count, told) in [(100, 100), (101, 101), (1_000, 101)] {
        let text = format!("[x]\nports = [{}]\n", "'x', ".repeat(count));
        let problems = read(&[&text], &[]).expect_err("no port fits");
        assert_eq!(problems.len(), told, "{count}");
        let more = "0.toml:1:1: x: more than 100 values in it do not fit; \
                    mend the ones that are told; the rest was not checked";
        assert_eq!(problems.iter().any(|problem| problem == more), count > 100, "{problems:#?}");
    }
}

#[test]
fn what_is_not_toml_is_told_with_every_place() {
    let (tree, problems) = tree(&["[x]\na = \nb = 1\nc = ]\n", "[y\n"], &[]);
    assert!(tree.is_none());
    let places: Vec<String> =
        problems.iter().map(|problem| problem.place.as_ref().expect("found in a file").to_string()).collect();
    assert!(places.iter().any(|place| place.starts_with("0.toml:2:")), "{places:?}");
    assert!(places.iter().any(|place| place.starts_with("0.toml:4:")), "{places:?}");
    assert!(places.iter().any(|place| place.starts_with("1.toml:1:")), "{places:?}");
}

#[test]
fn a_configuration_of_nothing_is_an_error() {
    for text in ["", "\n# only a comment\n"] {
        let (tree, problems) = tree(&[text], &[]);
        assert!(tree.is_none());
        assert_eq!(problems.to_string(), "0.toml: nothing is configured; start from pipeline.toml of the project\n");
    }
}

#[test]
fn columns_count_characters() {
    let problems = read(&["x = { token = 'äöü', on = 3 }"], &[]).expect_err("3 is no boolean");
    assert_eq!(problems, ["0.toml:1:27: x.on: 3 does not fit; write true or false"]);
    let problems = read(&["\u{feff}x = { on = 3 }\r\n"], &[]).expect_err("3 is no boolean");
    assert_eq!(problems, ["0.toml:1:12: x.on: 3 does not fit; write true or false"]);
}

#[test]
fn a_number_beyond_every_bound_is_told_as_written() {
    let problems = read(&["[x]\nports = [99999999999999999999]"], &[]).expect_err("too large");
    let expected =
        "0.toml:2:10: x.ports[0]: \"99999999999999999999\" does not fit; write a whole number from 0 to 65535";
    assert_eq!(problems, [expected]);
}

#[test]
fn what_may_be_a_secret_is_not_told_when_it_is_wrong() {
    let mistakes = [
        "token = 74747474",
        "token = 'se${cr74et'",
        "token = 'se${74}et'",
        "headers = { a = 7474 }",
        "headers = { a = 'x${7474' }",
    ];
    for mistake in mistakes {
        let problems = read(&[&format!("[x]\n{mistake}")], &[]).expect_err(mistake);
        assert!(problems[0].starts_with("0.toml:2:"), "{problems:?}");
        assert!(!problems.concat().contains("74") && !problems.concat().contains("se$"), "{problems:?}");
    }
}

fn catalogue() -> Catalogue<(), ()> {
    fn none<P: ?Sized, X>(name: &'static str, role: Role) -> Type<P, X> {
        let check = |table: Table, problems: &mut Problems| {
            for (index, port) in table.ports.iter().enumerate().filter(|(_, port)| **port == 0) {
                problems.error(format!("ports[{index}]"), format!("{port} is no port"), "ports are 1 to 65535");
            }
            if table.share > 1.0 {
                problems.warning("share", "more than all", "write 1 or less");
            }
            (!problems.has_errors()).then_some(table)
        };
        Type::new(name, role, "", check, |_, _| unreachable!("these tests build nothing"))
    }
    Catalogue {
        build: Build::default(),
        receivers: vec![none::<dyn Receiver, _>("wire", Role::Receives), none("pcap", Role::ReadsFiles)],
        processors: vec![none::<dyn Processor, _>("dialog", Role::StatesFacts)],
        exporters: vec![none::<dyn Exporter, _>("out", Role::ExportsMetrics)],
        extensions: vec![none::<dyn Extension, _>("page", Role::WatchesCalls)],
    }
}

const GOOD: &str = "
[receivers.wire]
[processors.dialog]
[exporters.out]
[service.pipelines.metrics]
receivers = ['wire']
processors = ['dialog']
exporters = ['out']
";

fn check(files: &[&str]) -> (Option<(Node, Configuration)>, Vec<String>) {
    let (tree, mut problems) = tree(files, &[]);
    let checked = tree.and_then(|tree| {
        let configuration = Configuration::check(&tree, &catalogue(), &mut problems)?;
        Some((tree, configuration))
    });
    problems.sort(&["0.toml", "1.toml"]);
    (checked, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn defaults_need_not_be_written() {
    let (checked, problems) = check(&[GOOD]);
    let (_, configuration) = checked.unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!(configuration.service.shutdown_timeout, Duration::from_secs(10));
    assert_eq!(configuration.service.shards, 1);
    assert_eq!(configuration.service.metrics.namespace, "sip_exporter");
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_receiver_of_files_may_stand_unused() {
    assert!(check(&[GOOD, "[receivers.pcap]\nports = [5080]"]).0.is_some());
}

#[test]
fn every_mistake_of_a_configuration_is_told_in_the_order_of_the_files() {
    let second = "
service.shutdown_timeout = '10s'
service.extensions = ['page', 'pages', 'page']
service.metrics.namespace = '9 lives'
service.telemetry.logs.level = 'info'

[receivers.wire]
ports = [5060, 0]
[receivers.wires]
[receivers.'wire/2']
[exporters.out]
share = 2
[exporters.otlp]
[extensions.console]
[extensions.page]
[extensions.'page/3']
[proccessors.dialog]
[service.pipelines.'metrics/2']
receivers = ['wire', 'wire/3']
exporters = ['out']
";
    let (checked, problems) = check(&[GOOD, second]);
    assert!(checked.is_none());
    let expected = [
        "1.toml:3:31: service.extensions[1]: `pages` is not defined; did you mean `page`? Otherwise add a table \
         `[extensions.pages]`",
        "1.toml:3:40: service.extensions[2]: `page` stands twice; name it once",
        "1.toml:4:29: service.metrics.namespace: \"9 lives\" cannot begin the name of a metric; use words of \
         letters and digits with one `_` between them, a letter first and none of them `total`, for instance `sip_exporter`",
        "1.toml:8:16: receivers.wire.ports[1]: 0 is no port; ports are 1 to 65535",
        "1.toml:9:12: receivers.wires: `wires` is not among the receivers compiled in; did you mean `wire`? expected here: \
         `wire`, `pcap`",
        "1.toml:10:12: receivers.\"wire/2\": no pipeline uses it; name it in `receivers` of a pipeline under \
         `[service.pipelines]`, or take it out",
        "1.toml:12:9: warning: exporters.out.share: more than all; write 1 or less",
        "1.toml:13:12: exporters.otlp: `otlp` is not among the exporters compiled in; expected here: `out`",
        "1.toml:14:13: extensions.console: `console` is not among the extensions compiled in; expected here: `page`",
        "1.toml:16:13: extensions.\"page/3\": nothing starts it; name it in `service.extensions`, or take it out",
        "1.toml:17:2: proccessors: unknown key; did you mean `processors`? expected here: `receivers`, `processors`, \
         `exporters`, `extensions`, `service`",
        "1.toml:19:22: service.pipelines.\"metrics/2\".receivers[1]: `wire/3` is not defined; did you mean `wire/2`? \
         Otherwise add a table `[receivers.\"wire/3\"]`",
    ];
    for expected in expected {
        assert!(problems.iter().any(|problem| problem == expected), "{expected}\nnot in {problems:#?}");
    }
    let places: Vec<&String> = problems.iter().filter(|problem| problem.starts_with("1.toml")).collect();
    assert_eq!(places.len(), problems.len());
}

#[test]
fn a_gap_in_the_extensions_hides_no_mistake_of_the_pipelines() {
    let (checked, problems) = check(&[
        GOOD,
        "[extensions.page]\n[exporters.'out/2']\n[service]\nextensions = [5]\npipelines.metrics.exporters = ['out', 'nope']",
    ]);
    assert!(checked.is_none());
    let expected = [
        "1.toml:2:12: exporters.\"out/2\": no pipeline uses it; name it in `exporters` of a pipeline under \
         `[service.pipelines]`, or take it out",
        "1.toml:4:15: service.extensions[0]: 5 does not fit; write text in quotes",
        "1.toml:5:39: service.pipelines.metrics.exporters[1]: `nope` is not defined; add a table `[exporters.nope]`",
    ];
    assert_eq!(problems, expected, "and nothing of extensions that the gap may name");
}

#[test]
fn a_gap_in_the_pipelines_hides_no_mistake_of_the_extensions() {
    let (checked, problems) = check(&[
        GOOD,
        "[exporters.'out/2']\n[service]\nextensions = ['page']\npipelines.metrics.exporters = ['out', 5]",
    ]);
    assert!(checked.is_none());
    let expected = [
        "1.toml:3:15: service.extensions[0]: `page` is not defined; add a table `[extensions.page]`",
        "1.toml:4:39: service.pipelines.metrics.exporters[1]: 5 does not fit; write text in quotes",
    ];
    assert_eq!(problems, expected, "and nothing of exporters that the gap may name");
}

#[test]
fn the_effective_configuration_hides_secrets_and_reads_back() {
    let text = format!(
        "{GOOD}\n[exporters.out.headers]\nAuthorization = 'Basic abc'\n[receivers.'wire/x']\ntoken = 'abc'\n\
         [processors.'dialog/x']\nnames = [{{ name = '${{env:API_TOKEN}}' }}, {{ name = '${{env:PLACE}}' }}, \
         {{ name = 'http://me:pass@host/x' }}, {{ name = 'a $$$$ b $${{env:X}} $' }}]\n[exporters.'out/x']\n[service.pipelines.'metrics/x']\n\
         receivers = ['wire/x']\nprocessors = ['dialog/x']\nexporters = ['out/x']\n"
    );
    let (checked, problems) = check(&[&text]);
    let (tree, configuration) = checked.unwrap_or_else(|| panic!("{problems:?}"));
    let shown = configuration.effective(&tree);
    for secret in ["abc", "s3cret", "pass", "me:"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    for open in [
        "hall",
        "host/x",
        "a $$$$ b $${env:X} $$",
        "wait = \"30s\"",
        "token = \"\"",
        "[service.pipelines.metrics]",
        "shutdown_timeout = \"10s\"",
    ] {
        assert!(shown.contains(open), "{open} not in {shown}");
    }
    let (checked, problems) = check(&[&shown]);
    let (tree, again) = checked.unwrap_or_else(|| panic!("{problems:?}\n{shown}"));
    assert_eq!(again.effective(&tree), shown);
}

#[test]
fn a_path_is_read_back_as_it_is_written() {
    for text in ["a", "a.b[0].c", "exporters.\"otlp_grpc/side.car\".headers.x-y[12]", r#"a."b\"c\\d".e"#] {
        let steps = node::parse_path(text).expect("a path");
        assert_eq!(node::path_text(&steps), text);
    }
    assert_eq!(node::parse_path("a.'b.c/d'"), node::parse_path("a.\"b.c/d\""), "TOML quotes in two ways");
    for text in ["", ".a", "a.", "a..b", "a[x]", "a[0", "a\"b\"", "a'b'", "'a", "'a'b"] {
        assert_eq!(node::parse_path(text), None, "{text}");
    }
}
