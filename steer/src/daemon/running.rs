//! The daemon as it runs: asked over its sockets, told by files, probing a backend that answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::fake::Fake;
use super::*;
use crate::control::{Reply, Request, client};

/// A daemon on a thread of its own, and how to reach it.
struct Running {
    folder: tempfile::TempDir,
    kernel: Fake,
    metrics: u16,
    hints: u16,
    ended: Option<std::thread::JoinHandle<Ended>>,
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port()
}

impl Running {
    /// With a backend at this port of the loopback address.
    fn start(backend: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("found")).expect("a folder");
        let (shown, metrics, hints) = (folder.path().display(), free_port(), free_port());
        let text = format!(
            "[steer]\ninterfaces = [\"lo\"]\nallowed_backends = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n\
             state_dir = \"{shown}/state\"\ncontrol = \"{shown}/run/control\"\n\
             [discovery]\nfiles = [\"{shown}/found/*.json\"]\n\
             [metrics]\nendpoint = \"127.0.0.1:{metrics}\"\n[hints]\nlisten = \"127.0.0.1:{hints}\"\n\
             [[service]]\nname = \"s\"\naddresses = [\"10.96.0.60:5060\"]\n\
             probe = {{ interval = \"100ms\", down_after = 2, up_after = 1 }}\n\
             [[service.backend]]\nname = \"a\"\naddresses = [\"127.0.0.1:{backend}\"]\n"
        );
        let file = folder.path().join("steer.toml");
        std::fs::write(&file, text).expect("a file");
        let kernel = Fake::default();
        let (theirs, (set_up, is_set_up)) = (kernel.clone(), std::sync::mpsc::channel());
        let ended = std::thread::spawn(move || life(theirs, file, move || set_up.send(()).expect("it is waited for")));
        is_set_up.recv().expect("it is set up");
        Self { folder, kernel, metrics, hints, ended: Some(ended) }
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("run/control")
    }

    fn ask(&self, request: &Request) -> Value {
        match client::ask(&self.control(), request).expect("it answers") {
            Reply::Done(value) => value,
            Reply::Error { error } => panic!("{error}"),
        }
    }

    /// Asks for the backends until something holds of them.
    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        let begun = Instant::now();
        loop {
            let services = self.ask(&Request::Services {});
            let backends = services[0]["backends"].as_array().expect("a list").clone();
            if holds(&backends) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {services}");
            std::thread::yield_now();
        }
    }

    /// Ends it, and says how it ended.
    fn detach(mut self) -> Ended {
        self.ask(&Request::Detach { force: true });
        self.ended.take().expect("it runs").join().expect("it does not panic")
    }
}

fn life(kernel: Fake, file: PathBuf, ready: impl FnOnce()) -> Ended {
    let files = vec![file];
    let settings = config::load(&files, &|_| None).expect("it is right").settings;
    let state = StateDir::open(&settings.state_dir).expect("nobody has it");
    let node = Node::open().expect("anybody may ask");
    let mut daemon = Daemon::new(kernel, settings, files, state, node).expect("it can be read");
    daemon.begin(now()).expect("the kernel takes it");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(daemon, None, ready)).expect("it runs")
}

/// A response, whole.
fn exchange(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

fn get(port: u16, path: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    exchange(stream, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

fn post(port: u16, path: &str, body: &str) -> String {
    exchange(TcpStream::connect(("127.0.0.1", port)).expect("it listens"), &posted(path, body))
}

fn posted(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Writes as one should: beside, then renamed over.
fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("beside"), text).expect("a file");
    std::fs::rename(folder.join("beside"), folder.join("found/one.json")).expect("it can be renamed");
}

#[test]
fn pages_say_how_it_is() {
    let running = Running::start(9);
    let metrics = get(running.metrics, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("sip_steer_backend_up{service=\"s\",backend=\"a\"}"), "{metrics}");
    let health = get(running.metrics, "/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"status\":\"ok\""), "{health}");
    assert!(get(running.metrics, "/").starts_with("HTTP/1.1 404"));
    assert!(post(running.metrics, "/metrics", "").starts_with("HTTP/1.1 405"));
    assert_eq!(running.detach(), Ended::Detached);
}

#[test]
fn a_file_is_noticed_when_it_is_written() {
    let running = Running::start(9);
    let group = r#"[{ "targets": ["10.0.0.3:5060"], "labels": { "service": "s", "backend": "c" } }]"#;
    write(running.folder.path(), group);
    running.wait("it is there", |backends| backends.len() == 2);
    write(running.folder.path(), "[]");
    running.wait("it drains", |backends| backends.iter().any(|one| one["name"] == "c" && one["state"] == "drain"));
    running.detach();
}

#[test]
fn a_backend_that_answers_probes_is_up_and_one_that_does_not_is_down() {
    let backend = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = backend.local_addr().expect("it has one").port();
    let running = Running::start(port);
    running.wait("nobody answers", |backends| backends[0]["answers"] == false);
    let answering = std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        loop {
            let (len, client) = backend.recv_from(&mut bytes).expect("a request");
            let request = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if !request.starts_with("OPTIONS sip:") {
                return;
            }
            let copied = request
                .lines()
                .filter(|line| ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|name| line.starts_with(name)));
            let lines: Vec<&str> = std::iter::once("SIP/2.0 200 OK").chain(copied).chain(["", ""]).collect();
            backend.send_to(lines.join("\r\n").as_bytes(), client).expect("it is there");
        }
    });
    running.wait("it answers", |backends| backends[0]["answers"] == true);
    running.detach();
    UdpSocket::bind("127.0.0.1:0").expect("a socket").send_to(b"end", ("127.0.0.1", port)).expect("it is there");
    answering.join().expect("it ends");
}

