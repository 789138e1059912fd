//! Rules: drop, pass, limits, emergency calls, marks.

use affinity::steer::{Emergency, Kind, Limit, Mode, Over, Per, Rule, StandardPath, Then};
use sip::Method;

use crate::script::{Stage, call_for, tables, with_rule};

fn rule(then: Then) -> Rule {
    Rule { then, priority: None, dscp: None }
}

fn limit(rate: u32, burst: u32, per: Per, over: Over) -> Rule {
    rule(Then::Limit { limit: Limit { rate, burst }, per, over })
}

#[test]
fn a_network_is_dropped_or_passed_with_everything_it_sends() {
    let mut tables = tables();
    // `a` is 10.1.0.97, `d` 10.1.0.100.
    tables.classes.insert("10.1.0.97/32".parse().expect("a network"), 1);
    tables.classes.insert("10.1.0.0/24".parse().expect("a network"), 2);
    with_rule(&mut tables, rule(Then::Drop), |_, class, _| class == 1);
    with_rule(&mut tables, rule(Then::Pass), |_, class, _| class == 2);
    let mut stage = Stage::new(tables);
    stage.play(
        "0 a -> core INVITE one = drop
         1 a -> core 200 one cseq INVITE = drop
         2 a -> core RUBBISH - = drop
         3 d -> core INVITE one = pass rule
         4 a6 -> core6 INVITE @b0 = steer b0",
    );
    let counters = &stage.model.counters().services[&0];
    assert_eq!((counters.rules[1].dropped, counters.rules[1].limited), (3, 0));
    assert_eq!(counters.passed(StandardPath::Rule), 1);
}

#[test]
fn a_limit_for_each_source_is_its_own_and_refills() {
    let mut tables = tables();
    with_rule(&mut tables, limit(1, 2, Per::Source, Over::Drop), |kind, _, _| kind == Kind::Request(Method::Register));
    let mut stage = Stage::new(tables);
    stage.play(
        "0 a -> core REGISTER @b0 = steer b0
         0 a:5061 -> core REGISTER @b0 = steer b0
         0 a -> core REGISTER @b0 = drop
         0 d -> core REGISTER @b0 = steer b0
         0 a -> core INVITE @b0 = steer b0
         0.9 a -> core REGISTER @b0 = drop
         1.1 a -> core REGISTER @b0 = steer b0
         1.2 a -> core REGISTER @b0 = drop",
    );
    let counters = &stage.model.counters().services[&0];
    assert_eq!((counters.rules[1].dropped, counters.rules[1].limited), (3, 3));
}

#[test]
fn of_ipv6_a_source_is_its_first_64_bits() {
    let mut tables = tables();
    with_rule(&mut tables, limit(1, 1, Per::Source, Over::Drop), |_, _, _| true);
    let mut stage = Stage::new(tables);
    stage.play(
        "0 a6 -> core6 OPTIONS @b0 = steer b0
         0 d6 -> core6 OPTIONS @b0 = drop
         0 a -> core OPTIONS @b0 = steer b0
         0 d -> core OPTIONS @b0 = steer b0",
    );
}

#[test]
fn a_limit_for_the_service_is_shared_and_may_only_count() {
    let mut tables = tables();
    with_rule(&mut tables, limit(1, 1, Per::Service, Over::Count), |_, _, _| true);
    let mut stage = Stage::new(tables);
    stage.play(
        "0 a -> core OPTIONS @b0 = steer b0
         0 d -> core OPTIONS @b0 = steer b0",
    );
    let counters = &stage.model.counters().services[&0];
    assert_eq!((counters.rules[1].dropped, counters.rules[1].limited), (0, 1));
}

#[test]
fn emergency_calls_have_a_bucket_of_their_own() {
    let mut tables = tables();
    let service = tables.services.get_mut(&0).expect("core");
    service.emergency = Emergency { users: vec!["911".into()], limit: Some(Limit { rate: 1, burst: 2 }) };
    with_rule(&mut tables, rule(Then::Drop), |kind, _, marks| {
        kind == Kind::Request(Method::Invite) && !marks.emergency
    });
    let mut stage = Stage::new(tables);
    stage.play(
        "0 a -> core INVITE @b0 user 911 = steer b0
         0 a -> core INVITE @b0 user 9110 = drop
         0 a -> core INVITE @b0 user urn:service:sos.fire = steer b0
         0 a -> core INVITE @b0 user urn:service:sosfire = drop
         0 a -> core INVITE @b0 user 911 = drop",
    );
    let counters = &stage.model.counters().services[&0];
    assert_eq!((counters.emergency, counters.emergency_over), (2, 1));
}

#[test]
fn rules_see_overload_dialogs_and_missing_call_ids() {
    let mut tables = tables();
    with_rule(&mut tables, rule(Then::Drop), |_, _, marks| marks.overload && !marks.in_dialog);
    with_rule(&mut tables, rule(Then::Drop), |_, _, marks| marks.no_call_id);
    let mut stage = Stage::new(tables);
    stage.play(
        "0 a -> core OPTIONS @b0 = steer b0
         0 a -> core OPTIONS - = drop",
    );
    stage.apply(1.0, |tables| tables.services.get_mut(&0).expect("core").overload = true);
    stage.play(
        "1 a -> core OPTIONS @b0 = drop
         1 a -> core INFO @b0 tag = steer b0",
    );
}

#[test]
fn observing_counts_what_rules_would_do_and_does_nothing() {
    let mut tables = tables();
    tables.mode = Mode::Observe;
    with_rule(&mut tables, rule(Then::Drop), |kind, _, _| kind == Kind::Request(Method::Register));
    with_rule(&mut tables, limit(1, 1, Per::Service, Over::Drop), |_, _, _| true);
    let mut stage = Stage::new(tables);
    stage.play(
        "0 a -> core REGISTER one = observe
         0 a -> core OPTIONS one = observe
         0 a -> core OPTIONS one = observe",
    );
    let counters = &stage.model.counters().services[&0];
    assert_eq!([1, 2].map(|rule| (counters.rules[rule].dropped, counters.rules[rule].limited)), [(0, 1), (0, 1)]);
}

#[test]
fn a_rule_sets_priority_and_dscp_and_leaves_ecn() {
    for family in ["", "6"] {
        let mut tables = tables();
        let one = call_for(&tables, 1);
        let marked = Rule { then: Then::Steer, priority: Some(6), dscp: Some(46) };
        with_rule(&mut tables, marked, |_, _, _| true);
        let mut stage = Stage::new(tables);
        let (from, to) =
            (crate::script::address(&format!("a{family}")), crate::script::address(&format!("core{family}")));
        let message = format!("OPTIONS x SIP/2.0\r\nCall-ID: {one}\r\n\r\n");
        let mut frame = crate::script::datagram(from, to, message.as_bytes());
        // ECT(1), with the checksum that belongs to it.
        if family.is_empty() {
            frame[15] |= 1;
            frame[24..26].copy_from_slice(&[0, 0]);
            let sum = ladder::frame::checksum(&[&frame[14..34]]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        } else {
            frame[15] |= 0x10;
        }
        let decision = stage.model.ingress(&mut frame, crate::script::OWN, 0, stage.time(0.0));
        assert_eq!(decision.priority, Some(6));
        let class = if family.is_empty() { frame[15] } else { frame[14] << 4 | frame[15] >> 4 };
        assert_eq!((class >> 2, class & 3), (46, 1));
        assert!(crate::script::has_right_checksums(&frame));
    }
}
