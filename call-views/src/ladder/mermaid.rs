//! The ladder of a call as a Mermaid sequence diagram, for tickets and pages that render it.
//!
//! Requests are solid arrows, responses dashed ones, and media arrows with an open head whose text stands between double
//! lines, which diagrams have no arrow of; a note stands where nothing was sent for a second or more.

use std::fmt::Write;
use std::time::Duration;

use super::lines::{Kind, Lines};
use super::not_on_record;
use crate::{View, clock};

/// Silence that gets a note.
const SILENCE: Duration = Duration::from_secs(1);

/// The diagram, `sequenceDiagram` first. `after`: what is noted below the call; empty for nothing.
pub fn mermaid(view: &View<'_>, after: &str) -> String {
    let mut diagram = "sequenceDiagram\n".to_owned();
    write(view, after, &mut diagram).expect("writing to a String cannot fail");
    diagram
}

fn write(view: &View<'_>, after: &str, out: &mut String) -> std::fmt::Result {
    let record = view.record;
    let Lines { columns, lines } = Lines::new(record, true);
    for (at, address) in columns.iter().enumerate() {
        writeln!(out, "    participant E{at} as {}", escaped(address))?;
    }
    let all = match columns.len() {
        0 | 1 => "E0".to_owned(),
        ends => format!("E0,E{}", ends - 1),
    };
    writeln!(out, "    Note over {all}: {}", escaped(&title(view)))?;
    let mut before = None;
    for line in &lines {
        let silence = before.map_or(Duration::ZERO, |before| line.at - before);
        if silence >= SILENCE {
            writeln!(out, "    Note over {all}: {} s", clock::seconds(silence))?;
        }
        let (arrow, mark) = match line.kind {
            Kind::Request => ("->>", ""),
            Kind::Response => ("-->>", ""),
            Kind::Stream => ("-)", "══"),
        };
        let label = [mark, &line.label.full(), mark].join(if mark.is_empty() { "" } else { " " });
        writeln!(out, "    E{}{arrow}E{}: {}", line.source, line.destination, escaped(&label))?;
        before = Some(line.at);
    }
    if record.ladder_cut > 0 {
        writeln!(out, "    Note over {all}: {}", not_on_record(record.ladder_cut))?;
    }
    if !after.is_empty() {
        writeln!(out, "    Note over {all}: {}", escaped(after))?;
    }
    Ok(())
}

/// When, and how it went.
fn title(view: &View<'_>) -> String {
    let record = view.record;
    let delays = [("set-up", record.setup), ("ringing", record.ring), ("duration", record.duration)];
    let mut title = format!("{}, {}", clock::rfc3339(record.start), record.outcome);
    for (name, delay) in delays {
        if let Some(delay) = delay {
            title += &format!(", {name} {} s", clock::seconds(delay));
        }
    }
    title
}

/// `text` with everything that could mean something to Mermaid, or to the HTML it makes, as a character code.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() || " .,:()/_+-×═".contains(c) => escaped.push(c),
            c => escaped += &format!("#{};", u32::from(c)),
        }
    }
    escaped
}
