//! Answers as people read them.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

/// Writes to standard output. Whether anybody reads there.
pub fn print(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Writes to standard error. Where nobody reads it there is nobody to tell.
pub fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

const INFALLIBLE: &str = "writing to a String cannot fail";

/// `status`.
pub fn status(status: &Value) -> String {
    let mut text = String::new();
    let waits = if status["waits_for_dialogs"] == true { ", active once 99 % of dialogs are known" } else { "" };
    let mut line = |name: &str, value: String| writeln!(text, "{name:<10}{value}").expect(INFALLIBLE);
    line("mode", format!("{}{waits}", word(&status["mode"])));
    line("path", word(&status["path"]).to_owned());
    for (service, state) in status["services"].as_object().into_iter().flatten() {
        line("service", format!("{service} {}", word(state)));
    }
    line("devices", list(&status["devices"]).join(" "));
    line("dialogs", format!("{} of {}", status["dialogs"], status["max_dialogs"]));
    let age = status["heartbeat_age_seconds"].as_f64();
    line("heartbeat", age.map_or("never".to_owned(), |age| format!("{age:.1} s ago")));
    list(&status["problems"]).into_iter().for_each(|problem| line("problem", problem));
    list(&status["restart_needed"])
        .into_iter()
        .for_each(|key| line("restart", format!("{key} has changed, which needs it")));
    text
}

/// `services`.
pub fn services(services: &Value) -> String {
    let mut text = String::new();
    for service in services.as_array().into_iter().flatten() {
        let adoption =
            service["adoption_ratio"].as_f64().map(|ratio| format!(", {:.1} % of dialogs known", ratio * 100.0));
        let flag = |key: &str| if service[key] == true { format!(", {key}") } else { String::new() };
        let (name, addresses) = (word(&service["name"]), list(&service["addresses"]).join(" "));
        let (state, adoption) = (word(&service["state"]), adoption.unwrap_or_default());
        writeln!(text, "{name} {addresses}: {state}{adoption}{}{}", flag("overload"), flag("panic")).expect(INFALLIBLE);
        let backends: Vec<[String; 6]> = service["backends"].as_array().into_iter().flatten().map(backend).collect();
        let head = ["backend", "address", "state", "weight", "dialogs", ""].map(str::to_owned);
        let rows: Vec<&[String; 6]> = std::iter::once(&head).chain(&backends).collect();
        let widths: Vec<usize> =
            (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end()).expect(INFALLIBLE);
        }
    }
    text
}

fn backend(backend: &Value) -> [String; 6] {
    let effective = backend["effective_weight"].as_f64().unwrap_or(0.0);
    let weight = match backend["weight"].as_f64() {
        Some(weight) if (weight - effective).abs() > 0.05 => format!("{effective:.1} of {weight}"),
        _ => backend["weight"].to_string(),
    };
    let mut notes = Vec::new();
    for (note, shown) in [
        ("does not answer", backend["answers"] == false),
        ("gone", backend["gone"] == true),
        ("other node", backend["local"] == false),
        ("direct", backend["direct"] == true),
    ] {
        notes.extend(shown.then_some(note));
    }
    let addresses = list(&backend["addresses"]).join(" ");
    let state = word(&backend["state"]).to_owned();
    [word(&backend["name"]).to_owned(), addresses, state, weight, backend["dialogs"].to_string(), notes.join(", ")]
}

/// `dialog`.
pub fn dialog(entries: &Value) -> String {
    let mut text = String::new();
    for entry in entries.as_array().into_iter().flatten() {
        let backend = entry["backend"].as_str().unwrap_or("a backend that is no more");
        let answered = if entry["answered"] == true { "answered" } else { "not answered" };
        let ends =
            entry["ends_in_seconds"].as_u64().map(|seconds| format!(", forgotten in {seconds} s")).unwrap_or_default();
        let (service, entered, silent) = (word(&entry["service"]), word(&entry["entered"]), &entry["silent_seconds"]);
        writeln!(text, "{service}/{backend}: {entered}, {answered}, last packet {silent} s ago{ends}")
            .expect(INFALLIBLE);
    }
    text
}

/// A line of `watch`.
pub fn decision(line: &Value) -> String {
    if let Some(lost) = line["lost"].as_u64() {
        return format!("{lost} decisions were lost: too many to hand on\n");
    }
    let backend = line["backend"].as_str().map(|backend| format!("/{backend}")).unwrap_or_default();
    let action = line["action"].as_str().unwrap_or("from backend");
    let reason = line["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let rule = line["rule"].as_u64().map(|rule| format!(", rule {rule}")).unwrap_or_default();
    let device = line["device"].as_str().map(|device| format!(" by {device}")).unwrap_or_default();
    let at = line["at_seconds"].as_f64().unwrap_or(0.0);
    let (message, service, dialog) = (word(&line["message"]), word(&line["service"]), word(&line["dialog"]));
    format!("{at:.6}  {dialog}  {message:<9}  {service}{backend}  {action}{reason}{rule}{device}\n")
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_lines_with_names_in_front() {
        let shown = status(&json!({
            "mode": "observe", "path": "stack", "waits_for_dialogs": true, "services": { "sbc-core": "observing" },
            "devices": ["eth0", "veth1"], "dialogs": 12, "max_dialogs": 100000, "heartbeat_age_seconds": 0.04,
            "problems": ["discovery file x: it is wrong"], "restart_needed": ["steer.pin_dir"],
        }));
        let expected = "\
mode      observe, active once 99 % of dialogs are known
path      stack
service   sbc-core observing
devices   eth0 veth1
dialogs   12 of 100000
heartbeat 0.0 s ago
problem   discovery file x: it is wrong
restart   steer.pin_dir has changed, which needs it
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn services_are_tables() {
        let shown = services(&json!([{
            "name": "sbc-core", "addresses": ["10.96.0.60:5060"], "state": "healthy", "overload": true, "panic": false,
            "adoption_ratio": 0.9951,
            "backends": [
                { "name": "sbc-0", "addresses": ["10.244.1.11:5060"], "state": "up", "answers": true, "weight": 100,
                  "effective_weight": 80.0, "dialogs": 349, "local": true, "gone": false },
                { "name": "sbc-10", "addresses": ["10.244.1.12:5060"], "state": "drain", "answers": false, "weight": 100,
                  "effective_weight": 100.0, "dialogs": 7, "local": false, "gone": true },
            ],
        }]));
        let expected = "\
sbc-core 10.96.0.60:5060: healthy, 99.5 % of dialogs known, overload
  backend  address           state  weight       dialogs
  sbc-0    10.244.1.11:5060  up     80.0 of 100  349
  sbc-10   10.244.1.12:5060  drain  100          7        does not answer, gone, other node
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn decisions_and_dialogs_are_lines() {
        let line = json!({
            "at_seconds": 1.5, "service": "s", "backend": "b", "message": "INVITE", "action": "pass",
            "reason": "unknown_dialog", "rule": 2, "device": "eth0", "dialog": "0000000000000abc",
        });
        assert_eq!(
            decision(&line),
            "1.500000  0000000000000abc  INVITE     s/b  pass (unknown_dialog), rule 2 by eth0\n"
        );
        assert_eq!(decision(&json!({ "lost": 7 })), "7 decisions were lost: too many to hand on\n");
        let entries = json!([{ "service": "s", "backend": "b", "entered": "learned", "answered": true,
                               "silent_seconds": 3, "ends_in_seconds": 60 }]);
        assert_eq!(dialog(&entries), "s/b: learned, answered, last packet 3 s ago, forgotten in 60 s\n");
    }
}
