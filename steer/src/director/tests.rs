//! What follows from what the director is told.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use affinity::control::Anomaly;
use affinity::steer::{ServiceCounters, State as Takes, first_response_bucket};

use super::*;
use crate::config::{self, Backend};

/// A service `s` with these backends of its own, and what else is written of it.
fn settings(backends: &[(&str, &str)], rest: &str) -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("steer.toml");
    let table = |(name, address): &(&str, &str)| format!("{{ name = \"{name}\", addresses = [\"{address}\"] }}");
    let table = backends.iter().map(table).collect::<Vec<_>>().join(", ");
    let text = format!(
        "[steer]\ninterfaces = [\"eth0\"]\nallowed_backends = [\"10.0.0.0/8\"]\n[discovery]\nfiles = [\"/nowhere/x\"]\n\
         [[service]]\nname = \"s\"\naddresses = [\"10.96.0.60:5060\"]\nbackend = [{table}]\n{rest}\n"
    );
    fs::write(&path, text).expect("a file");
    let loaded = config::load(&[path], &|_| None);
    loaded.unwrap_or_else(|problems| panic!("{}", config::refused(&problems))).settings
}

const TWO: [(&str, &str); 2] = [("a", "10.0.0.1:5060"), ("b", "10.0.0.2:5060")];

fn director(rest: &str) -> Director {
    Director::new(settings(&TWO, rest), Key::default(), Numbers::default(), Overrides::default())
}

fn found(name: &str, address: &str) -> Found {
    let addresses = vec![address.parse().expect("an address")];
    let backend = Backend { name: name.to_owned(), addresses, weight: 100, state: State::Up, local: None };
    Found { service: "s".to_owned(), backend }
}

/// What each backend takes and how many slots it has: `a:up:2047 b:drain:0`.
fn told(director: &mut Director) -> String {
    let tables = director.tables();
    let slots = tables.services[&0].ipv4.all.as_slice().to_vec();
    let view = director.view();
    let word = |backend: &BackendView<'_>| {
        let state = match tables.backends[&backend.number].state {
            Takes::Up => "up",
            Takes::Drain => "drain",
            Takes::Down => "down",
        };
        let share = slots.iter().filter(|number| **number == backend.number).count();
        format!("{}:{state}:{}", backend.name, (share * 200 + slots.len()) / (2 * slots.len()))
    };
    view.services[0].backends.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Counters that grow, second by second.
#[derive(Default)]
struct Counting(Counters);

impl Counting {
    /// A second in which a backend got so many INVITEs and answered so many after a delay.
    fn calls(&mut self, number: u16, invites: u64, answered: u64, delay: Duration) -> &mut Self {
        let backend = self.0.backends.entry(number).or_default();
        backend.invites += invites;
        backend.requests += invites;
        backend.responses[1] += answered;
        backend.first_response[first_response_bucket(delay.as_nanos() as u64)] += answered;
        self
    }

    /// Requests within dialogs, of known ones and others.
    fn in_dialog(&mut self, known: u64, unknown: u64) -> &mut Self {
        let service = self.0.services.entry(0).or_default();
        service.in_dialog_known += known;
        service.in_dialog_unknown += unknown;
        self
    }
}

fn census(dialogs: &[(u16, u64)]) -> Option<Census> {
    Some(Census { dialogs: dialogs.iter().copied().collect(), ..Census::default() })
}

const FAST: Duration = Duration::from_millis(50);

#[test]
fn configured_backends_share_new_dialogs() {
    let mut director = director("");
    assert_eq!(told(&mut director), "a:up:50 b:up:50");
    let tables = director.tables();
    assert_eq!((tables.mode, tables.services.len(), tables.backends.len()), (steer::Mode::Observe, 1, 2));
}

