//! Frames that no ordinary socket sends, injected raw: tags, tunnels, fragments, mirrored copies.

use integration::frames::{fragments, gre, ipip, qinq, vlan, vxlan};
use integration::gate;
use integration::ringside::{Config, Ringside};
use ladder::{Step, frame};
use testnet::Injector;

use crate::stage::cable;

const CALL: &str = "
    0  alice -> bob  INVITE sdp
    0  alice <- bob  100
    0  alice <- bob  180
    0  alice <- bob  200 sdp
    0  alice -> bob  ACK
    0  alice -> bob  BYE
    0  alice <- bob  200
";

const CALL_V6: &str = "
    0  alice@[2001:db8::1]:5060 -> bob@[2001:db8::2]:5060  INVITE sdp
    0  alice <- bob  100
    0  alice <- bob  180
    0  alice <- bob  200 sdp
    0  alice -> bob  ACK
    0  alice -> bob  BYE
    0  alice <- bob  200
";

/// Bytes of IP payload per fragment: an INVITE of these ladders makes two or more.
const FRAGMENT: usize = 256;

/// Injects a call, each datagram wrapped by `wrap` into one or more frames; it must be counted as one answered call.
#[track_caller]
fn counted_once_when(test: &str, ladder: &str, wrap: impl Fn(&Step) -> Vec<Vec<u8>>, also: &[(&str, f64)]) {
    let Some(_pass) = gate::shared(test) else { return };
    let cable = cable();
    let ringside = Ringside::start(&cable.right, &Config::on("right"));
    let injector = cable.left.run(|| Injector::new("left")).expect("the gate has tried");
    let steps = ladder::play(ladder);
    for frame in steps.iter().flat_map(wrap) {
        injector.send(&frame);
    }
    let scrape = ringside.settled(steps.len() as u64);
    scrape.assert([
        ("packets_total", steps.len() as f64),
        ("invite_total", 1.0),
        ("session_outcomes_total{outcome=\"answered\"}", 1.0),
        ("sdc_total", 1.0),
        ("ser", 100.0),
        ("scr", 100.0),
        ("parse_errors_total", 0.0),
        ("anomalies_total", 0.0),
    ]);
    scrape.assert(also.iter().copied());
}

fn plain(step: &Step) -> Vec<u8> {
    frame::ethernet(&frame::datagram(step, 7))
}

#[test]
fn plain_frames() {
    counted_once_when("plain frames", CALL, |step| vec![plain(step)], &[]);
    counted_once_when("plain IPv6 frames", CALL_V6, |step| vec![plain(step)], &[]);
}

#[test]
fn a_vlan_tag() {
    counted_once_when("VLAN", CALL, |step| vec![vlan(&plain(step), 100)], &[]);
    counted_once_when("VLAN, IPv6", CALL_V6, |step| vec![vlan(&plain(step), 100)], &[]);
}

#[test]
fn two_vlan_tags() {
    counted_once_when("QinQ", CALL, |step| vec![qinq(&plain(step), 200, 100)], &[]);
}

#[test]
fn a_gre_tunnel() {
    counted_once_when("GRE", CALL, |step| vec![frame::ethernet(&gre(&frame::datagram(step, 7)))], &[]);
    counted_once_when("GRE, IPv6", CALL_V6, |step| vec![frame::ethernet(&gre(&frame::datagram(step, 7)))], &[]);
}

#[test]
fn ip_in_ip() {
    counted_once_when("IP in IP", CALL, |step| vec![frame::ethernet(&ipip(&frame::datagram(step, 7)))], &[]);
}

#[test]
fn a_vxlan_tunnel() {
    counted_once_when("VXLAN", CALL, |step| vec![frame::ethernet(&vxlan(&frame::datagram(step, 7)))], &[]);
}

#[test]
fn a_tunnel_inside_a_vlan() {
    let wrap = |step: &Step| vec![vlan(&frame::ethernet(&gre(&frame::datagram(step, 7))), 100)];
    counted_once_when("GRE in a VLAN", CALL, wrap, &[]);
}

#[test]
fn fragments_in_order() {
    counted_once_when("fragments", CALL, |step| cut(step, false), &[]);
    counted_once_when("fragments, IPv6", CALL_V6, |step| cut(step, false), &[]);
}

#[test]
fn fragments_last_one_first() {
    counted_once_when("fragments, reversed", CALL, |step| cut(step, true), &[]);
    counted_once_when("fragments, IPv6, reversed", CALL_V6, |step| cut(step, true), &[]);
}

fn cut(step: &Step, reversed: bool) -> Vec<Vec<u8>> {
    // Every datagram between two hosts needs an identification of its own; the checksum of its bytes will do.
    let id = step.bytes.iter().fold(step.source.port(), |sum, byte| sum.rotate_left(5).wrapping_add((*byte).into()));
    let mut pieces = fragments(step.source, step.destination, &step.bytes, id, FRAGMENT);
    if reversed {
        pieces.reverse();
    }
    pieces.iter().map(|packet| frame::ethernet(packet)).collect()
}

#[test]
fn a_mirrored_copy() {
    let twice = |step: &Step| vec![plain(step), vlan(&plain(step), 100)];
    counted_once_when(
        "mirrored VLAN",
        CALL,
        twice,
        &[("capture_duplicates_total", 7.0), ("retransmissions_total", 0.0)],
    );
}
