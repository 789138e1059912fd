//! 3.7 and hostile traffic: tables are bounded, what is turned out is counted and gauges stay true.

use std::fmt::Write as _;
use std::time::Duration;

use ladder::Step;
use ladder::traffic::Traffic;
use processor_dialog::Config;

use crate::expect::{Labelled, Player, expect, expect_with};

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

#[test]
fn requests_that_make_room_take_no_call_that_is_up_along() {
    let mut ladder = String::from(
        "0.0 alice -> bob INVITE call=a
         0.1 alice <- bob 200 call=a tag=b
         0.2 alice -> bob ACK call=a
         9.0 alice -> bob BYE call=a\n",
    );
    for call in 1..=4 {
        writeln!(ladder, "9.{call} alice -> bob OPTIONS call=o{call}").unwrap();
    }
    let config = Config { max_calls: 2, ..Config::default() };
    expect_with(config.clone(), &ladder, "dialogs{state=terminating} 1; evicted_total{table=logical_requests} 2");
    expect_with(
        config.clone(),
        &format!("{ladder} 9.5 alice <- bob 200 call=a of=BYE"),
        "dialogs{state=terminating} 0; sessions_ended_total{end=bye} 1; sdt_seconds{result=success} n=1 sum=8.9",
    );
    expect_with(
        config,
        &format!("{ladder} 99 alice -> bob crlf"),
        "dialogs{state=terminating} 0; sessions_ended_total{end=bye_timeout} 1",
    );
}

#[test]
fn a_call_whose_attempt_was_turned_out_is_outside_the_strict_ratios() {
    expect_with(
        bounded(1),
        "0.0 alice -> bob INVITE call=a
         0.1 alice -> bob INVITE call=b
         1.0 alice <- bob 200 call=a tag=t
         1.1 alice <- bob BYE call=a
         1.2 alice -> bob 200 call=a of=BYE",
        "evicted_total{table=attempts} 1; session_outcomes_total{outcome=answered} 0; sessions_completed_rfc6076_total 0; scr_rfc6076 0
         ratio_input_total{input=N200} 0; unmatched_total{kind=response} 1",
    );
}

#[test]
fn the_attempt_idle_longest_is_turned_out_not_the_one_begun_first() {
    expect_with(
        bounded(2),
        "0.0 alice -> bob INVITE call=a
         1.0 alice -> bob INVITE call=b
         2.0 alice <- bob 180 call=a tag=t
         3.0 alice -> bob INVITE call=c
         4.0 alice <- bob 486 call=a tag=t
         4.1 alice <- bob 480 call=b tag=t",
        "evicted_total{table=attempts} 1; session_outcomes_total{outcome=busy} 1; session_outcomes_total{outcome=no_answer} 0",
    );
}

#[test]
fn a_dialog_in_which_something_happens_is_not_idle() {
    expect_with(
        bounded(2),
        "0.0 alice -> bob INVITE call=a
         0.1 alice <- bob 200 call=a tag=t
         1.0 alice -> bob INVITE call=b
         1.1 alice <- bob 200 call=b tag=t
        50.0 alice -> bob INFO call=a
        50.1 alice <- bob 200 call=a of=INFO
        60.0 alice -> bob INVITE call=c
        60.1 alice <- bob 200 call=c tag=t
        61.0 alice -> bob BYE call=a
        61.1 alice <- bob 200 call=a of=BYE",
        "evicted_total{table=dialogs} 1; sessions_ended_total{end=bye} 1; dialogs{state=confirmed} 1",
    );
}

#[test]
fn responses_on_many_hops_do_not_overflow_the_request_they_turn_out_to_belong_to() {
    // Each round: 60 responses on hops nobody saw a request on, then the request on one of them. To a server that has been
    // silent for two seconds it is a new one.
    let mut ladder = String::new();
    for round in 0..6 {
        for hop in 0..60 {
            writeln!(ladder, "{round}.1 alice <- bob 180 branch=z9hG4bK{round}x{hop} cseq=1 ftag=a tag=b of=INVITE")
                .unwrap();
        }
        writeln!(ladder, "{round}.2 alice -> bob INVITE branch=z9hG4bK{round}x0 cseq=1 ftag=a ttag=-").unwrap();
    }
    expect(&ladder, "packets_total 366; invite_total 3; session_attempts_total 1");
}

#[test]
fn what_is_only_remembered_makes_room_uncounted() {
    let mut ladder = String::from("0.0 alice -> bob INVITE call=up\n 0.1 alice <- bob 200 call=up tag=b\n");
    for call in 1..=6 {
        writeln!(ladder, "{call}.0 alice -> bob INVITE call=c{call}").unwrap();
        writeln!(ladder, "{call}.1 alice <- bob 180 call=c{call}").unwrap();
        writeln!(ladder, "{call}.2 alice <- bob 486 call=c{call}").unwrap();
        writeln!(ladder, "{call}.3 alice -> registrar REGISTER call=r{call} to=sip:{call}@r").unwrap();
        writeln!(ladder, "{call}.4 alice <- registrar 403 call=r{call}").unwrap();
    }
    expect_with(
        bounded(4),
        &ladder,
        "evicted_total{table=dialogs} 0; evicted_total{table=attempts} 0; dialogs{state=confirmed} 1; sessions 1
         session_outcomes_total{outcome=busy} 6; registration_outcomes_total{outcome=failure} 6",
    );
}

