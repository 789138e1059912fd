//! Which backend a message goes to: that of the dialog, that of Maglev; what is learned, and when it is forgotten.

use std::time::Duration;

use affinity::steer::{Affinity, Entered, General, State};

use crate::script::{Stage, call_for, slots, tables};

#[test]
fn a_dialog_keeps_its_backend_whatever_port_it_speaks_from() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!(
        "0 a -> core INVITE {one} = steer b1
         0.1 a:5070 -> core ACK {one} tag = steer b1
         9 a:40000 -> core BYE {one} tag = steer b1"
    ));
    // Even where Maglev would choose another one meanwhile.
    let two = call_for(&stage.tables, 2);
    stage.play(&format!("10 a -> core INVITE {two} = steer b2"));
    stage.apply(10.0, |tables| tables.services.get_mut(&0).expect("core").ipv4.all = slots(&[0]));
    stage.play(&format!(
        "11 a -> core BYE {two} tag = steer b2
         12 a -> core BYE unknown tag = steer b0"
    ));
}

#[test]
fn a_backend_that_drains_keeps_its_dialogs_and_one_that_is_down_loses_them() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!("0 a -> core INVITE {one} = steer b1"));
    stage.apply(1.0, |tables| {
        tables.backends.get_mut(&1).expect("b1").state = State::Drain;
        tables.services.get_mut(&0).expect("core").ipv4.all = slots(&[0]);
    });
    stage.play(&format!("1 a -> core INFO {one} tag = steer b1"));
    stage.apply(2.0, |tables| tables.backends.get_mut(&1).expect("b1").state = State::Down);
    stage.play(&format!("2 a -> core INFO {one} tag = steer b0"));
}

#[test]
fn invite_subscribe_and_refer_leave_an_entry_and_others_do_not() {
    let mut stage = Stage::new(tables());
    let ids: Vec<String> = (0..4).map(|backend| call_for(&stage.tables, backend)).collect();
    stage.play(&format!(
        "0 a -> core INVITE {} = steer b0
         0 a -> core SUBSCRIBE {} = steer b1
         0 a -> core REFER {} = steer b2
         0 a -> core OPTIONS {} = steer b3",
        ids[0], ids[1], ids[2], ids[3]
    ));
    stage.apply(1.0, |tables| tables.services.get_mut(&0).expect("core").ipv4.all = slots(&[0]));
    stage.play(&format!(
        "1 a -> core BYE {} tag = steer b0
         1 a -> core NOTIFY {} tag = steer b1
         1 a -> core NOTIFY {} tag = steer b2
         1 a -> core OPTIONS {} = steer b0",
        ids[0], ids[1], ids[2], ids[3]
    ));
    assert_eq!(stage.model.dialogs().count(), 3);
}

#[test]
fn a_dialog_that_nobody_answers_is_forgotten_after_a_minute() {
    let other = |stage: &mut Stage| {
        stage.apply(70.0, |tables| tables.services.get_mut(&0).expect("core").ipv4.all = slots(&[0]));
    };
    let begin = || {
        let mut stage = Stage::new(tables());
        let one = call_for(&stage.tables, 1);
        stage.play(&format!("0 a -> core INVITE {one} = steer b1\n0.5 a -> core INVITE {one} = steer b1"));
        (stage, one)
    };
    let (mut stage, one) = begin();
    stage.play(&format!("60 a -> core CANCEL {one} = steer b1"));
    other(&mut stage);
    stage.play(&format!("71 a -> core INVITE {one} = steer b0"));
    // Any response keeps it, also one that is not final. A request within it is no answer: anybody may send one.
    for (said, to) in [
        (format!("1 b1 -> a 100 {one} cseq INVITE = heard b1"), "b1"),
        (format!("1 a -> core ACK {one} tag = steer b1"), "b0"),
        (format!("8 a -> core ACK {one} tag = steer b1"), "b1"),
    ] {
        let (mut stage, one) = begin();
        stage.play(&said);
        other(&mut stage);
        stage.play(&format!("71 a -> core INFO {one} tag = steer {to}"));
    }
    // One that was refused and is tried again waits anew.
    let (mut stage, one) = begin();
    stage.play(&format!(
        "1 b1 -> a 401 {one} tag cseq INVITE = heard b1
         50 a -> core INVITE {one} = steer b1"
    ));
    other(&mut stage);
    stage.play(&format!("80 a -> core INVITE {one} = steer b1"));
    stage.model.sweep(stage.time(115.0));
    assert_eq!(stage.model.dialogs().count(), 0);
}

