//! Can it capture here, and does it see SIP? For `ringside doctor`.
//!
//! Tries what [`EbpfSipReceiver::start`](crate::EbpfSipReceiver) does, step by step, and undoes it.
//! Never changes anything of the host.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use caps::Capability;
use intake::{ClockMode, Intake, IntakeSettings, PortSet};
use pipeline::event::NotRead;
use pipeline::{FrameBatch, ReceiverError};

use crate::capabilities::{has, setcap_command};
use crate::capture::{BATCH_PACKETS, Capture};
use crate::config::Config;
use crate::failure::failure;
use crate::filter::help;
use crate::interfaces::{Interfaces, Wanted};
use crate::program::{LoadError, Program};
use crate::ring::{Ring, RingShape};
use crate::sys;
use crate::tls;

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The kernel's version.
    Kernel,
    /// CAP_NET_RAW, without which nothing is captured.
    NetRaw,
    /// CAP_BPF, without which the classic filter is used.
    Bpf,
    /// The eBPF program can be loaded.
    Program,
    /// Socket and ring can be set up.
    Ring,
    /// The interfaces that are named exist.
    Interfaces,
    /// No interface merges datagrams.
    Offloads,
    /// TLS can be read in the clear.
    Tls,
}

impl Check {
    /// What to call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::NetRaw => "CAP_NET_RAW",
            Self::Bpf => "CAP_BPF",
            Self::Program => "eBPF program",
            Self::Ring => "capture ring",
            Self::Interfaces => "interfaces",
            Self::Offloads => "offloads",
            Self::Tls => "TLS",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Good,
    /// Captures, but not as well as it could, or not yet.
    Degraded,
    /// Nothing can be captured.
    Fatal,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// What to do about it; empty when it is good.
    pub help: String,
}

/// Looks at everything live capture with `config` needs.
pub fn probe(config: &Config) -> Vec<Finding> {
    let mut findings = vec![kernel(), net_raw()];
    findings.extend(program());
    // Without the capability the ring only fails for the same reason once more.
    if has(Capability::CAP_NET_RAW) {
        findings.push(ring());
    }
    findings.push(interfaces(config));
    findings.extend(offloads(config));
    findings.extend(tls::probe(&config.tls));
    findings
}

/// SIP messages that were seen while listening.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages by configured port.
    pub on_ports: BTreeMap<u16, u64>,
    /// Other ports SIP was seen on, the busiest first, with the number of packets; at most 64.
    pub elsewhere: Vec<(u16, u64)>,
    /// Wrappings that are not read and SIP was seen in, with the number of packets.
    pub wrapped: Vec<(NotRead, u64)>,
    /// Requests among the messages on configured ports.
    pub requests: u64,
    /// Responses among them.
    pub responses: u64,
    /// Packets looked at.
    pub packets: u64,
}

impl Traffic {
    /// What was seen, where that is one direction of a conversation only: a mirror port that shows half of it.
    pub fn one_sided(&self) -> Option<String> {
        /// Fewer messages may be one-sided by chance, or a ping that nobody answers.
        const ENOUGH: u64 = 20;
        match (self.requests, self.responses) {
            (requests @ ENOUGH.., 0) => Some(format!("{requests} requests and no response")),
            (0, responses @ ENOUGH..) => Some(format!("{responses} responses and no request")),
            _ => None,
        }
    }
}

/// Captures all of the configured transports for at most `time` and says on which ports SIP is spoken. Ends early when `enough`
/// says so; it is asked at least every 100 ms.
pub fn listen(
    config: &Config,
    time: Duration,
    mut enough: impl FnMut(&Traffic) -> bool,
) -> Result<Traffic, ReceiverError> {
    let every_port = Config { ports: (1..=u16::MAX).collect(), ..config.clone() };
    let mut capture = Capture::open(&every_port, RingShape::default(), None)?;
    // What counts is which ports, not when: the packets' own clock does.
    let settings = IntakeSettings {
        ws_ports: PortSet::from(&config.ws_ports[..]),
        vxlan_ports: config.vxlan_ports.clone(),
        note_other_ports: true,
        ..IntakeSettings::new(ClockMode::File, PortSet::from(&config.ports[..]))
    };
    let mut intake = Intake::new(settings);
    let mut batch = FrameBatch::default();
    let mut traffic = Traffic::default();
    let begun = Instant::now();
    while begun.elapsed() < time && !enough(&traffic) {
        capture.wait(LISTEN_STEP.min(time.saturating_sub(begun.elapsed())))?;
        traffic.packets += capture.drain(BATCH_PACKETS, |packet| intake.packet(packet, &mut batch)) as u64;
        for frame in &batch.frames {
            let ports = [frame.destination.port(), frame.source.port()];
            let is_configured = |port: &u16| config.ports.contains(port) || config.ws_ports.contains(port);
            if let Some(port) = ports.into_iter().find(is_configured) {
                *traffic.on_ports.entry(port).or_default() += 1;
                let is_response = batch.message(frame).starts_with(b"SIP/");
                *(if is_response { &mut traffic.responses } else { &mut traffic.requests }) += 1;
            }
        }
        batch.clear();
        (traffic.elsewhere, traffic.wrapped) = (intake.other_ports(), intake.wrapped());
    }
    Ok(traffic)
}