#[test]
fn who_vanishes_from_a_file_drains_until_no_dialog_is_left() {
    let mut director = director("");
    assert!(director.discovered(vec![found("c", "10.0.0.3:5060")]).is_empty());
    assert_eq!(told(&mut director), "a:up:33 b:up:33 c:up:33");
    let number = director.view().services[0].backends[2].number;
    director.discovered(Vec::new());
    assert_eq!(told(&mut director), "a:up:50 b:up:50 c:drain:0");
    for _ in 0..60 {
        assert!(director.second(Counters::default(), census(&[(number, 3)])).is_empty());
    }
    assert_eq!(told(&mut director), "a:up:50 b:up:50 c:drain:0");
    let notices = director.second(Counters::default(), census(&[]));
    assert_eq!(
        notices.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["s/c is gone, and no dialog of it is left"]
    );
    assert_eq!(told(&mut director), "a:up:50 b:up:50");
    director.discovered(vec![found("d", "10.0.0.3:5060")]);
    assert_eq!(director.view().services[0].backends[2].number, number, "its number is free again");
}

#[test]
fn who_comes_back_takes_new_dialogs_under_its_old_number() {
    let mut director = director("");
    director.discovered(vec![found("c", "10.0.0.3:5060")]);
    director.discovered(Vec::new());
    director.discovered(vec![found("c", "10.0.0.4:5060")]);
    assert_eq!(told(&mut director), "a:up:33 b:up:33 c:up:33");
    assert_eq!(director.view().services[0].backends[2].number, 2);
}

#[test]
fn an_address_goes_to_who_has_it_now() {
    let mut director = director("");
    director.discovered(vec![found("c", "10.0.0.3:5060")]);
    director.discovered(vec![found("d", "10.0.0.3:5060")]);
    let tables = director.tables();
    assert_eq!((tables.backends[&2].addresses.len(), tables.backends[&3].addresses.len()), (0, 1));
}

#[test]
fn what_a_file_may_not_say_is_told() {
    let mut director = director("");
    let refused = director.discovered(vec![
        found("a", "10.0.0.9:5060"),
        found("c", "10.0.0.1:5060"),
        found("d", "10.96.0.60:5060"),
        found("e", "10.0.0.5:5060"),
    ]);
    assert_eq!(
        refused,
        [
            "backend \"s/a\" is named twice: in steer.toml and a discovery file, or in two of these",
            "backend \"s/c\" has an address that a service or another backend has",
            "backend \"s/d\" has an address that a service or another backend has",
        ]
    );
    assert_eq!(told(&mut director), "a:up:33 b:up:33 e:up:33");
}

#[test]
fn a_daemon_that_starts_again_knows_numbers_commands_and_who_was_draining() {
    let mut before = director("");
    before.discovered(vec![found("c", "10.0.0.3:5060")]);
    before.discovered(Vec::new());
    before.set_state("s/a", State::Drain).expect("it is there");
    before.set_weight("s/b", 7).expect("it is there");
    before.switch(Mode::Active, true).expect("it is forced");
    let (numbers, overrides) = before.kept();
    let mut after = Director::new(settings(&TWO, ""), Key::default(), numbers.clone(), overrides.clone());
    assert_eq!(told(&mut after), told(&mut before));
    assert_eq!(told(&mut after), "a:drain:0 b:up:100 c:drain:0");
    assert_eq!((after.mode(), after.tables().backends[&2].addresses.len()), (Mode::Active, 1));
}

#[test]
fn commands_are_refused_for_what_is_not_there() {
    let mut director = director("");
    for (name, why) in [("s/x", "there is no such backend; "), ("a", "write SERVICE/BACKEND")] {
        assert!(director.set_state(name, State::Down).expect_err("it is not there").0.starts_with(why));
    }
    assert_eq!(director.set_weight("s/a", 1001), Err(Refusal("1001 is not between 0 and 1000".to_owned())));
    director.set_state("s/a", State::Down).expect("it is there");
    assert_eq!(told(&mut director), "a:down:0 b:up:100");
    director.set_state("s/a", State::Up).expect("it is there");
    director.set_weight("s/a", 300).expect("it is there");
    assert_eq!(told(&mut director), "a:up:75 b:up:25");
}