/// Which of these are left after so many seconds, by their backends.
#[track_caller]
fn left(stage: &mut Stage, at: f64, expected: &[u16]) {
    stage.model.sweep(stage.time(at));
    let mut left: Vec<u16> = stage.model.dialogs().map(|(_, _, dialog)| dialog.backend).collect();
    left.sort_unstable();
    assert_eq!(left, expected, "after {at} s");
}

#[test]
fn what_begins_and_is_not_taken_by_its_backend_is_forgotten_after_a_minute() {
    let mut stage = Stage::new(tables());
    let ids: Vec<String> = (0..4).map(|backend| call_for(&stage.tables, backend)).collect();
    stage.play(&format!(
        "0 a -> core INVITE {} tag = steer b0
         0 a -> core SUBSCRIBE {} expires 3600 = steer b1
         0 a -> core REFER {} = steer b2
         0 a -> core SUBSCRIBE {} tag = steer b3",
        ids[0], ids[1], ids[2], ids[3]
    ));
    left(&mut stage, 63.0, &[0, 1, 2, 3]);
    // Neither a refusal keeps it, nor that it is being worked on, nor what else the client sends.
    stage.play(&format!(
        "63 b0 -> a 100 {} cseq INVITE = heard b0
         63 b0 -> a 481 {} tag cseq INVITE = heard b0
         63 b1 -> a 489 {} tag cseq SUBSCRIBE = heard b1
         63 a -> core NOTIFY {} tag = steer b2",
        ids[0], ids[0], ids[1], ids[2]
    ));
    left(&mut stage, 65.0, &[1, 2]);
    left(&mut stage, 128.0, &[]);
}

#[test]
fn what_its_backend_takes_lasts_as_long_as_a_call() {
    let mut stage = Stage::new(tables());
    let ids: Vec<String> = (0..4).map(|backend| call_for(&stage.tables, backend)).collect();
    stage.play(&format!(
        "0 a -> core INVITE {} tag = steer b0
         0 a -> core SUBSCRIBE {} = steer b1
         0 a -> core REFER {} = steer b2
         0 a -> core SUBSCRIBE {} tag = steer b3
         1 b0 -> a 200 {} tag cseq INVITE = heard b0
         1 b1 -> a 200 {} tag cseq SUBSCRIBE = heard b1
         1 b2 -> a 202 {} tag cseq REFER = heard b2
         1 b3 -> a NOTIFY {} tag = heard b3",
        ids[0], ids[1], ids[2], ids[3], ids[0], ids[1], ids[2], ids[3]
    ));
    left(&mut stage, 40_000.0, &[0, 1, 2, 3]);
    left(&mut stage, 43_300.0, &[]);
}

