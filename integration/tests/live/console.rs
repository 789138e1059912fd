//! The console in Debian's chromium: real calls through a real proxy, listed, filtered, drawn, followed; and calls
//! whose every field tries to be more than text.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use integration::media::{Call, Parties, Speech, reports};
use integration::proxy::Proxy;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::{Scenario, Side};
use integration::sipp::{Load, Party, Sipp, exchange, exchange_through};
use integration::{browser, flows, gate};
use testnet::{Namespace, skipped};

use crate::stage::namespace;

/// Numbers are shown, so that there is something to filter by and to escape.
const PLAIN: &str = "calls.privacy.numbers = \"plain\"";
const CONSOLE: &str = "[extensions.console]\ntrace_url = \"http://traces.example/{trace_id}\"\n\
    [service]\nextensions = [\"console\"]\n";
const URL: &str = "http://127.0.0.1:2113/";

fn watching(namespace: &Namespace) -> Ringside<'_> {
    let config = Config::on("lo").dialog(PLAIN).enrich("carriers = [{ name = \"alpha\", cidrs = [\"127.0.0.0/8\"] }]");
    let mut ringside = Ringside::spawn(namespace, &(config.toml() + CONSOLE), &[]);
    ringside.await_health();
    ringside
}

fn possible(test: &str) -> Option<gate::Pass> {
    let pass = gate::shared(test)?;
    match browser::obstacle() {
        None => Some(pass),
        Some(obstacle) => {
            skipped(test, &obstacle);
            None
        }
    }
}

#[track_caller]
fn run(namespace: &Namespace, script: &str, arguments: &[&str], ringside: &Ringside<'_>) {
    let output = browser::script(namespace, script, arguments).output().expect("node starts");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", said(&output.stdout), said(&output.stderr), ringside.log());
}

/// A call that rings for two seconds and is talked for three.
const SLOW: &str = "
          -> INVITE
          <- 100
          <- 180
    2000  <- 200
          -> ACK
    3000  -> BYE
          <- 200
";

#[test]
fn calls_are_listed_filtered_drawn_and_followed() {
    let Some(_pass) = possible("the console in chromium") else { return };
    let namespace = namespace();
    let ringside = watching(&namespace);
    let _proxy = Proxy::start(&namespace);
    let hop = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let party = |port| Party { namespace: &namespace, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) };
    let place = |scenario: Scenario, load| exchange_through(&scenario, party(5070), party(5080), hop, load);
    let caller = "+493023125001";
    place(Scenario::new(flows::ANSWERED).between(caller, "2001"), Load::of(4));
    place(flows::refused(486).between(caller, "2003"), Load::of(4));
    // A proxy makes a 500 of a 503, and answers in the place of a callee that is slow: these go past it.
    let direct = |scenario: Scenario, load| exchange(&scenario, party(5072), party(5061), load);
    direct(flows::refused(503).between(caller, "2004"), Load::of(2));
    direct(Scenario::new(flows::CANCELLED).between(caller, "2005"), Load::of(2));
    direct(Scenario::new(flows::RETRANSMITTED).between(caller, "2009"), Load::of(1));
    // They go on for as long as somebody looks.
    let slow = Scenario::new(SLOW).between(caller, "2010");
    let [callee, caller] = [(Side::Callee, 5080), (Side::Caller, 5070)]
        .map(|(side, port)| Sipp::start(&slow, side, party(port), hop, Load { calls: 90, rate: 1 }));
    run(&namespace, "console.mjs", &[URL], &ringside);
    drop((caller, callee));
    assert_eq!(ringside.internal("otelcol_extension_slow_clients"), Some(0.0));
    assert_eq!(ringside.internal("otelcol_extension_calls_refused"), Some(0.0));
}

#[test]
fn what_was_heard_is_listed_filtered_and_drawn() {
    let Some(_pass) = possible("media in chromium") else { return };
    let namespace = namespace();
    let processors = "processors = [\"dialog\", \"enrich\"]";
    // From their first packet on.
    let listed = Config::on("lo").receiver("media_ports = [30000, 30002, 30004, 40000, 40002, 40004]");
    let config = listed.toml().replace(processors, "processors = [\"dialog\", \"media\", \"enrich\"]");
    // Who speaks may have to wait for a processor: no packet of the clear call is too late for that.
    let media = "[processors.media]\njitter_buffer = \"200ms\"\n";
    let mut ringside = Ringside::spawn(&namespace, &(config + media + CONSOLE), &[]);
    ringside.await_health();
    let parties = Parties::on_loopback(&namespace);
    // An ordinary call that a telephone reports of, one of which the caller hears a third too little, and one of which
    // the callee hears nothing.
    let clear = Call { reports: true, ..Call::of(0, 300) };
    let poor = Call { speech: [Speech::of(300), Speech { lost_each: 3, ..Speech::of(300) }], ..Call::of(1, 0) };
    let one_way = Call { speech: [Speech::of(0), Speech::of(300)], ..Call::of(2, 0) };
    thread::scope(|scope| {
        for call in [&clear, &poor, &one_way] {
            scope.spawn(|| parties.call(call));
        }
    });
    parties.publish(&clear, &reports::of_telephone(&clear.call_id()));
    let names = [clear, poor, one_way].map(|call| call.call_id());
    run(&namespace, "media.mjs", &[URL, &names[0], &names[1], &names[2]], &ringside);
}

/// What is tried, in every field.
const MARKUP: [&str; 4] = [
    "<script>window.hacked=1</script>",
    "\"><img src=x onerror=window.hacked=1><script>window.hacked=1</script>",
    "</script><svg/onload=window.hacked=1><script>window.hacked=2</script>",
    "javascript:window.hacked=1//<script>window.hacked=1</script>'\"`${alert(1)}",
];

#[test]
fn nothing_from_the_wire_is_more_than_text() {
    let Some(_pass) = possible("hostile calls in chromium") else { return };
    let namespace = namespace();
    let ringside = watching(&namespace);
    namespace.run(|| {
        let [caller, callee] = [5070, 5060].map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("free"));
        for markup in MARKUP {
            let head = format!(
                "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{0}\r\nFrom: \"{1}\" <sip:{0}@127.0.0.1>;tag=1\r\n\
                 To: <sip:{0}@127.0.0.1>{2}\r\nCall-ID: {1}\r\nCSeq: 1 INVITE\r\nUser-Agent: {1}\r\nServer: {1}\r\n\
                 Subject: {1}\r\nWarning: 399 x \"{1}\"\r\nReason: Q.850;cause=16;text=\"{1}\"\r\nX-<b>: {1}\r\n\
                 Contact: <sip:{0}@127.0.0.1>\r\nContent-Type: {1}\r\nContent-Length: 0\r\n\r\n",
                markup.replace(['"', ' ', '<', '>', ';', '@'], "%3C"),
                markup,
                "{tag}"
            );
            let invite = format!("INVITE sip:{}@x SIP/2.0\r\n{head}", markup.replace(' ', "")).replace("{tag}", "");
            let busy = format!("SIP/2.0 486 {markup}\r\n{head}").replace("{tag}", ";tag=2");
            caller.send_to(invite.as_bytes(), "127.0.0.1:5060").expect("it is sent");
            callee.send_to(busy.as_bytes(), "127.0.0.1:5070").expect("it is sent");
        }
    });
    run(&namespace, "hostile.mjs", &[URL, &MARKUP.len().to_string()], &ringside);
}
