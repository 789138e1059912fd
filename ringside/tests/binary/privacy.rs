//! Numbers go in, by every door there is; everything that leaves the process is searched for them.

use std::fs;

use crate::backend::Backend;
use crate::program::{EPOCH, Folder, Running, run};
use crate::running::get;

/// Who calls whom. No other text of the test holds a run of as many digits.
const NUMBERS: [&str; 9] = [
    "4930111222333", // From, P-Asserted-Identity, a Call-ID
    "4989444555666", // To, a branch
    "4940777888999", // Request-URI
    "4971112131415", // Contact
    "4972122232425", // Authorization
    "4973132333435", // a body
    "4974142434445", // a reason phrase that names the number called
    "4975152535455", // User-Agent
    "4976162636465", // Reason
];

/// A capture with each number where it is named, and in all messages that say it again.
fn ladder() -> String {
    let [from, to, uri, contact, authorization, body, phrase, agent, reason] = NUMBERS;
    let people = format!(
        "from=sip:+{from}@example.org to=sip:{to}@example.org contact=sip:{contact}@192.0.2.10 \
         hdr=\"P-Asserted-Identity: <tel:+{from}>\" ua=\"Phone/{agent}\""
    );
    let request = |method: &str, call: &str| {
        format!(
            "raw=\"{method} sip:{uri}@198.51.100.20;user=phone SIP/2.0\\r\\n\
             Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{call}-{to}\\r\\n\
             From: <sip:+{from}@example.org>;tag=a\\r\\nTo: <sip:{to}@example.org>\\r\\n\
             Call-ID: {call}\\r\\nCSeq: 1 {method}\\r\\nContact: <sip:{contact}@192.0.2.10>\\r\\n\
             Authorization: Digest username=\\\"{authorization}\\\"\\r\\nUser-Agent: Phone/{agent}\\r\\n\
             P-Asserted-Identity: <tel:+{from}>\\r\\nContent-Type: text/plain\\r\\n\
             Content-Length: {}\\r\\n\\r\\n{body}\"",
            body.len()
        )
    };
    let response = |status: &str, method: &str, call: &str| {
        format!(
            "raw=\"SIP/2.0 {status}\\r\\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{call}-{to}\\r\\n\
             From: <sip:+{from}@example.org>;tag=a\\r\\nTo: <sip:{to}@example.org>;tag=b\\r\\n\
             Call-ID: {call}\\r\\nCSeq: 1 {method}\\r\\n\
             Reason: Q.850;cause=1;text=\\\"no route to {reason}\\\"\\r\\nContent-Length: 0\\r\\n\\r\\n\""
        )
    };
    format!(
        "0.000 alice -> bob {invite}
         0.100 alice <- bob {refused}
         1.000 alice -> bob {register}
         1.100 alice <- bob {failed}
         2.000 alice -> bob INVITE call=answered sdp {people}
         2.100 alice <- bob 180 call=answered
         3.000 alice <- bob 200 call=answered sdp
         3.010 alice -> bob ACK call=answered
         4.000 alice -> bob BYE call=answered reason=\"SIP;cause=200;text=\\\"{reason}\\\"\"
         4.100 alice <- bob 200 call=answered
         5.000 alice -> bob INVITE call=live-{from} {people}
         5.100 alice <- bob 200 call=live-{from}
         6.000 alice -> bob raw=\"INVITE {uri}\\r\\n{from}\\r\\n\\r\\n\"
        ",
        invite = request("INVITE", "refused"),
        refused = response(&format!("503 no {phrase} here, nor {to}"), "INVITE", "refused"),
        register = request("REGISTER", "registered"),
        failed = response(&format!("500 {phrase} is unknown"), "REGISTER", "registered"),
    )
}

fn configuration(backend: &Backend, form: &str) -> String {
    format!(
        "
        [receivers.pcap]
        files = ['calls.pcap']
        [processors.dialog.calls]
        ladder = '{form}'
        [processors.enrich]
        [exporters.prometheus]
        endpoint = '127.0.0.1:0'
        [exporters.otlp_http]
        endpoint = '{}'
        [service.telemetry.logs]
        level = 'debug'
        [service.pipelines.metrics]
        receivers = ['pcap']
        processors = ['dialog', 'enrich']
        exporters = ['prometheus', 'otlp_http']
        [service.pipelines.traces]
        receivers = ['pcap']
        processors = ['dialog', 'enrich']
        exporters = ['otlp_http']
        ",
        backend.endpoint
    )
}

