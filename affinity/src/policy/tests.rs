//! What services and rules are compiled into.

use std::net::IpAddr;

use ipnet::IpNet;
use sip::Method;

use super::*;
use crate::hash::CallHash;
use crate::steer::{Kind, Limit, Marks, Over, Per, Rule, Then};

/// A rule in words: `method=A,B cidr=N,N emergency overload in_dialog no_call_id => drop|pass|steer|limit`.
fn rule(text: &str) -> Conditional {
    let (when, then) = text.split_once("=>").expect("what happens");
    let limit = Then::Limit { limit: Limit { rate: 10, burst: 5 }, per: Per::Source, over: Over::Drop };
    let then = match then.trim() {
        "drop" => Then::Drop,
        "pass" => Then::Pass,
        "steer" => Then::Steer,
        _ => limit,
    };
    let list = |key: &str| when.split_whitespace().find_map(|word| word.strip_prefix(key)).map(|list| list.split(','));
    let flag = |name: &str| when.split_whitespace().any(|word| word == name);
    Conditional {
        methods: list("method=").into_iter().flatten().map(|name| Method::named(name.as_bytes())).collect(),
        networks: list("cidr=").into_iter().flatten().map(|one| one.parse().expect("a network")).collect(),
        emergency: flag("emergency"),
        overload: flag("overload"),
        in_dialog: flag("in_dialog"),
        no_call_id: flag("no_call_id"),
        rule: Rule { then, priority: None, dscp: None },
    }
}

fn service(rules: &str) -> Service {
    let rules = rules.lines().map(str::trim).filter(|line| !line.is_empty()).map(rule).collect();
    Service {
        number: 3,
        addresses: vec!["10.96.0.60:5060".parse().expect("an address")],
        affinity: steer::Affinity::CallId,
        existing_only: false,
        overload: false,
        emergency: steer::Emergency::default(),
        backends: Vec::new(),
        rules,
    }
}

/// Asks the compiled table: `SENDER METHOD|RESPONSE [marks] => number of the rule`, a line each.
#[track_caller]
fn expect(rules: &str, questions: &str) {
    let compiled = Compiler::default().compile(&[service(rules)]).expect("few networks");
    for question in questions.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = question.split_once("=>").expect("a number");
        let words: Vec<&str> = asked.split_whitespace().collect();
        let sender: IpAddr = words[0].parse().expect("an address");
        let matching = compiled.classes.iter().filter(|(network, _)| network.contains(&sender));
        let class = matching.max_by_key(|(network, _)| network.prefix_len()).map_or(0, |(_, class)| *class);
        let kind = match words[1] {
            "RESPONSE" => Kind::Response,
            method => Kind::Request(Method::named(method.as_bytes())),
        };
        let mark = |name: &str| words.contains(&name);
        let marks = Marks {
            emergency: mark("emergency"),
            overload: mark("overload"),
            in_dialog: mark("in_dialog"),
            no_call_id: mark("no_call_id"),
        };
        let found = compiled.services[&3].table.of(kind, class, marks);
        assert_eq!(found.to_string(), expected.trim(), "{question}");
    }
}

#[test]
fn the_first_rule_that_fits_wins() {
    expect(
        "cidr=203.0.113.0/24 => drop
         method=REGISTER cidr=10.0.0.0/8 => steer
         method=REGISTER => limit
         method=OPTIONS,SUBSCRIBE overload => limit",
        "203.0.113.9 REGISTER         => 1
         10.1.1.1    REGISTER         => 2
         192.0.2.1   REGISTER         => 3
         192.0.2.1   OPTIONS          => 0
         192.0.2.1   OPTIONS overload => 4
         192.0.2.1   INVITE overload  => 0",
    );
}

#[test]
fn a_network_without_method_is_dropped_as_a_whole() {
    expect(
        "cidr=203.0.113.0/24 => drop",
        "203.0.113.9 INVITE           => 1
         203.0.113.9 BYE in_dialog    => 1
         203.0.113.9 ACK              => 1
         203.0.113.9 RESPONSE         => 1
         203.0.113.9 OTHER no_call_id => 1
         203.0.113.9 INVITE emergency => 1
         192.0.2.1   INVITE           => 0",
    );
}

#[test]
fn what_ends_or_acknowledges_is_never_limited_nor_dropped_by_anything_else() {
    let questions = "192.0.2.1 INVITE             => 1
         192.0.2.1 ACK                => 0
         192.0.2.1 BYE in_dialog      => 0
         192.0.2.1 CANCEL             => 0
         192.0.2.1 PRACK in_dialog    => 0
         192.0.2.1 RESPONSE           => 0";
    expect("in_dialog => limit", questions);
    expect("in_dialog => drop", questions);
    expect("method=INVITE,ACK,BYE,CANCEL,PRACK in_dialog => drop", questions);
    expect("cidr=0.0.0.0/0 in_dialog => limit", questions);
}

#[test]
fn requests_within_dialogs_are_meant_only_where_that_is_written() {
    expect(
        "method=INVITE => limit
         method=INFO in_dialog => limit",
        "192.0.2.1 INVITE           => 1
         192.0.2.1 INVITE in_dialog => 0
         192.0.2.1 INFO in_dialog   => 2
         192.0.2.1 INFO             => 2",
    );
}

#[test]
fn a_network_that_is_passed_is_passed_as_a_whole() {
    expect(
        "cidr=10.0.0.0/8,2001:db8::/32 => pass
         => limit",
        "10.1.1.1    INVITE        => 1
         10.1.1.1    BYE in_dialog => 1
         10.1.1.1    RESPONSE      => 1
         2001:db8::1 INVITE        => 1
         2001:db9::1 INVITE        => 2",
    );
}