const LISTEN_STEP: Duration = Duration::from_millis(100);

/// What is promised, and what is tried: CAP_BPF came with 5.8.
const PROMISED: (u32, u32) = (6, 1);
const TRIED: (u32, u32) = (5, 8);

fn kernel() -> Finding {
    let release = sys::kernel_release().unwrap_or_else(|error| format!("unknown ({error})"));
    judge_kernel(&release)
}

fn judge_kernel(release: &str) -> Finding {
    let what = format!("Linux {release}");
    match version(release) {
        Some(version) if version >= PROMISED => good(Check::Kernel, what),
        Some(version) if version >= TRIED => Finding {
            check: Check::Kernel,
            severity: Severity::Degraded,
            what: format!("{what}: older than 6.1, it may work"),
            help: "ports may need a restart to change; upgrade to Linux 6.1 or later to be sure".into(),
        },
        _ => Finding {
            check: Check::Kernel,
            severity: Severity::Degraded,
            what: format!("{what}: older than 5.8, or not to be read"),
            help: "the eBPF filter needs CAP_SYS_ADMIN here; upgrade to Linux 6.1 or later".into(),
        },
    }
}

pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn net_raw() -> Finding {
    if has(Capability::CAP_NET_RAW) {
        return good(Check::NetRaw, "granted");
    }
    Finding {
        check: Check::NetRaw,
        severity: Severity::Fatal,
        what: "missing: nothing can be captured".into(),
        help: format!("run as root, or once as root: {}", setcap_command()),
    }
}

/// CAP_BPF and the program. The capability is not everything: CAP_SYS_ADMIN does, too, and a container's
/// rules may refuse bpf() all the same. Loading is the test.
fn program() -> Vec<Finding> {
    let result = Program::load(true);
    let refused = result.as_ref().is_err_and(LoadError::is_permission);
    let capability = if refused {
        Finding {
            check: Check::Bpf,
            severity: Severity::Degraded,
            what: "missing, or bpf() is refused: the classic filter would be used".into(),
            help: format!("once as root: {}; in a container also allow bpf()", setcap_command()),
        }
    } else {
        good(Check::Bpf, "granted")
    };
    let program = match result {
        Ok(_) => Some(good(Check::Program, "loads")),
        Err(_) if refused => None,
        Err(error) => Some(Finding {
            check: Check::Program,
            severity: Severity::Degraded,
            what: [failure(&error), error.verifier_lines(VERIFIER_LINES)].join("\n").trim_end().to_owned(),
            help: help(&error),
        }),
    };
    std::iter::once(capability).chain(program).collect()
}

/// Enough of the verifier's log to see which instruction it refused and why.
const VERIFIER_LINES: usize = 5;

fn ring() -> Finding {
    let shape = RingShape::default();
    let size = u64::from(shape.block_size) * u64::from(shape.blocks) / (1024 * 1024);
    match Ring::open(shape) {
        Ok(_) => good(Check::Ring, format!("{size} MiB can be set up")),
        Err(error) => Finding {
            check: Check::Ring,
            severity: Severity::Fatal,
            what: format!("{size} MiB cannot be set up: {error}"),
            help: "packet sockets (CONFIG_PACKET, CONFIG_PACKET_MMAP) and that much free memory are needed".into(),
        },
    }
}

fn interfaces(config: &Config) -> Finding {
    let existing = match sys::interfaces() {
        Ok(existing) => existing,
        Err(error) => {
            return Finding {
                check: Check::Interfaces,
                severity: Severity::Fatal,
                what: format!("cannot be listed: {error}"),
                help: "allow netlink sockets (AF_NETLINK)".into(),
            };
        }
    };
    judge_interfaces(Wanted::from_names(&config.interfaces), existing)
}

fn judge_interfaces(wanted: Wanted, existing: Vec<sys::Interface>) -> Finding {
    let names: Vec<String> = existing.iter().map(|interface| interface.name.clone()).collect();
    let mut interfaces = Interfaces::new(wanted);
    interfaces.update(existing);
    let missing = interfaces.missing();
    if missing.is_empty() {
        let captured: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| interfaces.wanted().includes(name)).collect();
        return good(Check::Interfaces, captured.join(", "));
    }
    Finding {
        check: Check::Interfaces,
        severity: if interfaces.blocked().is_some() { Severity::Fatal } else { Severity::Degraded },
        what: format!("not there: {}", missing.join(", ")),
        help: format!("there are: {}; a named interface is waited for", names.join(", ")),
    }
}

