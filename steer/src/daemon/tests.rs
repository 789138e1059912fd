//! The daemon with a kernel side that only remembers what it is told.

use affinity::CallHash;
use affinity::steer::{Action, Dialog, Entered, Kind, Mode as SteerMode, Path as SteerPath, Tables};
use serde_json::Value;
use tempfile::TempDir;

use super::fake::Fake;
use super::*;
use crate::control::{Reply, Request};
use crate::kernel::Event;

/// A daemon in a folder of its own, on the loopback device.
struct Stage {
    folder: TempDir,
    kernel: Fake,
    daemon: Daemon<Fake>,
}

impl Stage {
    fn new() -> Self {
        Self::with("lo")
    }

    fn with(interface: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("found")).expect("a folder");
        Self::write(folder.path(), interface, 100);
        let kernel = Fake::default();
        let daemon = Self::start(folder.path(), kernel.clone());
        let mut stage = Self { folder, kernel, daemon };
        stage.daemon.begin(1).expect("the kernel takes it");
        stage
    }

    fn start(folder: &std::path::Path, kernel: Fake) -> Daemon<Fake> {
        let files = vec![folder.join("steer.toml")];
        let settings = config::load(&files, &|_| None).expect("it is right").settings;
        let state = StateDir::open(&settings.state_dir).expect("nobody has it");
        Daemon::new(kernel, settings, files, state, Node::open().expect("anybody may ask")).expect("it can be read")
    }

    fn write(folder: &std::path::Path, interface: &str, weight: u32) {
        let shown = folder.display();
        let text = format!(
            "[steer]\ninterfaces = [\"{interface}\"]\nallowed_backends = [\"10.0.0.0/8\"]\nstate_dir = \"{shown}/state\"\n\
             control = \"{shown}/control\"\n[discovery]\nfiles = [\"{shown}/found/*.json\"]\n\
             [[service]]\nname = \"s\"\naddresses = [\"10.96.0.60:5060\"]\n\
             [[service.backend]]\nname = \"a\"\naddresses = [\"10.0.0.1:5060\"]\nweight = {weight}\n\
             [[service.backend]]\nname = \"b\"\naddresses = [\"10.0.0.2:5060\"]\n"
        );
        std::fs::write(folder.join("steer.toml"), text).expect("a file");
    }

    fn find(&mut self, text: &str) {
        std::fs::write(self.folder.path().join("found/one.json"), text).expect("a file");
        self.daemon.look(true, 1);
        self.daemon.second(1);
    }

    fn tables(&self) -> Tables {
        self.kernel.told().tables.last().expect("they were applied").clone()
    }

    fn ask(&mut self, request: &str) -> Reply {
        self.daemon.answer(&serde_json::from_str::<Request>(request).expect("a request"), 5_000_000_000).0
    }

    fn done(&mut self, request: &str) -> Value {
        match self.ask(request) {
            Reply::Done(value) => value,
            Reply::Error { error } => panic!("{error}"),
        }
    }

    fn refused(&mut self, request: &str) -> String {
        match self.ask(request) {
            Reply::Done(value) => panic!("{value}"),
            Reply::Error { error } => error,
        }
    }
}

const FOUND: &str =
    r#"[{ "targets": ["10.0.0.3:5060"], "labels": { "service": "s", "backend": "c", "weight": "50" } }]"#;

#[test]
fn tables_are_applied_and_devices_attached_when_it_begins() {
    let stage = Stage::new();
    let tables = stage.tables();
    assert_eq!((tables.mode, tables.backends.len(), tables.devices.len()), (SteerMode::Observe, 2, 1));
    assert_eq!(stage.kernel.attached(), [1], "lo is number 1 in every namespace");
    let (well, health) = stage.daemon.health();
    assert!(well && health.contains("\"status\":\"ok\""), "{health}");
}

