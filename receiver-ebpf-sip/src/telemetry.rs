//! The receiver about itself: names and labels of what `/internal/metrics` shows.

use pipeline::{Telemetry, Transport};

use crate::capture::Capture;
use crate::ring::RingCounts;

/// SIP frames handed on, and messages given up because they were too long.
pub fn messages(accepted: impl IntoIterator<Item = (Transport, u64)>, refused: u64, out: &mut Vec<Telemetry>) {
    for (transport, accepted) in accepted {
        let labels = vec![("transport", transport.as_str().to_owned())];
        out.push(counter("otelcol_receiver_accepted_sip_messages", labels, accepted));
    }
    out.push(counter("otelcol_receiver_refused_sip_messages", Vec::new(), refused));
}

/// What the kernel filtered, what the ring carried, what is watched.
pub fn capture(capture: &Capture, ring: RingCounts, out: &mut Vec<Telemetry>) {
    for (verdict, packets) in capture.verdicts().into_iter().flatten() {
        out.push(counter("otelcol_receiver_filtered_packets", vec![("verdict", verdict.as_str().to_owned())], packets));
    }
    for (name, value) in [
        ("otelcol_receiver_ring_packets", ring.packets),
        ("otelcol_receiver_ring_drops", ring.drops),
        ("otelcol_receiver_ring_freezes", ring.freezes),
        ("otelcol_receiver_ring_damaged_blocks", ring.damaged),
        ("otelcol_receiver_other_interface_packets", capture.elsewhere()),
    ] {
        out.push(counter(name, Vec::new(), value));
    }
    out.push(Telemetry {
        name: "otelcol_receiver_capture_kind",
        labels: vec![("kind", capture.kind().to_owned())],
        counter: false,
        value: 1.0,
    });
}

fn counter(name: &'static str, labels: Vec<(&'static str, String)>, value: u64) -> Telemetry {
    Telemetry { name, labels, counter: true, value: value as f64 }
}
