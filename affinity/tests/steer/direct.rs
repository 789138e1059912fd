//! Path `direct`: where packets go on past the stack, by which way replies leave, and what is left of their hops.

use affinity::steer::{Clients, Decision, Device, General, Hop, Path, Verdict};
use ladder::frame;

use crate::script::{OWN, Stage, address, call_for, datagram, ends, has_right_checksums, tables};

/// The device by which clients come that are no pods.
const LINE: u32 = 2;

fn stage() -> Stage {
    let mut tables = tables();
    tables.path = Path::Direct;
    tables.devices.insert(LINE, Device { clients: Clients::Elsewhere, is_pod: false, controller: None });
    // Pods answer by these.
    for device in [100, 101] {
        tables.devices.insert(device, Device { clients: Clients::Own, is_pod: true, controller: None });
    }
    for (number, backend) in &mut tables.backends {
        backend.hop = match number {
            // Nobody knows where it is.
            2 => None,
            3 => Some(Hop::Neighbour(9)),
            _ => Some(Hop::Pod(100 + u32::from(*number))),
        };
    }
    let mut stage = Stage::new(tables);
    lead(&mut stage, OWN);
    stage
}

/// Has the routing table lead to all clients by a device.
fn lead(stage: &mut Stage, device: u32) {
    let networks = ["10.1.0.0/16", "2001:db8:1::/48"];
    stage.model.route(networks.map(|network| (network.parse().expect("a network"), Some(device))).into());
}

fn hops(frame: &[u8]) -> u8 {
    if frame[12] == 8 { frame[22] } else { frame[21] }
}

/// What becomes of a message to the service that falls to a backend.
fn send(stage: &mut Stage, family: &str, backend: u16, device: u32) -> (Decision, Vec<u8>) {
    let id = call_for(&stage.tables, backend);
    let message = format!("INVITE x SIP/2.0\r\nCall-ID: {id}\r\nTo: <sip:b@c>\r\n\r\n");
    let (client, core) = (address(&format!("a{family}")), address(&format!("core{family}")));
    let mut frame = datagram(client, core, message.as_bytes());
    let (before, now) = (hops(&frame), stage.time(1.0));
    let decision = stage.model.ingress(&mut frame, device, 0, now);
    assert_eq!(decision.verdict, Verdict::Steered);
    assert!(has_right_checksums(&frame));
    assert_eq!(hops(&frame), before - u8::from(decision.hop.is_some()), "a router takes one hop, the stack its own");
    (decision, frame)
}

/// What becomes of a backend's answer that enters.
fn answer(stage: &mut Stage, family: &str, backend: u16) -> (Decision, Vec<u8>) {
    let (client, pod) = (address(&format!("a{family}")), address(&format!("b{backend}{family}")));
    let mut frame = datagram(pod, client, b"SIP/2.0 200 x\r\nCall-ID: y\r\nCSeq: 1 INVITE\r\n\r\n");
    let now = stage.time(2.0);
    let decision = stage.model.ingress(&mut frame, 100, 0, now);
    (decision, frame)
}

#[test]
fn a_request_goes_into_its_pod_and_the_answer_back_to_the_client() {
    for family in ["", "6"] {
        for (device, back) in [(OWN, Hop::Pod(OWN)), (LINE, Hop::Neighbour(LINE))] {
            let mut stage = stage();
            lead(&mut stage, device);
            let (sent, _) = send(&mut stage, family, 1, device);
            assert_eq!((sent.backend, sent.hop), (Some(1), Some(Hop::Pod(101))));
            let (answered, frame) = answer(&mut stage, family, 1);
            assert_eq!((answered.verdict, answered.hop), (Verdict::Translated, Some(back)));
            assert_eq!(ends(&frame).0, address(&format!("core{family}")));
            assert!(has_right_checksums(&frame));
            // At the client's device it is the service's already.
            let now = stage.time(3.0);
            let left = stage.model.egress(&mut frame.clone(), now);
            assert_eq!(left.verdict, Verdict::Untouched);
        }
    }
}

#[test]
fn a_backend_on_another_node_is_sent_to_by_its_neighbour() {
    let mut stage = stage();
    assert_eq!(send(&mut stage, "", 3, OWN).0.hop, Some(Hop::Neighbour(9)));
    assert_eq!(answer(&mut stage, "", 3).0.hop, Some(Hop::Pod(OWN)), "wherever the answer enters");
}