#[test]
fn a_network_that_is_steered_is_spared_what_follows() {
    expect(
        "cidr=203.0.113.7/32 => steer
         cidr=203.0.113.0/24 => drop",
        "203.0.113.7 BYE in_dialog => 1
         203.0.113.7 INVITE        => 1
         203.0.113.8 INVITE        => 2",
    );
}

#[test]
fn calls_for_help_within_their_limit_meet_only_rules_for_them_and_for_networks() {
    expect(
        "method=INVITE => limit
         emergency => steer
         => drop",
        "192.0.2.1 INVITE           => 1
         192.0.2.1 INVITE emergency => 2",
    );
    expect("method=INVITE => drop", "192.0.2.1 INVITE emergency => 0");
}

#[test]
fn what_has_no_call_id_can_be_told() {
    expect(
        "no_call_id => limit",
        "192.0.2.1 OTHER no_call_id => 1
         192.0.2.1 OTHER            => 0",
    );
}

fn backend(number: u16, addresses: &str, state: State, local: bool, weight: u32) -> Backend {
    let addresses = addresses.split_whitespace().map(|address| address.parse().expect("an address")).collect();
    Backend { number, addresses, state, local, hop: None, weight }
}

/// How many slots each backend has.
fn shares(slots: &Slots) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    slots.as_slice().iter().for_each(|backend| *shares.entry(*backend).or_default() += 1);
    shares
}

#[test]
fn slots_go_to_backends_that_take_new_dialogs_in_that_family() {
    let mut one = service("");
    one.backends = vec![
        backend(7, "10.0.0.1:5060 [2001:db8::1]:5060", State::Up, true, 100),
        backend(8, "10.0.0.2:5060", State::Up, false, 300),
        backend(9, "10.0.0.3:5060", State::Drain, true, 100),
        backend(10, "10.0.0.4:5060", State::Down, true, 100),
        backend(11, "10.0.0.5:5060", State::Up, true, 0),
    ];
    let compiled = Compiler::default().compile(std::slice::from_ref(&one)).expect("it compiles");
    let Choice { all, local } = &compiled.services[&3].ipv4;
    assert_eq!(shares(all).keys().copied().collect::<Vec<_>>(), [7, 8]);
    assert!(shares(all)[&8].abs_diff(3 * shares(all)[&7]) < 4, "{:?}", shares(all));
    assert_eq!(shares(local), [(7, usize::from(SLOTS))].into());
    assert_eq!(shares(&compiled.services[&3].ipv6.all), [(7, usize::from(SLOTS))].into());
    assert_eq!(compiled.backends.len(), 5);
    assert_eq!(compiled.backends[&9].state, State::Drain);
    let none = Compiler::default().compile(&[service("")]).expect("it compiles");
    assert_eq!(none.services[&3].ipv4.all.of(CallHash(1)), None);
}

#[test]
fn slots_are_the_same_whatever_numbers_and_names_backends_have_here() {
    let slots_of = |backends: Vec<Backend>| {
        let mut one = service("");
        one.backends = backends;
        Compiler::default().compile(&[one]).expect("it compiles").services[&3].ipv4.all.clone()
    };
    let here = slots_of(vec![
        backend(1, "10.0.0.1:5060", State::Up, true, 100),
        backend(2, "10.0.0.2:5060", State::Up, true, 100),
    ]);
    let there = slots_of(vec![
        backend(9, "10.0.0.2:5060", State::Up, false, 100),
        backend(4, "10.0.0.1:5060", State::Up, false, 100),
    ]);
    let same = |(here, there): (&u16, &u16)| [(1, 4), (2, 9)].contains(&(*here, *there));
    assert!(here.as_slice().iter().zip(there.as_slice()).all(same));
}

#[test]
fn what_did_not_change_is_not_made_anew() {
    let mut compiler = Compiler::default();
    let mut one = service("method=INVITE => limit");
    one.backends = vec![backend(7, "10.0.0.1:5060", State::Up, true, 100)];
    let first = compiler.compile(std::slice::from_ref(&one)).expect("it compiles");
    one.overload = true;
    let second = compiler.compile(std::slice::from_ref(&one)).expect("it compiles");
    let at = |compiled: &Compiled| compiled.services[&3].ipv4.all.as_slice().as_ptr();
    assert_eq!(at(&first), at(&second));
    one.backends.push(backend(8, "10.0.0.2:5060", State::Up, true, 100));
    let third = compiler.compile(std::slice::from_ref(&one)).expect("it compiles");
    assert_ne!(first.services[&3].ipv4.all, third.services[&3].ipv4.all);
    one.rules.clear();
    let fourth = compiler.compile(std::slice::from_ref(&one)).expect("it compiles");
    assert_ne!(third.services[&3].table, fourth.services[&3].table);
}

#[test]
fn more_combinations_of_networks_than_classes_are_refused() {
    let mut one = service("");
    let network = |number: usize| format!("10.{number}.0.0/16").parse::<IpNet>().expect("a network");
    one.rules = (0..32).map(|number| Conditional { networks: vec![network(number)], ..rule("=> drop") }).collect();
    let mut other = Service { number: 4, ..one.clone() };
    other.rules = (32..64).map(|number| Conditional { networks: vec![network(number)], ..rule("=> drop") }).collect();
    assert_eq!(Compiler::default().compile(&[one.clone(), other.clone()]), Err(TooMany(64)));
    other.rules.pop();
    assert!(Compiler::default().compile(&[one, other]).is_ok());
}
