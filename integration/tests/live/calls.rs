//! Calls between two SIPp: every outcome, counted exactly and compared with what SIPp counted.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use integration::exposition::Exposition;
use integration::flows::{self, refused};
use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::{Scenario, Side};
use integration::sipp::{self, Load, Sipp};
use integration::wait::DEADLINE;
use testnet::Family;

use crate::stage::{self, CALLS, across, cable, everywhere, loopback, namespace, silent_callee};

/// [`CALLS`] as a metric shows it.
const N: f64 = CALLS as f64;

#[test]
fn answered_calls_are_counted_once_and_completed() {
    let Some(_pass) = gate::shared("answered calls") else { return };
    everywhere(
        &Scenario::new(flows::ANSWERED),
        &[
            ("session_attempts_total", N),
            ("session_outcomes_total{outcome=\"answered\"}", N),
            ("session_outcomes_total", N),
            ("sessions_ended_total{end=\"bye\"}", N),
            ("sdc_total", N),
            ("sessions_completed_rfc6076_total", N),
            ("short_calls_total", N),
            ("ser", 100.0),
            ("seer", 100.0),
            ("isa", 0.0),
            ("scr", 100.0),
            ("asr", 100.0),
            ("ner", 100.0),
            ("ser_rfc6076", 100.0),
            ("seer_rfc6076", 100.0),
            ("isa_rfc6076", 0.0),
            ("scr_rfc6076", 100.0),
            ("asr_e425", 100.0),
            ("ner_e425", 100.0),
            ("ira_rfc6076", f64::NAN),
            ("sessions", 0.0),
            ("dialogs", 0.0),
            ("ttr_count", N),
            ("pdd_count", N),
            ("spd_count", N),
            ("answer_delay_seconds_count", N),
            ("ring_seconds_count{result=\"answered\"}", N),
            ("sdt_seconds_count{result=\"success\"}", N),
            ("sdd_seconds_count{result=\"success\"}", N),
            ("ack_missing_total", 0.0),
        ],
    );
}

#[test]
fn durations_are_those_the_peers_kept() {
    let Some(_pass) = gate::shared("durations") else { return };
    let namespace = namespace();
    let (ringside, counts) = loopback(&namespace, Family::V4).play(&Scenario::new(flows::ANSWERED));
    let scrape = ringside.settled(counts.packets());
    // The callee rings for 100 ms, the caller talks for 300 ms; a loaded machine only makes it longer.
    for (metric, least) in [("ring_seconds_sum", 0.1), ("answer_delay_seconds_sum", 0.1), ("sdt_seconds_sum", 0.3)] {
        let mean = scrape.value(metric).expect("a histogram with samples") / N;
        assert!((least * 0.99..least + 2.0).contains(&mean), "{metric}: {mean} s on average");
    }
}

#[test]
fn calls_still_up_are_in_the_gauges() {
    let Some(_pass) = gate::shared("calls still up") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let (ringside, counts) = place.play(&Scenario::new("-> INVITE\n<- 180\n<- 200\n-> ACK"));
    let scrape = ringside.settled(counts.packets());
    scrape.assert([("sessions", N), ("dialogs{state=\"confirmed\"}", N), ("scr", 0.0), ("ser", 100.0)]);
}

#[test]
fn a_busy_callee_is_effective_and_not_established() {
    let Some(_pass) = gate::shared("486") else { return };
    let expected = [
        ("session_outcomes_total{outcome=\"busy\"}", N),
        ("ser", 0.0),
        ("seer", 100.0),
        ("isa", 0.0),
        ("ner_e425", 100.0),
    ];
    everywhere(&refused(486), &expected);
}

#[test]
fn a_callee_who_does_not_answer_is_effective() {
    let Some(_pass) = gate::shared("480") else { return };
    everywhere(
        &refused(480),
        &[("session_outcomes_total{outcome=\"no_answer\"}", N), ("ser", 0.0), ("seer_rfc6076", 100.0)],
    );
}

#[test]
fn an_overloaded_server_is_ineffective() {
    let Some(_pass) = gate::shared("503") else { return };
    let expected = [
        ("session_outcomes_total{outcome=\"ineffective\"}", N),
        ("iss_total", N),
        ("seer", 0.0),
        ("isa", 100.0),
        ("ner", 0.0),
        ("isa_rfc6076", 100.0),
    ];
    everywhere(&refused(503), &expected);
}

#[test]
fn an_unknown_number_is_a_client_error() {
    let Some(_pass) = gate::shared("404") else { return };
    let expected =
        [("session_outcomes_total{outcome=\"client_error\"}", N), ("404_total", N), ("seer", 0.0), ("isa", 0.0)];
    everywhere(&refused(404), &expected);
}

