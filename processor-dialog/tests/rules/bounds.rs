//! 3.7 and hostile traffic: tables are bounded, what is turned out is counted and gauges stay true.

use std::fmt::Write as _;

use processor_dialog::Config;

use crate::expect::{expect, expect_with};

fn bounded(max_calls: usize) -> Config {
    Config { max_calls, ..Config::default() }
}

#[test]
fn the_dialog_idle_longest_makes_room() {
    let mut ladder = String::new();
    for call in 0..5 {
        let t = f64::from(call);
        writeln!(ladder, "{:.1} alice -> bob INVITE call=c{call}", t).unwrap();
        writeln!(ladder, "{:.1} alice <- bob 200 call=c{call} tag=b", t + 0.1).unwrap();
    }
    expect_with(
        bounded(3),
        &ladder,
        "evicted_total{table=dialogs} 2; dialogs{state=confirmed} 3; sessions 3; sdc_total 0; ser 100",
    );
}

#[test]
fn an_evicted_dialog_does_not_complete() {
    expect_with(
        bounded(1),
        "0.0 alice -> bob INVITE call=a
         0.1 alice <- bob 200 call=a tag=b
         1.0 alice -> bob INVITE call=b
         1.1 alice <- bob 200 call=b tag=b
         2.0 alice -> bob BYE call=a
         2.1 alice <- bob 200 call=a of=BYE",
        "sessions_ended_total{end=bye} 0; sdc_total 0; evicted_total{table=dialogs} 1; sessions 1; bye_total 1",
    );
}

#[test]
fn logical_requests_are_bounded_by_twice_as_many() {
    let mut ladder = String::new();
    for call in 0..10 {
        writeln!(ladder, "{call}.0 alice -> bob OPTIONS call=c{call}").unwrap();
    }
    expect_with(bounded(2), &ladder, "evicted_total{table=logical_requests} 6; options_total 10");
}

#[test]
fn an_evicted_invite_takes_its_early_dialogs_along() {
    let mut ladder = String::from("0.0 alice -> bob INVITE call=c\n 0.1 alice <- bob 180 call=c\n");
    for call in 1..=4 {
        writeln!(ladder, "{call}.0 alice -> bob OPTIONS call=o{call}").unwrap();
    }
    expect_with(bounded(2), &ladder, "dialogs{state=early} 0; evicted_total{table=logical_requests} 1");
}

#[test]
fn bindings_are_bounded() {
    let mut ladder = String::new();
    for phone in 0..5 {
        writeln!(ladder, "{phone}.0 alice -> registrar REGISTER call=r{phone} to=sip:{phone}@r").unwrap();
        writeln!(ladder, "{phone}.1 alice <- registrar 200 call=r{phone} contact=\"<sip:{phone}@a>\"").unwrap();
    }
    expect_with(bounded(3), &ladder, "registrations_active 3; evicted_total{table=bindings} 2");
}

#[test]
fn attempts_are_bounded() {
    let mut ladder = String::new();
    for call in 0..4 {
        writeln!(ladder, "{call}.0 alice -> bob INVITE call=c{call}").unwrap();
    }
    expect_with(
        bounded(3),
        &ladder,
        "evicted_total{table=attempts} 1; session_attempts_total 4; ratio_input_total{input=TI} 4",
    );
}

#[test]
fn a_flood_of_branches_of_one_request_is_followed_up_to_a_bound() {
    let mut ladder = String::new();
    for branch in 0..200 {
        writeln!(ladder, "0.{branch:03} alice -> bob INVITE branch=z9hG4bK{branch} ftag=a cseq=1").unwrap();
    }
    expect(&ladder, "packets_total 200; invite_total 1; session_attempts_total 1");
}

#[test]
fn a_flood_of_to_tags_is_followed_up_to_a_bound() {
    let mut ladder = String::from("0.0 alice -> bob INVITE\n");
    for tag in 1..200 {
        writeln!(ladder, "0.{tag:03} alice <- bob 180 tag=t{tag}").unwrap();
    }
    expect(
        &ladder,
        "packets_total 200; 180_total 63; dialogs{state=early} 63; retransmissions_total{kind=response,hop=first} 136",
    );
}

#[test]
fn gauges_return_to_zero_when_everything_is_over() {
    expect(
        "0.0 alice -> bob INVITE
         0.1 alice <- bob 180 tag=b
         0.2 alice <- bob 180 tag=c
         1.0 alice <- bob 200 tag=b
         1.1 alice -> bob ACK
         9.0 alice -> bob BYE
         9.1 alice <- bob 200
        10.0 alice -> registrar REGISTER call=r
        10.1 alice <- registrar 200 call=r contact=\"<sip:1@a>;expires=5\"
      9999.0 alice -> bob crlf",
        "dialogs{state=early} 0; dialogs{state=confirmed} 0; dialogs{state=terminating} 0; sessions 0; registrations_active 0
         request_via_depth n=1 sum=1",
    );
}
