//! Scripts: lines of text to packets, and decisions to text.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use affinity::steer::{
    Backend, Choice, Clients, Decision, Device, Kind, Marks, Mode, Model, Rule, RuleTable, Service, Slots, State,
    Tables, Verdict,
};
use affinity::{Maglev, SLOTS};
use ladder::frame;

/// The device by which clients come that are pods of the node, and that of all others.
pub const OWN: u32 = 1;
const OUTSIDE: u32 = 2;

/// Four backends `b0` to `b3` of the service `core`, `b3` on another node, in mode active.
pub fn tables() -> Tables {
    let mut tables = Tables { mode: Mode::Active, ..Tables::default() };
    tables.devices.insert(OWN, Device { clients: Clients::Own, is_pod: true, controller: None });
    for number in 0..4 {
        let addresses = vec![address(&format!("b{number}")), address(&format!("b{number}6"))];
        let backend = Backend { service: 0, addresses, state: State::Up, local: number != 3, hop: None };
        tables.backends.insert(number, backend);
    }
    let choice = Choice { all: slots(&[0, 1, 2, 3]), local: slots(&[0, 1, 2]) };
    let addresses = vec![address("core"), address("core6")];
    tables.services.insert(0, Service { addresses, ipv4: choice.clone(), ipv6: choice, ..Service::default() });
    tables
}

/// Slots of these backends.
pub fn slots(backends: &[u16]) -> Slots {
    let names: Vec<String> = backends.iter().map(|number| format!("b{number}")).collect();
    let table = Maglev::new(&names);
    Slots::new(std::array::from_fn(|slot| {
        table.at(slot as u16).map_or(Slots::NONE, |place| backends[usize::from(place)])
    }))
}

/// Gives `core` one rule for what the closure says.
pub fn with_rule(tables: &mut Tables, rule: Rule, applies: impl Fn(Kind, u8, Marks) -> bool) {
    let service = tables.services.get_mut(&0).expect("core");
    service.rules.push(rule);
    let (before, number) = (service.table.clone(), service.rules.len() as u8);
    service.table = RuleTable::new(|kind, class, marks| match before.of(kind, class, marks) {
        0 if applies(kind, class, marks) => number,
        other => other,
    });
}

/// `a`, `b0:5070`, `core6`: the address of a name, with port 5060 where it says no other.
pub fn address(name: &str) -> SocketAddr {
    let (name, port) = name.split_once(':').map_or((name, 5060), |(name, port)| (name, port.parse().expect("a port")));
    let (name, is_v6) = match name.strip_suffix('6') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let host = match name {
        "core" => 60,
        "other" => 99,
        backend if backend.starts_with('b') => 10 + backend[1..].parse::<u8>().expect("a number"),
        // Clients: one letter.
        client => client.as_bytes()[0],
    };
    let net = match host {
        60 => 96,
        10..14 => 244,
        _ => 1,
    };
    let ip: IpAddr = match is_v6 {
        false => [10, net, 0, host].into(),
        true => [0x2001, 0xdb8, net.into(), 0, 0, 0, 0, host.into()].into(),
    };
    SocketAddr::new(ip, port)
}

/// A model that a script runs on.
pub struct Stage {
    pub model: Model,
    pub tables: Tables,
    /// Heartbeats come with every packet; false: they stopped.
    pub beats: bool,
    start: u64,
    backends: BTreeMap<u16, String>,
}

impl Stage {
    /// One that settled long ago.
    pub fn new(tables: Tables) -> Self {
        let start = 1 << 50;
        let mut model = Model::new(&tables, 0);
        model.beat(start);
        let model = Model::clone(&model);
        let backends = (0..4).map(|number| (number, format!("b{number}"))).collect();
        Self { model, tables, beats: true, start, backends }
    }

    /// Other tables at a time, in seconds.
    pub fn apply(&mut self, at: f64, change: impl FnOnce(&mut Tables)) {
        change(&mut self.tables);
        self.model.apply(&self.tables, self.time(at));
    }

    pub fn beat(&mut self, at: f64) {
        self.model.beat(self.time(at));
    }

    pub fn time(&self, at: f64) -> u64 {
        self.start + (at * 1e9) as u64
    }

