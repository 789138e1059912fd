//! Which variable counts for which key, and what the configuration says before it.

use std::collections::BTreeMap;

use config::Sources;

use super::*;

const BOTH: &str = "
    exporters.otlp_http = {}
    service.pipelines.metrics = { exporters = ['otlp_http'] }
    service.pipelines.traces = { exporters = ['otlp_http'] }
";
const APART: &str = "
    exporters.otlp_grpc = {}
    exporters.'otlp_grpc/t' = {}
    service.pipelines.metrics = { exporters = ['otlp_grpc'] }
    service.pipelines.traces = { exporters = ['otlp_grpc/t'] }
";

/// The completed tree and what was found wrong.
fn completed(text: &str, variables: &[(&str, &str)]) -> (Node, Vec<String>) {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let look_up = |name: &str| variables.get(name).cloned();
    let mut problems = Problems::default();
    let files = vec![("test".to_owned(), text.to_owned())];
    let sources = Sources { files, set: Vec::new(), may_be_unset: Some(may_be_unset) };
    let mut tree = sources.load(&look_up, &mut problems).expect("it is TOML");
    complete(&mut tree, &look_up, &mut problems);
    (tree, problems.iter().map(ToString::to_string).collect())
}

/// The text at a path, dots between keys.
fn at<'a>(tree: &'a Node, path: &str) -> Option<&'a str> {
    let steps: Vec<Step> = path.split('>').map(|key| Step::Key(key.to_owned())).collect();
    match &tree.at(&steps)?.value {
        Value::Text(text) => Some(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signals_variable_comes_before_the_general_one_where_the_exporter_carries_it_alone() {
    let (tree, problems) = completed(
        APART,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", ""),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
            ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
        ],
    );
    assert_eq!(problems, Vec::<String>::new());
    for (path, value) in [
        ("exporters>otlp_grpc>endpoint", Some("http://general:4317")),
        ("exporters>otlp_grpc/t>endpoint", Some("http://traces:4317")),
        ("exporters>otlp_grpc>timeout", Some("500ms")),
        ("exporters>otlp_grpc/t>timeout", Some("2500ms")),
        ("exporters>otlp_grpc>headers>a", Some("b c")),
        ("exporters>otlp_grpc>tls>ca_file", Some("/ca.pem")),
        ("exporters>otlp_grpc>compression", None),
        ("exporters>otlp_grpc>temporality", Some("delta")),
        ("exporters>otlp_grpc>default_histogram_aggregation", Some("base2_exponential_bucket_histogram")),
        ("exporters>otlp_grpc>metric_export_interval", Some("15000ms")),
        ("exporters>otlp_grpc/t>temporality", None),
    ] {
        assert_eq!(at(&tree, path), value, "{path}");
    }
}

#[test]
fn what_is_written_comes_before_every_variable() {
    let text = BOTH.replace("= {}", "= { endpoint = 'http://file:4318', headers = { x = 'y' }, timeout = '1s' }");
    let (tree, _) = completed(
        &text,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ],
    );
    for (path, value) in [
        ("endpoint", Some("http://file:4318")),
        ("traces_endpoint", None),
        ("headers>a", None),
        ("timeout", Some("1s")),
    ] {
        assert_eq!(at(&tree, &format!("exporters>otlp_http>{path}")), value, "{path}");
    }
}

#[test]
fn over_http_one_exporter_takes_the_endpoints_of_both_signals_and_names_what_it_cannot_take() {
    let (tree, problems) = completed(
        BOTH,
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/x"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1/y"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b"),
        ],
    );
    assert_eq!(at(&tree, "exporters>otlp_http>traces_endpoint"), Some("http://t:1/x"));
    assert_eq!(at(&tree, "exporters>otlp_http>metrics_endpoint"), Some("http://m:1/y"));
    assert_eq!(at(&tree, "exporters>otlp_http>endpoint"), None);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("OTEL_EXPORTER_OTLP_TRACES_HEADERS: warning: exporters.otlp_http: "),
        "{problems:?}"
    );
}