#[test]
fn a_redirection_leaves_the_denominator() {
    let Some(_pass) = gate::shared("302") else { return };
    let expected = [
        ("session_attempts_total", 2.0 * N),
        ("session_outcomes_total{outcome=\"redirected\"}", N),
        ("session_outcomes_total{outcome=\"answered\"}", N),
        ("ser", 100.0),
        ("asr", 50.0),
        ("ser_rfc6076", 100.0),
        ("asr_e425", 50.0),
    ];
    everywhere(&Scenario::new(flows::REDIRECTED), &expected);
}

#[test]
fn a_challenge_and_its_retry_are_one_attempt() {
    let Some(_pass) = gate::shared("digest") else { return };
    let expected = [
        ("invite_initial_total", 2.0 * N),
        ("session_attempts_total", N),
        ("session_outcomes_total{outcome=\"answered\"}", N),
        ("ser", 50.0),
        ("ser_rfc6076", 100.0),
        ("scr_rfc6076", 100.0),
    ];
    everywhere(&Scenario::new(flows::CHALLENGED), &expected);
}

#[test]
fn a_caller_who_gives_up_cancels() {
    let Some(_pass) = gate::shared("CANCEL") else { return };
    let expected = [
        ("session_outcomes_total{outcome=\"cancelled\"}", N),
        ("session_outcomes_total", N),
        ("ring_seconds_count{result=\"unanswered\"}", N),
        ("ner_e425", 100.0),
        ("dialogs", 0.0),
    ];
    everywhere(&Scenario::new(flows::CANCELLED), &expected);
}

#[test]
fn a_session_change_is_no_new_call() {
    let Some(_pass) = gate::shared("re-INVITE") else { return };
    let expected = [
        ("invite_total", 2.0 * N),
        ("invite_initial_total", N),
        ("session_attempts_total", N),
        ("sdc_total", N),
        ("scr", 100.0),
    ];
    everywhere(&Scenario::new(flows::REINVITED), &expected);
}

#[test]
fn the_callee_may_hang_up() {
    let Some(_pass) = gate::shared("BYE from the callee") else { return };
    let expected = [("sessions_ended_total{end=\"bye\"}", N), ("bye_total", N), ("scr", 100.0), ("scr_rfc6076", 100.0)];
    everywhere(&Scenario::new(flows::CALLEE_HANGS_UP), &expected);
}

#[test]
fn retransmissions_are_counted_apart() {
    let Some(_pass) = gate::shared("retransmissions") else { return };
    let expected = [
        ("invite_total", N),
        ("retransmissions_total{kind=\"request\",hop=\"first\"}", N),
        ("retransmissions_total{kind=\"response\",hop=\"first\"}", N),
        ("session_attempts_total", N),
        ("answer_delay_seconds_count", N),
        ("ser", 100.0),
    ];
    everywhere(&Scenario::new(flows::RETRANSMITTED), &expected);
}

#[test]
fn an_invite_that_nobody_answers_times_out() {
    let Some(_pass) = gate::shared("no answer at all") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let _silent = silent_callee(&place);
    let ringside = Ringside::start(&namespace, &Config::on("lo").dialog("transaction_timeout = \"3s\""));
    let scenario = Scenario::new(flows::UNANSWERED);
    let counts = Sipp::start(&scenario, Side::Caller, place.caller, place.callee.address, Load::of(CALLS)).finish();
    let scrape = ringside.reaches("session_outcomes_total{outcome=\"timeout\"}", N);
    scrape.assert(counts.expectations());
    scrape.assert([
        ("transaction_timeouts_total{method=\"INVITE\"}", N),
        ("ser", 0.0),
        ("isa", 0.0),
        ("isa_rfc6076", 100.0),
        ("ttr_count", 0.0),
        ("srd_seconds_count", 0.0),
    ]);
}

#[test]
fn an_invite_larger_than_a_frame_is_reassembled() {
    let Some(_pass) = gate::shared("4 kB INVITE") else { return };
    for family in [Family::V4, Family::V6] {
        let cable = cable();
        let (ringside, counts) = across(&cable, family).play(&flows::padded(4000));
        let scrape = ringside.settled(counts.packets());
        scrape.assert(counts.expectations());
        scrape.assert([("session_outcomes_total{outcome=\"answered\"}", N), ("scr", 100.0), ("anomalies_total", 0.0)]);
    }
}