    /// Plays a script and compares.
    #[track_caller]
    pub fn play(&mut self, script: &str) {
        for text in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (line, expected) = text.split_once(" = ").expect("a line says what becomes of it");
            let line = Line::parse(line);
            assert_eq!(self.step(&line), expected.trim(), "{text}");
        }
    }

    fn step(&mut self, line: &Line) -> String {
        let now = self.time(line.at);
        if self.beats {
            self.model.beat(now);
        }
        let mut frame = line.frame();
        let before = frame.clone();
        let device = if line.outside { OUTSIDE } else { OWN };
        let decision = match line.leaves {
            true => self.model.egress(&mut frame, now),
            false => self.model.ingress(&mut frame, device, 0, now),
        };
        let is_changed = matches!(decision.verdict, Verdict::Steered | Verdict::Translated);
        assert_eq!(frame != before, is_changed, "{decision:?}");
        assert!(!is_changed || has_right_checksums(&frame), "{decision:?}");
        self.told(&decision, &frame)
    }

    fn told(&self, decision: &Decision, frame: &[u8]) -> String {
        let backend = |number: Option<u16>| number.map_or("", |number| self.backends[&number].as_str());
        match decision.verdict {
            Verdict::Untouched => "untouched".into(),
            Verdict::Passed(why) => format!("pass {}", why.as_str()),
            Verdict::Observed => "observe".into(),
            Verdict::Dropped => "drop".into(),
            Verdict::Steered => {
                let name = backend(decision.backend);
                let is_v4 = frame[12] == 8;
                let to = address(&if is_v4 { name.to_owned() } else { format!("{name}6") });
                assert_eq!(ends(frame).1, to, "it goes where it is said to");
                format!("steer {name}")
            }
            Verdict::Heard => format!("heard {}", backend(decision.backend)),
            Verdict::Translated => format!("from {}", ends(frame).0),
            Verdict::Followed => "followed".into(),
        }
    }
}

/// One packet.
pub struct Line {
    at: f64,
    source: SocketAddr,
    destination: SocketAddr,
    leaves: bool,
    outside: bool,
    payload: Vec<u8>,
}

impl Line {
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let mut word = || words.next().unwrap_or_default();
        let at = word().parse().expect("a time");
        let source = address(word());
        let arrow = word();
        let destination = address(word());
        let (start, call_id) = (word().to_owned(), word().to_owned());
        let call_id = match call_id.strip_prefix("@b") {
            Some(number) => call_for(&tables(), number.parse().expect("a number")),
            None => call_id,
        };
        let rest: Vec<&str> = words.collect();
        let user = rest.iter().position(|word| *word == "user").map_or("b", |at| rest[at + 1]);
        let tag = if rest.contains(&"tag") { ";tag=t" } else { "" };
        let method = rest.iter().position(|word| *word == "cseq").map_or(start.as_str(), |at| rest[at + 1]);
        let first = match start.parse::<u16>() {
            Ok(status) => format!("SIP/2.0 {status} x"),
            Err(_) if user.starts_with("urn:") => format!("{start} {user} SIP/2.0"),
            Err(_) => format!("{start} sip:{user}@c SIP/2.0"),
        };
        let expires =
            rest.iter().position(|word| *word == "expires").map(|at| format!("Expires: {}\r\n", rest[at + 1]));
        let id = if call_id == "-" { String::new() } else { format!("Call-ID: {call_id}\r\n") };
        let message = format!(
            "{first}\r\nVia: SIP/2.0/UDP x\r\nTo: <sip:b@c>{tag}\r\n{id}CSeq: 1 {method}\r\n{}\r\n",
            expires.unwrap_or_default()
        );
        let payload = if start == "RUBBISH" { b"\r\n\r\n".to_vec() } else { message.into_bytes() };
        Self { at, source, destination, leaves: arrow == "=>", outside: arrow == "~>", payload }
    }

    fn frame(&self) -> Vec<u8> {
        datagram(self.source, self.destination, &self.payload)
    }
}

/// A datagram in its frame.
pub fn datagram(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let udp = frame::udp(source, destination, payload);
    frame::ethernet(&frame::ip(source.ip(), destination.ip(), frame::PROTOCOL_UDP, 1, &udp))
}

/// The ends of a frame without options and extension headers.
pub fn ends(frame: &[u8]) -> (SocketAddr, SocketAddr) {
    let v4 = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&frame[at..at + 4]).expect("four"));
    let v6 = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).expect("sixteen"));
    let (from, to, udp) = if frame[12] == 8 { (v4(26), v4(30), 34) } else { (v6(22), v6(38), 54) };
    let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    (SocketAddr::new(from, port(udp)), SocketAddr::new(to, port(udp + 2)))
}

/// Whether the checksums of a frame without options and extension headers are what its bytes come to.
pub fn has_right_checksums(frame: &[u8]) -> bool {
    let (source, destination) = ends(frame);
    let udp = if source.is_ipv4() { 34 } else { 54 };
    let right = frame::udp(source, destination, &frame[udp + 8..]);
    let header = source.is_ipv6() || frame::checksum(&[&frame[14..34]]) == 0;
    header && frame[udp + 6..udp + 8] == right[6..8]
}

/// The slot of a Call-ID decides by the default key: a Call-ID that falls to this backend among all four.
pub fn call_for(tables: &Tables, backend: u16) -> String {
    let slots = &tables.services[&0].ipv4.all;
    let falls = |id: &String| slots.of(tables.key.hash(id.as_bytes())) == Some(backend);
    (0..).map(|number| format!("call-{number}")).find(falls).expect("some Call-ID falls there")
}

const _: () = assert!(SLOTS == 4093);