fn folder(backend: &Backend, form: &str) -> Folder {
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&ladder::play(&ladder()), EPOCH));
    folder.write("pipeline.toml", configuration(backend, form));
    folder
}

/// Where a number, with or without its country, stands in what left.
fn assert_clean(what: &str, bytes: &[u8]) {
    for number in NUMBERS {
        // The last eight digits are enough to find the person.
        let tail = &number.as_bytes()[number.len() - 8..];
        if let Some(at) = bytes.windows(tail.len()).position(|window| window == tail) {
            let around = &bytes[at.saturating_sub(60)..bytes.len().min(at + 20)];
            panic!("{number} is in {what}: {:?}", String::from_utf8_lossy(around));
        }
    }
}

/// Something came at all, so that finding nothing means something.
fn assert_told(backend: &Backend) {
    let names: Vec<String> = backend.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names.iter().filter(|name| *name == "SIP call").count(), 3, "{names:?}");
    assert!(names.contains(&"REGISTER".to_owned()), "{names:?}");
    assert!(!backend.metrics().is_empty());
}

#[test]
fn the_capture_itself_is_full_of_them() {
    let bytes = ladder::pcap::write(&ladder::play(&ladder()), EPOCH);
    for number in NUMBERS {
        assert!(bytes.windows(number.len()).any(|window| window == number.as_bytes()), "{number}");
    }
}

#[test]
fn no_number_leaves_a_running_program() {
    for form in ["events", "spans", "logs"] {
        let backend = Backend::start();
        let folder = folder(&backend, form);
        let (running, announced) = Running::start(folder.path(), &["run"]);
        assert_clean("what it prints", announced.as_bytes());
        let mut metrics = get(&announced, "/metrics");
        // What is read last.
        while !metrics.contains("\nsip_exporter_non_sip_total 1\n") {
            metrics = get(&announced, "/metrics");
        }
        assert_clean("/metrics", metrics.as_bytes());
        assert_clean("/internal/metrics", get(&announced, "/internal/metrics").as_bytes());
        assert_clean("/health", get(&announced, "/health").as_bytes());
        running.signal(libc::SIGTERM);
        let (status, log) = running.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert_clean("the log", log.as_bytes());
        assert_told(&backend);
        backend.bodies().iter().for_each(|body| assert_clean("what was pushed", body));
    }
}

#[test]
fn no_number_leaves_a_replay_that_exports() {
    let backend = Backend::start();
    let folder = folder(&backend, "events");
    let outcome = run(folder.path(), &["replay", "calls.pcap", "--export", "--calls", "calls.json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let calls = fs::read(folder.path().join("calls.json")).expect("it was written");
    assert_eq!(calls.iter().filter(|byte| **byte == b'\n').count(), 3, "one line a call, whole");
    assert_clean("--calls", &calls);
    assert_clean("what it prints", outcome.stdout.as_bytes());
    assert_clean("standard error", outcome.stderr.as_bytes());
    assert_told(&backend);
    backend.bodies().iter().for_each(|body| assert_clean("what was pushed", body));
}

#[test]
fn numbers_leave_where_the_configuration_wants_them_and_nothing_secret_does() {
    let backend = Backend::start();
    let folder = folder(&backend, "events");
    let plain = "processors.dialog.calls.privacy.numbers=plain";
    let outcome = run(folder.path(), &["replay", "calls.pcap", "--export", "--set", plain]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let sent = backend.bodies().concat();
    let has = |number: &str| sent.windows(number.len()).any(|window| window == number.as_bytes());
    let [from, to, _, _, authorization, body, ..] = NUMBERS;
    assert!(has(from) && has(to));
    assert!(!has(authorization) && !has(body), "bodies and credentials never leave");
}

#[test]
fn hash_prints_the_token_that_records_have() {
    let folder = Folder::new();
    let set = ["--set", "processors.dialog.calls.privacy.key=secret"];
    let numbers = ["+49123456", "0049123456", "49123456"];
    let outcome = run(folder.path(), &[&["hash"][..], &numbers, &set].concat());
    // echo -n 49123456 | openssl dgst -sha256 -hmac secret | cut -c 1-16
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "d96281a1bd656b90\n".repeat(3).as_str()));
    let outcome = run(folder.path(), &["hash", "49123456"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    assert!(outcome.stderr.contains("set processors.dialog.calls.privacy.key"), "{}", outcome.stderr);
}