#[test]
fn what_it_applies_first_has_devices() {
    let first = |stage: &Stage| stage.kernel.told().tables[0].devices.keys().copied().collect::<Vec<_>>();
    let stage = Stage::new();
    assert_eq!(first(&stage), [1]);
    // Also where policies are looked at before.
    let Stage { folder, daemon, .. } = stage;
    drop(daemon);
    let kernel = Fake::default();
    let daemon = Stage::start(folder.path(), kernel.clone());
    let mut stage = Stage { folder, kernel, daemon };
    stage.daemon.policed(Policies::None, 1);
    stage.daemon.begin(1).expect("the kernel takes it");
    assert_eq!(first(&stage), [1]);
}

/// The pod's own device is none of `interfaces`.
#[test]
fn where_a_pod_is_it_knows_from_the_first_and_within_a_second_of_its_coming_back() {
    let test = "where_a_pod_is_it_knows_from_the_first_and_within_a_second_of_its_coming_back";
    let (Ok(node), Ok(pod)) = (testnet::Namespace::new(), testnet::Namespace::new()) else {
        return testnet::skipped(test, "namespaces take root");
    };
    let make = |index: u32| {
        node.ip(&format!("link add p1 index {index} type veth peer name eth0 netns {}", pod.path()));
        node.ip("link set p1 up");
        pod.ip("link set eth0 up");
        node.ip("route add 10.0.0.1/32 dev p1");
    };
    make(50);
    node.run(|| {
        let mut stage = Stage::new();
        let hops = |tables: &Tables| tables.backends.values().map(|backend| backend.hop).collect::<Vec<_>>();
        let behind = |index| [Some(affinity::steer::Hop::Pod(index)), None];
        assert_eq!(hops(&stage.kernel.told().tables[0]), behind(50));
        node.ip("link del p1");
        stage.daemon.second(1);
        assert_eq!(hops(&stage.tables()), [None, None]);
        make(51);
        stage.daemon.second(2);
        assert_eq!(hops(&stage.tables()), behind(51));
        // Only a route changes.
        node.ip("route del 10.0.0.1/32 dev p1");
        stage.daemon.second(3);
        assert_eq!(hops(&stage.tables()), [None, None]);
    });
}

#[test]
fn nothing_is_applied_while_nothing_changes() {
    let mut stage = Stage::new();
    let before = stage.kernel.told().tables.len();
    (0..20).for_each(|second| stage.daemon.second(second));
    assert_eq!(stage.kernel.told().tables.len(), before);
}

#[test]
fn a_discovery_file_counts_and_a_wrong_one_changes_nothing_and_is_told() {
    let mut stage = Stage::new();
    stage.find(FOUND);
    assert_eq!(stage.tables().backends.len(), 3);
    stage.find("[{");
    assert_eq!(stage.tables().backends.len(), 3);
    let metrics = stage.daemon.metrics(2);
    let path = stage.folder.path().join("found/one.json");
    let counted = format!("sip_steer_discovery_errors_total{{file=\"{}\"}} 1\n", path.display());
    assert!(metrics.contains(&counted), "{metrics}");
    let (well, health) = stage.daemon.health();
    assert!(well && health.contains("is no JSON"), "{health}");
}

#[test]
fn a_wrong_file_at_a_reload_changes_nothing_and_is_told() {
    let mut stage = Stage::new();
    let before = stage.tables();
    std::fs::write(stage.folder.path().join("steer.toml"), "[steer]\nmode = \"active\"\n").expect("a file");
    stage.daemon.reload(2);
    assert_eq!(stage.tables(), before);
    assert!(stage.daemon.metrics(2).contains("sip_steer_config_errors_total 1\n"));
    assert!(stage.daemon.health().1.contains("no device is named"));
    Stage::write(stage.folder.path(), "lo", 300);
    stage.daemon.reload(3);
    assert_ne!(stage.tables(), before);
    assert!(!stage.daemon.health().1.contains("no device is named"));
}

