//! Bad days: what is missing, broken, hostile or too much, and what it does then.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use integration::flows;
use integration::gate;
use integration::ringside::{self, Config, HTTP, Ringside};
use integration::scratch::Folder;
use integration::sipp::scenario::{Scenario, Side};
use integration::sipp::{Load, Sipp, exchange};
use integration::wait::eventually;
use testnet::{Family, skipped};

use crate::stage::{CALLS, loopback, namespace, send, sender};

const N: f64 = CALLS as f64;

#[test]
fn an_interface_that_does_not_exist_yet_is_waited_for() {
    let Some(_pass) = gate::shared("unknown interface") else { return };
    let namespace = namespace();
    let ringside = Ringside::spawn(&namespace, &Config::on("sip0").toml(), &[]);
    let reason = eventually("health says why not", || {
        ringside.health().ok().filter(|(status, _)| *status == 503).map(|(_, body)| body.to_string())
    });
    assert!(reason.contains("sip0"), "{reason}");
    eventually(&format!("a warning names it\n{}", ringside.log()), || ringside.log().contains("sip0").then_some(()));
    namespace.ip("link add sip0 type veth peer name other");
    namespace.ip("link set sip0 up");
    eventually(&format!("health is good\n{}", ringside.log()), || {
        ringside.health().ok().filter(|(status, _)| *status == 200)
    });
    namespace.ip("link del sip0");
    eventually("health is bad again", || ringside.health().ok().filter(|(status, _)| *status == 503));
}

#[test]
fn a_port_in_use_is_named() {
    let Some(_pass) = gate::shared("port in use") else { return };
    let namespace = namespace();
    let _taken = namespace.run(|| TcpListener::bind(HTTP)).expect("the port is free");
    let mut ringside = Ringside::spawn(&namespace, &Config::on("lo").toml(), &[]);
    assert_eq!(ringside.ended(Duration::from_secs(10)).code(), Some(1), "{}", ringside.log());
    assert!(ringside.log().contains("127.0.0.1:2112"), "{}", ringside.log());
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = Folder::new("files");
    fs::write(folder.join("text.pcap"), "this is no capture").expect("a file");
    for (arguments, code, named) in [
        (&["replay", "missing.pcap"][..], 1, "missing.pcap"),
        (&["replay", "text.pcap"], 1, "text.pcap"),
        (&["replay", "."], 1, "."),
        (&["validate", "--config", "missing.toml"], 2, "missing.toml"),
        (&["validate", "--config", "text.pcap"], 2, "text.pcap:1"),
    ] {
        let output = ringside::command(arguments, folder.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?} wrote to standard output");
    }
}

#[test]
fn calls_are_exact_beside_garbage_at_50_000_packets_a_second() {
    const RATE: u64 = 50_000;
    const BURST: u64 = 100;
    let Some(_pass) = gate::alone("garbage") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let ringside = Ringside::start(&namespace, &Config::on("lo"));
    let over = AtomicBool::new(false);
    let garbage = |socket: &std::net::UdpSocket| {
        let start = Instant::now();
        let mut sent = 0u64;
        while !over.load(Ordering::Relaxed) {
            // Starts like nothing SIP, STUN or RTP starts with, and differs from packet to packet.
            for _ in 0..BURST {
                send(socket, format!("garbage {sent} \u{0}\u{1}\r\n").as_bytes());
                sent += 1;
            }
            let due = Duration::from_nanos(sent * 1_000_000_000 / RATE);
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
        (sent, start.elapsed())
    };
    // To a SIP port nobody listens on: the kernel drops it after capture has seen it.
    let socket = sender(&namespace, "127.0.0.1:5061");
    let ((sent, took), counts) = thread::scope(|scope| {
        let noise = scope.spawn(|| garbage(&socket));
        let load = Load { calls: 200, rate: 100 };
        let counts = exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, load);
        over.store(true, Ordering::Relaxed);
        (noise.join().expect("the noise does not panic"), counts)
    });
    let scrape = ringside.settled(counts.packets());
    scrape.assert(counts.expectations());
    scrape.assert([("non_sip_total", sent as f64), ("sdc_total", 200.0), ("ser", 100.0), ("capture_drops_total", 0.0)]);
    let rate = sent as f64 / took.as_secs_f64();
    if rate < 0.8 * RATE as f64 {
        skipped("garbage", &format!("all was exact, but this machine could send only {rate:.0} packets/s"));
    }
}

