//! What is understood, what is refused, and what is never shown.

use super::*;

fn grpc(change: impl FnOnce(&mut GrpcConfig)) -> Result<Settings, Vec<String>> {
    let mut config = GrpcConfig { endpoint: "http://127.0.0.1:4317".to_owned(), ..GrpcConfig::default() };
    change(&mut config);
    let mut problems = Problems::default();
    Settings::grpc(config, &mut problems).ok_or_else(|| problems.iter().map(|problem| problem.path.clone()).collect())
}

fn http(change: impl FnOnce(&mut HttpConfig)) -> Result<Settings, Vec<String>> {
    let mut config = HttpConfig::default();
    change(&mut config);
    let mut problems = Problems::default();
    Settings::http(config, &mut problems).ok_or_else(|| problems.iter().map(|problem| problem.path.clone()).collect())
}

#[test]
fn a_grpc_endpoint_has_tls_by_its_scheme_or_unless_insecure() {
    for (text, insecure, uri) in [
        ("http://127.0.0.1:4317", false, "http://127.0.0.1:4317/"),
        ("https://otlp.example.com:4317", true, "https://otlp.example.com:4317/"),
        ("otlp.example.com:4317", false, "https://otlp.example.com:4317/"),
        ("localhost:4317", true, "http://localhost:4317/"),
        ("http://[::1]:4317/", false, "http://[::1]:4317/"),
        ("https://otlp.example.com", false, "https://otlp.example.com:443/"),
    ] {
        let settings = grpc(|config| {
            config.endpoint = text.to_owned();
            config.tls.insecure = insecure;
        });
        let settings = settings.unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        for signal in Signal::ALL {
            assert_eq!(settings.endpoint(signal).map(|endpoint| endpoint.uri().to_string()).as_deref(), Some(uri));
        }
    }
}

#[test]
fn an_http_endpoint_gets_the_signals_path_and_a_signals_own_is_used_as_it_stands() {
    let settings = http(|config| {
        config.endpoint = "https://otlp.example.com/otlp/".to_owned();
        config.traces_endpoint = "http://10.0.0.1:4318/in".to_owned();
    })
    .expect("it is right");
    let uri = |signal| settings.endpoint(signal).expect("each has one").uri().to_string();
    assert_eq!(uri(Signal::Metrics), "https://otlp.example.com:443/otlp/v1/metrics");
    assert_eq!(uri(Signal::Logs), "https://otlp.example.com:443/otlp/v1/logs");
    assert_eq!(uri(Signal::Traces), "http://10.0.0.1:4318/in");
}

#[test]
fn without_an_endpoint_there_is_none_which_is_for_others_to_judge() {
    assert_eq!(http(|_| {}).expect("no error").endpoints, [None, None, None]);
}

#[test]
fn what_is_no_endpoint_is_refused_without_showing_it() {
    for text in ["ftp://host:1", "http://", "http://h:99999", "http://h:0", "http://u:s3cret@h:1", "h:1/v1"] {
        let mut problems = Problems::default();
        let config = GrpcConfig { endpoint: text.to_owned(), ..GrpcConfig::default() };
        assert_eq!(Settings::grpc(config, &mut problems), None, "{text}");
        assert!(!problems.to_string().contains("s3cret"), "{problems}");
    }
    for text in ["host:4318", "http:/x", "https://h:1/?a=b", "unix:///x"] {
        assert_eq!(http(|config| config.endpoint = text.to_owned()), Err(vec!["endpoint".to_owned()]), "{text}");
    }
}

#[test]
fn headers_are_ready_to_send_and_hidden() {
    let settings = grpc(|config| drop(config.headers.insert("Authorization".into(), "Basic s3cret".into())));
    let settings = settings.expect("it is right");
    assert_eq!(settings.headers[0].0, "authorization");
    assert!(!format!("{settings:?}").contains("s3cret"));
    for (name, value) in [("a b", "x"), ("x", "a\nb")] {
        let refused = grpc(|config| drop(config.headers.insert(name.to_owned(), value.to_owned())));
        assert_eq!(refused, Err(vec!["headers".to_owned()]));
    }
}

#[test]
fn every_value_that_cannot_work_is_named() {
    let refused = grpc(|config| {
        config.timeout = Duration::ZERO;
        config.retry_on_failure.multiplier = 0.5;
        config.retry_on_failure.randomization_factor = 2.0;
        config.sending_queue.num_consumers = 0;
        config.sending_queue.queue_size = 1 << 20;
        config.sending_queue.batch.max_size = 10;
        config.tls.cert_file = Some("client.pem".into());
    });
    let expected = [
        "timeout",
        "retry_on_failure.multiplier",
        "retry_on_failure.randomization_factor",
        "sending_queue.num_consumers",
        "sending_queue.queue_size",
        "sending_queue.batch.max_size",
        "tls.key_file",
    ];
    assert_eq!(refused, Err(expected.map(str::to_owned).to_vec()));
    assert_eq!(grpc(|config| config.max_request_size = 1), Err(vec!["max_request_size".to_owned()]));
}