/// A REFER, and a SUBSCRIBE without and with Expires, that are challenged, sent again with credentials, and accepted.
#[test]
fn what_is_tried_again_after_a_challenge_lasts_once_it_is_taken() {
    let mut stage = Stage::new(tables());
    let ids: Vec<String> = (1..4).map(|backend| call_for(&stage.tables, backend)).collect();
    let (refer, subscribe, bounded) = (&ids[0], &ids[1], &ids[2]);
    stage.play(&format!(
        "0 a -> core REFER {refer} = steer b1
         0 a -> core SUBSCRIBE {subscribe} = steer b2
         0 a -> core SUBSCRIBE {bounded} = steer b3
         1 b1 -> a 401 {refer} tag cseq REFER = heard b1
         1 b2 -> a 401 {subscribe} tag cseq SUBSCRIBE = heard b2
         1 b3 -> a 401 {bounded} tag cseq SUBSCRIBE = heard b3
         2 a -> core REFER {refer} = steer b1
         2 a -> core SUBSCRIBE {subscribe} = steer b2
         2 a -> core SUBSCRIBE {bounded} expires 300 = steer b3
         3 b1 -> a 202 {refer} tag cseq REFER = heard b1
         3 b2 -> a 200 {subscribe} tag cseq SUBSCRIBE = heard b2
         3 b3 -> a 200 {bounded} tag cseq SUBSCRIBE = heard b3"
    ));
    left(&mut stage, 366.0, &[1, 2, 3]);
    left(&mut stage, 368.0, &[1, 2]);
    left(&mut stage, 40_000.0, &[1, 2]);
}

/// A call that was up before: an UPDATE is refused, tried again, and accepted.
#[test]
fn a_dialog_learned_by_a_refusal_is_taken_by_what_is_accepted_within_it() {
    let mut stage = Stage::new(tables());
    let id = call_for(&stage.tables, 1);
    stage.play(&format!(
        "1 b1 -> a 491 {id} tag cseq UPDATE = heard b1
         2 a -> core UPDATE {id} tag = steer b1
         3 b1 -> a 200 {id} tag cseq UPDATE = heard b1"
    ));
    left(&mut stage, 40_000.0, &[1]);
}

#[test]
fn a_subscription_lasts_as_long_as_it_was_asked_for() {
    let mut stage = Stage::new(tables());
    let (one, two, three) = (call_for(&stage.tables, 1), call_for(&stage.tables, 2), call_for(&stage.tables, 3));
    stage.play(&format!(
        "0 a -> core SUBSCRIBE {one} expires 300 = steer b1
         0 a -> core SUBSCRIBE {two} expires 300 = steer b2
         0 a -> core SUBSCRIBE {three} expires 300 = steer b3
         1 b1 -> a 200 {one} tag cseq SUBSCRIBE = heard b1
         1 b2 -> a NOTIFY {two} tag = heard b2
         1 b3 -> a 202 {three} tag cseq SUBSCRIBE = heard b3
         200 a -> core SUBSCRIBE {one} tag expires 600 = steer b1
         200 b1 -> a 200 {one} tag cseq SUBSCRIBE = heard b1
         200 a -> core SUBSCRIBE {two} tag expires 600 = steer b2
         200 b2 -> a 423 {two} tag cseq SUBSCRIBE = heard b2
         300 a -> core SUBSCRIBE {three} tag expires 0 = steer b3
         300 b3 -> a 200 {three} tag cseq SUBSCRIBE = heard b3"
    ));
    left(&mut stage, 363.0, &[1, 2, 3]);
    left(&mut stage, 366.0, &[1]);
    left(&mut stage, 863.0, &[1]);
    left(&mut stage, 865.0, &[]);
}

#[test]
fn a_call_and_a_subscription_under_one_call_id_last_as_long_as_the_call() {
    let mut stage = Stage::new(tables());
    let (one, two) = (call_for(&stage.tables, 1), call_for(&stage.tables, 2));
    stage.play(&format!(
        "0 a -> core SUBSCRIBE {one} expires 100 = steer b1
         1 b1 -> a 200 {one} tag cseq SUBSCRIBE = heard b1
         2 a -> core INVITE {one} tag = steer b1
         3 b1 -> a 200 {one} tag cseq INVITE = heard b1
         0 a -> core INVITE {two} = steer b2
         1 b2 -> a 180 {two} tag cseq INVITE = heard b2
         2 a -> core REFER {two} tag = steer b2
         3 b2 -> a 603 {two} tag cseq REFER = heard b2
         4 b2 -> a 200 {two} tag cseq INVITE = heard b2
         5 a -> core SUBSCRIBE {two} tag expires 10 = steer b2
         6 b2 -> a 200 {two} tag cseq SUBSCRIBE = heard b2"
    ));
    left(&mut stage, 10_000.0, &[1, 2]);
}

