//! Kamailio, whose TLS objects read from memory and are shared by worker processes: as server, and as client.

use std::path::Path;

use integration::flows;
use integration::ringside::Ringside;
use integration::sipp::scenario::{Scenario, Side};
use integration::sipp::{Load, Party, Sipp, await_tcp, await_udp};
use testnet::Namespace;

use super::peers::{Certificate, Peer, Style};
use super::{CONNECTIONS, PYTHON, REQUESTS, assert_all, config, possible};
use crate::kamailio::Proxy;
use crate::stage::{CALLS, namespace};

/// Answers OPTIONS over TLS, and relays everything that comes over UDP to a peer over TLS.
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
    for (ringside_first, processes) in [(true, "\"kamailio\""), (false, "\"/usr/sbin/kamailio\"")] {
        let namespace = namespace();
        let certificate = Certificate::new();
        let config = config(processes);
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
