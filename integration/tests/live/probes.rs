//! Probes of real servers: Kamailio, SIPp behind a path that loses and delays, TLS, servers that misbehave, a thousand at
//! once; and what a capture makes of probes.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use integration::exposition::Exposition;
use integration::flows;
use integration::gate;
use integration::probed::{Answering, Lossy, reply};
use integration::proxy::Proxy;
use integration::ringside::{Config, HTTP, Ringside};
use integration::scratch::Folder;
use integration::sipp::scenario::{Scenario, Side, Transport};
use integration::sipp::{Load, Party, Sipp, await_tcp, await_udp, exchange};
use integration::wait::eventually;
use testnet::{Family, Namespace};

use crate::stage::{CALLS, loopback, namespace};

/// `[receivers.sip_probe]` with these targets, asked once a second.
fn probes(targets: &[String]) -> String {
    format!(
        "[receivers.sip_probe]\ncollection_interval = \"1s\"\ntimeout = \"2s\"\ntargets = [{}]\n\
         [service.pipelines.\"metrics/probes\"]\nreceivers = [\"sip_probe\"]\nexporters = [\"prometheus\"]\n",
        targets.join(", ")
    )
}

/// The same with nothing beside it.
fn only_probes(targets: &[String]) -> String {
    format!("[exporters.prometheus]\nendpoint = \"{HTTP}\"\n{}", probes(targets))
}

/// A target in TOML: name, endpoint, further keys.
fn target(name: &str, endpoint: &str, more: &str) -> String {
    format!("{{ name = \"{name}\", endpoint = \"{endpoint}\"{more} }}")
}

fn of(family: &str, target: &str) -> String {
    format!("probe_{family}{{target=\"{target}\"}}")
}

/// Waits until so many probes of a target have come to something.
fn ended(ringside: &Ringside, target: &str, count: u64) -> Exposition {
    eventually(&format!("{count} probes of {target}\n{}", ringside.log()), || {
        let scrape = ringside.scrape();
        let [received, lost] = ["received_total", "lost_total"].map(|family| scrape.count(&of(family, target)));
        (received + lost >= count).then_some(scrape)
    })
}

/// A Kamailio that answers by the user of the Request-URI, over UDP and TLS.
fn kamailio(namespace: &Namespace, folder: &Folder) -> Proxy {
    let [key, certificate] = ["own.key", "own.pem"].map(|name| folder.join(name).display().to_string());
    let proxy = Proxy::run(
        namespace,
        &format!(
            "debug=1\nlog_stderror=yes\nchildren=2\ntcp_children=2\nexit_timeout=1\nauto_aliases=no\nenable_tls=yes\n\
             listen=udp:127.0.0.1:5060\nlisten=tls:127.0.0.1:5061\n\
             loadmodule \"sl.so\"\nloadmodule \"pv.so\"\nloadmodule \"textops.so\"\nloadmodule \"tls.so\"\n\
             modparam(\"tls\", \"private_key\", \"{key}\")\nmodparam(\"tls\", \"certificate\", \"{certificate}\")\n\
             modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n\
             request_route {{\n\
             if ($rU == \"mute\") {{ exit; }}\n\
             if ($rU == \"gone\") {{ sl_send_reply(\"404\", \"Not Found\"); exit; }}\n\
             if ($rU == \"full\") {{ sl_send_reply(\"503\", \"Service Unavailable\"); exit; }}\n\
             sl_send_reply(\"200\", \"OK\");\n}}\n"
        ),
    );
    await_udp(namespace, 5060);
    await_tcp(namespace, 5061);
    proxy
}

/// An authority, and a certificate of it for 127.0.0.1 that expires in three days.
fn certificates(folder: &Folder) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output();
        let output = output.expect("openssl is installed");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for name in ["ca", "other"] {
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ));
    }
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("it can be written");
    openssl("req -newkey rsa:2048 -nodes -subj /CN=sbc -keyout own.key -out own.csr");
    openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3 -extfile names -out own.pem");
}