#[test]
fn an_endpoint_whose_variable_is_unset_uses_the_standard_ones_and_without_them_is_missed() {
    let text = BOTH.replace("= {}", "= { endpoint = '${env:MINE}' }");
    let (tree, problems) = completed(&text, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4318")]);
    assert_eq!(at(&tree, "exporters>otlp_http>endpoint"), Some("http://general:4318"));
    assert_eq!(problems, Vec::<String>::new());
    let (_, problems) = completed(&text, &[("MINE", "")]);
    assert_eq!(
        problems,
        ["test:2:40: exporters.otlp_http.endpoint: nothing says where metrics go; write it, or set \
          OTEL_EXPORTER_OTLP_ENDPOINT"]
    );
}

#[test]
fn only_the_endpoint_of_an_otlp_exporter_may_be_unset() {
    let text = BOTH.replace("= {}", "= { endpoint = 'http://h:1', timeout = '${env:MINE}' }");
    let (_, problems) = completed(&text, &[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("the variable MINE is not set"), "{problems:?}");
}

#[test]
fn the_resource_is_told_by_file_service_name_attributes_and_host_in_this_order() {
    let text = format!("{BOTH}service.telemetry.resource = {{ a = 'file' }}").replace("= {}", "= { endpoint = 'x' }");
    let variables = [
        ("OTEL_SERVICE_NAME", "sbc"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,a=no,deployment.environment.name=lab%2C1,service.instance.id=1"),
    ];
    let (tree, problems) = completed(&text, &variables);
    assert_eq!(problems, Vec::<String>::new());
    let resource = |key: &str| at(&tree, &format!("service>telemetry>resource>{key}")).map(str::to_owned);
    assert_eq!(resource("service.name").as_deref(), Some("sbc"));
    assert_eq!(resource("a").as_deref(), Some("file"));
    assert_eq!(resource("deployment.environment.name").as_deref(), Some("lab,1"));
    assert_eq!(resource("service.instance.id").as_deref(), Some("1"));
    let (tree, _) = completed(&text, &[]);
    let id = at(&tree, "service>telemetry>resource>service.instance.id").expect("it has a default");
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "{id}");
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_that_shows_none_of_it() {
    let text = BOTH.replace("= {}", "= { endpoint = 'x' }");
    let (_, problems) =
        completed(&text, &[("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"), ("OTEL_RESOURCE_ATTRIBUTES", "x")]);
    assert_eq!(problems.len(), 2);
    assert!(!problems.concat().contains("s3cret"), "{problems:?}");
}

fn default_with(variables: &[(&str, &str)]) -> (Option<String>, usize) {
    let mut problems = Problems::default();
    let look_up = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    (built_in(&look_up, &mut problems), problems.iter().count())
}

#[test]
fn an_endpoint_in_the_environment_adds_otlp_to_the_built_in_configuration() {
    let general = |endpoint| default_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).0.expect("it is set");
    let grpc = general("http://127.0.0.1:4317");
    assert!(grpc.contains("[exporters.otlp_grpc]") && !grpc.contains("http"), "{grpc}");
    assert_eq!(grpc.matches("exporters.otlp").count(), 1, "one carries both: {grpc}");
    assert!(grpc.contains("exporters = [\"prometheus\", \"otlp_grpc\"]"), "{grpc}");
    assert!(grpc.contains("[service.pipelines.traces]"), "{grpc}");
    assert!(general("http://127.0.0.1:4318").contains("[exporters.otlp_http]"));
    let chosen =
        default_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).0;
    assert!(chosen.expect("it is set").contains("[exporters.otlp_grpc]"));
}

#[test]
fn variables_of_one_signal_make_an_exporter_for_each() {
    let both = default_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces/v1/traces"),
    ])
    .0
    .expect("it is set");
    assert!(both.contains("[exporters.\"otlp_grpc/metrics\"]") && both.contains("[exporters.\"otlp_http/traces\"]"));
    let one = default_with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:4317")]).0.expect("it is set");
    assert!(!one.contains("pipelines.metrics"), "{one}");
}

#[test]
fn the_environment_can_say_no() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
    assert_eq!(default_with(&[]), (None, 0));
    assert_eq!(default_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), (None, 0));
    assert_eq!(default_with(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), (None, 0));
    let metrics = default_with(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).0.expect("it is set");
    assert!(!metrics.contains("traces"), "{metrics}");
    assert_eq!(default_with(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]), (None, 2));
}