#[test]
fn only_a_backend_gives_hints() {
    let running = Running::start(9);
    let answer = post(running.hints, "/v1/hint", r#"{ "state": "drain" }"#);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    running.wait("it drains", |backends| backends[0]["state"] == "drain" || backends[0]["state"] == "down");
    assert!(post(running.hints, "/v1/hint", "{ \"state\": 1 }").starts_with("HTTP/1.1 400"));
    assert!(post(running.hints, "/v1/hint", &" ".repeat(5000)).starts_with("HTTP/1.1 400"));
    assert!(get(running.hints, "/v1/hint").starts_with("HTTP/1.1 405"));
    let stranger = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    stranger.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).expect("all of 127/8 is here");
    stranger.connect(&SocketAddr::from(([127, 0, 0, 1], running.hints)).into()).expect("it listens");
    let answer = exchange(stranger.into(), &posted("/v1/hint", r#"{ "state": "up" }"#));
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    running.detach();
}

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
    let running = Running::start(9);
    for request in ["{}\n".to_owned(), "rubbish\n".to_owned(), "x".repeat(crate::control::LARGEST + 1)] {
        let mut stream = UnixStream::connect(running.control()).expect("it listens");
        // It may close before everything was written.
        let _ = stream.write_all(request.as_bytes());
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        lines.read_line(&mut line).expect("it answers");
        assert!(line.starts_with("{\"error\":\"it is "), "{line}");
    }
    running.ask(&Request::Status {});
    running.detach();
}

#[test]
fn decisions_reach_a_watcher_and_end_with_it() {
    let running = Running::start(9);
    let kernel = running.kernel.clone();
    let event = crate::kernel::Event {
        at: 1,
        hash: affinity::CallHash(1),
        service: 0,
        backend: Some(0),
        kind: affinity::steer::Kind::Response,
        status: 200,
        action: None,
        why: None,
        rule: 0,
        device: 1,
    };
    let feed = std::thread::spawn(move || {
        let begun = Instant::now();
        while !kernel.told().watched {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody watches");
            std::thread::yield_now();
        }
        kernel.told().events.push_back(event);
        kernel
    });
    let mut seen = Vec::new();
    let watched = client::follow(&running.control(), &Request::Watch {}, |line| {
        seen.push(line.to_owned());
        false
    });
    assert!(watched.is_ok() && seen[0].contains("\"message\":\"200\""), "{seen:?}");
    let kernel = feed.join().expect("it fed");
    let begun = Instant::now();
    while kernel.told().watched {
        assert!(begun.elapsed() < Duration::from_secs(20), "it goes on watching");
        std::thread::yield_now();
    }
    running.detach();
}

#[test]
fn no_more_clients_than_there_are_places_are_served_at_a_time() {
    let running = Running::start(9);
    let waiting: Vec<UnixStream> = (0..crate::control::MOST_CONNECTIONS)
        .map(|_| UnixStream::connect(running.control()).expect("it listens"))
        .collect();
    let mut late = UnixStream::connect(running.control()).expect("the kernel holds it");
    late.write_all(b"{\"command\":\"status\"}\n").expect("the kernel holds it");
    late.set_read_timeout(Some(Duration::from_millis(200))).expect("it can be set");
    let mut line = String::new();
    assert!(BufReader::new(late.try_clone().expect("a clone")).read_line(&mut line).is_err(), "{line}");
    drop(waiting);
    late.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
    BufReader::new(late).read_line(&mut line).expect("a place is free");
    assert!(line.contains("\"mode\""), "{line}");
    running.detach();
}