#[test]
fn kamailio_is_up_whatever_it_says_but_503_and_a_certificate_that_ends_is_told() {
    let Some(_pass) = gate::shared("probes of Kamailio") else { return };
    let namespace = namespace();
    let folder = Folder::new("probes");
    certificates(&folder);
    let _proxy = kamailio(&namespace, &folder);
    let uri = |user: &str| format!(", request_uri = \"sip:{user}@127.0.0.1\"");
    let trust = |name: &str| format!(", tls = {{ ca_file = {:?} }}", folder.join(name));
    let udp = "udp://127.0.0.1:5060";
    let ringside = Ringside::start_with(
        &namespace,
        &only_probes(&[
            target("ok", udp, &uri("ok")),
            target("gone", udp, &uri("gone")),
            target("full", udp, &uri("full")),
            target("mute", udp, &uri("mute")),
            target("trusted", "tls://127.0.0.1:5061", &trust("ca.pem")),
            target("untrusted", "tls://127.0.0.1:5061", &trust("other.pem")),
            target("any", "tls://127.0.0.1:5061", ", tls = { insecure_skip_verify = true }"),
        ]),
        &[],
    );
    for (name, up, status) in [
        ("ok", 1.0, 200.0),
        ("gone", 1.0, 404.0),
        ("full", 0.0, 503.0),
        ("mute", 0.0, 0.0),
        ("trusted", 1.0, 200.0),
        ("untrusted", 0.0, 0.0),
        ("any", 1.0, 200.0),
    ] {
        let scrape = ended(&ringside, name, 3);
        scrape.assert([(of("up", name), up), (of("last_status", name), status)]);
    }
    let scrape = ringside.scrape();
    assert_eq!(scrape.count(&of("lost_total", "full")), 0, "503 is an answer");
    assert!(scrape.count("probe_status_total{target=\"mute\",code=\"timeout\"}") >= 3);
    // 0.5 and 1.5 s: two repeats in two seconds.
    assert!(scrape.count(&of("retransmissions_total", "mute")) >= 6);
    assert!(scrape.count("probe_status_total{target=\"untrusted\",code=\"error\"}") >= 3);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs_f64();
    for name in ["trusted", "untrusted", "any"] {
        let days = (scrape.value(&of("tls_not_after_seconds", name)).expect("it was shown") - now) / 86_400.0;
        assert!((2.9..3.0).contains(&days), "{name}: {days} days");
    }
    // One connection, kept: one handshake, not one for each probe.
    assert!(scrape.value(&of("tls_handshake_seconds", "trusted")).is_some_and(|took| took > 0.0));
    let log = ringside.log();
    assert!(log.contains("insecure_skip_verify: any certificate is accepted"), "{log}");
    assert!(log.contains("UnknownIssuer") || log.contains("invalid peer certificate"), "{log}");
}

#[test]
fn a_known_loss_and_a_known_delay_are_measured() {
    let Some(_pass) = gate::shared("probes over a lossy path") else { return };
    let namespace = namespace();
    let party = |port| Party { namespace: &namespace, address: SocketAddr::from(([127, 0, 0, 1], port)) };
    let load = Load { calls: 1000, rate: 50 };
    let flow = Scenario::new(flows::PINGED);
    let _udp = Sipp::start(&flow, Side::Callee, party(5070), party(5070).address, load);
    let _tcp = Sipp::start(&flow.clone().over(Transport::Tcp), Side::Callee, party(5071), party(5071).address, load);
    let delay = Duration::from_millis(40);
    let _lossy = Lossy::start(&namespace, "127.0.0.1:5080", party(5070).address, 4, delay);
    let _repaired = Lossy::start(&namespace, "127.0.0.1:5081", party(5070).address, 4, delay);
    let ringside = Ringside::start_with(
        &namespace,
        &only_probes(&[
            // Shorter than the first wait of Timer E: what is lost is lost.
            target("lossy", "udp://127.0.0.1:5080", ", timeout = \"400ms\""),
            target("repaired", "udp://127.0.0.1:5081", ""),
            target("stream", "tcp://127.0.0.1:5071", ""),
        ]),
        &[],
    );
    let scrape = ended(&ringside, "lossy", 12);
    let [sent, lost] = ["sent_total", "lost_total"].map(|family| scrape.count(&of(family, "lossy")));
    // Every fourth, and one may be under way.
    assert!(lost == sent / 4 || lost == (sent - 1) / 4, "{lost} of {sent} lost");
    let scrape = ended(&ringside, "repaired", 12);
    assert_eq!(scrape.count(&of("lost_total", "repaired")), 0, "Timer E repairs every loss of one in four");
    let again = scrape.count(&of("retransmissions_total", "repaired"));
    let received = scrape.count(&of("received_total", "repaired"));
    // Of so many requests every fourth was lost and sent again.
    assert!(again.abs_diff((received + again) / 4) <= 1, "{again} of {received} repeated");
    // No round trip is shorter than the delay; those that were repeated took half a second more.
    let faster = scrape.count("probe_rtt_seconds_bucket{target=\"repaired\",le=\"0.025\"}");
    let within = scrape.count("probe_rtt_seconds_bucket{target=\"repaired\",le=\"0.5\"}");
    assert_eq!(faster, 0);
    assert!(
        (received - within).abs_diff(again) <= 1,
        "{received} received, {within} within half a second, {again} repeated"
    );
    let scrape = ended(&ringside, "stream", 5);
    assert_eq!(scrape.count(&of("lost_total", "stream")), 0);
}