#[test]
fn what_needs_another_start_stays_as_it_was_and_is_named() {
    let mut stage = Stage::new();
    let path = stage.folder.path().join("steer.toml");
    let text = std::fs::read_to_string(&path).expect("a file").replace("[steer]\n", "[steer]\nmax_dialogs = 7\n");
    std::fs::write(&path, text).expect("a file");
    stage.daemon.reload(2);
    assert_eq!(stage.tables().capacity.dialogs, 100_000);
    assert_eq!(stage.done(r#"{ "command": "status" }"#)["restart_needed"], serde_json::json!(["steer.max_*"]));
}

#[test]
fn commands_are_carried_out_at_once_and_survive_the_daemon() {
    let mut stage = Stage::new();
    stage.done(r#"{ "command": "state", "backend": "s/a", "state": "drain" }"#);
    stage.done(r#"{ "command": "weight", "backend": "s/b", "weight": 7 }"#);
    assert_eq!(stage.done(r#"{ "command": "mode", "mode": "active" }"#)["waits"], true);
    stage.done(r#"{ "command": "mode", "mode": "active", "force": true }"#);
    assert_eq!(stage.tables().mode, SteerMode::Active);
    assert!(stage.refused(r#"{ "command": "state", "backend": "s/x", "state": "drain" }"#).contains("no such backend"));
    let (before, Stage { folder, kernel, daemon }) = (stage.tables(), stage);
    drop(daemon);
    let mut daemon = Stage::start(folder.path(), kernel.clone());
    daemon.begin(9).expect("the kernel takes it");
    assert_eq!(kernel.told().tables.last(), Some(&before));
}

#[test]
fn detach_takes_everything_out_but_not_from_under_dialogs() {
    let mut stage = Stage::new();
    stage.done(r#"{ "command": "mode", "mode": "active", "force": true }"#);
    stage.kernel.told().census.dialogs = [(0, 8)].into();
    stage.daemon.second(1);
    assert!(stage.refused(r#"{ "command": "detach" }"#).starts_with("8 dialogs are up, of which about 4 would break"));
    assert!(!stage.kernel.told().gone);
    let forced = Request::Detach { force: true };
    assert_eq!(stage.daemon.answer(&forced, 2).1, Then::End);
    assert!(stage.kernel.told().gone);
}

#[test]
fn a_dialog_is_found_by_its_call_id() {
    let mut stage = Stage::new();
    let dialog = Dialog {
        backend: 1,
        entered: Entered::Learned,
        answered: true,
        last: 2_000_000_000,
        ends: 0,
        asked: 0,
        life: 0,
    };
    let hash = stage.daemon.director.key().hash(b"one@a");
    stage.kernel.told().dialog = Some((0, hash, dialog));
    let found = stage.done(r#"{ "command": "dialog", "call_id": "one@a" }"#);
    assert_eq!((&found[0]["backend"], &found[0]["silent_seconds"]), (&"b".into(), &3.into()), "{found}");
    assert_eq!(stage.refused(r#"{ "command": "dialog", "call_id": "two@a" }"#), "no dialog of that Call-ID is known");
}

#[test]
fn decisions_are_written_only_while_somebody_watches() {
    let mut stage = Stage::new();
    let event = Event {
        at: 1_500_000_000,
        hash: CallHash(0xabc),
        service: 0,
        backend: Some(1),
        kind: Kind::Request(sip::Method::Invite),
        status: 0,
        action: Some(Action::Steer),
        why: None,
        rule: 2,
        device: 1,
    };
    stage.daemon.beat(1);
    assert!(!stage.kernel.told().watched);
    let mut watcher = stage.daemon.events.subscribe();
    stage.kernel.told().events.push_back(event);
    stage.daemon.beat(2);
    assert!(stage.kernel.told().watched);
    let line: Value = serde_json::from_slice(&watcher.try_recv().expect("it was handed on")).expect("JSON");
    let expected = serde_json::json!({
        "at_seconds": 1.5, "service": "s", "backend": "b", "message": "INVITE", "action": "steer", "reason": null,
        "rule": 2, "device": "lo", "dialog": "0000000000000abc",
    });
    assert_eq!(line, expected);
    drop(watcher);
    stage.daemon.beat(3);
    assert!(!stage.kernel.told().watched);
}

#[test]
fn health_says_what_keeps_it_from_steering() {
    let stage = Stage::with("nowhere0");
    let (well, health) = stage.daemon.health();
    assert!(!well && health.contains("device nowhere0 is not there; it is waited for"), "{health}");
    let mut stage = Stage::new();
    stage.kernel.told().foreign = true;
    stage.kernel.told().attached.clear();
    stage.daemon.second(1);
    let (well, health) = stage.daemon.health();
    assert!(
        !well && health.contains("device lo has tc programs of others (cil_from_netdev): take them off"),
        "{health}"
    );
    let mut stage = Stage::new();
    stage.kernel.told().refuse = true;
    stage.done(r#"{ "command": "weight", "backend": "s/b", "weight": 7 }"#);
    stage.daemon.beat(1);
    assert!(stage.daemon.health().1.contains("the kernel refuses something (apply)"), "a heartbeat does not hide it");
    stage.kernel.told().refuse = false;
    stage.daemon.second(1);
    assert!(stage.daemon.health().0, "it is tried again");
    assert!(stage.daemon.metrics(1).contains("sip_steer_errors_total{kind=\"apply\"} 1\n"));
}

/// Every family of the specification, with its type.
const FAMILIES: &str = "packets_total counter, pass_total counter, drops_total counter, limited_total counter, \
    new_dialogs_total counter, dialogs gauge, learned_dialogs_total counter, adoption_ratio gauge, backend_up gauge, \
    weight gauge, requests_total counter, responses_total counter, first_response_seconds histogram, \
    emergency_total counter, state gauge, anomalies_total counter, overload gauge, panic gauge, policy_bypass gauge, \
    heartbeat_age_seconds gauge, map_entries gauge, map_limit gauge, map_full_total counter, fragments_total counter, \
    errors_total counter, discovery_errors_total counter, hints_total counter, config_errors_total counter";

#[test]
fn every_family_is_there_with_its_help() {
    let stage = Stage::new();
    let metrics = stage.daemon.metrics(2);
    for family in FAMILIES.split(", ") {
        let (name, kind) = family.trim().split_once(' ').expect("name and type");
        assert!(metrics.contains(&format!("# HELP sip_steer_{name} ")), "{name}");
        assert!(metrics.contains(&format!("# TYPE sip_steer_{name} {kind}\n")), "{name}");
    }
    for line in [
        "sip_steer_packets_total{service=\"s\",method=\"INVITE\",action=\"steer\"} 0",
        "sip_steer_pass_total{service=\"s\",reason=\"tcp\"} 0",
        "sip_steer_backend_up{service=\"s\",backend=\"a\"} 1",
        "sip_steer_weight{service=\"s\",backend=\"a\"} 100",
        "sip_steer_state{service=\"s\",state=\"observing\"} 1",
        "sip_steer_adoption_ratio{service=\"s\"} NaN",
        "sip_steer_first_response_seconds_bucket{service=\"s\",backend=\"a\",le=\"+Inf\"} 0",
        "sip_steer_map_limit{map=\"dialogs\"} 100000",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("10.0.0."), "an address is no label");
    // No sample stands outside of its family, and none twice.
    let mut seen = std::collections::HashSet::new();
    let mut family = String::new();
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name").to_owned();
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&family), "{line}");
            assert!(seen.insert(line.rsplit_once(' ').expect("a value").0.to_owned()), "{line}");
        }
    }
}

#[test]
fn policies_of_the_node_turn_path_direct_to_stack_and_back() {
    let mut stage = Stage::new();
    let file = stage.folder.path().join("steer.toml");
    let text = std::fs::read_to_string(&file).expect("a file");
    let direct = |more: &str| text.replace("[steer]\n", &format!("[steer]\npath = \"direct\"\n{more}"));
    // Only another start takes the path, for what it needs is done before.
    std::fs::write(&file, direct("")).expect("a file");
    stage.daemon.reload(1);
    assert_eq!(stage.done(r#"{ "command": "status" }"#)["restart_needed"], serde_json::json!(["steer.path"]));
    let Stage { folder, kernel, daemon } = stage;
    drop(daemon);
    let daemon = Stage::start(folder.path(), kernel.clone());
    let mut stage = Stage { folder, kernel, daemon };
    let found = || Policies::Found(vec!["FORWARD of filter".to_owned()]);
    stage.daemon.policed(Policies::None, 1);
    stage.daemon.begin(1).expect("the kernel takes it");
    let path = |stage: &Stage| stage.kernel.told().tables.last().expect("tables").path;
    assert_eq!(path(&stage), SteerPath::Direct);
    stage.daemon.policed(found(), 2);
    assert_eq!(path(&stage), SteerPath::Stack);
    let problems = stage.done(r#"{ "command": "status" }"#)["problems"].to_string();
    assert!(
        problems.contains(
            "drops some of what it forwards, or routes it by mark (FORWARD of filter): packets take path stack"
        ),
        "{problems}"
    );
    assert!(stage.daemon.health().0, "it steers");
    stage.daemon.policed(Policies::Unreadable("nft cannot be run".to_owned()), 3);
    assert_eq!(path(&stage), SteerPath::Stack);
    stage.daemon.policed(Policies::None, 4);
    assert_eq!(path(&stage), SteerPath::Direct);
    std::fs::write(&file, direct("allow_policy_bypass = true\n")).expect("a file");
    stage.daemon.reload(5);
    stage.daemon.policed(found(), 6);
    assert_eq!(path(&stage), SteerPath::Direct);
    assert!(stage.daemon.metrics(7).contains("sip_steer_policy_bypass{service=\"s\"} 1\n"));
}

#[test]
fn what_files_said_holds_over_a_start_while_they_are_wrong_or_not_there() {
    let group = r#"[{ "targets": ["10.0.0.3:5060"], "labels": { "service": "s", "backend": "c" } }]"#;
    let is_up = |stage: &Stage| {
        let tables = stage.kernel.told().tables.last().expect("tables").clone();
        let of =
            |backend: &affinity::steer::Backend| backend.addresses == ["10.0.0.3:5060".parse().expect("an address")];
        tables.backends.values().any(|backend| of(backend) && backend.state == affinity::steer::State::Up)
    };
    let again = |stage: Stage| {
        let Stage { folder, kernel, daemon } = stage;
        drop(daemon);
        let daemon = Stage::start(folder.path(), kernel.clone());
        let mut stage = Stage { folder, kernel, daemon };
        stage.daemon.begin(1).expect("the kernel takes it");
        stage
    };
    let mut stage = Stage::new();
    stage.find(group);
    assert!(is_up(&stage));
    let file = stage.folder.path().join("found/one.json");
    std::fs::write(&file, "[").expect("a file");
    let stage = again(stage);
    assert!(is_up(&stage), "a file that is wrong at the start changes nothing");
    std::fs::remove_file(&file).expect("it is there");
    let mut stage = again(stage);
    assert!(is_up(&stage), "its writer starts beside");
    // Other files of its folder may be written as often as they like.
    (1..20).for_each(|second| stage.daemon.noticed(1 + second * 3_000_000_000));
    assert!(is_up(&stage), "its writer has a minute");
    stage.daemon.noticed(1 + 60_000_000_000);
    assert!(!is_up(&stage), "it is gone");
    let stage = again(stage);
    assert!(!is_up(&stage), "and forgotten");
}
