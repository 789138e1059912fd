//! `ringside-steer check`: the configuration and this node, each finding with what to do about it.

use std::path::Path;
use std::process::Command;

use affinity::policy::Conditional;
use affinity::steer::{Clients, Over, Then};
use steer::config::{self, Loaded, MATCHING, Settings};
use steer::kernel::foreign_programs;
use steer::node::{Link, Node};
use steer::policies;

use crate::cli::Configured;
use crate::commands::load;
use crate::failure::Failure;
use crate::privileges;
use crate::shown::{print, say};

/// One thing that was looked at.
struct Finding {
    weight: Weight,
    subject: &'static str,
    what: String,
    help: &'static str,
}

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Good,
    /// It runs, with less than it could.
    Warning,
    /// It does not run for want of rights.
    Right,
    /// It does not run.
    Fatal,
}

fn finding(weight: Weight, subject: &'static str, what: impl Into<String>, help: &'static str) -> Finding {
    Finding { weight, subject, what: what.into(), help }
}

/// Looks at everything, prints what it finds, and fails if the daemon could not run.
pub fn check(configured: &Configured) -> Result<(), Failure> {
    let Loaded { settings, files, warnings } = load(configured)?;
    say(&warnings.to_string());
    let mut findings = vec![finding(Weight::Good, "configuration", files.join(", "), "")];
    findings.push(kernel(release()));
    findings.push(rights());
    findings.push(pins(&settings.pin_dir));
    findings.extend(devices(&settings));
    findings.extend(policies(&settings));
    findings.extend(rules(&settings));
    findings.extend(chain_of_services(&iptables()));
    findings.extend(conntrack(Path::new("/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream")));
    findings.push(finding(
        Weight::Good,
        "this host",
        "what it sends itself (hostNetwork) meets no program and is not steered",
        "",
    ));
    findings.iter().for_each(|finding| _ = print(&line(finding)));
    verdict(&findings)
}

fn line(finding: &Finding) -> String {
    let mark = match finding.weight {
        Weight::Good => "ok",
        Weight::Warning => "warn",
        Weight::Right | Weight::Fatal => "FAIL",
    };
    let help = if finding.help.is_empty() { String::new() } else { format!("\n       -> {}", finding.help) };
    format!("{mark:<5}  {}: {}{help}\n", finding.subject, finding.what)
}

/// Exit code 77 says that rights are all that is missing.
fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let failed = |weight| findings.iter().find(|finding| finding.weight == weight);
    match (failed(Weight::Fatal), failed(Weight::Right)) {
        (Some(finding), _) => {
            Err(Failure::Failed(format!("it cannot run here: {}: {}", finding.subject, finding.what)))
        }
        (None, Some(finding)) => Err(Failure::Privilege(format!("it cannot run as this user: {}", finding.what))),
        (None, None) => Ok(()),
    }
}