#[test]
fn servers_that_misbehave_are_counted_and_not_believed() {
    let Some(_pass) = gate::shared("probes of bad servers") else { return };
    let namespace = namespace();
    let wrong = |request: &str| vec![reply(&request.replace("branch=z9hG4bK", "branch=z9hG4bK-"), "200 OK", "")];
    let large = |request: &str| vec![reply(request, "200 OK", &format!("X: {}\r\n", "x".repeat(65_000)))];
    let _servers = [
        Answering::with(&namespace, "127.0.0.1:5071", wrong),
        Answering::with(&namespace, "127.0.0.1:5072", |request| vec![reply(request, "200 OK", ""); 10]),
        Answering::with(&namespace, "127.0.0.1:5073", |_| {
            vec![vec![0xff; 1000], b"SIP/2.0 200".to_vec(), vec![0; 65_507]]
        }),
        Answering::with(&namespace, "127.0.0.1:5074", large),
    ];
    let names = ["wrong", "ten", "garbage", "large", "closed"];
    let targets: Vec<String> = names
        .iter()
        .zip(5071..)
        .map(|(name, port)| target(name, &format!("udp://127.0.0.1:{port}"), ", timeout = \"400ms\""))
        .collect();
    let ringside = Ringside::start_with(&namespace, &only_probes(&targets), &[]);
    for (name, up) in names.iter().zip([0.0, 1.0, 0.0, 1.0, 0.0]) {
        ended(&ringside, name, 3).assert([(of("up", name), up)]);
    }
    let scrape = ringside.scrape();
    let unexpected = |name: &str, reason: &str| {
        scrape.count(&format!("probe_unexpected_total{{target=\"{name}\",reason=\"{reason}\"}}"))
    };
    assert!(unexpected("wrong", "stray") >= 3);
    assert!(unexpected("ten", "doubled") >= 27);
    assert!(unexpected("garbage", "unreadable") >= 9);
    assert_eq!(
        scrape.count(&of("received_total", "large")),
        scrape.count("probe_status_total{target=\"large\",code=\"200\"}")
    );
    // ICMP says it at once.
    assert!(scrape.count("probe_status_total{target=\"closed\",code=\"error\"}") >= 3);
    assert_eq!(scrape.count("probe_status_total{target=\"closed\",code=\"timeout\"}"), 0);
}

