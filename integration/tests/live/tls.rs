//! SIP over TLS, read in the clear: in libraries, processes and connections that were there before or come later.
//!
//! Probes see every process of the host, whatever its network namespace: so these tests run alone.

mod peers;


use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use integration::exposition::Exposition;
use integration::flows;
use integration::gate::{self, Pass};
use integration::ringside::{Config, Ringside};
use integration::scratch::Folder;
use integration::sipp::scenario::{Scenario, Side};
use integration::sipp::{Load, Party, Sipp, await_tcp, await_udp};
use integration::wait::within;
use testnet::{Namespace, skipped};

use crate::kamailio::Proxy;
use crate::stage::{CALLS, namespace};
use peers::{Certificate, Peer, Style};

/// A peer that has not ended by then is stuck.
const LONGEST: Duration = Duration::from_secs(60);

const CONNECTIONS: u32 = 20;
const REQUESTS: u32 = 100;

/// Of all connections.
const ALL: f64 = (CONNECTIONS * REQUESTS) as f64;

/// Waits for its turn; `None` when probes are refused here, which is then said.
fn possible(test: &str) -> Option<Pass> {
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
        .receiver(&format!("ports = [5060, 5061, 5063]\ntls = {{ enabled = true, processes = [{processes}] }}"))
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
fn between_pythons(client: Style, server: Style) {
    let namespace = namespace();
    let certificate = Certificate::new();
    let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, server);
    let ringside = Ringside::start(&namespace, &config(""));
    Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, client).send();
    let scrape = ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS));
    assert_all(&scrape);
    // Both ends are on this host: each message was written by one and read by the other.
    scrape.assert([("capture_duplicates_total", 2.0 * ALL)]);
}

#[test]
fn two_thousand_requests_on_twenty_connections_are_each_seen_once() {
    let Some(_pass) = possible("TLS between threads") else { return };
    between_pythons(Style::Threads, Style::Threads);
}

#[test]
fn objects_that_read_from_memory_are_told_apart_by_what_their_thread_received() {
    let Some(_pass) = possible("TLS between event loops") else { return };
    between_pythons(Style::Loop, Style::Loop);
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

/// Answers OPTIONS over TLS, and relays everything that comes over UDP to a peer over TLS. Its TLS objects read from
/// memory, and worker processes share them.
fn kamailio(certificate: &Certificate) -> String {
    format!(
        r#"
debug=1
log_stderror=yes
children=2
tcp_children=4
auto_aliases=no
enable_tls=yes
listen=udp:127.0.0.1:5060
listen=tls:127.0.0.1:5061
loadmodule "tls.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{}")
modparam("tls", "private_key", "{}")
request_route {{
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("INVITE")) {{ record_route(); }}
    if (has_totag()) {{ loose_route(); $du = "sip:127.0.0.1:5063;transport=tls"; t_relay(); exit; }}
    $du = "sip:127.0.0.1:5063;transport=tls";
    t_relay();
}}
"#,
        certificate.certificate().display(),
        certificate.key().display()
    )
}

/// Kamailio with both listeners up.
fn start_kamailio(namespace: &Namespace, certificate: &Certificate) -> Proxy {
    let proxy = Proxy::run(namespace, &kamailio(certificate));
    await_udp(namespace, 5060);
    await_tcp(namespace, 5061);
    proxy
}

#[test]
fn kamailio_as_server_is_seen_whose_workers_share_their_tls_objects() {
    let Some(_pass) = possible("TLS to Kamailio") else { return };
    for ringside_first in [true, false] {
        let namespace = namespace();
        let certificate = Certificate::new();
        let config = config("\"kamailio\"");
        let before = ringside_first.then(|| Ringside::start(&namespace, &config));
        let _proxy = start_kamailio(&namespace, &certificate);
        let ringside = before.unwrap_or_else(|| Ringside::start(&namespace, &config));
        Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::Threads).send();
        let scrape = ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS));
        assert_all(&scrape);
        scrape.assert([("capture_duplicates_total", 0.0)]);
    }
}

#[test]
fn a_call_from_udp_to_tls_by_way_of_kamailio_is_one_attempt() {
    let Some(_pass) = possible("UDP to TLS by Kamailio") else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let ringside = Ringside::start(&namespace, &config(""));
    let _peer = Peer::serve(&namespace, Path::new(PYTHON), 5063, &certificate, Style::Threads);
    let _proxy = start_kamailio(&namespace, &certificate);
    let party = Party { namespace: &namespace, address: ([127, 0, 0, 1], 5070).into() };
    let caller = Sipp::start(
        &Scenario::new(flows::ANSWERED),
        Side::Caller,
        party,
        ([127, 0, 0, 1], 5060).into(),
        Load::of(CALLS),
    );
    let counts = caller.finish();
    let n = f64::from(CALLS);
    // INVITE, 180, 200, ACK, BYE, 200 on each hop, and a 100 that Kamailio sends by itself.
    let scrape = ringside.settled(13 * u64::from(CALLS));
    assert_eq!(counts.sent.values().sum::<u64>(), 3 * u64::from(CALLS));
    scrape.assert([
        ("packets_total", 13.0 * n),
        ("session_attempts_total", n),
        ("session_outcomes_total{outcome=\"answered\"}", n),
        ("session_outcomes_total", n),
        ("requests_total{method=\"INVITE\"}", n),
        ("requests_total{method=\"BYE\"}", n),
        ("sdc_total", n),
        ("ser", 100.0),
        ("scr", 100.0),
        ("sessions", 0.0),
        ("retransmissions_total", 0.0),
        ("unmatched_total", 0.0),
    ]);
    assert!(ringside.internal("otelcol_receiver_tls_records").is_some_and(|records| records >= 6.0 * n));
}
