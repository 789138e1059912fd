//! Where the calls of a test happen: on loopback or across a cable, over IPv4 or IPv6.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{self, Counts, Load, Party};
use testnet::{Cable, Family, Namespace};

/// Calls per place: enough to tell "each once" from "once".
pub const CALLS: u32 = 10;

const CALLER_PORT: u16 = 5070;
const CALLEE_PORT: u16 = 5060;

/// A pair of parties and the interface between them, where ringside listens.
pub struct Place<'a> {
    pub caller: Party<'a>,
    pub callee: Party<'a>,
    pub interface: &'static str,
}

impl<'a> Place<'a> {
    /// Plays calls and hands over a ringside that has seen them, with what SIPp has counted.
    #[track_caller]
    pub fn play(&self, scenario: &Scenario) -> (Ringside<'a>, Counts) {
        let ringside = Ringside::start(self.callee.namespace, &Config::on(self.interface));
        let counts = sipp::exchange(scenario, self.caller, self.callee, Load::of(CALLS));
        (ringside, counts)
    }
}

/// Both ends on the loopback interface of one namespace.
pub fn loopback(namespace: &Namespace, family: Family) -> Place<'_> {
    let party = |port| Party { namespace, address: SocketAddr::new(family.loopback(), port) };
    Place { caller: party(CALLER_PORT), callee: party(CALLEE_PORT), interface: "lo" }
}

/// One end in each namespace.
pub fn across(cable: &Cable, family: Family) -> Place<'_> {
    let (caller, _) = cable.addresses(family, CALLER_PORT);
    let (_, callee) = cable.addresses(family, CALLEE_PORT);
    Place {
        caller: Party { namespace: &cable.left, address: caller },
        callee: Party { namespace: &cable.right, address: callee },
        interface: "right",
    }
}

/// Plays `scenario` at every place; `expected` is what `/metrics` must show for [`CALLS`] calls at each, besides what
/// SIPp has counted itself.
#[track_caller]
pub fn everywhere(scenario: &Scenario, expected: &[(&str, f64)]) {
    for family in [Family::V4, Family::V6] {
        let namespace = namespace();
        check(&loopback(&namespace, family), scenario, expected);
        let cable = cable();
        check(&across(&cable, family), scenario, expected);
    }
}

#[track_caller]
fn check(place: &Place, scenario: &Scenario, expected: &[(&str, f64)]) {
    let (ringside, counts) = place.play(scenario);
    let scrape = ringside.settled(counts.packets());
    scrape.assert(counts.expectations());
    scrape.assert(expected.iter().copied());
    // Nothing was made up: neither a second copy nor a failure nobody saw.
    let clean =
        ["capture_duplicates_total", "non_sip_total", "parse_errors_total", "capture_drops_total", "unmatched_total"];
    scrape.assert(clean.map(|name| (name, 0.0)));
}

pub fn namespace() -> Namespace {
    Namespace::new().expect("namespaces are allowed, the gate has tried")
}

pub fn cable() -> Cable {
    Cable::new().expect("namespaces are allowed, the gate has tried")
}

/// A port that takes datagrams and never answers.
pub fn silent_callee(place: &Place) -> UdpSocket {
    place.callee.namespace.run(|| UdpSocket::bind(place.callee.address)).expect("the port is free")
}

/// A socket inside a namespace that sends to a SIP port nobody listens on.
pub fn sender(namespace: &Namespace, to: &str) -> UdpSocket {
    namespace.run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(to).expect("an address");
        socket
    })
}

/// Sends, and does not mind that the datagram before was refused (ICMP port unreachable).
pub fn send(socket: &UdpSocket, bytes: &[u8]) {
    while let Err(error) = socket.send(bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    }
}