/// A flood of answers to INVITEs that never were, while real calls are up.
fn with_forged(forged: &str) -> String {
    let mut ladder = String::new();
    for call in 0..50 {
        writeln!(ladder, "0.{call:03} alice -> bob INVITE call=c{call}").unwrap();
        writeln!(ladder, "1.{call:03} alice <- bob 200 call=c{call} tag=b").unwrap();
        writeln!(ladder, "2.{call:03} alice -> bob ACK call=c{call}").unwrap();
    }
    for number in 0..1500 {
        writeln!(
            ladder,
            "{:.3} mallory -> alice {}",
            10.0 + f64::from(number) / 1000.0,
            forged.replace('@', &number.to_string())
        )
        .unwrap();
    }
    for call in 0..50 {
        writeln!(ladder, "60.{call:03} alice -> bob BYE call=c{call}").unwrap();
        writeln!(ladder, "61.{call:03} alice <- bob 200 call=c{call} of=BYE").unwrap();
    }
    ladder
}

#[test]
fn forged_answers_push_out_no_call_that_was_seen() {
    for forged in [
        "200 of=INVITE call=f@ branch=z9hG4bKf@ cseq=1 ftag=f tag=t@",
        "200 of=INVITE call=f branch=z9hG4bKf@ cseq=@ ftag=f tag=t@",
        "180 of=INVITE call=f@ branch=z9hG4bKf@ cseq=1 ftag=f tag=t@",
        "ACK call=f@ branch=z9hG4bKf@ cseq=1 ftag=f ttag=t@",
        "BYE call=f@ branch=z9hG4bKf@ cseq=2 ftag=f ttag=t@",
        "OPTIONS call=f@ branch=z9hG4bKf@ cseq=2 ftag=f",
    ] {
        let exported = crate::expect::exported(bounded(100), &with_forged(forged));
        exported.expect("sdc_total 50; sessions_completed_rfc6076_total 50; scr_rfc6076 100; session_outcomes_total{outcome=answered} 50");
        let gauge = |name: &str| {
            exported.numbers().filter(|(series, _)| series.split('{').next() == Some(name)).map(|(_, n)| n).sum::<f64>()
        };
        assert!(gauge("sessions") <= 10.0 && gauge("dialogs") <= 10.0, "{forged}");
    }
}

#[test]
fn a_flood_of_invites_pushes_out_no_call_that_is_up() {
    expect_with(
        bounded(100),
        &with_forged("INVITE call=f@ branch=z9hG4bKf@ cseq=1 ftag=f"),
        "sdc_total 50; sessions_completed_rfc6076_total 50; evicted_total{table=dialogs} 0",
    );
}

/// As 550,000 with the usual room, in a twenty-fifth of both.
#[test]
fn of_a_thousand_calls_in_a_flood_of_forged_answers_each_is_complete_and_gauges_are_off_by_a_tenth_at_most() {
    const CALLS: f64 = 1000.0;
    const FORGED: usize = 22_000;
    const ROOM: usize = 20_000;
    let mut player = Player::new(bounded(ROOM), Labelled::No);
    let mut now = Duration::ZERO;
    // The same ladder for so many Call-IDs, one after another.
    let mut play = |player: &mut Player, ladder: &str, times: usize| {
        let mut traffic = Traffic::new(ladder, 20_000);
        for _ in 0..times {
            now += Duration::from_micros(50);
            traffic.next_call(|bytes, source, destination| {
                player.take(now, Some(Step { at: now, source, destination, bytes: bytes.to_vec() }));
            });
        }
        now += Duration::from_secs(2);
        player.take(now, None);
    };
    let gauge = |player: &Player, name: &str| {
        let exported = player.exported();
        let of_it = |(series, _): &(&str, f64)| series.split('{').next() == Some(name);
        exported.numbers().filter(of_it).map(|(_, value)| value).sum::<f64>()
    };
    play(
        &mut player,
        "0 alice -> bob INVITE call=@ branch=z9hG4bKi@ ftag=f@ cseq=1
         0 alice <- bob 200 call=@ tag=t@
         0 alice -> bob ACK call=@ branch=z9hG4bKa@",
        CALLS as usize,
    );
    play(&mut player, "0 mallory -> alice 200 of=INVITE call=x@ branch=z9hG4bKf@ cseq=1 ftag=f tag=t@", FORGED);
    for name in ["sessions", "dialogs"] {
        let shown = gauge(&player, name);
        assert!((CALLS..=CALLS + ROOM as f64 / 10.0).contains(&shown), "{name} {shown}");
    }
    play(
        &mut player,
        "0 alice -> bob BYE call=@ branch=z9hG4bKb@ ftag=f@ ttag=t@ cseq=2
         0 alice <- bob 200 call=@ of=BYE",
        CALLS as usize,
    );
    player.exported().expect("sdc_total 1000; scr 100; scr_rfc6076 100; sessions_completed_rfc6076_total 1000");
    for name in ["sessions", "dialogs"] {
        assert!(gauge(&player, name) <= ROOM as f64 / 10.0, "{name}");
    }
}