#[test]
fn active_waits_until_enough_dialogs_are_known() {
    let (mut director, mut counting) = (director(""), Counting::default());
    assert_eq!(director.switch(Mode::Active, false), Ok(Switched::Waits));
    for _ in 0..60 {
        director.second(counting.in_dialog(90, 10).0.clone(), None);
    }
    assert_eq!((director.mode(), director.view().services[0].adoption), (Mode::Observe, Some(0.9)));
    let mut seconds = 0;
    while director.mode() == Mode::Observe {
        director.second(counting.in_dialog(100, 0).0.clone(), None);
        seconds += 1;
    }
    assert_eq!(seconds, 54, "once 1 % of the last minute are left");
    assert_eq!(director.tables().mode, steer::Mode::Active);
}

#[test]
fn observe_is_refused_with_the_likely_loss_while_dialogs_are_up() {
    let mut director = director("");
    director.switch(Mode::Active, true).expect("it is forced");
    director.second(Counters::default(), census(&[(0, 60), (1, 40)]));
    let refusal = director.switch(Mode::Observe, false).expect_err("dialogs are up");
    assert_eq!(refusal.0, "100 dialogs are up, of which about 50 would break; --force does it all the same");
    assert_eq!(director.switch(Mode::Observe, true), Ok(Switched::Now));
    assert_eq!(director.mode(), Mode::Observe);
}

#[test]
fn a_silent_backend_is_down_and_all_silent_ones_are_a_panic() {
    let (mut director, mut counting) = (director(""), Counting::default());
    let mut notices = Vec::new();
    for _ in 0..3 {
        notices.extend(director.second(counting.calls(0, 10, 0, FAST).calls(1, 10, 10, FAST).0.clone(), None));
    }
    assert_eq!(told(&mut director), "a:down:0 b:up:100");
    for _ in 0..3 {
        notices.extend(director.second(counting.calls(1, 10, 0, FAST).0.clone(), None));
    }
    assert_eq!(told(&mut director), "a:up:50 b:up:50");
    assert!(director.view().services[0].panic);
    notices.extend(director.second(counting.calls(0, 10, 1, FAST).0.clone(), None));
    assert_eq!(told(&mut director), "a:up:100 b:down:0");
    let told: Vec<String> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "s/a is down: its dialogs go to others",
            "all backends of s are down, so they are all treated as up",
            "s/b is down: its dialogs go to others",
            "a backend of s is up again",
            "s/a is up again",
        ]
    );
}

#[test]
fn probes_take_down_and_bring_up() {
    let mut director = director("probe = { interval = \"1s\", down_after = 2, up_after = 1 }");
    (0..2).for_each(|_| director.probed("s", "a", false));
    director.probed("s", "stranger", false);
    assert_eq!(told(&mut director), "a:down:0 b:up:100");
    director.probed("s", "a", true);
    assert_eq!(told(&mut director), "a:up:50 b:up:50");
}

#[test]
fn a_slow_backend_gets_less_where_that_applies_and_is_reported_where_it_is_asked_for() {
    let slow = Duration::from_millis(400);
    for (adaptive, expected) in [("on", "a:up:44 b:up:56"), ("report", "a:up:50 b:up:50"), ("off", "a:up:50 b:up:50")] {
        let (mut director, mut counting) = (director(&format!("adaptive = \"{adaptive}\"")), Counting::default());
        let mut notices = Vec::new();
        for _ in 0..3 {
            notices.extend(director.second(counting.calls(0, 50, 50, slow).calls(1, 50, 50, FAST).0.clone(), None));
        }
        assert_eq!(told(&mut director), expected, "{adaptive}");
        let changes = notices.iter().filter(|notice| matches!(notice, Notice::Weight { .. })).count();
        assert_eq!(changes, usize::from(adaptive != "off"), "{adaptive}");
        let weight = director.view().services[0].backends[0].effective_weight;
        assert_eq!(weight, if adaptive == "off" { 100.0 } else { 80.0 }, "{adaptive}");
    }
}

