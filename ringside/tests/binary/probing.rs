//! Probes: `run` with nothing but them, and without any privilege; reload; the command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{Folder, Running, command, run, without_privileges};
use crate::running::get;

/// A server over UDP on loopback that answers every request with `status`. Where it is.
pub fn server(status: &'static str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let request = std::str::from_utf8(&buffer[..len]).expect("a request is text");
            let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            let lines = request.lines().filter(|line| copied.iter().any(|name| line.starts_with(name)));
            let copied: String = lines.map(|line| format!("{line}\r\n")).collect();
            let reply = format!("SIP/2.0 {status}\r\n{copied}Server: test\r\nContent-Length: 0\r\n\r\n");
            socket.send_to(reply.as_bytes(), from).expect("loopback takes it");
        }
    });
    format!("udp://{address}")
}

fn config(targets: &[(&str, &str)]) -> String {
    let target = |(name, endpoint): &(&str, &str)| format!("{{ endpoint = '{endpoint}', name = '{name}' }}");
    let targets = targets.iter().map(target).collect::<Vec<_>>().join(", ");
    format!(
        "[receivers.sip_probe]\ncollection_interval = '1s'\ntimeout = '700ms'\ntargets = [{targets}]\n\
         [exporters.prometheus]\nendpoint = '127.0.0.1:0'\n\
         [service.pipelines.metrics]\nreceivers = ['sip_probe']\nexporters = ['prometheus']\n"
    )
}