#[test]
fn a_backend_whose_device_nobody_knows_is_served_by_the_stack_in_both_directions() {
    let mut stage = stage();
    assert_eq!(send(&mut stage, "", 2, OWN).0.hop, None);
    let (answered, mut frame) = answer(&mut stage, "", 2);
    assert_eq!((answered.verdict, answered.hop), (Verdict::Heard, None));
    let now = stage.time(3.0);
    assert_eq!(stage.model.egress(&mut frame, now).verdict, Verdict::Translated);
    // Once it is found, the next request takes the answer along.
    stage.apply(4.0, |tables| tables.backends.get_mut(&2).expect("b2").hop = Some(Hop::Pod(102)));
    assert_eq!(answer(&mut stage, "", 2).0.hop, None);
    assert_eq!(send(&mut stage, "", 2, OWN).0.hop, Some(Hop::Pod(102)));
    assert_eq!(answer(&mut stage, "", 2).0.hop, Some(Hop::Pod(OWN)));
}

#[test]
fn turned_to_the_stack_a_backend_answers_past_it_until_the_client_speaks_again() {
    let mut stage = stage();
    send(&mut stage, "", 1, OWN);
    stage.apply(1.5, |tables| tables.path = Path::Stack);
    assert_eq!(answer(&mut stage, "", 1).0.hop, Some(Hop::Pod(OWN)), "the stack knows nothing of this call");
    assert_eq!(send(&mut stage, "", 1, OWN).0.hop, None);
    let (answered, mut frame) = answer(&mut stage, "", 1);
    assert_eq!((answered.verdict, answered.hop), (Verdict::Heard, None));
    let now = stage.time(3.0);
    assert_eq!(stage.model.egress(&mut frame, now).verdict, Verdict::Translated);
}

#[test]
fn turned_to_the_stack_what_a_backend_says_does_not_keep_a_flow_past_it() {
    let mut stage = stage();
    send(&mut stage, "", 1, OWN);
    stage.apply(1.5, |tables| tables.path = Path::Stack);
    let mut say = |at: f64| {
        let now = stage.time(at);
        stage.model.ingress(&mut datagram(address("b1"), address("a"), b"\r\n"), 101, 0, now).hop
    };
    assert_eq!((say(300.0), say(599.0), say(602.0)), (Some(Hop::Pod(OWN)), Some(Hop::Pod(OWN)), None));
}

#[test]
fn what_does_not_come_by_the_way_back_takes_the_stack_and_changes_no_flow() {
    for family in ["", "6"] {
        let mut stage = stage();
        lead(&mut stage, LINE);
        // A pod has the address of a client: first of one that has not spoken, then of one that has.
        assert_eq!(send(&mut stage, family, 1, OWN).0.hop, None);
        assert_eq!(answer(&mut stage, family, 1).0.verdict, Verdict::Heard);
        assert_eq!(send(&mut stage, family, 1, LINE).0.hop, Some(Hop::Pod(101)));
        let flows: Vec<_> = stage.model.flows().collect();
        assert_eq!(send(&mut stage, family, 1, OWN).0.hop, None);
        assert_eq!(stage.model.flows().collect::<Vec<_>>(), flows);
        assert_eq!(answer(&mut stage, family, 1).0.hop, Some(Hop::Neighbour(LINE)));
    }
}

#[test]
fn a_forged_packet_to_another_address_of_the_service_changes_no_flow() {
    let mut stage = stage();
    stage.apply(0.5, |tables| tables.services.get_mut(&0).expect("core").addresses.push(address("other")));
    lead(&mut stage, LINE);
    send(&mut stage, "", 1, LINE);
    let id = call_for(&stage.tables, 1);
    let message = format!("BYE x SIP/2.0\r\nCall-ID: {id}\r\nTo: <sip:b@c>;tag=1\r\n\r\n");
    let mut to_other = |device: u32| {
        let now = stage.time(1.5);
        stage.model.ingress(&mut datagram(address("a"), address("other"), message.as_bytes()), device, 0, now);
        ends(&answer(&mut stage, "", 1).1).0
    };
    assert_eq!(to_other(OWN), address("core"));
    assert_eq!(to_other(LINE), address("other"), "the client itself may do that");
}

