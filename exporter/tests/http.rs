//! The endpoint over real sockets: what Prometheus, an operator and a hostile client see.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use exporter::prometheus::{Limits, Prometheus};
use metrics::label_values::Input;
use metrics::{Exposition, F, Format, Undefined};
use pipeline::LabelSet;
use pipeline::component::{CaptureStatus, Exporter};
use support::{Reply, Running, SETS, closed, fill, get, run, send, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const SOON: Duration = Duration::from_millis(50);

/// What a scrape says of SIP: all but what the program tells about itself, which comes first.
fn counted(scrape: &str) -> &str {
    assert!(scrape.starts_with("# HELP otelcol_"), "the program itself comes first");
    &scrape[scrape.find("# HELP sip_exporter_").expect("it counts something")..]
}

fn rendered(running: &Running, format: Format) -> String {
    Exposition::new(running.registry.snapshot(), format, Undefined::Nan).into_text()
}

#[tokio::test]
async fn a_scrape_is_the_text_format_unless_something_else_is_asked_for() {
    let running = run(Limits::default());
    let reply = get(running.address, "/metrics").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(reply.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    assert_eq!(counted(reply.text()), rendered(&running, Format::Text));
}

#[tokio::test]
async fn openmetrics_is_served_to_who_names_it() {
    let running = run(Limits::default());
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let reply = send(running.address, &format!("GET /metrics HTTP/1.1\nAccept: {accept}")).await;
    assert_eq!(reply.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!(counted(reply.text()), rendered(&running, Format::OpenMetrics));
    assert!(reply.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_large_body_is_streamed_and_compressed_when_asked_for() {
    let running = run(Limits::default());
    fill(&running.registry);
    let expected = rendered(&running, Format::Text);
    assert!(expected.len() > 4 * 64 * 1024);

    let plain = get(running.address, "/metrics").await;
    assert_eq!(plain.header("content-encoding"), None);
    assert!(counted(plain.text()) == expected);

    let packed = send(running.address, "GET /metrics HTTP/1.1\nAccept-Encoding: gzip").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < expected.len() / 5, "{} of {}", packed.body.len(), expected.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).expect("gzip");
    assert!(counted(&text) == expected);
}

#[tokio::test]
async fn health_tells_how_packets_are_captured() {
    let running = run(Limits::default());
    for kind in ["ebpf", "classic", "none"] {
        *running.state.capture.lock().unwrap() = CaptureStatus { kind, ..CaptureStatus::default() };
        let reply = get(running.address, "/health").await;
        let json: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!((json["status"].as_str(), json["capture"].as_str()), (Some("ok"), Some(kind)));
        assert!(json.get("reason").is_none() && json.get("no_media").is_none());
    }
    let no_media = Some("the classic filter knows no media");
    *running.state.capture.lock().unwrap() = CaptureStatus { kind: "classic", blocked: None, no_media };
    let reply = get(running.address, "/health").await;
    let json: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((reply.status, json["no_media"].as_str()), (200, no_media));
}

#[tokio::test]
async fn health_is_503_with_the_reason_while_nothing_can_be_captured() {
    let running = run(Limits::default());
    let blocked = Some("none of the interfaces \"eth7\" exists".to_owned());
    *running.state.capture.lock().unwrap() = CaptureStatus { kind: "ebpf", blocked: blocked.clone(), no_media: None };
    let reply = get(running.address, "/health").await;
    let json: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((reply.status, json["reason"].as_str()), (503, blocked.as_deref()));
    assert_eq!(json["capture"], "ebpf");
}

#[tokio::test]
async fn health_is_503_with_the_reason_while_a_component_does_nothing_any_more() {
    let running = run(Limits::default());
    *running.state.trouble.lock().unwrap() = Some("exporter pcap: nothing is recorded any more".to_owned());
    let reply = get(running.address, "/health").await;
    let json: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((reply.status, json["reason"].as_str()), (503, Some("exporter pcap: nothing is recorded any more")));
}

#[tokio::test]
async fn the_program_tells_about_itself_apart_and_beside_the_metrics() {
    let running = run(Limits::default());
    get(running.address, "/metrics").await;
    let reply = get(running.address, "/internal/metrics").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    for line in [
        "# TYPE otelcol_receiver_accepted_sip_messages counter",
        "otelcol_receiver_accepted_sip_messages{receiver=\"ebpf_sip\"} 42",
        "otelcol_exporter_scrapes 1",
        "otelcol_metrics_label_sets 1",
        "otelcol_metrics_label_sets_refused 0",
        "# TYPE otelcol_process_memory_rss gauge",
        "# TYPE otelcol_process_uptime counter",
        "# TYPE otelcol_process_cpu_seconds counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("sip_exporter_"));
    // One job suffices: the same numbers stand beside the metrics, in Prometheus' manner.
    let reply = get(running.address, "/metrics").await;
    for line in [
        "# HELP otelcol_receiver_accepted_sip_messages_total SIP messages taken, by transport.",
        "# TYPE otelcol_receiver_accepted_sip_messages_total counter",
        "otelcol_receiver_accepted_sip_messages_total{receiver=\"ebpf_sip\"} 42",
        "otelcol_metrics_label_sets 1",
    ] {
        assert!(reply.text().lines().any(|found| found == line), "{line} is missing in\n{}", reply.text());
    }
    assert!(!reply.text().contains("otelcol_process_"), "those stand there as process_*");
}

#[tokio::test]
async fn the_root_leads_to_every_page() {
    let running = run(Limits::default());
    let reply = get(running.address, "/").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = reply.text().to_owned();
    let links: Vec<&str> = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links, ["metrics", "health", "internal/metrics"]);
    for link in links {
        assert_eq!(get(running.address, &format!("/{link}")).await.status, 200, "{link}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let running = run(Limits::default());
    for path in ["/metric", "/metrics/", "/internal", "/../metrics"] {
        assert_eq!(get(running.address, path).await.status, 404, "{path}");
    }
    assert_eq!(get(running.address, "/metrics?name=value").await.status, 200);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let reply = send(running.address, &format!("{method} /metrics HTTP/1.1")).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let running = run(Limits::default());
    for path in ["/metrics", "/health", "/internal/metrics"] {
        let reply = send(running.address, &format!("HEAD {path} HTTP/1.1")).await;
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{path}");
        assert!(reply.header("content-type").is_some());
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let running = run(Limits::default());
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let request = "GET /health HTTP/1.1\r\nHost: ringside\r\n";
    let all = format!("{request}\r\n{request}\r\n{request}Connection: close\r\n\r\n");
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3);
}

#[tokio::test]
async fn garbage_and_endless_heads_are_answered_with_an_error_and_closed() {
    let running = run(Limits::default());
    let endless = format!("GET /metrics HTTP/1.1\r\nX: {}", "a".repeat(100_000));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    for request in ["\0\u{1}\u{2}\r\n\r\n", "OPTIONS sip:a@b SIP/2.0\r\n\r\n", &endless, &many] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        assert!(bytes.is_empty() || Reply::parse(&bytes).status >= 400);
    }
    assert_eq!(get(running.address, "/health").await.status, 200);
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_disconnected() {
    let running = run(Limits { head: SOON, ..Limits::default() });
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ring").await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert!(!bytes.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn silent_clients_do_not_keep_others_out() {
    let running = run(Limits { connections: 4, head: SOON, ..Limits::default() });
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert_eq!(get(running.address, "/metrics").await.status, 200);
}

#[tokio::test]
async fn half_requests_of_one_client_leave_places_for_others() {
    let never = Duration::from_secs(3600);
    let running = run(Limits { connections: 4, connections_each: 3, head: never, ..Limits::default() });
    let half = async || {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // The server may have closed it before it was written to.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ring").await;
        stream
    };
    let _kept = [half().await, half().await, half().await];
    // What is beyond is closed, though nobody has waited for its head.
    let mut bytes = Vec::new();
    let _ = half().await.read_to_end(&mut bytes).await;
    assert!(bytes.is_empty());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(running.address).await.unwrap();
    other.write_all(b"GET /internal/metrics HTTP/1.1\r\nHost: ringside\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).await.unwrap();
    let reply = Reply::parse(&bytes);
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("otelcol_exporter_connections_refused 1\n"), "{}", reply.text());
}

#[tokio::test]
async fn a_client_that_does_not_take_its_response_is_disconnected_and_counted() {
    let running = run(Limits { scrapes: 1, response: SOON, ..Limits::default() });
    // More than the kernel buffers for a client that does not read.
    let mut rows = running.registry.shard();
    for n in 0..3_000 {
        let set = running.registry.label_sets().intern("carrier", &n.to_string());
        for variant in 0..2 {
            rows.observe(set, F::Srd, variant, SOON);
        }
    }
    let shows = async |line: &str| while !get(running.address, "/internal/metrics").await.text().contains(line) {};
    let scrape = b"GET /metrics HTTP/1.1\r\nHost: ringside\r\n\r\n";
    let mut greedy = TcpStream::connect(running.address).await.unwrap();
    greedy.write_all(scrape).await.unwrap();
    shows("otelcol_exporter_slow_clients 1\n").await;
    // The only permit is free again: the next scrape begins.
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(scrape).await.unwrap();
    shows("otelcol_exporter_scrapes 2\n").await;
}

#[tokio::test]
async fn sixty_four_scrapes_at_once_are_all_whole_while_counting_goes_on() {
    // The machine may be slow and busy: nobody is to be cut off for that.
    let running = run(Limits { response: Duration::from_secs(600), ..Limits::default() });
    fill(&running.registry);
    let mut rows = running.registry.shard();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                rows.add(LabelSet::OTHER, F::RatioInputs, Input::A.index(), 1);
                rows.add(LabelSet::OTHER, F::RatioInputs, Input::Answered.index(), 1);
            }
        }
    });
    let clients: Vec<_> = (0..64).map(|_| tokio::spawn(get(running.address, "/metrics"))).collect();
    for client in clients {
        let reply = client.await.unwrap();
        let text = reply.text();
        assert_eq!((reply.status, text.matches("sip_exporter_requests_total{").count()), (200, SETS * 15));
        assert!(text.lines().last().unwrap().starts_with("sip_exporter_build_info{"), "whole");
        let ratio = text.lines().find_map(|line| {
            line.strip_prefix("sip_exporter_asr_e425{carrier=\"other\",ua_type=\"other\"} ")?.parse::<f64>().ok()
        });
        assert!(ratio.is_none_or(|ratio| ratio <= 100.0), "{ratio:?}");
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let running = run(Limits::default());
    let context = support::context(&running.registry, &running.state);
    let endpoint = running.address.to_string();
    let error = Prometheus::new(settings(&endpoint, Undefined::Nan), &context).start().expect_err("in use");
    let text = error.to_string();
    assert!(text.contains(&format!("cannot listen on {endpoint}: ")) && text.contains("in use"), "{text}");
    assert!(text.contains("ss -ltnp") && text.contains("[exporters.prometheus]"), "{text}");
}

#[tokio::test]
async fn an_address_of_another_host_is_named_with_what_to_do() {
    let running = run(Limits::default());
    let context = support::context(&running.registry, &running.state);
    let error = Prometheus::new(settings("192.0.2.1:2112", Undefined::Nan), &context).start().expect_err("not here");
    let text = error.to_string();
    assert!(text.contains("192.0.2.1:2112") && text.contains("ip -brief address"), "{text}");
}

#[tokio::test]
async fn stop_lets_a_response_finish_and_frees_the_port() {
    let mut running = run(Limits::default());
    fill(&running.registry);
    let expected = rendered(&running, Format::Text);
    // An idle connection must not hold it up.
    let idle = TcpStream::connect(running.address).await.unwrap();
    let mut busy = TcpStream::connect(running.address).await.unwrap();
    busy.write_all(b"GET /metrics HTTP/1.1\r\nHost: ringside\r\n\r\n").await.unwrap();
    let mut first = [0; 1024];
    let length = busy.read(&mut first).await.unwrap();
    let take = async {
        let mut bytes = first[..length].to_vec();
        busy.read_to_end(&mut bytes).await.unwrap();
        bytes
    };
    let (bytes, ()) = tokio::join!(take, running.exporter.stop(Duration::from_secs(1)));
    assert!(counted(Reply::parse(&bytes).text()) == expected, "the response was whole");
    closed(running.address).await;
    drop(idle);
    let context = support::context(&running.registry, &running.state);
    let mut again = Prometheus::new(settings(&running.address.to_string(), Undefined::Nan), &context);
    again.start().expect("the port is free");
    assert_eq!(again.addresses(), [format!("metrics  http://{}/metrics", running.address)]);
}

#[tokio::test]
async fn clients_that_stall_do_not_hold_up_the_end() {
    let never = Duration::from_secs(3600);
    let mut running = run(Limits { head: never, response: never, shutdown_grace: SOON, ..Limits::default() });
    fill(&running.registry);
    let mut asking = TcpStream::connect(running.address).await.unwrap();
    asking.write_all(b"GET /metr").await.unwrap();
    let mut not_taking = TcpStream::connect(running.address).await.unwrap();
    // More than the kernel takes for us.
    not_taking.write_all(&b"GET /metrics HTTP/1.1\r\nHost: ringside\r\n\r\n".repeat(20)).await.unwrap();
    not_taking.read_exact(&mut [0; 1]).await.unwrap();
    running.exporter.stop(Duration::from_secs(1)).await;
    closed(running.address).await;
}

#[tokio::test]
async fn a_reload_changes_how_undefined_ratios_look() {
    let mut running = run(Limits::default());
    running.registry.shard().add(LabelSet::OTHER, F::RatioInputs, Input::Reg.index(), 1);
    let ser = "sip_exporter_ser{carrier=\"other\",ua_type=\"other\"}";
    assert!(get(running.address, "/metrics").await.text().contains(&format!("{ser} NaN\n")));

    let pending = running.exporter.reconfigure(Box::new(settings("127.0.0.1:0", Undefined::Zero)));
    assert!(pending.is_empty());
    assert!(get(running.address, "/metrics").await.text().contains(&format!("{ser} 0\n")));

    // The same port on every address: taken as long as this one is.
    let every = format!("0.0.0.0:{}", running.address.port());
    let pending = running.exporter.reconfigure(Box::new(settings(&every, Undefined::Absent)));
    assert_eq!(pending, ["endpoint"]);
    assert!(!get(running.address, "/metrics").await.text().contains(ser), "the rest is applied");
}

#[tokio::test]
async fn a_reload_moves_the_endpoint() {
    let mut running = run(Limits::default());
    let pending = running.exporter.reconfigure(Box::new(settings("127.0.0.2:0", Undefined::Nan)));
    assert!(pending.is_empty());
    let moved = running.exporter.local_address().expect("it listens");
    assert_ne!(moved, running.address);
    assert_eq!(get(moved, "/metrics").await.status, 200);
    closed(running.address).await;
}

#[tokio::test]
async fn a_small_body_is_compressed_too_when_asked_for() {
    let running = run(Limits::default());
    let packed = send(running.address, "GET /metrics HTTP/1.1\nAccept-Encoding: gzip").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).expect("gzip");
    assert_eq!(counted(&text), rendered(&running, Format::Text));
}

/// Every family with every label, so that lint sees all names.
#[tokio::test]
async fn promtool_is_content_with_every_family() {
    let running = run(Limits::default());
    let mut rows = running.registry.shard();
    rows.listen();
    for f in F::ALL {
        for variant in 0..f.family().variants() {
            let name = f.family().scope.name().and_then(|label| running.registry.label_sets().intern_name(label, "a"));
            match (f.family().kind, name) {
                (metrics::Kind::Histogram(_), Some(name)) => rows.observe_named(name, *f, variant, SOON),
                (metrics::Kind::Histogram(_), None) => rows.observe(LabelSet::OTHER, *f, variant, SOON),
                (_, Some(name)) => rows.add_named(name, *f, variant, 1),
                (_, None) => rows.add(LabelSet::OTHER, *f, variant, 1),
            }
        }
    }
    let text = get(running.address, "/metrics").await;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (Debian: apt-get install prometheus)");
    promtool.stdin.take().unwrap().write_all(&text.body).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
