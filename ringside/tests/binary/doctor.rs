//! `ringside doctor` about ways in and out: ports, certificates, servers that are pushed to.

use std::net::{SocketAddr, TcpListener};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::program::{Folder, Outcome, Running, run};

/// A configuration that captures nothing; `exporters` are the tables, named in `names`.
fn config(exporters: &str, names: &str) -> String {
    format!(
        "[receivers.pcap]\nfiles = ['none.pcap']\n[processors.dialog]\n{exporters}\n[service.pipelines.metrics]\n\
         receivers = ['pcap']\nprocessors = ['dialog']\nexporters = [{names}]\n"
    )
}

fn doctor(folder: &Folder, config: &str) -> Outcome {
    folder.write("doctor.toml", config);
    run(folder.path(), &["doctor", "--config", "doctor.toml"])
}

/// An address nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("some port is free")
}

#[test]
fn a_port_that_another_program_has_is_named_with_it() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = taken.local_addr().expect("it is bound");
    let outcome = doctor(&folder, &config(&format!("[exporters.prometheus]\nendpoint = '{address}'"), "'prometheus'"));
    let found = format!("\nFAIL   exporters.prometheus: {address} is taken by ");
    let process = format!("(process {})\n       -> end it, or set another `endpoint`\n", std::process::id());
    assert!(outcome.stdout.contains(&found) && outcome.stdout.contains(&process), "{}", outcome.stdout);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.stderr.starts_with("ringside: `run` would not start: exporters.prometheus: "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_port_that_is_free_or_of_another_host_is_told() {
    let folder = Folder::new();
    let address = free();
    let outcome = doctor(&folder, &config(&format!("[exporters.prometheus]\nendpoint = '{address}'"), "'prometheus'"));
    assert!(
        outcome.stdout.contains(&format!("\nok     exporters.prometheus: {address} is free\n")),
        "{}",
        outcome.stdout
    );
    assert_eq!(outcome.code, 0);
    // RFC 5737: of no host.
    let outcome = doctor(&folder, &config("[exporters.prometheus]\nendpoint = '192.0.2.1:2112'", "'prometheus'"));
    let found = "\nFAIL   exporters.prometheus: 192.0.2.1:2112 cannot be listened on: ";
    assert!(outcome.stdout.contains(found), "{}", outcome.stdout);
    assert_eq!(outcome.code, 1);
}

#[test]
fn what_a_ringside_serves_itself_is_as_it_should_be_with_tls_too() {
    let folder = Folder::new();
    let KeyPaths { cert, key } = certificate(&folder, "good", 2100);
    let address = free();
    let tls = format!("tls_server_config = {{ cert_file = '{cert}', key_file = '{key}' }}");
    let exporter = format!("[exporters.prometheus]\nendpoint = '{address}'\n{tls}");
    let sip_probe =
        "[receivers.sip_probe]\ntargets = [{ name = 'a', endpoint = 'udp://127.0.0.1:9' }]\n[processors.dialog]";
    let served = config(&exporter, "'prometheus'")
        .replace("[receivers.pcap]\nfiles = ['none.pcap']\n[processors.dialog]", sip_probe);
    let served =
        served.replace("['pcap']\nprocessors = ['dialog']", "['sip_probe']").replace("[processors.dialog]\n", "");
    folder.write("run.toml", served);
    let (running, _) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let media = config(&exporter, "'prometheus'").replace("['dialog']", "['dialog', 'media']");
    let outcome = doctor(&folder, &format!("{media}[processors.media]\n"));
    let found = format!("\nok     exporters.prometheus: {address} is served by ringside (process {})\n", running.id());
    assert!(outcome.stdout.contains(&found), "{}", outcome.stdout);
    let found = format!("\nok     media: what {address} serves is not shown without TLS or a password\n");
    assert!(outcome.stdout.contains(&found), "{}", outcome.stdout);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    running.signal(libc::SIGTERM);
    running.end();
}

struct KeyPaths {
    cert: String,
    key: String,
}

/// A certificate that is good until the end of a year, and its key.
fn certificate(folder: &Folder, name: &str, until: i32) -> KeyPaths {
    let pair = KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 12, 31);
    let certificate = params.self_signed(&pair).expect("it can be signed");
    let write = |kind: &str, text: String| folder.write(&format!("{name}.{kind}"), text).display().to_string();
    KeyPaths { cert: write("pem", certificate.pem()), key: write("key", pair.serialize_pem()) }
}

#[test]
fn certificates_are_read_matched_with_their_keys_and_dated() {
    let folder = Folder::new();
    let [good, old] = [("good", 2100), ("old", 2021)].map(|(name, until)| certificate(&folder, name, until));
    let doctor = |cert: &str, key: &str| {
        let tls = format!("tls_server_config = {{ cert_file = '{cert}', key_file = '{key}' }}");
        let table = format!("[exporters.prometheus]\nendpoint = '{}'\n{tls}", free());
        doctor(&folder, &config(&table, "'prometheus'"))
    };
    for (cert, key, expected, code) in [
        (
            &good.cert,
            &good.key,
            format!("\nok     exporters.prometheus: the certificate {} is good for ", good.cert),
            0,
        ),
        (&old.cert, &old.key, format!("\nwarn   exporters.prometheus: the certificate {} has expired\n", old.cert), 0),
        (&good.cert, &old.key, "\nFAIL   exporters.prometheus: tls_server_config.key_file: ".to_owned(), 1),
        (
            &"none.pem".to_owned(),
            &good.key,
            "\nFAIL   exporters.prometheus: tls_server_config.cert_file: ".to_owned(),
            1,
        ),
    ] {
        let outcome = doctor(cert, key);
        assert!(outcome.stdout.contains(&expected), "{expected}\n{}", outcome.stdout);
        assert_eq!(outcome.code, code, "{}", outcome.stdout);
    }
}

#[test]
fn servers_that_are_pushed_to_are_tried() {
    let folder = Folder::new();
    let plain = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let there = plain.local_addr().expect("it is bound");
    // Speaks no TLS: whatever it is told, it hangs up.
    std::thread::spawn(move || plain.incoming().for_each(drop));
    let tables = format!(
        "[exporters.otlp_grpc]\nendpoint = 'http://{there}'\n[exporters.'otlp_grpc/none']\nendpoint = 'http://{}'\n\
         [exporters.'otlp_http/tls']\nendpoint = 'https://{there}'",
        free()
    );
    let outcome = doctor(&folder, &config(&tables, "'otlp_grpc', 'otlp_grpc/none', 'otlp_http/tls'"));
    for expected in [
        format!("\nok     exporters.otlp_grpc: {there} can be reached, in "),
        "\nwarn   exporters.otlp_grpc/none: 127.0.0.1:".to_owned(),
        ": no connection: Connection refused".to_owned(),
        format!("\nwarn   exporters.otlp_http/tls: {there}: no connection: "),
    ] {
        assert!(outcome.stdout.contains(&expected), "{expected}\n{}", outcome.stdout);
    }
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
}
