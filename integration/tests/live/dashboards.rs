//! The dashboards as an operator sees them: real calls, a real Prometheus and a real VictoriaMetrics with the
//! configuration of `deploy/`, and every query of every panel and variable asked as Grafana would ask it.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use integration::flows::{self, refused};
use integration::gate;
use integration::media::{Call, Parties, Speech, reports};
use integration::probed::Answering;
use integration::ringside::{Config, HTTP, Ringside};
use integration::sipp::scenario::{Scenario, Side, Transport};
use integration::sipp::{Load, Sipp, exchange};
use integration::wait::eventually;
use serde_json::Value;
use testnet::{Family, Namespace};

use crate::stage::{loopback, namespace, send, sender, silent_callee};
use integration::stores::{Kind, Store};

/// Calls that become traces are offered as exemplars; nobody need be there to take them.
const TRACES: &str = "[processors.sampling]\n[exporters.\"otlp_grpc/nobody\"]\nendpoint = \"http://127.0.0.1:4317\"\n\
    [service.pipelines.traces]\nreceivers = [\"ebpf_sip\"]\nprocessors = [\"dialog\", \"media\", \"enrich\", \"sampling\"]\n\
    exporters = [\"otlp_grpc/nobody\"]\n";

/// A configuration with `media` in its pipeline.
fn hearing(config: &Config) -> String {
    let plain = "processors = [\"dialog\", \"enrich\"]";
    let toml = config.toml();
    assert!(toml.contains(plain), "{toml}");
    toml.replace(plain, "processors = [\"dialog\", \"media\", \"enrich\"]") + "[processors.media]\n"
}

/// Seconds of history that queries look at: all of the test.
const HISTORY: u64 = 120;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every kind of call and trouble the panels have a place for.
fn play(namespace: &Namespace, ringside: &Ringside) {
    let [home, other] = [Family::V4, Family::V6].map(|family| loopback(namespace, family));
    let timeouts = ringside.scrape().count("session_outcomes_total{outcome=\"timeout\"}");
    let yealink = |flow: &str| Scenario::new(&flow.replace("INVITE", "INVITE ua=Yealink-T46"));
    let flows = [
        yealink(flows::ANSWERED),
        Scenario::new(flows::CHALLENGED),
        Scenario::new(flows::REDIRECTED),
        Scenario::new(flows::CANCELLED),
        Scenario::new(flows::TRANSFERRED),
        Scenario::new(flows::RETRANSMITTED),
        Scenario::new(flows::PINGED),
        Scenario::new(flows::REGISTERED),
        Scenario::new(flows::REGISTERED_AFTER_CHALLENGE),
        Scenario::new("-> REGISTER\n<- 403"),
        refused(404),
        refused(486),
        refused(503),
        Scenario::new("-> INVITE\n<- 180\n<- 200\n-> ACK"),
    ];
    for flow in &flows {
        exchange(flow, home.caller, home.callee, Load::of(2));
    }
    exchange(&Scenario::new(flows::ANSWERED).over(Transport::Tcp), other.caller, other.callee, Load::of(2));
    {
        let _silent = silent_callee(&home);
        let unanswered = Scenario::new(flows::UNANSWERED);
        Sipp::start(&unanswered, Side::Caller, home.caller, home.callee.address, Load::of(2)).finish();
    }
    speak(namespace, ringside);
    let socket = sender(namespace, "127.0.0.1:5060");
    let bye = "BYE sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK#\r\nFrom: <sip:a@b>;tag=1\r\n\
               To: <sip:b@b>;tag=2\r\nCall-ID: #\r\nCSeq: 1 BYE\r\nReason: Q.850;cause=16\r\nContent-Length: 0\r\n\r\n";
    send(&socket, bye.replace('#', &format!("never-began-{timeouts}")).as_bytes());
    let lines = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n".to_owned()
        + &"m=audio 5000 RTP/AVP 0\r\n".repeat(17);
    let invite = bye.replace(";tag=2", "").replace("BYE", "INVITE").replace(
        "Content-Length: 0\r\n\r\n",
        &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{lines}", lines.len()),
    );
    send(&socket, invite.replace('#', &format!("many-lines-{timeouts}")).as_bytes());
    send(&socket, b"INVITE sip:a@127.0.0.1 SIP/3.0\r\n\r\n");
    send(&socket, b"\r\n\r\n");
    ringside.reaches("session_outcomes_total{outcome=\"timeout\"}", timeouts as f64 + 3.0);
}