/// Version and patch level of the kernel; zeros where it says nothing that is understood.
fn release() -> (u32, u32) {
    let names = nix::sys::utsname::uname().ok();
    let text = names.map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether programs are attached by links of tcx, for which no right is needed later: from Linux 6.6.
pub fn has_tcx() -> bool {
    release() >= (6, 6)
}

fn kernel((major, minor): (u32, u32)) -> Finding {
    let what = format!("Linux {major}.{minor}");
    match (major, minor) {
        (6, 6..) | (7.., _) => finding(Weight::Good, "kernel", what, ""),
        (6, 1..) => {
            let what = format!("{what} has no links of tcx, so CAP_NET_ADMIN stays with the daemon");
            finding(Weight::Warning, "kernel", what, "Linux 6.6 has them")
        }
        _ => finding(Weight::Fatal, "kernel", what, "Linux 6.1 or later is needed"),
    }
}

fn rights() -> Finding {
    let missing = privileges::missing();
    if missing.is_empty() {
        return finding(Weight::Good, "rights", "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are there", "");
    }
    let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    finding(
        Weight::Right,
        "rights",
        format!("{missing} missing"),
        "run it as root, or as deploy/steer/ringside-steer.service does",
    )
}

/// Pins need a BPF file system.
fn pins(folder: &Path) -> Finding {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let is_below = |line: &str| {
        let mut words = line.split(' ');
        let (mount, kind) = (words.nth(1).unwrap_or_default(), words.next().unwrap_or_default());
        kind == "bpf" && folder.starts_with(mount)
    };
    let what = format!("{} is on a BPF file system", folder.display());
    match mounts.lines().any(is_below) {
        true => finding(Weight::Good, "pins", what, ""),
        false => {
            let what = format!("{} is on no BPF file system", folder.display());
            finding(Weight::Fatal, "pins", what, "mount one: mount -t bpf bpf /sys/fs/bpf")
        }
    }
}

fn devices(settings: &Settings) -> Vec<Finding> {
    let links = Node::open().and_then(|mut node| node.links());
    let links = match links {
        Ok(links) => links,
        Err(error) => return vec![finding(Weight::Fatal, "devices", format!("they cannot be listed: {error}"), "")],
    };
    let mut findings = Vec::new();
    for pattern in &settings.interfaces {
        let matching: Vec<&Link> = links.iter().filter(|link| pattern.matches_with(&link.name, MATCHING)).collect();
        if matching.is_empty() {
            let what = format!("none is named {pattern} now; it is waited for");
            findings.push(finding(Weight::Warning, "devices", what, "check the name in `interfaces`"));
        }
        for link in matching {
            findings.extend(foreign(link, &settings.beside));
            let clients = match link.device.clients {
                Clients::Own => "pods of this node send through it: any backend will do",
                Clients::Elsewhere => "others send through it: only backends of this node will do",
            };
            findings.push(finding(Weight::Good, "devices", format!("{}: {clients}", link.name), ""));
            findings.extend(queueing(settings, link));
        }
    }
    let vxlan = links.iter().any(|link| link.name.starts_with("flannel.") || link.name.starts_with("vxlan"));
    if vxlan && !is_untracked() {
        let what = "an overlay (VXLAN) is there whose packets conntrack follows";
        let help =
            "spare it that: nft add rule ip raw output udp dport { 4789, 8472 } notrack, and the same in prerouting";
        findings.push(finding(Weight::Warning, "overlay", what, help));
    }
    findings
}

/// Whether the queueing discipline of a device makes anything of a priority or DSCP that a rule sets.
fn queueing(settings: &Settings, link: &Link) -> Option<Finding> {
    let mut rules = settings.services.iter().flat_map(|service| &service.rules);
    let marks = rules.any(|rule| rule.rule.priority.is_some() || rule.rule.dscp.is_some());
    if !marks || USES_MARKS.contains(&link.queueing.as_str()) {
        return None;
    }
    let what = format!(
        "{} queues by {}, which knows neither priority nor DSCP: rules that set them change nothing there",
        link.name, link.queueing
    );
    Some(finding(Weight::Warning, "devices", what, "give it one that does: tc qdisc replace dev NAME root prio"))
}

/// Queueing disciplines that look at the priority of a packet, or at its DSCP.
const USES_MARKS: [&str; 7] = ["prio", "pfifo_fast", "mqprio", "taprio", "htb", "hfsc", "cake"];

/// The rules of kube-proxy's chain of services, where it has some.
fn iptables() -> String {
    let output = Command::new("iptables-save").args(["-t", "nat"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// A packet that is steered has a backend's address, and is compared with every service in vain.
fn chain_of_services(rules: &str) -> Option<Finding> {
    let count = rules.lines().filter(|line| line.starts_with("-A KUBE-SERVICES ")).count();
    (count > MANY_SERVICES).then(|| {
        let what =
            format!("kube-proxy compares each new flow with {count} rules in a row, those of steered calls in vain");
        finding(Weight::Warning, "kube-proxy", what, "its mode nftables looks up once")
    })
}

/// Rules of one chain from which on it matters.
const MANY_SERVICES: usize = 2000;

fn foreign(link: &Link, beside: &[String]) -> Option<Finding> {
    match foreign_programs(link.index, beside) {
        Ok(programs) if programs.is_empty() => None,
        Ok(programs) => {
            let what = format!("{} has tc programs of others: {}", link.name, programs.join(", "));
            Some(finding(
                Weight::Fatal,
                "devices",
                what,
                "take them off, or name them in `beside` if they leave SIP alone",
            ))
        }
        Err(error) => {
            let what = format!("whether {} has tc programs of others cannot be seen: {error}", link.name);
            Some(finding(Weight::Warning, "devices", what, "look as root"))
        }
    }
}

/// Whether a rule exempts something from connection tracking; `false` where rules cannot be read.
fn is_untracked() -> bool {
    let says = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).to_lowercase().contains("notrack"))
    };
    says("nft", &["list", "ruleset"]).unwrap_or(false) || says("iptables-save", &["-t", "raw"]).unwrap_or(false)
}

/// What path `direct` would go past.
fn policies(settings: &Settings) -> Option<Finding> {
    if settings.path != config::Path::Direct {
        return None;
    }
    Some(match policies::look().told() {
        None => finding(Weight::Good, "policies", "nothing that is forwarded is dropped", ""),
        Some(told) if settings.allow_policy_bypass => {
            let help = "allow_policy_bypass lets calls go past that";
            finding(Weight::Warning, "policies", told, help)
        }
        Some(told) => {
            let help = "take path = \"stack\", or allow_policy_bypass = true if calls may go past that";
            finding(Weight::Fatal, "policies", told, help)
        }
    })
}

/// What rules cost that drop.
fn rules(settings: &Settings) -> Vec<Finding> {
    let drops = |rule: &Conditional| match rule.rule.then {
        Then::Drop => true,
        Then::Limit { over, .. } => over == Over::Drop,
        Then::Steer | Then::Pass => false,
    };
    let invites = |rule: &Conditional| rule.methods.is_empty() || rule.methods.contains(&sip::Method::Invite);
    let mut findings = Vec::new();
    for service in &settings.services {
        if service.rules.iter().any(|rule| drops(rule) && invites(rule)) {
            let what =
                format!("{} has rules that drop INVITEs: each costs its sender 32 s (RFC 3261 Timer B)", service.name);
            findings.push(finding(
                Weight::Warning,
                "rules",
                what,
                "a 503 is the SIP server's to send; limit other methods, or networks",
            ));
        }
    }
    findings
}

/// How long the standard path remembers a flow.
fn conntrack(path: &Path) -> Option<Finding> {
    let seconds: u64 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let what = format!("the standard path forgets a UDP flow after {seconds} s");
    Some(match seconds {
        900.. => finding(Weight::Good, "conntrack", what, ""),
        _ => {
            let help =
                "while dialogs are learned this matters: sysctl net.netfilter.nf_conntrack_udp_timeout_stream=1000";
            finding(Weight::Warning, "conntrack", what, help)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart() {
        let weight = |release| kernel(release).weight;
        assert!(weight((5, 15)) == Weight::Fatal && weight((6, 0)) == Weight::Fatal);
        assert!(weight((6, 1)) == Weight::Warning && weight((6, 6)) == Weight::Good && weight((7, 0)) == Weight::Good);
        assert!(release() > (0, 0));
    }

    #[test]
    fn missing_rights_alone_are_told_from_other_failures() {
        let one = |weight| finding(weight, "subject", "what", "help");
        assert!(verdict(&[one(Weight::Good), one(Weight::Warning)]).is_ok());
        assert!(matches!(verdict(&[one(Weight::Right)]), Err(Failure::Privilege(_))));
        assert!(matches!(verdict(&[one(Weight::Right), one(Weight::Fatal)]), Err(Failure::Failed(_))));
        assert_eq!(line(&one(Weight::Fatal)), "FAIL   subject: what\n       -> help\n");
    }

    #[test]
    fn a_long_chain_of_services_is_pointed_at() {
        let chain =
            |count| "-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-X\n".repeat(count) + "-A OUTPUT -j KUBE-SERVICES\n";
        assert!(chain_of_services(&chain(2000)).is_none() && chain_of_services("").is_none());
        assert!(chain_of_services(&chain(2001)).is_some_and(|found| found.what.contains("2001 rules")));
    }

    #[test]
    fn short_times_of_conntrack_are_pointed_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seconds");
        assert!(conntrack(&path).is_none(), "nothing tracks connections here");
        std::fs::write(&path, "120\n").expect("a file");
        assert!(conntrack(&path).is_some_and(|found| found.weight == Weight::Warning && found.what.contains("120 s")));
        std::fs::write(&path, "1000\n").expect("a file");
        assert!(conntrack(&path).is_some_and(|found| found.weight == Weight::Good));
    }
}
