//! `ringside doctor`: can it capture here, does it see SIP, do its ways in and out work? Each finding with what to do about it.

mod conntrack;
mod media;
mod page;
mod probes;
mod ways;

use std::time::{Duration, Instant};

use engine::Catalogue;
use pipeline::ComponentId;
use pipeline::settings::duration;
use receiver_ebpf_sip::Config;
use receiver_ebpf_sip::probe::{self, Check, Finding, Severity, Traffic};

use crate::cli::Run;
use crate::failure::Failure;
use crate::settings::{self, Loaded};
use crate::show::{numbered, print, say};

/// Looks at everything, prints what it finds, and fails if nothing could be captured.
pub fn doctor(catalogue: &Catalogue, run: &Run) -> Result<(), Failure> {
    let loaded = settings::load(run, catalogue).map_err(|problems| settings::refused(&problems))?;
    say(&loaded.warnings.to_string());
    print(&line("ok", "configuration", &loaded.files.join(", "), ""))?;
    probes::try_each(&loaded)?;
    let ways = ways::findings(&loaded)?;
    print(&ways.text)?;
    conntrack::findings().iter().try_for_each(|finding| print(finding))?;
    let receivers = live_receivers(&loaded);
    if receivers.is_empty() {
        media::findings(&loaded, false).iter().try_for_each(|finding| print(finding))?;
        print(&line("ok", "capture", "no pipeline captures live, so no privilege is needed", ""))?;
        return ways.verdict();
    }
    let mut findings = Vec::new();
    for (id, config) in &receivers {
        let found = probe::probe(config);
        print(&format!("{id}:\n"))?;
        found.iter().try_for_each(|finding| print(&show(finding)))?;
        if found.iter().all(|finding| finding.severity != Severity::Fatal) {
            print(&listen(config)?)?;
        }
        findings.extend(found);
    }
    let bpf = |finding: &Finding| matches!(finding.check, Check::Bpf | Check::Program);
    let classic = findings.iter().any(|finding| bpf(finding) && finding.severity != Severity::Good);
    media::findings(&loaded, classic).iter().try_for_each(|finding| print(finding))?;
    verdict(&findings)?;
    ways.verdict()
}

/// The live receivers that pipelines use, with their settings.
fn live_receivers(loaded: &Loaded) -> Vec<(ComponentId, Config)> {
    let used = loaded.configuration.graph.shards.iter().flat_map(|shard| &shard.receivers);
    let config = |id: &ComponentId| loaded.configuration.receivers[id].settings().downcast::<Config>().ok();
    used.filter_map(|id| Some((id.clone(), *config(id)?))).collect()
}

/// Longest time it waits for a SIP message.
const LISTEN: Duration = Duration::from_secs(5);

/// So long it listens in any case, for SIP where it is not looked for.
const LOOK_AROUND: Duration = Duration::from_secs(1);

fn listen(config: &Config) -> Result<String, Failure> {
    let begun = Instant::now();
    let enough = |traffic: &Traffic| !traffic.on_ports.is_empty() && begun.elapsed() >= LOOK_AROUND;
    let traffic = probe::listen(config, LISTEN, enough)?;
    Ok(describe(&traffic))
}

fn describe(traffic: &Traffic) -> String {
    let seen = traffic.on_ports.keys().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let elsewhere = numbered(&traffic.elsewhere);
    let wrapped: Vec<(&str, u64)> = traffic.wrapped.iter().map(|(why, packets)| (why.as_str(), *packets)).collect();
    let mut lines = String::new();
    if !seen.is_empty() {
        lines += &line("ok", "SIP", &format!("seen on port {seen}"), "");
    }
    if !elsewhere.is_empty() {
        let what = match seen.is_empty() {
            true => format!("seen on port {elsewhere} only, which is not configured"),
            false => format!("seen on port {elsewhere} too, which is not configured"),
        };
        lines += &line("warn", "SIP", &what, "add it to `ports` of the receiver");
    }
    if !wrapped.is_empty() {
        let what = format!("seen in packets that are not read: {}", numbered(&wrapped));
        lines += &line("warn", "SIP", &what, "capture where the packets are as they come in or go out");
    }
    if let Some(only) = traffic.one_sided() {
        let what = format!("{only} were seen, and nothing the other way: the mirror shows one direction");
        lines += &line("warn", "SIP", &what, "mirror both directions of the port (rx and tx)");
    }
    if lines.is_empty() {
        return line(
            "warn",
            "SIP",
            &format!("none seen in {} ({} packets)", duration::format(LISTEN), traffic.packets),
            "place a call while it listens; if none is seen then, SIP does not pass this host or is encrypted",
        );
    }
    lines
}

