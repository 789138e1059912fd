//! Voice through the real kernel program: what was lost on the way is what is counted, and faults are those there are.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use integration::exposition::Exposition;
use integration::gate;
use integration::media::{Call, Codec, Loss, Parties, Speech};
use integration::ringside::{HTTP, Ringside};
use testnet::{Family, skipped};

use crate::stage::cable;

/// Ports of the callers' media, and of the callees'.
const CALLERS: [u16; 2] = [30_000, 30_100];
const CALLEES: [u16; 2] = [40_000, 40_100];

/// A ringside at the right end that hears media; where `listed`, on the ports of all calls from their first packet on.
fn hearing(listed: bool, media: &str) -> String {
    let ports: Vec<u16> = (CALLERS[0]..CALLERS[1]).chain(CALLEES[0]..CALLEES[1]).step_by(2).collect();
    let ports = if listed { ports } else { Vec::new() };
    format!(
        "[receivers.ebpf_sip]\ninterfaces = [\"right\"]\nmedia_ports = {ports:?}\n[processors.dialog]\n[processors.media]\n{media}\n\
         [processors.enrich]\n[exporters.prometheus]\nendpoint = \"{HTTP}\"\n[service.pipelines.metrics]\n\
         receivers = [\"ebpf_sip\"]\nprocessors = [\"dialog\", \"media\", \"enrich\"]\nexporters = [\"prometheus\"]\n"
    )
}

/// A histogram's number of samples and their mean.
fn samples(scrape: &Exposition, name: &str, labels: &str) -> (f64, f64) {
    let [count, sum] = ["count", "sum"].map(|what| scrape.value(&format!("{name}_{what}{{{labels}}}")).unwrap_or(0.0));
    (count, sum / count)
}

/// MOS of G.711 with concealment by the simplified E-model (`sip-metrics.md` 5.5), of a loss in percent and its burst ratio.
fn mos_lq(loss: f64, burst_ratio: f64) -> f64 {
    let r = 93.2 - 95.0 * loss / (loss / burst_ratio + 25.1);
    1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6
}

/// A call with loss in both directions; what was lost equals what the kernel dropped.
fn lossy(test: &str, family: Family, caller_loses: &str, callee_loses: &str, bursts: [Option<f64>; 2]) {
    let Some(_pass) = gate::shared(test) else { return };
    let cable = cable();
    let losses = [
        Loss::new(&cable.left, "left", CALLEES, caller_loses),
        Loss::new(&cable.right, "right", CALLERS, callee_loses),
    ];
    let losses = match losses {
        [Ok(left), Ok(right)] => [left, right],
        [Err(why), _] | [_, Err(why)] => return skipped(test, &why),
    };
    let ringside = Ringside::start_with(&cable.right, &hearing(true, "jitter_buffer = \"1s\""), &[]);
    const PACKETS: u32 = 500;
    Parties::new(&cable).call(&Call { family, ..Call::of(0, PACKETS) });
    let scrape = ringside.reaches("sessions_ended_total{end=\"bye\"}", 1.0);
    for (side, (loss, burst_ratio)) in ["caller", "callee"].into_iter().zip(losses.iter().zip(bursts)) {
        let labels = format!("direction=\"{side}\",codec=\"PCMU\"");
        let [received, lost, doubled] = ["packets", "lost", "duplicates"]
            .map(|what| scrape.value(&format!("rtp_{what}_total{{{labels}}}")).unwrap_or(0.0));
        let dropped = loss.dropped() as f64;
        assert!(dropped > 4.0, "{side}: the filter dropped {dropped}");
        // A stream begins with two packets in sequence: by chance the second may be lost, and again.
        let uncounted = f64::from(PACKETS) - received - dropped;
        let most = if burst_ratio.is_some() { 0.0 } else { 4.0 };
        assert!((0.0..=most).contains(&uncounted), "{side}: {received} received, {dropped} dropped");
        // What was dropped before the first or behind the last packet that came is not known to have been sent.
        assert!(lost <= dropped && lost >= dropped - 8.0, "{side}: {lost} lost, {dropped} dropped");
        assert_eq!(doubled, 0.0, "{side}");
        let ratio = lost / (lost + received);
        let (count, mean) = samples(&scrape, "rtp_loss_ratio", &labels);
        assert!((count - 1.0).abs() < 0.1 && (mean - ratio).abs() < 0.005, "{side}: loss {mean} in {count} samples");
        let (count, mos) = samples(&scrape, "mos_lq", &labels);
        assert_eq!(count, 1.0, "{side}");
        if let Some(burst_ratio) = burst_ratio {
            let expected = mos_lq(100.0 * ratio, burst_ratio);
            assert!((mos - expected).abs() < 0.03, "{side}: MOS {mos}, expected {expected}");
        }
    }
    scrape.assert([("media_drops_total", 0.0), ("capture_drops_total", 0.0)]);
}

#[test]
fn a_tenth_lost_each_way_apart() {
    // Runs of one packet: the burst ratio is 1 at least.
    lossy("a tenth lost", Family::V4, "numgen inc mod 10 5", "numgen inc mod 20 5", [Some(1.0), Some(1.0)]);
}