#[test]
fn labels_are_those_of_the_caller() {
    let Some(_pass) = gate::shared("labels") else { return };
    let cable = cable();
    let place = across(&cable, Family::V4);
    let config = Config::on(place.interface).enrich(
        "carriers = [{ name = \"all\", cidrs = [\"10.0.0.0/8\"] }, { name = \"east\", cidrs = [\"10.20.0.1/32\"] }]\n\
         user_agents = [{ regex = '(?i)^yealink', label = \"yealink\" }]",
    );
    let ringside = Ringside::start(&cable.right, &config);
    let scenario = Scenario::new(&flows::CALLEE_HANGS_UP.replace("INVITE", "INVITE ua=Yealink-T46"));
    let counts = sipp::exchange(&scenario, place.caller, place.callee, Load::of(CALLS));
    let scrape = ringside.settled(counts.packets());
    let labels = "{carrier=\"east\",ua_type=\"yealink\"}";
    for name in ["invite_total", "bye_total", "180_total", "session_attempts_total", "sdc_total", "spd_count"] {
        assert_eq!(scrape.count(&format!("{name}{labels}")), u64::from(CALLS), "{name}");
    }
    scrape.assert([(format!("packets_total{labels}"), counts.packets() as f64), (format!("ser{labels}"), 100.0)]);
}

#[test]
fn a_mix_of_outcomes_adds_up() {
    let Some(_pass) = gate::shared("a mix") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    let mut counts = sipp::Counts::default();
    let mix = [(Scenario::new(flows::ANSWERED), 30), (refused(486), 10), (refused(503), 5), (refused(404), 5)];
    for (scenario, calls) in &mix {
        counts.add(sipp::exchange(scenario, place.caller, place.callee, Load { calls: *calls, rate: 100 }));
    }
    let scrape = ringside.settled(counts.packets());
    scrape.assert(counts.expectations());
    scrape.assert([("ser", 60.0), ("seer", 80.0), ("isa", 10.0), ("scr", 60.0), ("asr", 60.0), ("ner", 90.0)]);
    assert_outcomes(&scrape, &[("answered", 30), ("busy", 10), ("ineffective", 5), ("client_error", 5)]);
}

/// These outcomes and no other.
#[track_caller]
fn assert_outcomes(scrape: &Exposition, expected: &[(&str, u64)]) {
    for (outcome, calls) in expected {
        assert_eq!(scrape.count(&format!("session_outcomes_total{{outcome=\"{outcome}\"}}")), *calls, "{outcome}");
    }
    assert_eq!(scrape.count("session_outcomes_total"), expected.iter().map(|(_, calls)| calls).sum::<u64>());
}

#[test]
fn calls_at_a_high_rate_are_all_counted() {
    let Some(_pass) = gate::alone("high rate") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    // Nothing but messages that are sent again when they are lost: at this rate SIPp's own sockets overflow.
    let scenario = Scenario::new("-> INVITE\n<- 200\n-> ACK\n-> BYE\n<- 200").lingering();
    let counts = sipp::exchange(&scenario, place.caller, place.callee, Load { calls: 3_000, rate: 400 });
    let scrape = ringside.settled(counts.packets());
    scrape.assert(counts.expectations());
    scrape.assert([("sdc_total", 3_000.0), ("capture_drops_total", 0.0), ("dialogs", 0.0)]);
}

#[test]
fn any_means_every_interface_and_each_packet_once() {
    let Some(_pass) = gate::shared("any interface") else { return };
    let cable = cable();
    let place = across(&cable, Family::V4);
    let ringside = Ringside::start(&cable.right, &Config::on("any"));
    let counts = sipp::exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load::of(CALLS));
    let home = stage::loopback(&cable.right, Family::V6);
    let mut all = sipp::exchange(&Scenario::new(flows::ANSWERED), home.caller, home.callee, Load::of(CALLS));
    all.add(counts);
    ringside.settled(all.packets()).assert(all.expectations());
}

#[test]
fn calls_off_the_wire_are_a_line_each_as_they_end() {
    let Some(_pass) = gate::shared("calls --live") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let mut command = namespace.command(integration::ringside::binary());
    command.args(["calls", "--live", "--set", "receivers.ebpf_sip.interfaces=[\"lo\"]", "--filter", "status == 486"]);
    let mut listing = command.stdout(Stdio::piped()).spawn().expect("ringside starts");
    let (lines, listed) = mpsc::channel();
    let out = BufReader::new(listing.stdout.take().expect("a pipe"));
    let reader = thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    let next = || listed.recv_timeout(DEADLINE).expect("a line");
    assert!(next().starts_with("time      caller"), "titles say that it captures");
    sipp::exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load::of(1));
    sipp::exchange(&refused(486), place.caller, place.callee, Load::of(2));
    for _ in 0..2 {
        let line = next();
        assert!(line.contains(" 486  busy "), "{line}");
        assert!(line.chars().count() <= 120, "{line}");
    }
    listing.kill().expect("it runs");
    listing.wait().expect("it was killed");
    reader.join().expect("it reads").ok();
    assert!(listed.try_recv().is_err(), "nothing else was asked for");
}
