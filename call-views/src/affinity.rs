//! What a balancer breaks, for people: a report in; text with findings and cures, or JSON, out (`steering.md` 2).

use std::fmt::Write;

use pipeline::affinity::{BackendReport, Moved, Report, ServiceReport};
use serde_json::Value;

use crate::clock::{rfc3339, time_of_day};

/// The report as JSON: its fields by name, times as RFC 3339, and of each service the cures.
pub fn json(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).expect("text and numbers can be written as JSON");
    let told = value["services"].as_array_mut().into_iter().flatten();
    for (service, told) in report.services.iter().zip(told) {
        told["from"] = rfc3339(service.from).into();
        told["until"] = rfc3339(service.until).into();
        told["cures"] = cures(service).into();
    }
    value
}

/// The report as text: a block for each service, a line for each finding.
pub fn text(report: &Report) -> String {
    let blocks: Vec<String> = report.services.iter().map(block).collect();
    blocks.join("\n")
}

fn block(service: &ServiceReport) -> String {
    let ServiceReport { name, addresses, learned, backends, moved, by_call_id, .. } = service;
    let head = match learned {
        true => format!("service {name}, learned, {}", count(backends.len() as u64, "backend")),
        false => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("service {name} ({}), {}", addresses.join(", "), count(backends.len() as u64, "backend"))
        }
    };
    let mut text = format!("{head:<54}{} to {}\n", time_of_day(service.from), time_of_day(service.until));
    let mut line = |what: &str, told: &str| {
        writeln!(text, "  {what:<14}{told}").expect("writing into a String cannot fail");
    };
    let names = names(backends);
    let each: Vec<String> =
        names.iter().zip(backends).map(|(name, backend)| format!("{name} {}", backend.dialogs)).collect();
    line("dialogs", &each.join("   "));
    for trunk in &service.pinned_trunks {
        let how_many = if trunk.to_backend == trunk.calls { "all".to_owned() } else { trunk.to_backend.to_string() };
        let backend = names.get(trunk.backend).map_or("", String::as_str);
        line("pinned trunk", &format!("{} sent {} calls, {how_many} to {backend}", trunk.client, trunk.calls));
    }
    if moved.dialogs > 0 {
        let causes: Vec<String> = causes(moved).map(|(cause, dialogs)| format!("{cause} {dialogs}")).collect();
        let mut told = format!("{} of {}: {}", moved.dialogs, count(service.dialogs, "dialog"), causes.join(", "));
        if moved.failed > 0 {
            told += &format!("; answered 481: {}", moved.failed);
        }
        line("moved", &told);
    }
    for (what, number, one, told) in [
        ("off-port", service.off_port_replies, "request", "answered at another port than it came from"),
        ("untranslated", service.untranslated_replies, "request", "answered from another address than the service's"),
        ("bypass", service.bypass, "request", "within dialogs sent straight to a backend"),
        ("unknown", service.unknown_backend, "request", "of which the backend does not show"),
    ] {
        if number > 0 {
            line(what, &format!("{} {told}", count(number, one)));
        }
    }
    let spread: Vec<String> = by_call_id.spread.iter().map(ToString::to_string).collect();
    line("by Call-ID", &format!("moved {}; spread {}", by_call_id.moved, spread.join(" ")));
    for help in cures(service) {
        line("cure", help);
    }
    text
}

/// Causes that there are.
fn causes(moved: &Moved) -> impl Iterator<Item = (&'static str, u64)> {
    let causes = [
        ("auth_retry", moved.auth_retry),
        ("backend_gone", moved.backend_gone),
        ("source_port", moved.source_port),
        ("idle", moved.idle),
        ("other", moved.other),
    ];
    causes.into_iter().filter(|(_, dialogs)| *dialogs > 0)
}