#[test]
fn a_flood_of_calls_costs_counters_and_not_memory() {
    const FLOOD: u64 = 50_000;
    const MAX_CALLS: u64 = 1_000;
    const MOST_MEMORY: u64 = 32 << 20;
    let Some(_pass) = gate::alone("flood of Call-IDs") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    let ringside = Ringside::start(&namespace, &Config::on("lo").dialog(&format!("max_calls = {MAX_CALLS}")));
    let socket = sender(&namespace, "127.0.0.1:5061");
    let [invite] = &ladder::play("0 alice -> bob INVITE call=CALL branch=z9hG4bK-CALL")[..] else { unreachable!() };
    let template = String::from_utf8(invite.bytes.clone()).expect("a ladder is ASCII");
    let start = Instant::now();
    for number in 0..FLOOD {
        send(&socket, template.replace("CALL", &format!("flood-{number}")).as_bytes());
        // 20,000 a second: the ring must not be what bounds the flood.
        if number % 100 == 0 {
            thread::sleep(Duration::from_micros(number * 50).saturating_sub(start.elapsed()));
        }
    }
    let scrape = ringside.settled(FLOOD);
    scrape.assert([
        ("invite_initial_total", FLOOD as f64),
        ("session_attempts_total", FLOOD as f64),
        // With its attempt a call leaves whole.
        ("evicted_total{table=\"attempts\"}", (FLOOD - MAX_CALLS) as f64),
        ("evicted_total", (FLOOD - MAX_CALLS) as f64),
        ("capture_drops_total", 0.0),
    ]);
    assert!(ringside.memory() < MOST_MEMORY, "{} bytes are held", ringside.memory());
    // And calls are still followed.
    let counts = exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load::of(CALLS));
    ringside.settled(FLOOD + counts.packets()).assert([("sdc_total", N)]);
}

#[test]
fn hostile_user_agents_stay_out_of_the_labels() {
    let Some(_pass) = gate::shared("hostile User-Agents") else { return };
    let namespace = namespace();
    let config = Config::on("lo").enrich("user_agents = [{ regex = '^Good', label = \"good\" }]");
    let ringside = Ringside::start(&namespace, &config);
    let socket = sender(&namespace, "127.0.0.1:5061");
    for number in 0..1_000 {
        let line = format!("0 alice -> bob OPTIONS call=c{number} branch=z9hG4bK{number} ua=\"evil\\\"{{}} {number}\"");
        send(&socket, &ladder::play(&line)[0].bytes);
    }
    let scrape = ringside.settled(1_000);
    scrape.assert([("options_total{ua_type=\"other\"}", 1_000.0), ("options_total", 1_000.0)]);
    assert!(!ringside.page("/metrics").contains("evil"));
}

#[test]
fn the_end_comes_quickly_under_load() {
    let Some(_pass) = gate::alone("SIGTERM under load") else { return };
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let namespace = namespace();
        let place = loopback(&namespace, Family::V4);
        let mut ringside = Ringside::start(&namespace, &Config::on("lo"));
        let scenario = Scenario::new(flows::ANSWERED);
        let load = Load { calls: 300, rate: 75 };
        let callee = Sipp::start(&scenario, Side::Callee, place.callee, place.callee.address, load);
        let caller = Sipp::start(&scenario, Side::Caller, place.caller, place.callee.address, load);
        eventually("the load has begun", || (ringside.scrape().count("packets_total") > 500).then_some(()));
        ringside.signal(signal);
        // `service.shutdown_timeout` is 10 s.
        assert_eq!(ringside.ended(Duration::from_secs(10)).code(), Some(0), "{}", ringside.log());
        // The calls themselves never notice.
        caller.finish();
        callee.finish();
    }
}

#[test]
fn nothing_about_callers_is_logged() {
    let Some(_pass) = gate::shared("log privacy") else { return };
    let namespace = namespace();
    let toml = format!("{}\n[service.telemetry.logs]\nlevel = \"debug\"\n", Config::on("lo").toml());
    let mut ringside = Ringside::spawn(&namespace, &toml, &[]);
    eventually("capture", || ringside.health().ok().filter(|(status, _)| *status == 200));
    let socket = sender(&namespace, "127.0.0.1:5061");
    let call = ladder::play(
        "0 alice -> bob INVITE from=sip:+4930555@x call=secret-call\n0 alice -> bob INVITE call=secret-2 hdr=\"Bad header\" cseq=99",
    );
    for step in &call {
        send(&socket, &step.bytes);
    }
    ringside.settled(2);
    ringside.signal(libc::SIGTERM);
    ringside.ended(Duration::from_secs(10));
    let said = ringside.log() + &ringside.output();
    for secret in ["4930555", "secret", "alice"] {
        assert!(!said.contains(secret), "{secret} is in the log: {said}");
    }
}
