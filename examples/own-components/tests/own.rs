//! The binary with components of one's own: what it lists and refuses, and a call from an agent's datagram to its line of CSV.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringside-own"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> (Output, String) {
    let output = command(arguments).output().expect("the binary was built for this test");
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8(text).expect("it prints text"))
}

#[test]
fn it_lists_what_it_has_more_than_ringside() {
    let (_, text) = output(&["components"]);
    for line in [
        "\n  hep          messages that HEP",
        "\n  by_network   the network",
        "\n  call_list    a line",
        "\n  ebpf_sip ",
    ] {
        assert!(text.contains(line), "{line:?} not in\n{text}");
    }
    let (_, version) = output(&["--version"]);
    assert!(version.starts_with(concat!("ringside ", env!("CARGO_PKG_VERSION"), "-own ")), "{version}");
}

#[test]
fn the_configuration_beside_it_is_right() {
    let (output, text) = output(&["validate", "--config", "pipeline.toml"]);
    assert!(output.status.success(), "{text}");
}

#[test]
fn editors_are_told_of_their_keys() {
    let (_, schema) = output(&["print-schema"]);
    assert!(
        schema.contains("\"^by_network(/") && schema.contains("Bits of an IPv4 address that are its network"),
        "{schema}"
    );
}

#[test]
fn mistakes_in_their_tables_are_told_with_their_places() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wrong.toml");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline.toml")).expect("it is there");
    let text =
        text.replace("127.0.0.1:9060", "nowhere").replace("ipv4_prefix = 24", "ipv4_prefix = 33\nipv6_prefx = 1");
    fs::write(&path, text.replace("\"calls.csv\"", "\"\"")).expect("it can be written");
    let (output, text) = output(&["validate", "--config", path.to_str().expect("its name is text")]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for expected in [
        "receivers.hep.endpoint: \"nowhere\" is no address with a port",
        "processors.by_network.ipv4_prefix: 33 is more than an address has",
        "processors.by_network.ipv6_prefx: unknown key",
        "exporters.call_list.path: there is no file to write to",
    ] {
        assert!(text.contains(expected), "{expected:?} not in\n{text}");
    }
}

/// A running program, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(status.expect("there is a kill").success());
    }
}

fn chunk(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(6 + value.len()).expect("it is short");
    [&[0, 0][..], &kind.to_be_bytes(), &length.to_be_bytes(), value].concat()
}

/// A message as an agent sends it.
fn hep(message: &str, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let chunks = [
        chunk(1, &[2]),
        chunk(2, &[17]),
        chunk(3, &source),
        chunk(4, &destination),
        chunk(7, &5060_u16.to_be_bytes()),
        chunk(8, &5060_u16.to_be_bytes()),
        chunk(11, &[1]),
        chunk(15, message.as_bytes()),
    ]
    .concat();
    let length = u16::try_from(6 + chunks.len()).expect("it is short");
    [&b"HEP3"[..], &length.to_be_bytes(), &chunks].concat()
}

/// The messages of an answered call that its caller ends, each with whether the caller sent it.
fn call(id: &str) -> Vec<(bool, String)> {
    let message = |first: &str, cseq: &str, branch: &str, to: &str| {
        format!(
            "{first}\r\nVia: SIP/2.0/UDP pbx.example.com;branch=z9hG4bK{branch}-{id}\r\n\
             From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>{to}\r\nCall-ID: {id}\r\n\
             CSeq: {cseq}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let uri = "sip:bob@example.com SIP/2.0";
    vec![
        (true, message(&format!("INVITE {uri}"), "1 INVITE", "i", "")),
        (false, message("SIP/2.0 200 OK", "1 INVITE", "i", ";tag=b")),
        (true, message(&format!("ACK {uri}"), "1 ACK", "k", ";tag=b")),
        (true, message(&format!("BYE {uri}"), "2 BYE", "y", ";tag=b")),
        (false, message("SIP/2.0 200 OK", "2 BYE", "y", ";tag=b")),
    ]
}

fn send(agent: &UdpSocket, id: &str, caller: [u8; 4]) {
    let callee = [203, 0, 113, 9];
    for (is_caller, message) in call(id) {
        let (source, destination) = if is_caller { (caller, callee) } else { (callee, caller) };
        agent.send(&hep(&message, source, destination)).expect("it is sent");
    }
}

fn page(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it serves metrics");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it takes a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

/// Reads until `found` in the metrics.
fn await_metric(port: u16, expected: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let text = page(port, "/metrics");
        if text.lines().any(|line| line == expected) {
            return;
        }
        assert!(Instant::now() < until, "{expected:?} not in\n{text}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_call_goes_from_datagrams_through_all_three() {
    let folder = tempfile::tempdir().expect("a folder");
    let [path, list] = ["pipeline.toml", "calls.csv"].map(|name| folder.path().join(name));
    let hep_port =
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port is free").port();
    let metrics_port =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("one is free").port();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline.toml")).expect("it is there");
    let text = text
        .replace("127.0.0.1:9060", &format!("127.0.0.1:{hep_port}"))
        .replace("127.0.0.1:2112", &format!("127.0.0.1:{metrics_port}"))
        .replace("\"calls.csv\"", &format!("{list:?}"));
    fs::write(&path, &text).expect("it can be written");

    let mut child = command(&["run", "--config", path.to_str().expect("its name is text")]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary was built");
    let mut running = Running(child);
    let mut log = BufReader::new(running.0.stderr.take().expect("it is piped")).lines();
    let mut said = BufReader::new(running.0.stdout.take().expect("it is piped")).lines();
    let mut next = || said.next().expect("it runs").expect("it says text");
    while !next().starts_with("config ") {}

    // Received, and named by the processor.
    let agent = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    agent.connect(("127.0.0.1", hep_port)).expect("it is an address");
    agent.send(b"HEP3 of nobody").expect("it is sent");
    send(&agent, "one", [192, 0, 2, 77]);
    let ended = |carrier: &str| {
        format!("sip_exporter_session_outcomes_total{{carrier=\"{carrier}\",ua_type=\"other\",outcome=\"answered\"}} 1")
    };
    await_metric(metrics_port, &ended("192.0.2.0/24"));
    await_metric(metrics_port, "sip_exporter_non_sip_total 1");

    let health = page(metrics_port, "/health");
    assert!(health.contains("\"capture\":\"hep\""), "{health}");

    // A reload reaches it.
    fs::write(&path, text.replace("ipv4_prefix = 24", "ipv4_prefix = 16")).expect("it can be written");
    running.signal("HUP");
    while !log.next().expect("it runs").expect("it logs text").contains("configuration reloaded") {}
    send(&agent, "two", [198, 51, 100, 1]);
    await_metric(metrics_port, &ended("198.51.0.0/16"));

    // What was followed is in the list once it ends.
    running.signal("TERM");
    assert!(running.0.wait().expect("it was not waited for").success());
    let list = fs::read_to_string(list).expect("it was written");
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("start,call_id,caller,callee,carrier,outcome,status,setup,duration"));
    let mut calls: Vec<&str> = lines.collect();
    calls.sort_by_key(|line| line.contains(",two,"));
    assert_eq!(calls.len(), 2, "{list}");
    assert!(calls[0].contains(",one,,,192.0.2.0/24,answered,200,0."), "{list}");
    assert!(calls[1].contains(",two,,,198.51.0.0/16,answered,200,0."), "{list}");
}