/// A call that both parties and a telephone report of, one of which the callee hears nothing, and descriptions and reports
/// that are refused.
fn speak(namespace: &Namespace, ringside: &Ringside) {
    let before = ringside.scrape().count("vq_reports_total");
    let parties = Parties::on_loopback(namespace);
    let of = |number: u16| 10 * before as u16 + number;
    let both = Call { reports: true, ..Call::of(of(0), 150) };
    let one_way = Call { speech: [Speech::of(0), Speech::of(300)], ..Call::of(of(1), 0) };
    thread::scope(|scope| {
        for call in [&both, &one_way] {
            scope.spawn(|| parties.call(call));
        }
    });
    parties.publish(&both, &reports::of_telephone(&both.call_id()));
    parties.publish(&one_way, "VQ nonsense");
    ringside.reaches("vq_reports_total", before as f64 + 1.0);
}

/// Waits until a store holds what ringside shows now.
fn caught_up(store: &Store, ringside: &Ringside) {
    let shown = ringside.scrape().count("packets_total") as f64;
    eventually(&format!("{shown} packets in {:?}\n{}", store.kind, store.log()), || {
        let stored = store.query("sum(sip_exporter_packets_total)")?;
        (stored.first()?.value >= shown).then_some(())
    });
}

/// One query of a panel.
struct Question {
    place: String,
    expression: String,
    instant: bool,
    exemplars: bool,
}

/// The queries of every panel, and those of every variable.
fn questions() -> (Vec<Question>, Vec<Question>) {
    let (mut panels, mut variables) = (Vec::new(), Vec::new());
    for file in fs::read_dir(repository().join("dashboards/grafana")).expect("dashboards") {
        let path = file.expect("a file").path();
        let json: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a dashboard")).expect("JSON");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        for panel in json["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                let place = format!("{name}, {}, {}", text(&panel["title"]), text(&target["legendFormat"]));
                let instant = target["instant"] == true;
                let exemplars = target["exemplar"] == true;
                panels.push(Question { place, expression: text(&target["expr"]), instant, exemplars });
            }
        }
        for variable in json["templating"]["list"].as_array().expect("variables") {
            if let Some(query) = variable["query"]["query"].as_str() {
                let place = format!("{name}, variable {}", variable["name"]);
                variables.push(Question { place, expression: query.to_owned(), instant: true, exemplars: false });
            }
        }
    }
    assert!(panels.len() > 100 && variables.len() > 8, "the queries are found");
    (panels, variables)
}

/// What the reader has chosen at the top of the page, as Grafana writes it into a query.
#[derive(Clone, Copy)]
enum Choice {
    /// `All` everywhere.
    All,
    /// One host, two carriers, one type of phone.
    Some,
}

/// Variables and macros replaced as Grafana replaces them.
fn interpolated(expression: &str, choice: Choice) -> String {
    let (instance, carrier, ua_type, trunk, queue) = match choice {
        Choice::All => (".*", ".*", ".*", ".*", ".*"),
        // A chosen value is escaped for a regular expression inside a string.
        Choice::Some => (r"127\\.0\\.0\\.1:2112", "(home|other)", "yealink", "home", "line"),
    };
    let replaced = [
        ("$instance", instance),
        ("$carrier", carrier),
        ("$ua_type", ua_type),
        ("$target", if matches!(choice, Choice::All) { ".*" } else { "(phone|none)" }),
        ("$trunk", trunk),
        ("$queue", queue),
        ("$window", "15m"),
        // Four scrapes of 15 s, the least that Grafana takes.
        ("$__rate_interval", "1m0s"),
        ("$__range", "2m"),
        ("$__interval", "15s"),
    ]
    .iter()
    .fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!replaced.contains('$') && !replaced.contains("[["), "not replaced: {replaced}");
    replaced
}