/// Interfaces that merge datagrams before they are captured. Those of SIP are taken apart again; of those of media only the first
/// is seen.
fn offloads(config: &Config) -> Option<Finding> {
    let wanted = Wanted::from_names(&config.interfaces);
    let existing = sys::interfaces().unwrap_or_default();
    // One without a driver that could be asked merges nothing.
    let features = existing.iter().filter(|interface| wanted.includes(&interface.name)).map(|interface| {
        let on = sys::features(&interface.name).unwrap_or_default();
        (interface.name.clone(), on)
    });
    judge_offloads(features)
}

fn judge_offloads(features: impl Iterator<Item = (String, Vec<String>)>) -> Option<Finding> {
    let merging = features.filter_map(|(interface, on)| {
        let merges = MERGING.into_iter().filter(|name| on.iter().any(|on| on == name));
        let commands: Vec<String> = merges.map(|name| format!("{name} off")).collect();
        (!commands.is_empty()).then(|| (format!("ethtool -K {interface} {}", commands.join(" ")), interface))
    });
    let (commands, interfaces): (Vec<String>, Vec<String>) = merging.unzip();
    (!interfaces.is_empty()).then(|| Finding {
        check: Check::Offloads,
        severity: Severity::Degraded,
        what: format!(
            "{} may merge datagrams: of merged packets of media only the first is heard",
            interfaces.join(", ")
        ),
        help: commands.join("; "),
    })
}

/// Features that merge datagrams of UDP whoever they are for (Linux 5.6, 5.12). Other GRO merges segments of TCP alone.
const MERGING: [&str; 2] = ["rx-gro-list", "rx-udp-gro-forwarding"];

fn good(check: Check, what: impl Into<String>) -> Finding {
    Finding { check, severity: Severity::Good, what: what.into(), help: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_judged_by_their_number() {
        for (release, severity) in [
            ("6.18.44-fc-v669", Severity::Good),
            ("6.1.0-18-amd64", Severity::Good),
            ("10.0", Severity::Good),
            ("5.15.0-generic", Severity::Degraded),
            ("5.4.0", Severity::Degraded),
            ("", Severity::Degraded),
        ] {
            assert_eq!(judge_kernel(release).severity, severity, "{release}");
        }
    }

    #[test]
    fn missing_interfaces_are_fatal_only_if_all_are() {
        let existing = || vec![sys::Interface { index: 2, name: "eth0".into() }];
        let named = |names: &[&str]| Wanted::Named(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(judge_interfaces(Wanted::Every, existing()).severity, Severity::Good);
        assert_eq!(judge_interfaces(named(&["eth0"]), existing()).what, "eth0");
        let some = judge_interfaces(named(&["eth0", "eth9"]), existing());
        assert_eq!((some.severity, some.what.as_str()), (Severity::Degraded, "not there: eth9"));
        let none = judge_interfaces(named(&["eth9"]), existing());
        assert_eq!(none.severity, Severity::Fatal);
        assert!(none.help.contains("eth0"));
    }

    #[test]
    fn interfaces_that_merge_datagrams_are_named_with_what_ends_it() {
        let of = |name: &str, on: &[&str]| (name.to_owned(), on.iter().map(|&one| one.to_owned()).collect());
        assert_eq!(judge_offloads([of("eth0", &["rx-gro", "tx-udp-segmentation"])].into_iter()), None);
        let found = judge_offloads(
            [
                of("eth0", &["rx-gro"]),
                of("eth1", &["rx-gro-list", "rx-udp-gro-forwarding"]),
                of("eth2", &["rx-gro-list"]),
            ]
            .into_iter(),
        )
        .expect("two merge");
        assert!(found.what.starts_with("eth1, eth2 may merge datagrams"), "{}", found.what);
        let help = "ethtool -K eth1 rx-gro-list off rx-udp-gro-forwarding off; ethtool -K eth2 rx-gro-list off";
        assert_eq!(found.help, help);
    }

    #[test]
    fn every_finding_that_is_not_good_has_a_cure() {
        let config = Config { interfaces: vec!["no-such-if".into()], ..Config::default() };
        let without_privileges = std::thread::spawn(move || {
            crate::capabilities::drop_of_this_thread().expect("dropping needs no permission");
            probe(&config)
        })
        .join()
        .expect("probing does not panic");
        for finding in &without_privileges {
            assert_eq!(finding.severity == Severity::Good, finding.help.is_empty(), "{finding:?}");
        }
        let net_raw = without_privileges.iter().find(|finding| finding.check == Check::NetRaw).expect("looked at");
        assert_eq!(net_raw.severity, Severity::Fatal);
    }
}
