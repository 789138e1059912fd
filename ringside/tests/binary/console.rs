//! The console of `run`: what it answers, whom it answers, and that a reload applies to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::program::{EPOCH, Folder, Running, run};

/// One answered and ended, one refused, one that is up.
const CALLS: &str = "
     0.000  alice -> bob  INVITE sdp call=done from=sip:+493023125001@example.org to=sip:2002@example.org
     0.500  alice <- bob  180 call=done
     4.000  alice <- bob  200 sdp call=done
     4.010  alice -> bob  ACK call=done
     5.000  carol -> bob  INVITE call=busy from=sip:1001@example.org to=sip:2003@example.org
     5.200  carol <- bob  486 call=busy
     5.210  carol -> bob  ACK call=busy
    64.000  alice -> bob  BYE call=done
    64.020  alice <- bob  200 call=done
    99.000  carol -> bob  INVITE call=up/1%&<b> from=sip:1001@example.org to=sip:2006@example.org
    99.100  carol <- bob  180 call=up/1%&<b>
    99.200  carol -> bob  OPTIONS call=ping
";

fn folder(console: &str, more: &str) -> Folder {
    let folder = Folder::new();
    folder.write("a.pcap", ladder::pcap::write(&ladder::play(CALLS), EPOCH));
    folder.write("run.toml", config(console, more));
    folder
}

fn config(console: &str, more: &str) -> String {
    format!(
        "[receivers.pcap]\nfiles = ['a.pcap']\n[processors.dialog]\n[processors.enrich]\n{more}\n\
         [exporters.prometheus]\nendpoint = '127.0.0.1:0'\n[extensions.console]\nendpoint = '127.0.0.1:0'\n{console}\n\
         [service]\nextensions = ['console']\n[service.pipelines.metrics]\nreceivers = ['pcap']\n\
         processors = ['dialog', 'enrich']\nexporters = ['prometheus']\n"
    )
}

const PLAIN: &str = "[processors.dialog.calls]\nprivacy.numbers = 'plain'";
const RUN: [&str; 3] = ["run", "--config", "run.toml"];

/// Where the console is.
fn address(announced: &str) -> &str {
    let line = announced.lines().find_map(|line| line.strip_prefix("console  http://")).expect("it is announced");
    line.split('/').next().expect("a split has a first part")
}

/// Status line and header fields, and the body of a GET.
fn ask(announced: &str, path: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address(announced)).expect("it listens");
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    write!(stream, "GET {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers with text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// The same of a file.
fn ask_bytes(announced: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address(announced)).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..head]).into_owned(), answer[head + 4..].to_vec())
}

fn json(announced: &str, path: &str) -> Value {
    let (head, body) = ask(announced, path, "");
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}\n{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Call-IDs of a list, once `expected` are there: calls come a moment after their end.
fn listed(announced: &str, filter: &str, expected: &[&str]) {
    let mut list = Value::Null;
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        list = json(announced, &format!("/api/calls?{filter}"));
        let calls = list["calls"].as_array().expect("a list");
        if calls.iter().map(|call| call["call_id"].as_str().expect("text")).eq(expected.iter().copied()) {
            return;
        }
    }
    panic!("{filter}: {list:#}");
}

const UP: &str = "up/1%&<b>";

