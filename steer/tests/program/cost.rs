//! What the programs cost: instructions that the verifier walks, and time for one packet. Times are printed, not judged.

use std::net::SocketAddr;

use affinity::SLOTS;
use affinity::steer::{Backend, Capacity, Choice, Clients, Device, Mode, Service, Slots, State, Tables};
use ladder::frame;
use steer::kernel::Programs;

use super::load;

/// The verifier may walk so many for each program.
const INSTRUCTIONS: u32 = 400_000;

#[test]
fn the_verifier_walks_few_instructions() {
    let Some(mut programs) = load("the_verifier_walks_few_instructions", &Capacity::default()) else { return };
    let verified = programs.verified().expect("they are loaded");
    println!("verified instructions: ingress {}, egress {}", verified[0], verified[1]);
    assert!(verified.iter().all(|count| (1..=INSTRUCTIONS).contains(count)), "{verified:?}");
}

const CLIENT: &str = "192.0.2.10:5060";
const SERVICE: &str = "10.96.0.60:5060";
const BACKEND: &str = "10.244.1.11:5060";

fn tables() -> Tables {
    let at = |address: &str| address.parse::<SocketAddr>().expect("an address");
    let mut tables = Tables { mode: Mode::Active, ..Tables::default() };
    tables.devices.insert(1, Device { clients: Clients::Own, is_pod: true, controller: None });
    let backend = Backend { service: 0, addresses: vec![at(BACKEND)], state: State::Up, local: true, hop: None };
    tables.backends.insert(0, backend);
    let slots = Slots::new([0; SLOTS as usize]);
    let ipv4 = Choice { all: slots.clone(), local: slots };
    tables.services.insert(0, Service { addresses: vec![at(SERVICE)], ipv4, ..Service::default() });
    tables
}

fn packet(source: &str, destination: &str, payload: &str) -> Vec<u8> {
    let (source, destination): (SocketAddr, SocketAddr) =
        (source.parse().expect("an address"), destination.parse().expect("an address"));
    let udp = frame::udp(source, destination, payload.as_bytes());
    frame::ethernet(&frame::ip(source.ip(), destination.ip(), frame::PROTOCOL_UDP, 1, &udp))
}

/// An INVITE as a phone behind a proxy sends it, with a body; its Call-ID begins at about byte 264.
fn invite() -> String {
    let body =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";
    format!(
        "INVITE sip:+4930123456@sip.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1;rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@sip.example.com>;tag=a48s9f2k\r\nTo: <sip:+4930123456@sip.example.com>\r\n\
         Call-ID: 3848276298220188511@atlanta.example.com\r\nCSeq: 314159 INVITE\r\nContact: <sip:alice@192.0.2.10:5060>\r\n\
         User-Agent: phone/1.0\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a run takes, in ns: the least mean of 40 times 5,000, which a machine with other work disturbs least.
fn steady(programs: &mut Programs, egress: bool, frame: &[u8]) -> u32 {
    let means = (0..40).map(|_| programs.run(egress, frame, 1, 0, 5000).expect("it runs").nanos);
    means.min().expect("there are some")
}

#[test]
fn what_a_packet_costs() {
    let capacity = Capacity::default();
    let programs = Programs::load(None, &capacity, false);
    let mut programs = match programs {
        Ok(programs) => programs,
        Err(error) => return testnet::skipped("what_a_packet_costs", &error.to_string()),
    };
    let tables = tables();
    programs.apply(None, &tables, 0).expect("maps of our own");
    programs.beat(u64::MAX / 4).expect("a map of our own");
    programs.settle(0).expect("a map of our own");
    let (invite, ok) = (invite(), "SIP/2.0 200 OK\r\nCall-ID: x@y\r\nTo: <sip:a@b>;tag=1\r\nCSeq: 1 INVITE\r\n\r\n");
    let packets = [
        ("media", false, packet("192.0.2.10:4000", "192.0.2.11:4002", "not for us")),
        ("UDP to the port, other address", false, packet(CLIENT, "192.0.2.11:5060", "not for us")),
        ("INVITE to the service", false, packet(CLIENT, SERVICE, &invite)),
        ("rubbish to the service", false, packet(CLIENT, SERVICE, "\r\n\r\n")),
        ("200 from the backend", false, packet(BACKEND, CLIENT, ok)),
        ("200 leaving", true, packet(BACKEND, CLIENT, ok)),
    ];
    for (what, egress, frame) in packets {
        // A run changes its packet: where it goes on to a backend, the next round finds it there. So one by one.
        let runs: Vec<u32> = (0..2000).map(|_| programs.run(egress, &frame, 1, 0, 1).expect("it runs").nanos).collect();
        let mut sorted = runs;
        sorted.sort_unstable();
        println!("{what}: median of single runs {} ns, least {} ns", sorted[sorted.len() / 2], sorted[0]);
        println!("{what}: {} ns on one packet", steady(&mut programs, egress, &frame));
    }
    // Steered to where it went: the same work on every round, and the packet stays the same.
    let mut same = tables.clone();
    same.backends.get_mut(&0).expect("there is one").addresses = vec![SERVICE.parse().expect("an address")];
    programs.apply(Some(&tables), &same, 0).expect("maps of our own");
    let frame = packet(CLIENT, SERVICE, &invite);
    println!("INVITE, steered: {} ns", steady(&mut programs, false, &frame));
    programs.apply(Some(&same), &tables, 0).expect("maps of our own");
    let observed = Tables { mode: Mode::Observe, ..tables.clone() };
    programs.apply(Some(&tables), &observed, 0).expect("maps of our own");
    for (what, message) in [("INVITE", &invite[..]), ("rubbish", "\r\n\r\n")] {
        let frame = packet(CLIENT, SERVICE, message);
        println!("{what}, observed: {} ns", steady(&mut programs, false, &frame));
    }
    let counters = programs.counters().expect("maps of our own");
    assert!(counters.backends[&0].requests >= 2000, "they were steered: {counters:?}");
}