#[test]
fn overload_switches_its_rules_on() {
    let (mut director, mut counting) = (director(""), Counting::default());
    assert!(!director.tables().services[&0].overload);
    for _ in 0..3 {
        director.second(counting.calls(0, 50, 50, FAST * 10).calls(1, 50, 50, FAST * 10).0.clone(), None);
    }
    assert!(director.tables().services[&0].overload);
}

#[test]
fn an_anomaly_leaves_new_dialogs_to_the_standard_path() {
    let mut director = director("");
    director.switch(Mode::Active, true).expect("it is forced");
    let mut counters = Counters::default();
    for _ in 0..5 {
        let service = counters.services.entry(0).or_insert_with(ServiceCounters::default);
        service.packets[0][steer::Action::Steer as usize] += 97;
        service.passed[steer::StandardPath::Failed as usize] += 3;
        director.second(counters.clone(), None);
    }
    assert!(director.tables().services[&0].existing_only);
    let view = director.view();
    assert_eq!(view.services[0].quality, Quality::ExistingOnly);
    assert_eq!(view.tally.anomalies, BTreeMap::from([(("s".to_owned(), Anomaly::Errors), 1)]));
    for _ in 0..40 {
        director.second(counters.clone(), None);
    }
    assert!(!director.tables().services[&0].existing_only);
}

#[test]
fn a_full_map_and_flows_pushed_out_young_are_anomalies() {
    let mut director = director("");
    director.second(Counters::default(), census(&[(0, 90_000)]));
    assert!(!director.tables().services[&0].existing_only);
    director.second(Counters::default(), census(&[(0, 90_200)]));
    assert_eq!(director.view().tally.anomalies, BTreeMap::from([(("s".to_owned(), Anomaly::Full), 1)]));
    assert!(!director.tables().services[&0].existing_only, "whoever fills a map does not switch steering off");
    let mut flows = second::Flows::default();
    assert_eq!([60, 40, 0, 1].map(|begun| flows.evicted(begun, 100)), [0, 0, 0, 1]);
    (0..60).for_each(|_| _ = flows.evicted(0, 100));
    assert_eq!(flows.evicted(100, 100), 0, "a minute later there is room again");
}

fn hint(text: &str) -> Hint {
    serde_json::from_str(text).expect("a hint")
}

