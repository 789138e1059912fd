//! Messages as text: below a ladder, or one beside it.

use super::{Part, Told, again, repeats};
use crate::ladder::arrow_label;
use crate::style::{Colour, Style};
use crate::text::{printable, split};
use crate::{View, clock};

/// How much of messages is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Start line and header fields, and what matters of a session description.
    Headers,
    /// The body too.
    All,
}

/// All messages of a ladder, one below the other.
pub fn all(view: &View<'_>, detail: Detail, style: &Style) -> String {
    let number = view.record.ladder.len();
    (0..number).map(|place| text(view, place, detail, style)).collect::<Vec<_>>().join("\n")
}

/// The message at a place of the ladder: when, from where to where; repeats; media; the message itself. A line that is longer
/// than the style is wide goes on below, set in.
pub fn text(view: &View<'_>, place: usize, detail: Detail, style: &Style) -> String {
    let record = view.record;
    let Some(message) = record.ladder.get(place) else { return String::new() };
    let mut out = Lines { text: String::new(), style };
    let number = record.ladder.len();
    let to = if style.unicode { '→' } else { '>' };
    let end = |index| record.endpoint(index).address;
    let title = format!(
        "{} of {number}  {}{}  {} {to} {}  {}",
        place + 1,
        clock::time_of_day(style.zone.shown(message.at)),
        clock::millis(message.at),
        end(message.source),
        end(message.destination),
        arrow_label(record, message, style.unicode),
    );
    out.put(Colour::Strong, "", &title);
    let repeats: Vec<String> = again(record, place)
        .map(|(at, other)| format!("+{} s{}", clock::seconds(at - message.at), if other { " (another)" } else { "" }))
        .collect();
    if !repeats.is_empty() {
        out.put(Colour::Open, "sent again  ", &repeats.join(", "));
    }
    let Some(told) = Told::of(record, place, style.unicode) else {
        out.put(Colour::Quiet, "", "this message was not kept");
        return out.text;
    };
    for medium in &told.media {
        let colour = if medium.private || medium.port == 0 { Colour::Open } else { Colour::Good };
        out.put(colour, "media       ", &medium.to_string());
    }
    if let Some(repeats) = &told.repeats {
        out.put(Colour::Quiet, "repeats     ", &format!("message {}, {}", repeats.message + 1, repeats.way.as_str()));
        for (mark, colour, lines) in [("- ", Colour::Bad, &repeats.removed), ("+ ", Colour::Good, &repeats.added)] {
            for line in lines {
                out.put(colour, mark, line);
            }
        }
    }
    out.text.push('\n');
    let mut part = Part::Start;
    for line in told.lines.iter().filter(|line| detail == Detail::All || line.part != Part::Body) {
        if line.part == Part::Body && part != Part::Body {
            out.text.push('\n');
        }
        part = line.part;
        let colour = if part == Part::Start { Colour::Strong } else { Colour::Plain };
        out.put(colour, "", &line.text);
    }
    let other = record.sent.iter().flat_map(|sent| sent.repeats_of(place)).find_map(|repeat| repeat.other.as_deref());
    if let Some(other) = other {
        out.text.push('\n');
        out.put(Colour::Open, "", "what was sent again was another message:");
        for line in super::lines(other, style.unicode) {
            out.put(Colour::Plain, "", &line.text);
        }
    }
    out.text
}

/// What is different in the message at `place` beside the one at `before`.
pub fn difference(view: &View<'_>, before: usize, place: usize, style: &Style) -> String {
    let mut out = Lines { text: String::new(), style };
    let record = view.record;
    out.put(Colour::Strong, "", &format!("message {} beside message {}", place + 1, before + 1));
    let message = |place: usize| record.sent.as_ref().and_then(|sent| sent.message(place));
    let (Some(old), Some(new)) = (message(before), message(place)) else {
        out.put(Colour::Quiet, "", "one of these messages was not kept");
        return out.text;
    };
    let (removed, added) = repeats::difference(old, new, style.unicode);
    out.text.push('\n');
    for (mark, colour, lines) in [("- ", Colour::Bad, &removed), ("+ ", Colour::Good, &added)] {
        lines.iter().for_each(|line| out.put(colour, mark, line));
    }
    if removed.is_empty() && added.is_empty() {
        out.put(Colour::Quiet, "", "the same lines");
    }
    out.text
}

/// Lines that keep the width.
struct Lines<'a> {
    text: String,
    style: &'a Style,
}

impl Lines<'_> {
    fn put(&mut self, colour: Colour, name: &str, line: &str) {
        let cells = self.style.cells();
        let line = printable(line, self.style.unicode);
        self.text += &self.style.paint(Colour::Quiet, name);
        let (head, mut rest) = split(&line, cells.saturating_sub(name.len()));
        self.text += &self.style.paint(colour, head);
        self.text.push('\n');
        while !rest.is_empty() {
            let (head, tail) = split(rest, cells - INSET.len());
            self.text += INSET;
            self.text += &self.style.paint(colour, head);
            self.text.push('\n');
            rest = tail;
        }
    }
}

/// Before what goes on from the line above.
const INSET: &str = "    ";