#[test]
fn what_a_backend_refuses_is_learned_for_a_minute() {
    let mut stage = Stage::new(tables());
    stage.play(
        "0 b1 -> a 403 one tag cseq NOTIFY = heard b1
         0 b2 -> a 401 two tag cseq INVITE = heard b2
         0 b3 -> a 401 three tag cseq INVITE = heard b3
         1 b3 -> a 200 three tag cseq INVITE = heard b3",
    );
    left(&mut stage, 63.0, &[1, 2, 3]);
    left(&mut stage, 65.0, &[3]);
}

#[test]
fn without_a_call_id_the_source_decides_and_nothing_is_remembered() {
    let mut stage = Stage::new(tables());
    stage.play(
        "0 a -> core RUBBISH - = steer b2
         1 a -> core OPTIONS - = steer b2
         2 a:5061 -> core RUBBISH - = steer b2
         3 a:5063 -> core RUBBISH - = steer b0
         4 d -> core RUBBISH - = steer b0",
    );
    assert_eq!(stage.model.dialogs().count(), 0);
}

#[test]
fn with_affinity_by_source_the_address_alone_decides() {
    let mut stage = Stage::new(tables());
    stage.apply(0.0, |tables| tables.services.get_mut(&0).expect("core").affinity = Affinity::Source);
    stage.play(
        "0 a -> core INVITE one = steer b3
         1 a:5061 -> core INVITE two = steer b3
         2 a -> core RUBBISH - = steer b3
         3 d -> core INVITE one = steer b3",
    );
    assert_eq!(stage.model.dialogs().count(), 0);
}

#[test]
fn what_a_backend_speaks_of_belongs_to_it() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 0);
    stage.play(&format!(
        "0 b2 -> a 200 {one} tag cseq INVITE = heard b2
         1 a -> core ACK {one} tag = steer b2
         2 b1 -> a 200 {one} tag cseq INVITE = heard b1
         3 a -> core BYE {one} tag = steer b2"
    ));
    let (_, _, dialog) = stage.model.dialogs().next().expect("one");
    assert_eq!(dialog.entered, Entered::Learned);
    assert_eq!((stage.model.counters().backends[&2].learned, stage.model.counters().backends[&1].learned), (1, 0));
}

#[test]
fn a_backend_that_answers_481_has_no_such_dialog() {
    let mut stage = Stage::new(tables());
    stage.play("0 b2 -> a 481 one tag cseq BYE = heard b2");
    assert_eq!(stage.model.dialogs().count(), 0);
}

#[test]
fn what_leaves_nothing_behind_is_remembered_for_a_minute() {
    let mut stage = Stage::new(tables());
    stage.play(
        "0 b2 -> a OPTIONS one = heard b2
         0 b2 -> a 200 two cseq REGISTER = heard b2
         0 b2 -> a INVITE three = heard b2",
    );
    stage.model.sweep(stage.time(63.0));
    assert_eq!(stage.model.dialogs().count(), 3);
    stage.model.sweep(stage.time(65.0));
    assert_eq!(stage.model.dialogs().count(), 1);
}

#[test]
fn a_dialog_is_forgotten_a_minute_after_its_end() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!(
        "0 a -> core INVITE {one} = steer b1
         1 b1 -> a 200 {one} tag cseq INVITE = heard b1
         10 a -> core INVITE {one} tag = steer b1
         11 b1 -> a 488 {one} tag cseq INVITE = heard b1
         100 a -> core BYE {one} tag = steer b1"
    ));
    stage.apply(100.0, |tables| tables.services.get_mut(&0).expect("core").ipv4.all = slots(&[0]));
    stage.play(&format!(
        "163 a -> core BYE {one} tag = steer b1
         230 a -> core BYE {one} tag = steer b0"
    ));
}