#[test]
fn a_hint_concerns_who_sent_it_and_lapses() {
    let mut director = director("");
    let [a, b, other] = ["10.0.0.1", "::ffff:10.0.0.2", "10.0.0.77"].map(|text| text.parse::<IpAddr>().expect("one"));
    assert_eq!(director.hint(a, hint(r#"{ "state": "drain" }"#)), HintResult::Taken);
    assert_eq!(told(&mut director), "a:drain:0 b:up:100");
    assert_eq!(director.hint(a, hint(r#"{ "state": "up", "weight": 0.5, "ttl": "3s" }"#)), HintResult::Taken);
    assert_eq!(told(&mut director), "a:up:33 b:up:67");
    (0..3).for_each(|_| _ = director.second(Counters::default(), None));
    assert_eq!(told(&mut director), "a:up:50 b:up:50");
    assert_eq!(director.hint(b, hint(r#"{ "overload": true }"#)), HintResult::Taken);
    director.second(Counters::default(), None);
    assert!(director.tables().services[&0].overload, "it is half of them");
    (0..30).for_each(|_| _ = director.second(Counters::default(), None));
    assert!(!director.tables().services[&0].overload);
    assert_eq!(director.hint(other, hint(r#"{ "state": "drain" }"#)), HintResult::Stranger);
    for wrong in ["{}", r#"{ "weight": 0.05 }"#, r#"{ "weight": 1.5 }"#, r#"{ "state": "up", "ttl": "301s" }"#] {
        assert_eq!(director.hint(a, hint(wrong)), HintResult::Wrong, "{wrong}");
    }
    let flood: Vec<_> = (0..12).map(|_| director.hint(a, hint(r#"{ "state": "up" }"#))).collect();
    assert_eq!(flood[9..], [HintResult::Taken, HintResult::TooMany, HintResult::TooMany]);
    assert!(serde_json::from_str::<Hint>(r#"{ "state": "down" }"#).is_err());
    assert!(serde_json::from_str::<Hint>(r#"{ "drain": true }"#).is_err());
}

#[test]
fn another_configuration_keeps_what_is_counted_and_lets_commands_lapse_that_it_contradicts() {
    let mut director = director("");
    director.set_weight("s/a", 300).expect("it is there");
    director.switch(Mode::Active, true).expect("it is forced");
    director.reload(settings(&[TWO[0], ("c", "10.0.0.3:5060")], ""));
    assert_eq!(told(&mut director), "a:up:75 b:drain:0 c:up:25");
    assert_eq!(director.mode(), Mode::Active, "the file still says observe, and the command over it holds");
    let mut other = settings(&TWO, "");
    other.services[0].backends[0].weight = 50;
    director.reload(other);
    assert_eq!(told(&mut director), "a:up:33 b:up:67 c:drain:0");
}

/// What lapsed does not come back to life when the file says again what it said then.
#[test]
fn a_command_that_lapsed_is_over_for_good() {
    let mut director = director("");
    director.switch(Mode::Active, true).expect("it is forced");
    director.set_weight("s/a", 300).expect("it is there");
    let mut other = settings(&TWO, "");
    other.mode = Mode::Active;
    other.services[0].backends[0].weight = 50;
    director.reload(other);
    assert_eq!(director.mode(), Mode::Active);
    director.reload(settings(&TWO, ""));
    assert_eq!(director.mode(), Mode::Observe, "the file says so");
    assert_eq!(told(&mut director), "a:up:50 b:up:50");
}

/// A pod that said `drain` before it ended is another one when it comes back by its name.
#[test]
fn a_hint_ends_with_the_life_it_was_about() {
    let mut director = director("");
    let a = "10.0.0.1".parse().expect("an address");
    director.hint(a, hint(r#"{ "state": "drain" }"#));
    assert_eq!(told(&mut director), "a:drain:0 b:up:100");
    director.reload(settings(&[("a", "10.0.0.9:5060"), TWO[1]], ""));
    assert_eq!(told(&mut director), "a:up:50 b:up:50");
}

#[test]
fn places_come_from_files_or_routes() {
    let mut director = director("");
    assert_eq!(director.unplaced().count(), 2);
    director.placed(HashMap::from([("10.0.0.1".parse().expect("an address"), false)]));
    let tables = director.tables();
    assert_eq!((tables.backends[&0].local, tables.backends[&1].local), (false, true));
}

#[test]
fn a_backend_is_sent_to_past_the_stack_where_both_of_its_families_go_the_same_way() {
    let mut settings = settings(&TWO, "");
    settings.path = Path::Direct;
    settings.services[0].backends[1].addresses.push("[fd00::2]:5060".parse().expect("an address"));
    let mut director = Director::new(settings, Key::default(), Numbers::default(), Overrides::default());
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    director
        .hops([("10.0.0.1", 5), ("10.0.0.2", 6), ("fd00::2", 6)].map(|(at, device)| (ip(at), Hop::Pod(device))).into());
    let hops = |director: &mut Director| {
        let tables = director.tables();
        [0, 1].map(|number| tables.backends[&number].hop)
    };
    assert_eq!(hops(&mut director), [Some(Hop::Pod(5)), Some(Hop::Pod(6))]);
    let path = director.tables().path;
    assert_eq!(path, steer::Path::Stack, "it waits until the node is known to drop nothing");
    assert!(!director.view().services[0].backends[0].direct);
    director.unpoliced(true);
    assert_eq!(director.tables().path, steer::Path::Direct);
    assert!(director.view().services[0].backends[0].direct);
    director.hops([(ip("10.0.0.2"), Hop::Pod(6)), (ip("fd00::2"), Hop::Neighbour(6))].into());
    assert_eq!(hops(&mut director), [None, None]);
}