/// What helps against what was found.
fn cures(service: &ServiceReport) -> Vec<&'static str> {
    let moved = &service.moved;
    let by_call_id = !service.pinned_trunks.is_empty() || moved.dialogs > moved.backend_gone;
    let cures = [
        (by_call_id && moved.idle == 0, "affinity by Call-ID"),
        (by_call_id && moved.idle > 0, "affinity by Call-ID; until then raise nf_conntrack_udp_timeout_stream"),
        (moved.backend_gone > 0, "drain a backend before it stops"),
        (service.off_port_replies > 0, "switch off the SIP ALG on the way, or have the server answer by RFC 3581"),
        (service.untranslated_replies > 0, "lead replies back through the node that translated the request"),
        (service.bypass > 0, "have Contact and Record-Route name the service, not the backend"),
        (service.unknown_backend > 0, "capture on both sides of the translation, such as on any interface of the node"),
    ];
    cures.into_iter().filter(|(helps, _)| *helps).map(|(_, help)| help).collect()
}

/// Backends by name; those known by address alone without their port where that says nothing.
fn names(backends: &[BackendReport]) -> Vec<String> {
    let mut ports = backends.iter().flat_map(|backend| &backend.addresses).map(|address| address.port());
    let first = ports.next();
    let same = ports.all(|port| Some(port) == first);
    let name = |backend: &BackendReport| match backend.addresses.first() {
        Some(address) if same && *backend.name == *address.to_string() => address.ip().to_string(),
        _ => backend.name.to_string(),
    };
    backends.iter().map(name).collect()
}

fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use pipeline::affinity::{PinnedTrunk, WhatIf};
    use wire::Timestamp;

    use super::*;

    fn service() -> ServiceReport {
        let at = |seconds: u64| Timestamp::from_nanos((1_767_225_600 + seconds) * 1_000_000_000);
        let backend = |last: u8, dialogs| {
            let address = format!("10.244.1.{last}:5060");
            BackendReport { name: address.as_str().into(), addresses: vec![address.parse().expect("one")], dialogs }
        };
        let client = "192.0.2.10:5060".parse().expect("an address");
        ServiceReport {
            name: "10.96.0.60:5060".into(),
            addresses: vec!["10.96.0.60:5060".parse().expect("an address")],
            learned: true,
            from: at(36_000),
            until: at(36_750),
            dialogs: 1409,
            backends: vec![backend(11, 1263), backend(12, 41), backend(13, 57), backend(14, 48)],
            unknown_backend: 0,
            pinned_trunks: vec![PinnedTrunk { client, calls: 1200, to_backend: 1200, backend: 0 }],
            moved: Moved { dialogs: 89, source_port: 61, idle: 28, failed: 84, ..Moved::default() },
            off_port_replies: 0,
            untranslated_replies: 0,
            bypass: 0,
            by_call_id: WhatIf { moved: 0, spread: vec![349, 358, 345, 357] },
        }
    }

    #[test]
    fn a_report_is_told_as_the_specification_shows_it() {
        let report = Report { services: vec![service()], requests: 5000 };
        let expected = "\
service 10.96.0.60:5060, learned, 4 backends          10:00:00 to 10:12:30
  dialogs       10.244.1.11 1263   10.244.1.12 41   10.244.1.13 57   10.244.1.14 48
  pinned trunk  192.0.2.10:5060 sent 1200 calls, all to 10.244.1.11
  moved         89 of 1409 dialogs: source_port 61, idle 28; answered 481: 84
  by Call-ID    moved 0; spread 349 358 345 357
  cure          affinity by Call-ID; until then raise nf_conntrack_udp_timeout_stream
";
        assert_eq!(text(&report), expected);
        assert!(include_str!("../../docs/spec/steering.md").contains(expected), "the specification shows it otherwise");
    }

    #[test]
    fn a_healthy_service_needs_no_cure() {
        let pinned_trunks = Vec::new();
        let healthy = ServiceReport { moved: Moved::default(), pinned_trunks, ..service() };
        let report = Report { services: vec![healthy], requests: 1 };
        assert!(!text(&report).contains("cure"), "{}", text(&report));
        assert_eq!(json(&report)["services"][0]["cures"], serde_json::json!([]));
        assert_eq!(json(&report)["services"][0]["from"], "2026-01-01T10:00:00.000000Z");
    }
}
