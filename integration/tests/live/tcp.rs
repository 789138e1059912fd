//! Calls over TCP, on one connection and on one per call: counted as over UDP.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use integration::flows::{self, refused};
use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::{Scenario, Transport};
use integration::sipp::{self, Load};
use testnet::Family;

use crate::stage::{CALLS, across, cable, everywhere, loopback, namespace};

/// [`CALLS`] as a metric shows it.
const N: f64 = CALLS as f64;

const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::TcpPerCall];

#[test]
fn answered_calls_over_tcp_are_counted_once_and_completed() {
    let Some(_pass) = gate::shared("answered calls over TCP") else { return };
    for transport in TRANSPORTS {
        everywhere(
            &Scenario::new(flows::ANSWERED).over(transport),
            &[
                ("session_attempts_total", N),
                ("session_outcomes_total{outcome=\"answered\"}", N),
                ("session_outcomes_total", N),
                ("sdc_total", N),
                ("ser", 100.0),
                ("scr_rfc6076", 100.0),
                ("sessions", 0.0),
                ("ttr_count", N),
                ("sdt_seconds_count{result=\"success\"}", N),
                ("stream_resync_total", 0.0),
                ("retransmissions_total", 0.0),
                ("anomalies_total", 0.0),
            ],
        );
    }
}

#[test]
fn refused_calls_over_tcp_have_their_outcome() {
    let Some(_pass) = gate::shared("486 over TCP") else { return };
    for transport in TRANSPORTS {
        everywhere(&refused(486).over(transport), &[("session_outcomes_total{outcome=\"busy\"}", N), ("seer", 100.0)]);
    }
}

#[test]
fn a_message_larger_than_a_segment_is_put_together() {
    let Some(_pass) = gate::shared("60 kB INVITE over TCP") else { return };
    for family in [Family::V4, Family::V6] {
        let cable = cable();
        let (ringside, counts) = across(&cable, family).play(&flows::padded(60_000).over(Transport::Tcp));
        let scrape = ringside.settled(counts.packets());
        scrape.assert(counts.expectations());
        scrape.assert([("session_outcomes_total{outcome=\"answered\"}", N), ("stream_resync_total", 0.0)]);
    }
}

#[test]
fn calls_over_tcp_at_a_high_rate_are_all_counted() {
    let Some(_pass) = gate::alone("high rate over TCP") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    let scenario = Scenario::new("-> INVITE\n<- 180\n<- 200\n-> ACK\n-> BYE\n<- 200").over(Transport::Tcp);
    let counts = sipp::exchange(&scenario, place.caller, place.callee, Load { calls: 5_000, rate: 1_000 });
    let scrape = ringside.settled(counts.packets());
    scrape.assert(counts.expectations());
    scrape.assert([("sdc_total", 5_000.0), ("capture_drops_total", 0.0), ("stream_resync_total", 0.0)]);
}

#[test]
fn without_tcp_among_the_transports_streams_are_not_looked_at() {
    let Some(_pass) = gate::shared("transports without tcp") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let ringside = Ringside::start(&namespace, &Config::on("lo").receiver("transports = [\"udp\"]"));
    let over_tcp = Scenario::new(flows::ANSWERED).over(Transport::Tcp);
    sipp::exchange(&over_tcp, place.caller, place.callee, Load::of(CALLS));
    let counts = sipp::exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load::of(CALLS));
    ringside.settled(counts.packets()).assert(counts.expectations());
}

#[test]
fn churn_and_bytes_without_end_cost_counters_and_not_memory() {
    let Some(_pass) = gate::alone("connections without end") else { return };
    let namespace = namespace();
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:5060").expect("the port is free");
        let endless = vec![b'x'; 300_000];
        for _ in 0..50 {
            let mut sender = TcpStream::connect("127.0.0.1:5060").expect("somebody listens");
            let (receiver, _) = listener.accept().expect("a connection");
            let reader = std::thread::spawn(move || std::io::copy(&mut { receiver }, &mut std::io::sink()));
            sender.write_all(b"OPTIONS sip:a SIP/2.0\r\nX: ").expect("somebody reads");
            sender.write_all(&endless).expect("somebody reads");
            drop(sender);
            reader.join().expect("no panic").expect("the other end closes");
        }
    });
    let scrape = ringside.reaches("parse_errors_total{reason=\"too_large\"}", 50.0);
    scrape.assert([("packets_total", 0.0), ("capture_drops_total", 0.0)]);
}