#[test]
fn a_capture_counts_probes_as_such_and_as_nothing_else() {
    let Some(_pass) = gate::shared("probes seen by captures") else { return };
    let namespace = namespace();
    let _listed = Answering::start(&namespace, "127.0.0.1:5060");
    // A port that nobody listed: no SIP elsewhere either.
    let elsewhere = Answering::start(&namespace, "127.0.0.1:5099");
    let targets = [target("listed", "udp://127.0.0.1:5060", ""), target("elsewhere", "udp://127.0.0.1:5099", "")];
    let other = Config { endpoint: "127.0.0.1:2113".parse().expect("an address"), ..Config::on("lo") };
    let far = Ringside::start(&namespace, &other);
    let own = Ringside::start_with(&namespace, &(Config::on("lo").toml() + &probes(&targets)), &[]);
    let calls = {
        let party = |port| Party { namespace: &namespace, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        // Real calls beside them, from and to ports that are listed.
        exchange(&Scenario::new(flows::ANSWERED), party(5070), party(5061), Load::of(CALLS))
    };
    ended(&own, "listed", 4);
    ended(&own, "elsewhere", 4);
    for ringside in [&own, &far] {
        let scrape = eventually("probes and calls in the capture", || {
            let scrape = ringside.scrape();
            (scrape.count("probe_messages_seen_total") >= 8 && scrape.count("packets_total") >= calls.packets())
                .then_some(scrape)
        });
        scrape.assert([
            ("packets_total", calls.packets() as f64),
            ("options_total", 0.0),
            ("requests_total{method=\"OPTIONS\"}", 0.0),
            ("transaction_timeouts_total", 0.0),
            ("unmatched_total", 0.0),
            ("parse_errors_total", 0.0),
            ("sip_elsewhere_total", 0.0),
            ("sessions_completed_rfc6076_total", f64::from(CALLS)),
        ]);
    }
    assert!(elsewhere.asked() >= 4);
    // The two saw the same; one of them asked.
    let seen = |ringside: &Ringside| ringside.scrape().count("probe_messages_seen_total");
    assert!(seen(&own).abs_diff(seen(&far)) <= 8);
    assert_eq!(far.scrape().value("probe_sent_total"), None);
}

#[test]
fn without_probes_nothing_is_sent_but_http_and_otlp() {
    let Some(_pass) = gate::shared("what ringside sends") else { return };
    let namespace = namespace();
    let folder = Folder::new("sends");
    let capture = folder.join("all.pcap");
    let mut dump = namespace
        .command("tcpdump")
        .args(["-i", "any", "-U", "-Z", "root", "-w"])
        .arg(&capture)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("tcpdump is installed");
    eventually("tcpdump", || capture.exists().then_some(()));
    // Somebody to push to, who does not listen: SYNs and their refusals are OTLP too.
    let otlp = "[exporters.\"otlp_http/nobody\"]\nendpoint = \"http://127.0.0.1:4318\"\nmetric_export_interval = \"1s\"\n\
         [service.pipelines.traces]\nreceivers = [\"ebpf_sip\"]\nprocessors = [\"dialog\", \"enrich\"]\n\
         exporters = [\"otlp_http/nobody\"]\n";
    let toml = Config::on("lo")
        .toml()
        .replace("exporters = [\"prometheus\"]", "exporters = [\"prometheus\", \"otlp_http/nobody\"]");
    let place = loopback(&namespace, Family::V4);
    let (mut ringside, counts) = {
        let ringside = Ringside::start_with(&namespace, &(toml + otlp), &[]);
        let counts = exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load::of(CALLS));
        (ringside, counts)
    };
    ringside.settled(counts.packets());
    ringside.signal(libc::SIGHUP);
    eventually("the reload", || ringside.log().contains("configuration reloaded").then_some(()));
    ringside.signal(libc::SIGTERM);
    ringside.ended(Duration::from_secs(20));
    // SAFETY: no pointers; the child has not been waited for, so the id is still its own.
    unsafe { libc::kill(libc::pid_t::try_from(dump.id()).expect("a process id"), libc::SIGTERM) };
    dump.wait().expect("it ends");

    let read = |filter: &str| {
        let output = Command::new("tcpdump").args(["-nn", "-r"]).arg(&capture).arg(filter).output();
        let output = output.expect("tcpdump is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it prints text").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // SIPp speaks from 5070 to 5060 and back: its messages are its own.
    let of_sipp = "udp and port 5060 and port 5070";
    assert_eq!(read(of_sipp).len() as u64, counts.packets(), "no message was added to those of SIPp");
    assert!(!read("tcp port 2112").is_empty() && !read("tcp port 4318").is_empty(), "HTTP and OTLP are seen");
    let others = read(&format!("not ({of_sipp}) and not tcp port 2112 and not tcp port 4318"));
    assert_eq!(others, Vec::<String>::new());
}

#[test]
fn a_thousand_targets_are_asked_every_second() {
    let Some(_pass) = gate::alone("a thousand targets") else { return };
    const TARGETS: u64 = 1000;
    const SECONDS: u64 = 20;
    let namespace = namespace();
    let server = Answering::start(&namespace, "127.0.0.1:5060");
    let targets: Vec<String> =
        (0..TARGETS).map(|number| target(&format!("t{number}"), "udp://127.0.0.1:5060", "")).collect();
    let ringside = Ringside::start_with(&namespace, &only_probes(&targets), &[]);
    let received = |ringside: &Ringside| ringside.scrape().count("probe_received_total");
    eventually("a first answer from all", || (received(&ringside) >= TARGETS).then_some(()));
    let (begun, first, cpu) = (Instant::now(), received(&ringside), ringside.processor_time());
    thread::sleep(Duration::from_secs(SECONDS));
    let (cpu, took) = (ringside.processor_time() - cpu, begun.elapsed());
    let scrape = ringside.scrape();
    let answered = (scrape.count("probe_received_total") - first) as f64 / took.as_secs_f64();
    let rtt =
        scrape.value("probe_rtt_seconds_sum").expect("some") / scrape.value("probe_rtt_seconds_count").expect("some");
    println!(
        "{TARGETS} targets at 1s: {answered:.0} answers/s, {:.1} % of a core, {:.1} MB, mean round trip {:.3} ms, {} lost, {} repeated",
        100.0 * cpu.as_secs_f64() / took.as_secs_f64(),
        ringside.memory() as f64 / 1e6,
        rtt * 1e3,
        scrape.count("probe_lost_total"),
        scrape.count("probe_retransmissions_total"),
    );
    assert!((0.95..1.05).contains(&(answered / TARGETS as f64)), "{answered} answers/s");
    assert_eq!(scrape.count("probe_lost_total"), 0);
    assert_eq!(scrape.value("probe_up"), Some(TARGETS as f64));
    assert!(server.asked() >= TARGETS);
    assert!(ringside.memory() < 150_000_000, "{} bytes", ringside.memory());
}
