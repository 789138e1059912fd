//! The ladder of one call: as text people know from sngrep, as Mermaid, as JSON.
//!
//! A column for each endpoint, a line for each message in the order they were seen; what was sent again is a number
//! on its first sighting. Each stream of media is a double line where it begins and where it ends.

mod head;
mod joined;
mod json;
mod layout;
mod lines;
mod mermaid;
mod row;

use pipeline::CallRecord;
use pipeline::call::ladder::Message;
use wire::Timestamp;

use crate::label::Label;
use crate::style::{Colour, Style};
use crate::text::{fill, left};
use crate::{View, Zone, clock};
use layout::{Layout, Names};
use lines::{Line, Lines};
use row::Row;

pub use joined::joined;
pub use json::{Ladder, Step, json};
pub use mermaid::mermaid;

/// The ladder as text: what is said of the call as a whole, the names of the endpoints, the messages.
pub fn text(view: &View<'_>, style: &Style) -> String {
    let record = view.record;
    let mut text = head::head(view, style);
    text.push('\n');
    if record.ladder.is_empty() {
        return text + "no messages on record\n";
    }
    let Picture { legend, names, rungs } = picture(record, style);
    text += &legend;
    text += &names;
    for rung in &rungs {
        text += &rung.text;
        text.push('\n');
    }
    if record.ladder_cut > 0 {
        text += &not_on_record(record.ladder_cut);
        text.push('\n');
    }
    // Whoever sees the end on a screen does not see the beginning.
    if rungs.len() > ONE_SCREEN {
        text += &names;
    }
    text
}

/// The lines of a ladder, for whoever lets people choose among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Which letter stands for whom, and an empty line; empty where addresses have room.
    pub legend: String,
    /// The names over the lines of the endpoints, with a line end; empty where there are no lines.
    pub names: String,
    /// One for each message, and for each stream where it begins and where it ends.
    pub rungs: Vec<Rung>,
}

/// One line of a ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Its time and its arrow.
    pub text: String,
    /// How it answers, or sounds.
    pub colour: Colour,
    /// Its place in the ladder; `None` for a stream.
    pub message: Option<usize>,
}

/// Draws the messages of a record that has some, and its streams.
pub fn picture(record: &CallRecord, style: &Style) -> Picture {
    if record.ladder.is_empty() {
        return Picture::default();
    }
    let Lines { columns, lines } = Lines::new(record, style.unicode);
    let gutter = Gutter::new(&lines, style);
    let layout = Layout::new(columns, &lines, gutter.cells, style);
    let legend = if layout.names == Names::Letters { legend(&layout, style) } else { String::new() };
    let names = layout.header(style);
    let mut before = None;
    let rungs = lines.iter().map(|line| {
        let time = style.paint(Colour::Quiet, &gutter.text(line.at, before));
        before = Some(line.at);
        Rung { text: time + &Row::new(&layout, line).draw(style), colour: line.colour, message: line.message }
    });
    Picture { legend, names, rungs: rungs.collect() }
}

/// Lines after which the names of the endpoints are repeated below.
const ONE_SCREEN: usize = 40;

/// What stands on the arrow of a message.
pub(crate) fn arrow_label(record: &CallRecord, message: &Message, unicode: bool) -> String {
    Label::new(record, message, unicode).full()
}

/// `1 message`, `2 messages`.
pub(crate) fn messages(count: u32) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

/// That so many messages met the bound of a record.
fn not_on_record(count: u32) -> String {
    let messages_are = if count == 1 { "message is" } else { "messages are" };
    format!("{count} more {messages_are} not on record")
}

/// Which letter stands for whom.
fn legend(layout: &Layout, style: &Style) -> String {
    let widest = layout.addresses.iter().map(String::len).max().unwrap_or(0);
    let item = |(at, address): (usize, &String)| format!("{:>2} {}", layout.letter(at), left(address, widest));
    let items: Vec<String> = layout.addresses.iter().enumerate().map(item).collect();
    let lines = fill(&items, "  ", style.cells().min(LEGEND));
    lines.iter().map(|line| format!("{line}\n")).chain(["\n".to_owned()]).collect()
}

/// Cells of a line of the legend where the width has no limit.
const LEGEND: usize = 120;

/// What stands left of the lines: time of day and the time since the message before, or where that is too much the
/// time since the first message.
struct Gutter {
    start: Timestamp,
    zone: Zone,
    /// Time of day is shown.
    clock: bool,
    /// Cells of the number.
    number: usize,
    /// Cells in all.
    cells: usize,
}

/// Below this width the time of day is left out.
const WIDE_ENOUGH_FOR_CLOCK: usize = 60;

impl Gutter {
    fn new(lines: &[Line], style: &Style) -> Self {
        let start = lines[0].at;
        let clock = style.cells() >= WIDE_ENOUGH_FOR_CLOCK;
        let mut gutter = Self { start, zone: style.zone, clock, number: 0, cells: 0 };
        let before = [None].into_iter().chain(lines.iter().map(|line| Some(line.at)));
        let numbers = lines.iter().zip(before).map(|(line, before)| gutter.number(line.at, before).len());
        gutter.number = numbers.max().unwrap_or(0);
        gutter.cells = gutter.number + if clock { "00:00:00.000 ".len() } else { 0 };
        gutter
    }

    fn number(&self, at: Timestamp, before: Option<Timestamp>) -> String {
        match (self.clock, before) {
            (true, Some(before)) => format!("+{}", clock::seconds(at - before)),
            (true, None) => String::new(),
            (false, _) => clock::seconds(at - self.start),
        }
    }

    fn text(&self, at: Timestamp, before: Option<Timestamp>) -> String {
        let number = format!("{:>cells$}", self.number(at, before), cells = self.number);
        match self.clock {
            true => {
                let at = self.zone.shown(at);
                format!("{}{} {number}", clock::time_of_day(at), clock::millis(at))
            }
            false => number,
        }
    }
}