/// Whether a result holds a number.
fn has_number(data: &Value) -> bool {
    let number =
        |sample: &Value| sample[1].as_str().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_finite);
    data["result"].as_array().expect("a result").iter().any(|series| match series["values"].as_array() {
        Some(values) => values.iter().any(number),
        None => number(&series["value"]),
    })
}

/// Since the Unix epoch.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Asks as a panel does: an instant, or a range up to now.
fn ask(store: &Store, question: &Question, choice: Choice) -> Result<Value, String> {
    let expression = interpolated(&question.expression, choice);
    if question.instant {
        return store.ask("query", &[("query", &expression)]);
    }
    let now = seconds();
    let (start, end) = ((now - HISTORY).to_string(), now.to_string());
    store.ask("query_range", &[("query", &expression), ("start", &start), ("end", &end), ("step", "1")])
}

/// Values of a variable: `label_values(selector, label)`, as Grafana asks for them.
fn values(store: &Store, question: &Question) -> Vec<String> {
    let expression = interpolated(&question.expression, Choice::All);
    let inside = expression.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) = inside.and_then(|inside| inside.rsplit_once(", ")).expect("label_values(selector, label)");
    let values = store.ask(&format!("label/{label}/values"), &[("match[]", selector)]);
    let values = values.unwrap_or_else(|error| panic!("{}: {error}", question.place));
    values.as_array().expect("values").iter().map(|value| value.as_str().expect("a text").to_owned()).collect()
}

/// What is told only where TLS is read in the clear.
const OF_TLS: &str = "otelcol_receiver_tls_";

/// What is told only where somebody is probed over TLS.
const OF_PROBES_OVER_TLS: &str = "probe_tls_";

/// Somebody who is probed and does not listen, and somebody who answers.
const PROBES: &str = "[receivers.sip_probe]\ncollection_interval = \"1s\"\ntimeout = \"800ms\"\n\
    targets = [{ endpoint = \"udp://127.0.0.1:5069\", name = \"none\" }, \
    { endpoint = \"udp://127.0.0.1:5068\", name = \"phone\", carrier = \"home\" }]\n\
    [service.pipelines.\"metrics/probes\"]\nreceivers = [\"sip_probe\"]\nexporters = [\"prometheus\"]\n";

/// What is wrong with the dashboards on this store.
fn complaints(store: &Store) -> Vec<String> {
    let (panels, variables) = questions();
    let mut complaints = Vec::new();
    for question in &panels {
        for choice in [Choice::All, Choice::Some] {
            match (ask(store, question, choice), choice) {
                (Err(error), _) => complaints.push(format!("{:?}: {}: {error}", store.kind, question.place)),
                (Ok(data), Choice::All)
                    if !has_number(&data)
                        && ![OF_TLS, OF_PROBES_OVER_TLS].iter().any(|part| question.expression.contains(part)) =>
                {
                    complaints.push(format!("{:?}: {} is empty: {}", store.kind, question.place, question.expression));
                }
                (Ok(_), _) => {}
            }
        }
    }
    for question in &variables {
        let values = values(store, question);
        let expected = match question.place.rsplit_once(' ').expect("a name").1.trim_matches('"') {
            "carrier" => ["home", "other"].as_slice(),
            "ua_type" => &["other", "yealink"],
            "target" => &["none", "phone"],
            "trunk" => &["home"],
            "queue" => &["line"],
            _ => &["127.0.0.1:2112"],
        };
        if values != expected {
            complaints.push(format!("{:?}: {}: {values:?}", store.kind, question.place));
        }
    }
    complaints
}