#[test]
fn bursts_of_three_in_fifty_over_ipv6() {
    // Runs of three where 6 % are lost: 3 / (1 / (1 - 0.06)).
    lossy("bursts over IPv6", Family::V6, "numgen inc mod 50 < 3", "numgen inc mod 25 < 3", [Some(2.82), Some(2.64)]);
}

#[test]
fn two_in_a_hundred_lost_by_chance() {
    lossy("loss by chance", Family::V4, "numgen random mod 100 < 2", "numgen random mod 100 < 8", [None, None]);
}

#[test]
fn faults_are_those_there_are() {
    let test = "faults of media";
    let Some(_pass) = gate::shared(test) else { return };
    let cable = cable();
    // The callee of call 3 is not heard: its packets are dropped on the way.
    let dropped = match Loss::new(&cable.right, "right", [30_006, 30_006], "") {
        Ok(loss) => loss,
        Err(why) => return skipped(test, &why),
    };
    let ringside = Ringside::start_with(&cable.right, &hearing(false, ""), &[]);
    let calls = [
        Call::of(0, 350),
        // Nobody speaks, and the line is open for six seconds.
        Call { speech: [Speech::of(0); 2], silence: Duration::from_secs(6), ..Call::of(1, 0) },
        // The callee is heard, and the caller never is.
        Call { speech: [Speech::of(0), Speech::of(350)], ..Call::of(2, 0) },
        Call::of(3, 350),
        // The caller falls silent after three seconds, for good.
        Call { speech: [Speech::of(150), Speech::of(750)], ..Call::of(4, 0) },
        // On hold for eleven seconds, then resumed: no fault.
        Call { hold: Some(Duration::from_secs(11)), ..Call::of(5, 300) },
        // Both muted, with discontinuous transmission: no fault.
        Call { speech: [Speech::muted(40); 2], codec: Codec::OpusDtx, ..Call::of(6, 0) },
        // Behind an address translator: the SDP of the caller lies, and both hear each other.
        Call { caller_says: Some("192.168.1.5"), ..Call::of(7, 350) },
        // Its media does not pass here: no fault.
        Call {
            speech: [Speech::of(0); 2],
            caller_says: Some("198.51.100.5"),
            callee_says: Some("198.51.100.6"),
            silence: Duration::from_secs(6),
            ..Call::of(8, 0)
        },
        Call { family: Family::V6, ..Call::of(9, 350) },
    ];
    let parties = Parties::new(&cable);
    thread::scope(|scope| {
        for call in &calls {
            let parties = &parties;
            scope.spawn(move || parties.call(call));
        }
    });
    let scrape = ringside.reaches("sessions_ended_total{end=\"bye\"}", calls.len() as f64);
    assert!(dropped.dropped() >= 300, "{}", dropped.dropped());
    let faults: Vec<(String, f64)> = scrape
        .series()
        .iter()
        .filter(|series| series.name.ends_with("media_faults_total") && series.value != 0.0)
        .map(|series| (format!("{series:?}"), series.value))
        .collect();
    scrape.assert([
        ("media_faults_total{fault=\"no_media\"}", 1.0),
        ("media_faults_total{fault=\"one_way\",direction=\"callee_only\"}", 1.0),
        ("media_faults_total{fault=\"one_way\",direction=\"caller_only\"}", 1.0),
        ("media_faults_total{fault=\"media_stopped\",direction=\"caller\"}", 1.0),
    ]);
    let all: f64 = faults.iter().map(|(_, value)| value).sum();
    assert_eq!(all, 4.0, "{faults:#?}");
    // Of the call behind the translator both directions are known, from where the callee's media is latched on.
    scrape.assert([("media_drops_total", 0.0), ("capture_drops_total", 0.0), ("rtp_lost_total", 0.0)]);
}

#[test]
fn a_stream_that_nothing_announces_is_heard_where_it_is_asked_for() {
    let Some(_pass) = gate::shared("streams without a description") else { return };
    let cable = cable();
    let ringside = Ringside::start_with(&cable.right, &hearing(false, "unknown_streams = true"), &[]);
    let (from, to) = cable.addresses(Family::V4, 7000);
    let socket = cable.left.run(|| UdpSocket::bind(from)).expect("the port is free");
    const PACKETS: u16 = 150;
    let begun = Instant::now();
    for number in 0..PACKETS {
        thread::sleep((Duration::from_millis(20) * number.into()).saturating_sub(begun.elapsed()));
        let header =
            [&[0x80, 0][..], &number.to_be_bytes(), &(u32::from(number) * 160).to_be_bytes(), &[7; 4]].concat();
        socket.send_to(&[&header[..], &[0xff; 160]].concat(), to).expect("the cable takes it");
    }
    // The last two of the four that begin it, and all behind them.
    let scrape = ringside.reaches("rtp_packets_total{direction=\"caller\",codec=\"PCMU\"}", f64::from(PACKETS - 2));
    scrape.assert([("rtp_streams_active", 1.0), ("media_faults_total", 0.0), ("media_drops_total", 0.0)]);
}
