//! What `ringside doctor` is told.

use std::net::UdpSocket;
use std::time::Duration;

use caps::Capability;
use receiver_ebpf_sip::probe::{self, Check, Severity};
use testnet::{Namespace, ip, skipped};

use crate::common;
use crate::common::capture::live;
use crate::{PORT, message, on};

#[test]
fn probing_finds_nothing_wrong_where_everything_is_allowed() {
    live("probing_finds_nothing_wrong_where_everything_is_allowed", || {
        Namespace::new().expect("checked").enter();
        let findings = probe::probe(&on("lo"));
        assert!(findings.iter().all(|finding| finding.severity == Severity::Good), "{findings:?}");
    });
}

#[test]
fn probing_without_cap_bpf_names_it() {
    live("probing_without_cap_bpf_names_it", || {
        Namespace::new().expect("checked").enter();
        common::become_nobody_with(&[Capability::CAP_NET_RAW]);
        let findings = probe::probe(&on("lo"));
        let bad: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Good).collect();
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert_eq!((bad[0].check, bad[0].severity), (Check::Bpf, Severity::Degraded));
        assert!(bad[0].help.contains("setcap cap_net_raw,cap_bpf+ep"));
    });
}

#[test]
fn probing_names_a_device_that_merges_datagrams() {
    const TEST: &str = "probing_names_a_device_that_merges_datagrams";
    live(TEST, || {
        let namespace = Namespace::new().expect("checked");
        namespace.enter();
        ip("link add mirror type veth peer name switch");
        let offloads = || probe::probe(&on("mirror")).into_iter().find(|finding| finding.check == Check::Offloads);
        assert_eq!(offloads(), None);
        let mut ethtool = namespace.command("ethtool");
        match ethtool.args(["--features", "mirror", "rx-udp-gro-forwarding", "on"]).output() {
            Ok(output) if output.status.success() => {}
            other => return skipped(TEST, &format!("ethtool cannot turn it on: {other:?}")),
        }
        let found = offloads().expect("it is on");
        assert_eq!(found.severity, Severity::Degraded);
        assert_eq!(found.help, "ethtool -K mirror rx-udp-gro-forwarding off");
    });
}

#[test]
fn listening_names_the_ports_sip_is_spoken_on() {
    live("listening_names_the_ports_sip_is_spoken_on", || {
        Namespace::new().expect("checked").enter();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
        let traffic = probe::listen(&on("lo"), Duration::from_secs(20), |traffic| {
            // Spoken while it listens, until it was heard.
            for (name, port) in [("here", PORT), ("there", PORT + 20)] {
                socket.send_to(&message(name, 0), ("127.0.0.1", port)).expect("sent");
            }
            socket.send_to(&[0x80; 172], ("127.0.0.1", PORT + 40)).expect("sent");
            !traffic.on_ports.is_empty() && !traffic.elsewhere.is_empty()
        })
        .expect("capture can be started");
        assert_eq!(traffic.on_ports.keys().copied().collect::<Vec<_>>(), [PORT]);
        assert_eq!(traffic.elsewhere.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [PORT + 20]);
    });
}