#[test]
fn a_client_behind_a_port_of_a_bridge_is_answered_through_the_bridge() {
    let mut stage = stage();
    lead(&mut stage, 9);
    stage.apply(0.5, |tables| tables.devices.get_mut(&LINE).expect("it is there").controller = Some(9));
    assert_eq!(send(&mut stage, "", 1, LINE).0.hop, Some(Hop::Pod(101)));
    assert_eq!(answer(&mut stage, "", 1).0.hop, Some(Hop::Neighbour(9)));
}

#[test]
fn a_client_that_is_answered_by_another_device_takes_the_stack() {
    let mut stage = stage();
    lead(&mut stage, 9);
    assert_eq!(send(&mut stage, "", 1, LINE).0.hop, None);
    let (answered, mut frame) = answer(&mut stage, "", 1);
    assert_eq!((answered.verdict, answered.hop), (Verdict::Heard, None));
    let now = stage.time(3.0);
    assert_eq!(stage.model.egress(&mut frame, now).verdict, Verdict::Translated);
}

#[test]
fn replies_leave_by_the_way_that_the_routing_table_knows_now() {
    let mut stage = stage();
    lead(&mut stage, LINE);
    send(&mut stage, "", 1, LINE);
    lead(&mut stage, 9);
    assert_eq!(answer(&mut stage, "", 1).0.hop, Some(Hop::Neighbour(9)));
    lead(&mut stage, OWN);
    assert_eq!(answer(&mut stage, "", 1).0.hop, Some(Hop::Pod(OWN)));
    stage.model.route([("10.1.0.0/16".parse().expect("a network"), None)].into());
    let (answered, mut frame) = answer(&mut stage, "", 1);
    assert_eq!((answered.verdict, answered.hop), (Verdict::Heard, None), "no route: the stack says so");
    let now = stage.time(3.0);
    assert_eq!(stage.model.egress(&mut frame, now).verdict, Verdict::Translated);
}

#[test]
fn what_a_backend_sends_that_is_no_sip_goes_back_too() {
    let mut stage = stage();
    send(&mut stage, "", 1, OWN);
    let mut frame = datagram(address("b1"), address("a"), b"\r\n");
    let now = stage.time(2.0);
    let decision = stage.model.ingress(&mut frame, 101, 0, now);
    assert_eq!((decision.verdict, decision.hop), (Verdict::Translated, Some(Hop::Pod(OWN))));
}

#[test]
fn who_has_the_address_of_a_pod_elsewhere_is_not_heard() {
    let mut stage = stage();
    send(&mut stage, "", 1, OWN);
    let said = b"SIP/2.0 200 x\r\nCall-ID: z\r\nCSeq: 1 INVITE\r\n\r\n";
    let mut from = |backend: &str, device: u32| {
        let now = stage.time(2.0);
        stage.model.ingress(&mut datagram(address(backend), address("a"), said), device, 0, now).verdict
    };
    assert_eq!((from("b1", LINE), from("b1", 101)), (Verdict::Untouched, Verdict::Translated));
    // Of one on another node, and of one that nobody found, it cannot be told.
    assert_eq!((from("b3", LINE), from("b2", LINE)), (Verdict::Heard, Verdict::Heard));
    assert_eq!(stage.model.counters().general(General::Spoofed), 1);
}

#[test]
fn later_fragments_go_where_their_first_went() {
    for family in ["", "6"] {
        let mut stage = stage();
        lead(&mut stage, LINE);
        let id = call_for(&stage.tables, 1);
        let message = format!("INVITE x SIP/2.0\r\nCall-ID: {id}\r\nTo: <sip:b@c>\r\nX: {}\r\n\r\n", "y".repeat(600));
        let [client, core, pod] = ["a", "core", "b1"].map(|name| address(&format!("{name}{family}")));
        let now = stage.time(1.0);
        let mut play = |source, destination, device| {
            let mut packets = crate::packets::fragments_of(source, destination, message.as_bytes());
            let mut went = Vec::new();
            for packet in &mut packets {
                let mut frame = frame::ethernet(packet);
                let before = hops(&frame);
                let decision = stage.model.ingress(&mut frame, device, 0, now);
                assert_eq!(hops(&frame), before - 1);
                went.push((decision.verdict, decision.hop));
            }
            went
        };
        let into = Some(Hop::Pod(101));
        let followed = (Verdict::Followed, into);
        assert_eq!(play(client, core, LINE), [(Verdict::Steered, into), followed, followed]);
        let back = Some(Hop::Neighbour(LINE));
        let followed = (Verdict::Followed, back);
        assert_eq!(play(pod, client, 101), [(Verdict::Translated, back), followed, followed]);
    }
}
