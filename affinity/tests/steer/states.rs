//! What happens in which state: observing, healthy, frozen, existing only; settling; nodes and backends that will not do.

use std::time::Duration;

use affinity::steer::{Affinity, General, Mode, StandardPath};

use crate::script::{Stage, call_for, slots, tables};

#[test]
fn observing_changes_nothing_and_learns() {
    let mut tables = tables();
    tables.mode = Mode::Observe;
    let mut stage = Stage::new(tables);
    let one = call_for(&stage.tables, 0);
    stage.play(&format!(
        "0 a -> core INVITE {one} = observe
         0.3 b2 -> a 100 {one} cseq INVITE = heard b2
         1 b2 -> a 200 {one} tag cseq INVITE = heard b2
         2 a -> core BYE nobody tag = observe
         3 a -> core INFO {one} tag = observe"
    ));
    let counters = stage.model.counters();
    assert_eq!((counters.services[&0].in_dialog_known, counters.services[&0].in_dialog_unknown), (1, 1));
    assert_eq!(counters.backends[&2].first_response_sum / 1_000_000, 300, "timed although another decided");
    stage.apply(4.0, |tables| tables.mode = Mode::Active);
    stage.play(&format!("5 a -> core BYE {one} tag = steer b2"));
}

#[test]
fn after_switching_on_unknown_older_dialogs_take_the_standard_path_for_a_while() {
    let mut tables = tables();
    // Nothing beats between the packets.
    tables.times.grace = Duration::from_secs(1_000_000);
    tables.mode = Mode::Observe;
    let mut stage = Stage::new(tables);
    stage.apply(0.0, |tables| tables.mode = Mode::Active);
    stage.play(
        "1 a -> core BYE one tag = pass unknown_dialog
         2 a -> core 200 one cseq INVITE = pass unknown_dialog
         3 a -> core CANCEL @b0 = steer b0
         4 a -> core RUBBISH - = steer b2
         1799 a -> core BYE @b0 tag = pass unknown_dialog
         1801 a -> core BYE @b0 tag = steer b0",
    );
}

#[test]
fn without_heartbeat_new_dialogs_are_steered_for_the_grace_and_known_ones_for_ever() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!("0 a -> core INVITE {one} = steer b1\n0 b1 -> a 180 {one} tag cseq INVITE = heard b1"));
    stage.beats = false;
    let two = call_for(&stage.tables, 2);
    stage.play(&format!(
        "299 a -> core INVITE {two} = steer b2
         299 b2 -> a 180 {two} tag cseq INVITE = heard b2
         301 a -> core INVITE three = pass existing_only
         302 a -> core OPTIONS three = pass existing_only
         303 a -> core RUBBISH - = pass existing_only
         304 a -> core BYE {one} tag = steer b1
         9999 a -> core BYE {two} tag = steer b2"
    ));
    // Back again: what came meanwhile is settled first.
    stage.beat(10_000.0);
    stage.play(
        "10001 a -> core BYE three tag = pass unknown_dialog
         10002 a -> core INVITE @b0 = steer b0",
    );
}

#[test]
fn before_the_first_heartbeat_nothing_new_is_steered() {
    let mut stage = Stage::new(tables());
    stage.model = affinity::steer::Model::new(&stage.tables, 0);
    stage.beats = false;
    stage.play("0 a -> core INVITE one = pass existing_only");
}

#[test]
fn an_anomaly_leaves_known_dialogs_alone() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!("0 a -> core INVITE {one} = steer b1"));
    stage.apply(1.0, |tables| tables.services.get_mut(&0).expect("core").existing_only = true);
    stage.play(&format!(
        "2 a -> core INVITE two = pass existing_only
         2 a -> core BYE {one} tag = steer b1"
    ));
}

#[test]
fn a_backend_on_another_node_serves_the_pods_of_this_one() {
    let mut stage = Stage::new(tables());
    let three = call_for(&stage.tables, 3);
    stage.play(&format!(
        "0 a -> core INVITE {three} = steer b3
         1 d ~> core INFO {three} tag = pass remote"
    ));
    // New dialogs from elsewhere get a local one.
    let mut stage = Stage::new(tables());
    stage.play(&format!("0 d ~> core INVITE {three} = steer b1"));
    stage.apply(1.0, |tables| tables.services.get_mut(&0).expect("core").ipv4.local = slots(&[]));
    stage.play("2 d ~> core INVITE two = pass no_backend");
}

#[test]
fn a_client_that_is_the_backend_itself_takes_the_standard_path() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!(
        "0 b1:40000 -> core INVITE {one} = pass hairpin
         0 b2:40000 -> core INVITE {one} = steer b1"
    ));
}

#[test]
fn the_time_to_settle_is_that_of_the_tables() {
    let mut tables = tables();
    tables.mode = Mode::Observe;
    tables.times.settle = Duration::from_secs(5);
    let mut stage = Stage::new(tables);
    stage.apply(0.0, |tables| tables.mode = Mode::Active);
    stage.play(
        "4 a -> core BYE @b0 tag = pass unknown_dialog
         6 a -> core BYE @b0 tag = steer b0",
    );
    assert_eq!(stage.model.counters().services[&0].passed(StandardPath::UnknownDialog), 1);
}

#[test]
fn what_began_during_an_anomaly_is_settled_after_it() {
    let mut tables = tables();
    tables.times.settle = Duration::from_secs(5);
    tables.services.get_mut(&0).expect("core").existing_only = true;
    let mut stage = Stage::new(tables);
    stage.play("0 a -> core INVITE three = pass existing_only");
    stage.apply(1.0, |tables| tables.services.get_mut(&0).expect("core").existing_only = false);
    stage.play(
        "2 a -> core BYE @b0 tag = pass unknown_dialog
         7 a -> core BYE @b0 tag = steer b0",
    );
}

#[test]
fn replies_leave_under_the_address_that_the_client_knows() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!(
        "0 b1 => a 200 {one} cseq INVITE = untouched
         1 a -> core INVITE {one} = steer b1
         2 b1 => a 200 {one} cseq INVITE = from 10.96.0.60:5060
         2 b1 => a:5070 200 {one} cseq INVITE = untouched
         2 b1:5070 => a 200 {one} cseq INVITE = untouched
         590 b1 => a INFO {one} tag = from 10.96.0.60:5060
         1180 b1 => a INFO {one} tag = from 10.96.0.60:5060
         1781 b1 => a BYE {one} tag = untouched
         2000 a6 -> core6 INVITE {one} = steer b1
         2001 b16 => a6 200 {one} cseq INVITE = from [2001:db8:60::3c]:5060"
    ));
}

#[test]
fn a_client_that_speaks_to_the_backend_too_is_counted() {
    let mut stage = Stage::new(tables());
    let one = call_for(&stage.tables, 1);
    stage.play(&format!(
        "0 a -> b1 OPTIONS x = untouched
         1 a -> core INVITE {one} = steer b1
         2 a -> b1 OPTIONS x = untouched"
    ));
    assert_eq!(stage.model.counters().general(General::Bypass), 1);
    assert_eq!(stage.tables.services[&0].affinity, Affinity::CallId);
}
