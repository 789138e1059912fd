//! The ladder of a call as a Mermaid sequence diagram, for tickets and pages that render it.
//!
//! Requests are solid arrows, responses dashed ones; a note stands where nothing was sent for a second or more.

use std::fmt::Write;
use std::time::Duration;

use super::not_on_record;
use crate::label::Label;
use crate::{View, clock};

/// Silence that gets a note.
const SILENCE: Duration = Duration::from_secs(1);

/// The diagram, `sequenceDiagram` first.
pub fn mermaid(view: &View<'_>) -> String {
    let mut diagram = "sequenceDiagram\n".to_owned();
    write(view, &mut diagram).expect("writing to a String cannot fail");
    diagram
}

fn write(view: &View<'_>, out: &mut String) -> std::fmt::Result {
    let record = view.record;
    for (at, end) in record.endpoints.iter().enumerate() {
        writeln!(out, "    participant E{at} as {}", escaped(&end.address.to_string()))?;
    }
    let all = match record.endpoints.len() {
        0 | 1 => "E0".to_owned(),
        ends => format!("E0,E{}", ends - 1),
    };
    writeln!(out, "    Note over {all}: {}", escaped(&title(view)))?;
    let mut before = None;
    for message in &record.ladder {
        let silence = before.map_or(Duration::ZERO, |before| message.at - before);
        if silence >= SILENCE {
            writeln!(out, "    Note over {all}: {} s", clock::seconds(silence))?;
        }
        let arrow = if message.status.is_some() { "-->>" } else { "->>" };
        let label = Label::new(record, message, true).full();
        writeln!(out, "    E{}{arrow}E{}: {}", message.source, message.destination, escaped(&label))?;
        before = Some(message.at);
    }
    if record.ladder_cut > 0 {
        writeln!(out, "    Note over {all}: {}", not_on_record(record.ladder_cut))?;
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
            c if c.is_alphanumeric() || " .,:()/_+-×".contains(c) => escaped.push(c),
            c => escaped += &format!("#{};", u32::from(c)),
        }
    }
    escaped
}