/// The value of a series; `None` while it is not there.
fn value(announced: &str, series: &str) -> Option<f64> {
    let series = format!("sip_exporter_probe_{series}");
    let text = get(announced, "/metrics");
    let line = text.lines().find(|line| line.strip_prefix(&series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Waits until a series is what it should be, ten seconds at most.
fn await_value(announced: &str, series: &str, fits: impl Fn(f64) -> bool) -> f64 {
    let begun = Instant::now();
    loop {
        match value(announced, series) {
            Some(value) if fits(value) => return value,
            now => assert!(begun.elapsed() < Duration::from_secs(10), "{series}: {now:?}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn probes_alone_need_no_privilege() {
    let folder = Folder::new();
    let answers = server("200 OK");
    folder.write("run.toml", config(&[("good", &answers), ("full", &server("503 Service Unavailable"))]));
    let (mut running, announced) = Running::begin(without_privileges(folder.path(), &["run", "--config", "run.toml"]));
    assert!(announced.contains("\nprobes   sip_probe: 2 targets\n"), "{announced}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).expect("it runs");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000\n")), "{set} in\n{status}");
    }
    let [good, full] = ["{target=\"good\",transport=\"udp\"", "{target=\"full\",transport=\"udp\""];
    await_value(&announced, &format!("up{good}}}"), |up| up == 1.0);
    await_value(&announced, &format!("up{full}}}"), |up| up == 0.0);
    await_value(&announced, &format!("status_total{full},code=\"503\"}}"), |count| count >= 1.0);
    assert_eq!(value(&announced, &format!("lost_total{full}}}")), Some(0.0));
    assert!(get(&announced, "/health").contains("\"capture\":\"none\""));
    let numbers = get(&announced, "/internal/metrics");
    assert!(numbers.contains("\notelcol_receiver_probe_targets{receiver=\"sip_probe\"} 2\n"), "{numbers}");
    running.await_log("refuses probes");
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_reload_leaves_the_counters_of_other_targets_alone() {
    let folder = Folder::new();
    let answers = server("200 OK");
    folder.write("run.toml", config(&[("a", &answers), ("b", &answers)]));
    let (mut running, announced) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let received = |name: &str| format!("received_total{{target=\"{name}\",transport=\"udp\"}}");
    let before = await_value(&announced, &received("a"), |count| count >= 2.0);
    folder.write("run.toml", config(&[("a", &answers), ("c", &answers)]));
    running.signal(libc::SIGHUP);
    running.await_log("configuration reloaded");
    assert!(value(&announced, &received("a")).is_some_and(|count| count >= before));
    assert_eq!(value(&announced, &received("b")), None);
    await_value(&announced, &received("c"), |count| count >= 1.0);
    await_value(&announced, &received("a"), |count| count > before);
    running.signal(libc::SIGTERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_command_prints_a_line_for_each_answer_and_a_summary() {
    let folder = Folder::new();
    let target = server("404 Not Found");
    let address = target.strip_prefix("udp://").expect("it is one");
    let outcome = run(folder.path(), &["probe", &target, "--count", "3", "--interval", "200ms"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 8, "{}", outcome.stdout);
    assert_eq!(lines[0], format!("PROBE 127.0.0.1 (sip:{address})"));
    for (number, line) in lines[1..4].iter().enumerate() {
        let begin = format!("404 Not Found from udp {address}: seq={} time=", number + 1);
        assert!(line.starts_with(&begin) && line.ends_with(" ms server=\"test\""), "{line}");
    }
    assert!(lines[6].starts_with("3 sent, 3 answered, 0% loss, time "), "{}", lines[6]);
    assert!(lines[7].starts_with("rtt min/avg/max/jitter = "), "{}", lines[7]);
}

#[test]
fn the_command_fails_when_nobody_answers_and_says_why() {
    let folder = Folder::new();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    let address = silent.local_addr().expect("it is bound").to_string();
    let common = ["--count", "1", "--timeout", "600ms", "--format", "json"];
    let outcome = run(folder.path(), &[&["probe", &address][..], &common].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, "ringside: no probe was answered\n"));
    let lines: Vec<serde_json::Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!((&lines[0]["error"], &lines[0]["retransmissions"]), (&"timeout".into(), &1.into()));
    assert_eq!((&lines[1]["sent"], &lines[1]["loss_percent"]), (&1.into(), &100.0.into()));
    assert!(lines[1]["rtt_min_seconds"].is_null() && lines.len() == 2);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free").local_addr().expect("bound");
    let outcome = run(folder.path(), &[&["probe", &closed.to_string(), "--transport", "tcp"][..], &common].concat());
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.stdout.contains("\"transport\":\"tcp\"") && outcome.stdout.contains("no connection: "),
        "{}",
        outcome.stdout
    );
}

#[test]
fn ctrl_c_brings_the_summary() {
    let folder = Folder::new();
    let mut child = command(folder.path(), &["probe", &server("200 OK"), "--interval", "200ms"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut text = String::new();
    while text.matches("\n200 OK from ").count() < 2 {
        assert_ne!(out.read_line(&mut text).expect("it prints text"), 0, "{text}");
    }
    let pid = i32::try_from(child.id()).expect("process ids are positive");
    // SAFETY: kill takes numbers only, and the child was not waited for yet, so that its id is its own.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    out.read_to_string(&mut text).expect("it prints text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(text.contains(" answered, 0% loss, time ") && text.contains("\nrtt min/avg/max/jitter = "), "{text}");
}

#[test]
fn prometheus_may_have_probes_made_and_only_of_those_on_the_list() {
    let folder = Folder::new();
    let text = config(&[("good", &server("200 OK"))]).replace(
        "[exporters.prometheus]",
        "[extensions.probe_endpoint]\nmodules.default = {}\nallow.cidrs = ['127.0.0.1/32']\n[service]\n\
         extensions = ['probe_endpoint']\n[exporters.prometheus]",
    );
    folder.write("run.toml", text);
    let (running, announced) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let shown = get(&announced, &format!("/probe?target={}&module=default", server("486 Busy Here")));
    assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("\nprobe_sip_status_code 486\n"), "{shown}");
    assert!(shown.contains("\nprobe_success 1\n"), "{shown}");
    assert!(get(&announced, "/probe?target=192.0.2.1").starts_with("HTTP/1.1 403"));
    assert!(get(&announced, "/probe?target=127.0.0.1&module=x").starts_with("HTTP/1.1 400"));
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn without_the_extension_nobody_is_probed() {
    let folder = Folder::new();
    folder.write("run.toml", config(&[("good", &server("200 OK"))]));
    let (running, announced) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    assert!(get(&announced, "/probe?target=127.0.0.1").starts_with("HTTP/1.1 404"));
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

/// A page of metrics that is served over and over.
fn page(text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = BufReader::new(stream.try_clone().expect("a socket")).lines();
            while request.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{text}");
        }
    });
    address
}

#[test]
fn doctor_asks_the_instance_that_runs_whether_media_pass_both_ways() {
    let half = page(
        "sip_exporter_media_faults_total{fault=\"one_way\",direction=\"caller_only\"} 19\n\
         sip_exporter_ratio_input_total{input=\"answered\"} 20\n",
    );
    let folder = Folder::new();
    let doctor = |endpoint: SocketAddr, processors: &str| {
        folder.write(
            "run.toml",
            format!(
                "[receivers.pcap]\nfiles = ['none.pcap']\n[processors.dialog]\n[processors.media]\n[exporters.prometheus]\n\
                 endpoint = '{endpoint}'\n[service.pipelines.metrics]\nreceivers = ['pcap']\nprocessors = [{processors}]\n\
                 exporters = ['prometheus']\n"
            ),
        );
        run(folder.path(), &["doctor", "--config", "run.toml"])
    };
    let listening = "'dialog', 'media'";
    let outcome = doctor(half, listening);
    let found =
        "\nwarn   media: 19 of 20 calls were heard one way: the mirror shows one direction of media\n       -> mirror";
    assert!(outcome.stdout.contains(found), "{}", outcome.stdout);
    // Whoever does not listen to media is told nothing of them.
    assert!(!doctor(half, "'dialog'").stdout.contains("media"));
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("some port is free").local_addr().expect("it is bound");
    assert!(doctor(nobody, listening).stdout.contains("\nok     media: nobody serves http://127.0.0.1:"));
}

#[test]
fn doctor_tries_each_target_once() {
    let folder = Folder::new();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    let silent = format!("udp://{}", silent.local_addr().expect("it is bound"));
    let full = server("503 Service Unavailable");
    folder.write("run.toml", config(&[("good", &server("200 OK")), ("full", &full), ("mute", &silent)]));
    let outcome = run(folder.path(), &["doctor", "--config", "run.toml"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    for line in [
        "\nsip_probe:\n",
        "\nok     good: 200 OK from udp 127.0.0.1:",
        "\nwarn   full: 503 Service Unavailable",
        "\nwarn   mute: n",
    ] {
        assert!(outcome.stdout.contains(line), "{line}\n{}", outcome.stdout);
    }
    assert!(outcome.stdout.contains("\nok     capture: no pipeline captures live"), "{}", outcome.stdout);
}
