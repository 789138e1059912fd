//! Devices that observe change nothing: frames go through a bridge whose ports have the programs, and come out byte for byte.

use std::time::Duration;

use affinity::steer::{Clients, Device, Mode};
use integration::gate;
use steer::kernel::{Kernel, Steering, now};
use testnet::{Injector, Namespace, Tap};

use crate::node::{capacity, index};

// What the tests of the program make besides is not needed here.
#[path = "../program/frames.rs"]
#[allow(dead_code)]
mod frames;
// As above.
#[path = "../program/scenario.rs"]
#[allow(dead_code)]
mod scenario;

use frames::Chance;

/// Frames each way.
const FRAMES: usize = 10_000;

/// How many are on their way at once.
const AT_ONCE: usize = 50;

/// Two hosts and a bridge between them.
struct Bridge {
    node: Namespace,
    hosts: [Namespace; 2],
}

impl Bridge {
    fn new() -> std::io::Result<Self> {
        let bridge = Self { node: Namespace::new()?, hosts: [Namespace::new()?, Namespace::new()?] };
        let node = &bridge.node;
        let off = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"];
        for namespace in [node, &bridge.hosts[0], &bridge.hosts[1]] {
            let done = namespace.command("sysctl").args(["-qw"]).args(off).status()?;
            assert!(done.success(), "nothing but our own frames is on the wire");
        }
        // Netfilter would drop IPv4 whose header is wrong; where a bridge has none, there is nothing to set.
        let off = ["net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0"];
        let _ = node.command("sysctl").args(["-qwe"]).args(off).output()?;
        node.ip("link add br0 type bridge mcast_snooping 0");
        node.ip("link set br0 up");
        for (number, host) in bridge.hosts.iter().enumerate() {
            node.ip(&format!("link add p{number} mtu 4000 type veth peer name eth0 mtu 4000 netns {}", host.path()));
            node.ip(&format!("link set p{number} master br0 up"));
            host.ip("link set eth0 up promisc on");
        }
        Ok(bridge)
    }
}

#[test]
fn frames_come_out_byte_for_byte() {
    let test = "frames_come_out_byte_for_byte";
    let Some(_pass) = gate::shared(test) else { return };
    let bridge = Bridge::new().expect("namespaces are allowed, the gate has tried");
    let captured = frames::of(&frames::own());
    let mut chance = Chance(5);
    let mut places = frames::ends(&captured);
    places.truncate(36);
    let made = frames::made(&places);
    let ports = ["p0", "p1"].map(|port| index(&bridge.node, port));
    let mut tables = scenario::tables(&places, &mut chance);
    tables.mode = Mode::Observe;
    tables.capacity = capacity();
    tables.devices = ports.map(|port| (port, Device { clients: Clients::Own, is_pod: true, controller: None })).into();
    let opened = bridge.node.run(|| {
        let mut steering = Steering::open(None, &capacity())?;
        steering.apply(&tables, now())?;
        steering.beat(now())?;
        ports.iter().try_for_each(|port| steering.attach(*port, &[]))?;
        Ok::<_, steer::kernel::KernelError>(steering)
    });
    let steering = match opened {
        Ok(steering) => steering,
        Err(error) => return testnet::skipped(test, &error.to_string()),
    };
    for way in [[0, 1], [1, 0]] {
        let [from, to] = way.map(|host| &bridge.hosts[host]);
        let injector = from.run(|| Injector::new("eth0")).expect("a packet socket");
        let tap = to.run(|| Tap::new("eth0")).expect("a packet socket");
        // A port of a bridge forwards a moment after it is up.
        let mark = [&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, way[0] as u8 + 1, 0x88, 0xb5][..], &[0; 46]].concat();
        let arrives = |_: &i32| {
            injector.send(&mark);
            tap.next(Duration::from_millis(20)).is_some()
        };
        assert!((0..200).any(|attempt| arrives(&attempt)), "the bridge does not forward");
        while tap.next(Duration::from_millis(50)).is_some() {}
        let mut sent = 0;
        while sent < FRAMES {
            let frames: Vec<Vec<u8>> =
                (0..AT_ONCE).map(|_| one(&captured, &made, &places, &mut chance, way[0])).collect();
            injector.send_all(frames.iter().map(Vec::as_slice));
            for (number, frame) in frames.iter().enumerate() {
                let came =
                    tap.next(Duration::from_secs(5)).unwrap_or_else(|| panic!("frame {} is lost", sent + number));
                assert!(
                    came == *frame,
                    "frame {} of {} bytes came as {} bytes\n{came:02x?}, was\n{frame:02x?}",
                    sent + number,
                    frame.len(),
                    came.len()
                );
            }
            sent += AT_ONCE;
        }
    }
    let counters = steering.counters().expect("maps of our own");
    let seen = counters.general(affinity::steer::General::Seen);
    let observed: u64 = counters.services.values().flat_map(|service| service.packets).map(|actions| actions[3]).sum();
    println!("{} frames each way, {seen} of them seen, {observed} observed", FRAMES);
    assert!(seen > FRAMES as u64 / 2 && observed > FRAMES as u64 / 10, "{seen} seen, {observed} observed");
}

/// One frame with Ethernet addresses that a bridge takes.
fn one(
    captured: &[frames::Frame],
    made: &[frames::Frame],
    places: &[std::net::SocketAddr],
    chance: &mut Chance,
    host: usize,
) -> Vec<u8> {
    let from = if chance.below(4) == 0 { captured } else { made };
    let mut frame = frames::changed(chance.of(from), places, chance);
    frame.resize(frame.len().max(60), 0);
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, host as u8 + 1]);
    if !matches!(frame[12..14], [8, 0] | [0x86, 0xdd]) {
        // A tag would be taken off and put on by the devices themselves.
        frame[12..14].copy_from_slice(&[8, 0]);
    }
    frame
}
