//! Kamailio, whose TLS objects read from memory and are shared by worker processes: as server, and as client.

use std::collections::BTreeMap;
use std::path::Path;

use integration::collector::{self, Site, Span};
use integration::flows;
use integration::proxy::Proxy;
use integration::ringside::Ringside;
use integration::sipp::scenario::{Scenario, Side, Transport};
use integration::sipp::{Load, Party, Sipp, await_tcp, await_udp};
use integration::wait::eventually;
use testnet::Namespace;

use super::peers::{Certificate, Peer, Style};
use super::{CONNECTIONS, LONGEST, PYTHON, REQUESTS, assert_all, config, possible};
use crate::stage::{CALLS, namespace};

/// Answers OPTIONS over TLS, and relays everything that comes over UDP or TCP to a peer over TLS.
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
listen=tcp:127.0.0.1:5060
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
        // Its processes share OpenSSL's memory: handshakes at once end one in ten of its starts by SIGSEGV, without us.
        Peer::connect(&namespace, 5061, CONNECTIONS, REQUESTS, Style::InTurn).send();
        let scrape = ringside.settled(2 * u64::from(CONNECTIONS * REQUESTS));
        assert_all(&scrape);
        scrape.assert([("capture_duplicates_total", 0.0)]);
    }
}

/// Calls from SIPp to Kamailio, which relays them over TLS to a peer; returns how many.
#[track_caller]
fn calls_to_tls(namespace: &Namespace, from: Transport) -> u64 {
    let certificate = &Certificate::new();
    let _peer = Peer::serve(namespace, Path::new(PYTHON), 5063, certificate, Style::Threads);
    let _proxy = start_kamailio(namespace, certificate);
    let party = Party { namespace, address: ([127, 0, 0, 1], 5070).into() };
    let scenario = Scenario::new(flows::ANSWERED).over(from);
    let caller = Sipp::start(&scenario, Side::Caller, party, ([127, 0, 0, 1], 5060).into(), Load::of(CALLS));
    assert_eq!(caller.finish().sent.values().sum::<u64>(), 3 * u64::from(CALLS));
    CALLS.into()
}

/// INVITE, 180, 200, ACK, BYE, 200 on each hop, and a 100 that Kamailio sends by itself.
const MESSAGES: u64 = 13;

#[test]
fn a_call_from_udp_or_tcp_to_tls_by_way_of_kamailio_is_one_attempt() {
    let Some(_pass) = possible("UDP and TCP to TLS by Kamailio") else { return };
    // Workers for TCP receive from plain connections and from those under TLS.
    for from in [Transport::Udp, Transport::Tcp] {
        one_attempt_each(from);
    }
}

#[track_caller]
fn one_attempt_each(from: Transport) {
    let namespace = namespace();
    let ringside = Ringside::start(&namespace, &config(""));
    let calls = calls_to_tls(&namespace, from);
    let scrape = ringside.settled(MESSAGES * calls);
    let n = calls as f64;
    scrape.assert([
        ("session_attempts_total", n),
        ("session_outcomes_total{outcome=\"answered\"}", n),
        ("session_outcomes_total", n),
        ("requests_total{method=\"INVITE\"}", n),
        ("requests_total{method=\"BYE\"}", n),
        ("sdc_total", n),
        ("ser", 100.0),
        ("scr", 100.0),
        ("sessions", 0.0),
        ("unmatched_total", 0.0),
    ]);
    // On a busy machine the caller may lose patience over UDP.
    assert_eq!(scrape.count("packets_total"), MESSAGES * calls + scrape.count("retransmissions_total"));
    eventually("records", || ringside.internal("otelcol_receiver_tls_records").filter(|records| *records >= 6.0 * n));
}

#[test]
fn a_call_from_udp_to_tls_by_way_of_kamailio_is_one_trace_with_a_hop_below_the_other() {
    const TEST: &str = "UDP to TLS by Kamailio, pushed";
    let Some(_pass) = possible(TEST) else { return };
    let Some((namespace, program)) = collector::place(TEST) else { return };
    let site = Site::new(&namespace, program);
    let collector = site.start();
    let mut toml = config("").toml();
    toml += "[exporters.otlp_grpc]\nendpoint = \"http://127.0.0.1:4317\"\n\
             [service.pipelines.traces]\nreceivers = [\"ebpf_sip\"]\n\
             processors = [\"dialog\", \"enrich\"]\nexporters = [\"otlp_grpc\"]\n";
    let mut ringside = Ringside::spawn(&namespace, &toml, &[]);
    eventually("capture", || ringside.health().ok().filter(|(status, _)| *status == 200));
    let calls = calls_to_tls(&namespace, Transport::Udp);
    ringside.settled(MESSAGES * calls);
    ringside.signal(libc::SIGTERM);
    assert!(ringside.ended(LONGEST).success(), "{}", ringside.log());
    collector.stop();

    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in site.spans() {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    assert_eq!(traces.len() as u64, calls, "one trace for each call");
    for spans in traces.values() {
        let [root] = &spans.iter().filter(|span| span.outcome.is_some()).collect::<Vec<_>>()[..] else {
            panic!("one call in each trace: {spans:?}");
        };
        assert_eq!(root.outcome.as_deref(), Some("answered"));
        for method in ["INVITE", "BYE"] {
            let over = |transport: &str| {
                let found = |span: &&Span| span.name == method && span.transport.as_deref() == Some(transport);
                let [hop] = spans.iter().filter(found).collect::<Vec<_>>()[..] else {
                    panic!("one {method} over {transport}: {spans:?}");
                };
                hop
            };
            assert_eq!(over("tcp").parent, over("udp").id, "TLS is the second hop of {method}");
        }
    }
}
