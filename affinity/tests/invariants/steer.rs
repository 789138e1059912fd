//! What holds of the steering program's scan, and of its model, at any bytes. Shared with the fuzz target.

use affinity::steer::{
    Backend, Called, Choice, Clients, Device, EMERGENCY_USER, Hop, Mode, Model, Path, Scan, Service, Slots, State,
    Tables, Verdict,
};
use affinity::{CALL_ID, SLOTS, Start, WINDOW};

/// Scans some bytes, and has the model decide about them as a payload and as a frame.
pub fn check_steer(bytes: &[u8]) {
    check_scan(bytes);
    let mut model = Model::new(&tables(), 0);
    model.route([("10.0.0.0/9".parse().expect("a network"), Some(1))].into());
    model.beat(1);
    // As they are, twice: what the first run remembers may not change what the second one does with the bytes.
    check_frame(&mut model, bytes.to_vec());
    check_frame(&mut model, bytes.to_vec());
    check_frame(&mut model, framed(bytes));
}

fn check_scan(bytes: &[u8]) {
    let seen = &bytes[..bytes.len().min(WINDOW)];
    let scan = Scan::of(bytes);
    // What stands behind the window means nothing.
    assert_eq!(scan, Scan::of(seen));
    if let Some(Called::User(user)) = Called::by(bytes) {
        assert!((1..=EMERGENCY_USER).contains(&user.len()) && user.iter().all(|byte| *byte > b' '));
    }
    let Some(scan) = scan else { return };
    match scan.start {
        Start::Response(status) => assert!((100..700).contains(&status), "{status}"),
        Start::Request(_) => assert_eq!(scan.cseq, None),
    }
    if let Some(call_id) = scan.call_id {
        assert!((1..=CALL_ID).contains(&call_id.len()) && seen.as_ptr_range().contains(&call_id.as_ptr()));
        assert!(call_id.iter().all(|byte| *byte > b' '), "{call_id:?}");
    }
}

/// Only what is steered, translated or follows is changed, and no frame becomes longer or shorter.
fn check_frame(model: &mut Model, frame: Vec<u8>) {
    for egress in [false, true] {
        let mut changed = frame.clone();
        let decision = if egress { model.egress(&mut changed, 2) } else { model.ingress(&mut changed, 1, 0, 2) };
        assert_eq!(changed.len(), frame.len());
        let may_change = matches!(decision.verdict, Verdict::Steered | Verdict::Translated | Verdict::Followed);
        assert!(may_change || changed == frame, "{decision:?}");
    }
}

/// The bytes as a datagram of 10.0.0.1:5060 to the service.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let payload = &bytes[..bytes.len().min(4000)];
    let [ip, udp] = [28 + payload.len(), 8 + payload.len()].map(|length| (length as u16).to_be_bytes());
    let ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let header = [0x45, 0, ip[0], ip[1], 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 60];
    let ports = [0x13, 0xc4, 0x13, 0xc4, udp[0], udp[1], 0, 0];
    [&ethernet[..], &header, &ports, payload].concat()
}

fn tables() -> Tables {
    let mut tables = Tables { mode: Mode::Active, path: Path::Direct, ..Tables::default() };
    tables.devices.insert(1, Device { clients: Clients::Own, is_pod: true, controller: None });
    let at = |host: u8| std::net::SocketAddr::from(([10, 0, 0, host], 5060));
    let backend =
        Backend { service: 0, addresses: vec![at(11)], state: State::Up, local: true, hop: Some(Hop::Pod(2)) };
    tables.backends.insert(0, backend);
    let slots = Slots::new([0; SLOTS as usize]);
    let ipv4 = Choice { all: slots.clone(), local: slots };
    tables.services.insert(0, Service { addresses: vec![at(60)], ipv4, ..Service::default() });
    tables
}
