//! SIP over TLS, read in the clear: in libraries, processes and connections that were there before or come later.
//!
//! Probes see every process of the host, whatever its network namespace: so these tests run alone.

mod hostile;
mod kamailio;
mod lifecycle;
mod older;
mod peers;
mod privileges;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use integration::exposition::Exposition;
use integration::gate::{self, Pass};
use integration::ringside::{Config, Ringside};
use integration::wait::{eventually, within};
use testnet::skipped;

use crate::stage::namespace;
use peers::{Certificate, Peer, Style};

/// A peer that has not ended by then is stuck.
const LONGEST: Duration = Duration::from_secs(60);

const CONNECTIONS: u32 = 20;
const REQUESTS: u32 = 100;

/// Of all connections.
const ALL: f64 = (CONNECTIONS * REQUESTS) as f64;

/// Waits for its turn; `None` when probes are refused here, which is then said.
pub fn possible(test: &str) -> Option<Pass> {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let pass = gate::alone(test)?;
    match REFUSED.get_or_init(refused) {
        None => Some(pass),
        Some(why) => {
            skipped(test, why);
            None
        }
    }
}

/// What the program says where it cannot read TLS.
fn refused() -> Option<String> {
    let namespace = namespace();
    let mut ringside = Ringside::spawn(&namespace, &config("").toml(), &[]);
    let refused = within(LONGEST, || match ringside.has_ended() {
        true => Some(Some(ringside.log())),
        false => ringside.health().ok().map(|_| None),
    });
    refused.expect("it runs or it ends").map(|log| log.lines().last().unwrap_or_default().to_owned())
}

/// Reads TLS, and gives every connection of a client a carrier of its own.
fn config(processes: &str) -> Config {
    let carrier = |number| format!("{{ name = \"c{number}\", cidrs = [\"127.0.1.{number}/32\"] }}");
    let carriers: Vec<String> = (1..=CONNECTIONS).map(carrier).collect();
    Config::on("lo")
        .receiver(&format!(
            "ports = [5060, 5061, 5063]\nws_ports = [8443]\ntls = {{ enabled = true, processes = [{processes}] }}"
        ))
        .enrich(&format!("carriers = [{}]", carriers.join(", ")))
}

/// Every request of every connection was seen once, with the address of its connection, and answered.
#[track_caller]
fn assert_all(scrape: &Exposition) {
    for number in 1..=CONNECTIONS {
        let of_one = format!("requests_total{{carrier=\"c{number}\",method=\"OPTIONS\"}}");
        scrape.assert([(of_one.as_str(), f64::from(REQUESTS))]);
    }
    scrape.assert([
        ("requests_total", ALL),
        ("200_total", ALL),
        ("packets_total", 2.0 * ALL),
        ("retransmissions_total", 0.0),
        ("parse_errors_total", 0.0),
        ("non_sip_total", 0.0),
        ("stream_resync_total", 0.0),
        ("capture_drops_total", 0.0),
        ("unmatched_total", 0.0),
    ]);
    assert!(scrape.count("tls_records_total") >= 2 * u64::from(CONNECTIONS * REQUESTS), "records are counted as such");
}

const PYTHON: &str = "python3";

/// A client and a server of these styles, both started before or after ringside.
#[track_caller]
fn between_pythons(style: Style, port: u16, transport: &str) {
    let namespace = namespace();
    let certificate = Certificate::new();
    let _server = Peer::serve(&namespace, Path::new(PYTHON), port, &certificate, style);
    let ringside = Ringside::start(&namespace, &config(""));
    Peer::connect(&namespace, port, CONNECTIONS, REQUESTS, style).send();
    let scrape = ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS));
    assert_all(&scrape);
    // Both ends are on this host: each message was written by one and read by the other.
    scrape.assert([("capture_duplicates_total", 2.0 * ALL)]);
    eventually(&format!("all messages over {transport}, as the program tells of itself"), || {
        let internal = Exposition::parse(&ringside.page("/internal/metrics"));
        let accepted = internal.series().iter().find(|series| {
            series.name == "otelcol_receiver_accepted_sip_messages" && series.labels["transport"] == transport
        });
        accepted.filter(|series| series.value == 2.0 * ALL).map(|_| ())
    });
}

#[test]
fn two_thousand_requests_on_twenty_connections_are_each_seen_once() {
    let Some(_pass) = possible("TLS between threads") else { return };
    between_pythons(Style::Threads, 5061, "tls");
}

#[test]
fn objects_that_read_from_memory_are_told_apart_by_what_their_thread_received() {
    let Some(_pass) = possible("TLS between event loops") else { return };
    between_pythons(Style::Loop, 5061, "tls");
}

#[test]
fn secure_websockets_are_upgraded_and_framed_as_plain_ones() {
    let Some(_pass) = possible("SIP over WSS") else { return };
    between_pythons(Style::WebSocket, 8443, "wss");
}

#[test]
fn connections_that_were_there_before_are_seen_from_their_next_message_on() {
    let Some(_pass) = possible("TLS connections from before") else { return };
    for style in [Style::Threads, Style::Loop] {
        let namespace = namespace();
        let certificate = Certificate::new();
        let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, style);
        let client = Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, style);
        let ringside = Ringside::start(&namespace, &config(""));
        client.send();
        assert_all(&ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS)));
    }
}

#[test]
fn processes_that_start_later_are_seen_from_their_first_message_on() {
    let Some(_pass) = possible("TLS of later processes") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let ringside = Ringside::start(&namespace, &config(""));
    let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, Style::Threads);
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
    assert_all(&ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS)));
}