fn end(running: Running) {
    running.signal(libc::SIGTERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn calls_up_and_ended_are_listed_filtered_and_shown() {
    list_filter_and_show("service.shards=1");
}

#[test]
fn calls_are_found_in_whichever_shard_they_are() {
    list_filter_and_show("service.shards=3");
}

#[test]
fn messages_are_told_where_they_are_kept() {
    let folder = folder("", "[processors.dialog.calls]\nraw = 'full'\nprivacy.numbers = 'plain'");
    let (running, announced) = Running::start(folder.path(), &RUN);
    listed(&announced, "", &[UP, "busy", "done"]);
    for call in ["done", "up%2F1%25%26%3Cb%3E"] {
        let told = json(&announced, &format!("/api/calls/{call}"));
        let invite = told["ladder"][0]["raw"].as_str().unwrap_or_default();
        assert!(invite.starts_with("INVITE sip:"), "{told:#}");
    }
    let (head, _) = ask_bytes(&announced, "/api/calls/none/pcap");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    // What is read of the file is the call that it was made of.
    let (head, file) = ask_bytes(&announced, "/api/calls/done/pcap");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("attachment; filename=\"call.pcap\""), "{head}");
    folder.write("call.pcap", file);
    let calls = |file: &str, more: &[&str]| {
        let outcome = run(folder.path(), &[&["calls", file, "--format", "json"], more].concat());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        outcome.stdout
    };
    assert_eq!(calls("call.pcap", &[]), calls("a.pcap", &["--filter", "call_id == done"]));
    let told = json(&announced, "/api/calls/done");
    assert_eq!(told["ladder"][0]["media"][0]["codecs"], serde_json::json!(["PCMU"]));
    end(running);
}

#[test]
fn messages_that_could_not_be_read_are_shown() {
    let folder = folder("", PLAIN);
    let broken = "1.0 alice -> bob raw=\"INVITE sip:bob@example.org SIP/2.0\\r\\nVia: SIP/2.0/UDP h\\r\\n\\r\\n\"";
    folder.write("a.pcap", ladder::pcap::write(&ladder::play(&format!("{CALLS}{broken}")), EPOCH));
    let (running, announced) = Running::start(folder.path(), &RUN);
    listed(&announced, "", &[UP, "busy", "done"]);
    let refused = json(&announced, "/api/refused");
    let message = &refused["messages"][0];
    assert_eq!((&message["reason"], &message["source"]), (&"missing_header".into(), &"192.0.2.10:5060".into()));
    assert_eq!(message["line"], "INVITE sip:bob@example.org SIP/2.0");
    assert_eq!(json(&announced, "/api/now")["unread"], message["time"]);
    end(running);
}

fn list_filter_and_show(shards: &str) {
    let folder = folder("trace_url = 'http://t/{trace_id}/{call_id}'", PLAIN);
    let (running, announced) = Running::start(folder.path(), &[&RUN[..], &["--set", shards]].concat());
    listed(&announced, "", &[UP, "busy", "done"]);
    listed(&announced, "state=live", &[UP]);
    listed(&announced, "state=ended&outcome=answered", &["done"]);
    listed(&announced, "outcome=busy", &["busy"]);
    listed(&announced, "outcome=failed", &[]);
    listed(&announced, "carrier=other&limit=2", &[UP, "busy"]);
    listed(&announced, "carrier=none", &[]);
    listed(&announced, "number=23125001", &["done"]);
    listed(&announced, "number=1001", &[UP, "busy"]);
    listed(&announced, "call_id=DON", &["done"]);
    let done = json(&announced, "/api/calls/done");
    assert_eq!((done["state"].as_str(), done["phase"].as_str()), (Some("ended"), None));
    assert_eq!((done["duration_seconds"].as_f64(), done["answered_seconds"].as_f64()), (Some(60.0), Some(4.0)));
    assert_eq!(done["ladder"].as_array().map(Vec::len), Some(6));
    assert!(done["ladder"][0]["headers"][0].as_str().is_some_and(|line| line.starts_with("Via: ")), "{done:#}");
    assert_eq!(done["trace_link"], format!("http://t/{}/done", done["trace_id"].as_str().expect("text")));
    let up = json(&announced, "/api/calls/up%2F1%25&%3Cb%3E");
    assert_eq!((up["state"].as_str(), up["phase"].as_str()), (Some("live"), Some("ringing")));
    assert_eq!(up["trace_link"].as_str().and_then(|link| link.rsplit('/').next()), Some("up%2F1%25%26%3Cb%3E"));
    end(running);
}

#[test]
fn the_ladder_is_the_one_the_command_prints() {
    let folder = folder("", PLAIN);
    let (running, announced) = Running::start(folder.path(), &RUN);
    listed(&announced, "state=ended", &["busy", "done"]);
    let printed = |format| run(folder.path(), &["ladder", "a.pcap", "--call-id", "done", "--format", format]).stdout;
    let (_, mermaid) = ask(&announced, "/api/calls/done?format=mermaid", "");
    assert_eq!(mermaid, printed("mermaid"));
    let (_, text) = ask(&announced, "/api/calls/done?format=text", "");
    assert!(text.contains("486") || text.contains("180 Ringing"), "{text}");
    let mut shown = json(&announced, "/api/calls/done");
    let printed: Value = serde_json::from_str(&printed("json")).expect("JSON");
    for step in shown["ladder"].as_array_mut().expect("a list") {
        step.as_object_mut().expect("an object").remove("headers");
    }
    for (key, value) in printed.as_object().expect("an object") {
        assert_eq!(&shown[key], value, "{key}");
    }
    end(running);
}

#[test]
fn by_default_no_number_is_shown_or_found() {
    let folder = folder("", "");
    let (running, announced) = Running::start(folder.path(), &RUN);
    listed(&announced, "", &[UP, "busy", "done"]);
    assert_eq!(json(&announced, "/api/calls?number=1001"), serde_json::json!({ "calls": [], "numbers": "drop" }));
    for path in ["/api/calls", "/api/calls/done", "/api/calls/done?format=text", "/api/now"] {
        let (_, body) = ask(&announced, path, "");
        assert!(!body.contains("3023125001") && !body.contains("sip:2002"), "{path}: {body}");
    }
    end(running);
}

#[test]
fn sampling_hides_no_call_from_it_and_long_calls_are_whole() {
    let traces = "[processors.dialog.calls]\nemit = 'progressive'\n[processors.sampling]\nratio = 0.0\n\
                  [exporters.otlp_http]\nendpoint = 'http://127.0.0.1:9'\n[service.pipelines.traces]\n\
                  receivers = ['pcap']\nprocessors = ['dialog', 'enrich', 'sampling']\nexporters = ['otlp_http']";
    let folder = folder("", traces);
    let (running, announced) = Running::start(folder.path(), &RUN);
    listed(&announced, "", &[UP, "busy", "done"]);
    let done = json(&announced, "/api/calls/done");
    let statuses: Vec<_> =
        done["ladder"].as_array().expect("a list").iter().map(|step| step["status"].as_u64()).collect();
    assert_eq!(statuses, [None, Some(180), Some(200), None, None, Some(200)]);
    running.signal(libc::SIGTERM);
    running.end();
}

#[test]
fn a_page_is_told_what_happens() {
    let folder = folder("", "");
    let (running, announced) = Running::start(folder.path(), &RUN);
    listed(&announced, "state=ended", &["busy", "done"]);
    let mut stream = TcpStream::connect(address(&announced)).expect("it listens");
    write!(stream, "GET /api/events?state=ended&call=busy HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("text"));
    let mut event = |name: &str| {
        lines.find(|line| line == &format!("event: {name}")).expect("it comes");
        let data = lines.next().expect("data follows");
        serde_json::from_str::<Value>(data.strip_prefix("data: ").expect("data")).expect("JSON")
    };
    let now = event("now");
    assert_eq!(now["figures"]["totals"]["packets_total"], 12);
    let ratio = now["figures"]["ratios"]["asr_e425"].as_f64().expect("three attempts");
    let scrape = crate::running::get(&announced, "/metrics");
    let series = format!("\nsip_exporter_asr_e425{{carrier=\"other\",ua_type=\"other\"}} {ratio}\n");
    assert!(scrape.contains(&series), "{series} not in\n{scrape}");
    let list = event("calls");
    assert_eq!((list["reset"].as_bool(), list["calls"].as_array().map(Vec::len)), (Some(true), Some(2)));
    assert_eq!(event("call")["outcome"], "busy");
    // Nothing changed: the next event is the next second's figures.
    event("now");
    running.signal(libc::SIGTERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "an open page does not hold up the end: {log}");
}

#[test]
fn only_those_with_the_token_are_answered() {
    const TOKEN: &str = "0123456789abcdef-token";
    let folder = folder(&format!("token = '{TOKEN}'"), "");
    let (running, announced) = Running::start(folder.path(), &RUN);
    assert!(announced.contains("/  (asks for its token)\n") && !announced.contains(TOKEN), "{announced}");
    for path in ["/", "/page/main.js", "/api/calls", "/api/events", "/calls/done", "/none", "/?token=wrong"] {
        let (head, body) = ask(&announced, path, "");
        assert!(head.starts_with("HTTP/1.1 401") && head.contains("connection: close"), "{path}: {head}");
        assert!(!body.contains("script"), "{body}");
    }
    let (head, asked) = ask(&announced, "/", "");
    assert!(head.contains("form-action 'self'") && !head.contains("script-src"), "{head}");
    assert!(asked.contains("name=\"token\"") && !asked.contains("Wrong token"), "{asked}");
    let (_, asked) = ask(&announced, "/?token=wrong", "");
    assert!(asked.contains("Wrong token.") && !asked.contains("Go on"), "{asked}");
    let (head, style) = ask(&announced, "/page/console.css", "");
    assert!(head.starts_with("HTTP/1.1 200") && style.contains(".token"), "{head}");
    let (_, refused) = ask(&announced, "/api/calls?token=wrong", "");
    assert!(refused.contains("wrong token"), "{refused}");
    let (head, _) = ask(&announced, "/api/calls", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, _) = ask(&announced, &format!("/calls/a%2Fb?x=1&token={TOKEN}"), "");
    assert!(head.starts_with("HTTP/1.1 303") && head.contains("\r\nlocation: /calls/a%2Fb?x=1\r\n"), "{head}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().expect("a first part"));
    let (head, body) = ask(&announced, "/", &cookie);
    assert!(head.starts_with("HTTP/1.1 200") && body.starts_with("<!doctype html>"), "{head}");
    let (head, _) = ask(&announced, &format!("//evil.example/?token={TOKEN}"), "");
    assert!(head.contains("\r\nlocation: /\r\n"), "{head}");
    let shown = run(folder.path(), &["print-config", "--config", "run.toml"]).stdout;
    assert!(shown.contains("token = \"[hidden]\"") && !shown.contains(TOKEN), "{shown}");
    end(running);
}

#[test]
fn what_it_sends_is_safe_with_browsers() {
    let folder = folder("", "");
    let (running, announced) = Running::start(folder.path(), &RUN);
    for path in ["/", "/page/console.css", "/page/main.js", "/api/calls", "/api/calls/none", "/none"] {
        let (head, body) = ask(&announced, path, "");
        let policy = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';";
        for field in
            [policy, "x-content-type-options: nosniff", "referrer-policy: no-referrer", "cache-control: no-store"]
        {
            assert!(head.contains(field), "{path}: {field} not in {head}");
        }
        assert!(!body.contains("innerHTML") && !body.contains("http://") && !body.contains("https://"), "{path}");
    }
    let (head, _) = ask(&announced, "/", "Host: evil.example\r\n");
    assert!(head.starts_with("HTTP/1.1 421"), "{head}");
    let mut stream = TcpStream::connect(address(&announced)).expect("it listens");
    write!(stream, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers with text");
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET"), "{answer}");
    for (path, status) in [("/api/calls?limit=x", 400), ("/api/calls/done?format=pdf", 400), ("/api/calls/none", 404)] {
        let (head, _) = ask(&announced, path, "");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {head}");
    }
    end(running);
}

/// A call on both sides of a translation.
const BALANCED: &str = "
     0.0000  alice -> vip@10.96.0.60:5060   INVITE
     0.0001  alice -> pod@10.244.1.11:5060  INVITE copy
     0.1000  alice <- vip  486
     0.1001  alice <- pod  486 copy
";

#[test]
fn what_a_balancer_breaks_is_told_with_addresses_as_privacy_says() {
    for (privacy, client) in [("plain", "10.96.0.60:5060"), ("prefix", "10.96.0.0:5060")] {
        for shards in ["service.shards=1", "service.shards=3"] {
            let more = format!("[processors.dialog.calls]\nprivacy.ip = '{privacy}'\n[processors.affinity]");
            let folder = folder("", &more);
            folder.write("a.pcap", ladder::pcap::write(&ladder::play(BALANCED), EPOCH));
            let config = config("", &more).replace("['dialog', 'enrich']", "['affinity', 'dialog', 'enrich']");
            folder.write("run.toml", config);
            let (running, announced) = Running::start(folder.path(), &[&RUN[..], &["--set", shards]].concat());
            let deadline = Instant::now() + Duration::from_secs(30);
            let mut told = json(&announced, "/api/affinity");
            while told["services"] == Value::Array(Vec::new()) && Instant::now() < deadline {
                told = json(&announced, "/api/affinity");
            }
            let service = &told["services"][0];
            assert_eq!((&service["name"], &service["dialogs"]), (&client.into(), &1.into()), "{told:#}");
            assert_eq!(service["from"], "2026-01-01T00:00:00.000000Z");
            assert!(privacy == "plain" || !told.to_string().contains("10.244.1.11"), "{told:#}");
            end(running);
        }
    }
}

#[test]
fn without_the_processor_nobody_looks_at_balancers() {
    let folder = folder("", "");
    let (running, announced) = Running::start(folder.path(), &RUN);
    let (head, body) = ask(&announced, "/api/affinity", "");
    assert!(head.starts_with("HTTP/1.1 404") && body.contains("put it before `dialog`"), "{head}\n{body}");
    end(running);
}

#[test]
fn half_requests_of_one_visitor_leave_places_for_others() {
    let folder = folder("", "");
    let (running, announced) = Running::start(folder.path(), &RUN);
    let from = |source: [u8; 4]| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("an address of the loopback interface");
        let console: SocketAddr = address(&announced).parse().expect("an address");
        socket.connect(&console.into()).expect("it listens");
        TcpStream::from(socket)
    };
    // More than there are places.
    let half = (0..130).map(|_| {
        let mut stream = from([127, 0, 0, 9]);
        // Those beyond its share may be closed before they are written to.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: local");
        stream
    });
    let mut half: Vec<TcpStream> = half.collect();
    let last = half.last_mut().expect("there are some").read(&mut [0; 64]);
    assert!(!last.is_ok_and(|bytes| bytes > 0), "what is beyond its share is closed");
    let mut other = from([127, 0, 0, 10]);
    other.write_all(b"GET /api/now HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    other.read_to_string(&mut answer).expect("it answers with text");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let refused = "otelcol_extension_connections_refused{extension=\"console\"} 34\n";
    let scrape = crate::running::get(&announced, "/internal/metrics");
    assert!(scrape.contains(refused), "{scrape}");
    drop(half);
    end(running);
}

#[test]
fn a_reload_applies_to_it() {
    const TOKEN: &str = "0123456789abcdef-token";
    let folder = folder("", "");
    let (mut running, announced) = Running::start(folder.path(), &RUN);
    listed(&announced, "state=ended", &["busy", "done"]);
    folder.write("run.toml", config(&format!("token = '{TOKEN}'\nmax_calls_shown = 1"), ""));
    running.signal(libc::SIGHUP);
    running.await_log("configuration reloaded");
    assert!(ask(&announced, "/api/calls", "").0.starts_with("HTTP/1.1 401"));
    let (_, body) = ask(&announced, "/api/calls?state=ended", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert!(body.contains("\"done\"") && !body.contains("\"busy\""), "those that ended last are kept: {body}");
    folder.write(
        "run.toml",
        config("", "")
            .replace("extensions = ['console']", "")
            .replace("[extensions.console]\nendpoint = '127.0.0.1:0'", ""),
    );
    running.signal(libc::SIGHUP);
    let log = running.await_log("configuration reloaded");
    assert!(log.contains("key=\"service.extensions\""), "{log}");
    end(running);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let folder = folder("", "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let set = format!("extensions.console.endpoint={}", taken.local_addr().expect("it is bound"));
    let outcome = run(folder.path(), &[&RUN[..], &["--set", &set]].concat());
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("extensions.console: cannot listen on"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("give [extensions.console] another endpoint"), "{}", outcome.stderr);
}