#[test]
fn a_call_that_was_refused_is_forgotten_unless_it_is_tried_again() {
    let mut stage = Stage::new(tables());
    let (one, two) = (call_for(&stage.tables, 1), call_for(&stage.tables, 2));
    stage.play(&format!(
        "0 a -> core INVITE {one} = steer b1
         0 a -> core INVITE {two} = steer b2
         1 b1 -> a 407 {one} tag cseq INVITE = heard b1
         1 b2 -> a 407 {two} tag cseq INVITE = heard b2
         2 a -> core INVITE {one} = steer b1
         3 b1 -> a 180 {one} tag cseq INVITE = heard b1"
    ));
    stage.model.sweep(stage.time(100.0));
    let left: Vec<u16> = stage.model.dialogs().map(|(_, _, dialog)| dialog.backend).collect();
    assert_eq!(left, [1]);
}

#[test]
fn a_silent_dialog_is_forgotten_after_its_time() {
    let mut tables = tables();
    // Nothing beats between the packets.
    tables.times.grace = Duration::from_secs(1_000_000);
    let mut stage = Stage::new(tables);
    let one = call_for(&stage.tables, 1);
    let almost = 12.0 * 3600.0 - 1.0;
    stage.play(&format!("0 a -> core INVITE {one} = steer b1\n0 b1 -> a 200 {one} tag cseq INVITE = heard b1"));
    stage.apply(1.0, |tables| tables.services.get_mut(&0).expect("core").ipv4.all = slots(&[0]));
    stage.play(&format!("{almost} a -> core INFO {one} tag = steer b1"));
    stage.play(&format!("{} a -> core INFO {one} tag = steer b0", 3.0 * almost));
}

#[test]
fn a_full_map_keeps_what_it_has_and_maglev_serves_the_others() {
    let mut tables = tables();
    tables.capacity.dialogs = 1;
    let (one, two) = (call_for(&tables, 1), call_for(&tables, 2));
    let mut stage = Stage::new(tables);
    stage.play(&format!(
        "0 a -> core INVITE {one} = steer b1
         1 a -> core INVITE {two} = steer b2"
    ));
    stage.apply(2.0, |tables| tables.services.get_mut(&0).expect("core").ipv4.all = slots(&[0]));
    stage.play(&format!(
        "3 a -> core BYE {one} tag = steer b1
         4 a -> core BYE {two} tag = steer b0"
    ));
    assert_eq!(stage.model.counters().general(General::DialogsFull), 1);
}

#[test]
fn the_first_response_is_timed_from_the_first_invite() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!(
        "0 a -> core INVITE {one} = steer b1
         0.5 a -> core INVITE {one} = steer b1
         0.6 b1 -> a 100 {one} cseq INVITE = heard b1
         2.0 b1 -> a 180 {one} tag cseq INVITE = heard b1"
    ));
    let counters = &stage.model.counters().backends[&1];
    assert_eq!(counters.first_response.iter().sum::<u64>(), 1);
    assert_eq!(counters.first_response_sum / 1_000_000, 600);
    assert_eq!((counters.requests, counters.invites, counters.responses[0]), (2, 2, 2));
}

#[test]
fn the_same_call_through_two_services_is_two_dialogs() {
    let mut tables = tables();
    let mut other = tables.services[&0].clone();
    other.addresses = vec![crate::script::address("other")];
    other.ipv4.all = slots(&[3]);
    tables.backends.get_mut(&3).expect("b3").service = 1;
    tables.services.insert(1, other);
    let one = call_for(&tables, 1);
    let mut stage = Stage::new(tables);
    stage.play(&format!(
        "0 a -> core INVITE {one} = steer b1
         0 b1 -> other INVITE {one} = steer b3
         1 a -> core BYE {one} tag = steer b1
         1 b1 -> other BYE {one} tag = steer b3"
    ));
}