fn show(finding: &Finding) -> String {
    let mark = match finding.severity {
        Severity::Good => "ok",
        Severity::Degraded => "warn",
        Severity::Fatal => "FAIL",
    };
    line(mark, finding.check.as_str(), &finding.what, &finding.help)
}

fn line(mark: &str, subject: &str, what: &str, help: &str) -> String {
    let help = if help.is_empty() { String::new() } else { format!("\n       -> {help}") };
    format!("{mark:<5}  {subject}: {what}{help}\n")
}

/// Exit code 77 says that one capability is all that is missing.
fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let mut fatal = findings.iter().filter(|finding| finding.severity == Severity::Fatal).peekable();
    let Some(first) = fatal.peek() else { return Ok(()) };
    let text = format!("nothing can be captured here: {} {}; {}", first.check.as_str(), first.what, first.help);
    match fatal.all(|finding| finding.check == Check::NetRaw) {
        true => Err(Failure::Privilege(text)),
        false => Err(Failure::Failed(text)),
    }
}

#[cfg(test)]
mod tests {
    use pipeline::event::NotRead;

    use super::*;

    fn finding(check: Check, severity: Severity) -> Finding {
        Finding { check, severity, what: "what".to_owned(), help: "help".to_owned() }
    }

    #[test]
    fn a_missing_capability_alone_is_told_from_other_failures() {
        let degraded = finding(Check::Bpf, Severity::Degraded);
        let raw = finding(Check::NetRaw, Severity::Fatal);
        let ring = finding(Check::Ring, Severity::Fatal);
        assert!(verdict(std::slice::from_ref(&degraded)).is_ok());
        assert!(matches!(verdict(&[raw.clone(), degraded]), Err(Failure::Privilege(_))));
        assert!(matches!(verdict(&[raw, ring]), Err(Failure::Failed(_))));
    }

    #[test]
    fn sip_on_another_port_is_pointed_at() {
        let traffic = Traffic { elsewhere: vec![(5080, 6), (5070, 1)], ..Traffic::default() };
        assert_eq!(
            describe(&traffic),
            "warn   SIP: seen on port 5080 (6 packets), 5070 (1 packet) only, which is not configured\n       \
             -> add it to `ports` of the receiver\n"
        );
        let both = Traffic { on_ports: [(5060, 3)].into(), ..traffic };
        let (first, second) =
            ("ok     SIP: seen on port 5060\n", "warn   SIP: seen on port 5080 (6 packets), 5070 (1 packet) too");
        assert!(describe(&both).starts_with(&[first, second].concat()), "{}", describe(&both));
    }

    #[test]
    fn half_a_mirror_is_pointed_at() {
        let traffic = |requests, responses| {
            let traffic = Traffic { on_ports: [(5060, 3)].into(), requests, responses, ..Traffic::default() };
            describe(&traffic)
        };
        let found = traffic(40, 0);
        assert!(
            found.contains("warn   SIP: 40 requests and no response were seen, and nothing the other way"),
            "{found}"
        );
        assert!(traffic(0, 30).contains("warn   SIP: 30 responses and no request"), "{found}");
        for whole in [traffic(40, 1), traffic(5, 0)] {
            assert_eq!(whole, "ok     SIP: seen on port 5060\n");
        }
    }

    #[test]
    fn sip_in_packets_that_are_not_read_is_pointed_at() {
        let traffic = Traffic { wrapped: vec![(NotRead::Esp, 6)], ..Traffic::default() };
        assert!(describe(&traffic).starts_with("warn   SIP: seen in packets that are not read: esp (6 packets)\n"));
    }
}
