//! A real proxy between caller and callee on one host: every message is on the wire twice, every call counts once.

use std::net::SocketAddr;

use integration::flows;
use integration::gate;
use integration::proxy::Proxy;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Counts, Load, Party, exchange_through};

use crate::stage::{CALLS, namespace};

const N: f64 = CALLS as f64;

/// Calls through the proxy, and what `/metrics` shows once all of both hops has been seen.
fn through_proxy(scenario: &Scenario, expected: &[(&str, f64)]) {
    let namespace = namespace();
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    let _proxy = Proxy::start(&namespace);
    let party = |port| Party { namespace: &namespace, address: SocketAddr::from(([127, 0, 0, 1], port)) };
    let hop = SocketAddr::from(([127, 0, 0, 1], 5060));
    let counts = exchange_through(scenario, party(5070), party(5080), hop, Load::of(CALLS));
    assert_eq!(counts.resent.values().sum::<u64>(), 0, "on loopback nothing is lost");
    // In these flows the proxy sends exactly one message for every one it gets: it relays, or it answers in its place.
    let scrape = ringside.settled(2 * counts.packets());
    scrape.assert([("packets_total", 2.0 * counts.packets() as f64), ("retransmissions_total", 0.0)]);
    scrape.assert(methods(&counts));
    scrape.assert(expected.iter().copied());
}

/// Requests once, although each was sent twice.
fn methods(counts: &Counts) -> Vec<(String, f64)> {
    let requests = counts.sent.iter().filter(|(message, _)| message.parse::<u16>().is_err());
    requests.map(|(method, count)| (format!("requests_total{{method=\"{method}\"}}"), *count as f64)).collect()
}

#[test]
fn an_answered_call_through_a_proxy_is_one_call() {
    let Some(_pass) = gate::shared("answered through Kamailio") else { return };
    let expected = [
        ("session_attempts_total", N),
        ("session_outcomes_total{outcome=\"answered\"}", N),
        ("sdc_total", N),
        ("100_total", N),
        ("180_total", N),
        ("200_total", 2.0 * N),
        ("ser", 100.0),
        ("scr", 100.0),
        ("scr_rfc6076", 100.0),
        ("sessions_ended_total", N),
        ("spd_count", N),
    ];
    through_proxy(&Scenario::new(flows::ANSWERED), &expected);
}

#[test]
fn a_refused_call_through_a_proxy_is_one_failure() {
    let Some(_pass) = gate::shared("refused through Kamailio") else { return };
    let expected = [
        ("session_attempts_total", N),
        ("session_outcomes_total{outcome=\"busy\"}", N),
        ("486_total", N),
        ("seer", 100.0),
    ];
    through_proxy(&flows::refused(486), &expected);
}

#[test]
fn a_callee_behind_a_proxy_may_hang_up() {
    let Some(_pass) = gate::shared("BYE through Kamailio") else { return };
    let expected =
        [("bye_total", N), ("sessions_ended_total{end=\"bye\"}", N), ("scr", 100.0), ("sdd_seconds_count", N)];
    through_proxy(&Scenario::new(&flows::CALLEE_HANGS_UP.replace("<- 180", "<- 100\n<- 180")), &expected);
}