#[test]
fn every_panel_and_variable_has_an_answer() {
    let Some(_pass) = gate::shared("dashboards") else { return };
    let namespace = namespace();
    let config = Config::on("lo")
        .dialog("transaction_timeout = \"3s\"\nqueues = [{ name = \"line\", match = \"callee\" }]")
        .enrich("carriers = [{ name = \"home\", cidrs = [\"127.0.0.0/8\"] }]\nuser_agents = [{ regex = '^Yealink', label = \"yealink\" }]");
    let _phone = Answering::start(&namespace, "127.0.0.1:5068");
    let ringside = Ringside::spawn(&namespace, &(hearing(&config) + TRACES + PROBES), &[]);
    eventually("capture", || ringside.health().ok().filter(|(status, _)| *status == 200));
    let scraping = fs::read_to_string(repository().join("deploy/compose/prometheus.yml")).expect("a configuration");
    assert!(scraping.contains(&HTTP.to_string()) && scraping.contains("15s"), "{scraping}");
    let scraping = scraping.replace("15s", "1s");
    let rules = repository().join("deploy/rules.yml");
    let stores =
        [Kind::Prometheus, Kind::VictoriaMetrics].map(|kind| Store::start(&namespace, kind, &scraping, Some(&rules)));
    // A series that appears with its first count has grown for nobody: only the second round is growth.
    for _ in 0..2 {
        play(&namespace, &ringside);
        stores.iter().for_each(|store| caught_up(store, &ringside));
    }
    let end = seconds() + 2;
    for store in &stores {
        eventually("a scrape after the last point of a range", || {
            (store.query("timestamp(sip_exporter_build_info)")?.first()?.value > end as f64).then_some(())
        });
    }
    let complaints: Vec<String> = thread::scope(|scope| {
        let asked = stores.each_ref().map(|store| scope.spawn(|| complaints(store)));
        asked.into_iter().flat_map(|asked| asked.join().expect("no panic")).collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));

    // Every panel that shows exemplars has some, and each names its trace as the data source of deploy/ expects it.
    let (start, end) = ((seconds() - HISTORY).to_string(), seconds().to_string());
    for question in questions().0.iter().filter(|question| question.exemplars) {
        let expression = interpolated(&question.expression, Choice::All);
        let found = stores[0].ask("query_exemplars", &[("query", &expression), ("start", &start), ("end", &end)]);
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", question.place));
        let exemplars: Vec<&Value> = found
            .as_array()
            .expect("series")
            .iter()
            .flat_map(|series| series["exemplars"].as_array().expect("exemplars"))
            .collect();
        let well = |exemplar: &&Value| exemplar["labels"]["trace_id"].as_str().is_some_and(|id| id.len() == 32);
        assert!(!exemplars.is_empty() && exemplars.iter().all(well), "{}: {exemplars:?}", question.place);
    }
    let sources = "deploy/compose/grafana/provisioning/datasources/ringside.yaml";
    let sources = fs::read_to_string(repository().join(sources)).expect("the data sources");
    assert!(sources.contains("- name: trace_id\n          datasourceUid: tempo\n"), "{sources}");

    let rules = stores[0].ask("rules", &[]).expect("the rules");
    let rules =
        rules["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules"));
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
    }
}

#[test]
fn what_dashboards_ask_about_the_program_is_told() {
    let Some(_pass) = gate::shared("internal metrics of dashboards") else { return };
    let namespace = namespace();
    let ringside = Ringside::spawn(&namespace, &(hearing(&Config::on("lo")) + TRACES), &[]);
    eventually("capture", || ringside.health().ok().filter(|(status, _)| *status == 200));
    assert_told(&ringside.page("/metrics"), |name| !name.starts_with(OF_TLS));
}

#[test]
fn what_dashboards_ask_about_tls_is_told() {
    let Some(_pass) = crate::tls::possible("internal metrics of TLS on dashboards") else { return };
    let namespace = namespace();
    let ringside = Ringside::start(&namespace, &Config::on("lo").receiver("tls = { enabled = true }"));
    assert_told(&ringside.page("/metrics"), |name| name.starts_with(OF_TLS));
}

/// Each metric that the program tells about itself, that a panel asks for and that is `wanted`, is on the page.
#[track_caller]
fn assert_told(page: &str, wanted: impl Fn(&str) -> bool) {
    let mut found = 0;
    for question in questions().0 {
        for (at, _) in
            question.expression.match_indices("otelcol_").chain(question.expression.match_indices("process_"))
        {
            let rest = &question.expression[at..];
            let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())];
            if wanted(name) {
                found += 1;
                let told =
                    page.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
                assert!(told, "{}: {name} is not at /metrics", question.place);
            }
        }
    }
    assert!(found > 0, "no panel asks for any");
}
