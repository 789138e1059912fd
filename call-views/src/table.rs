//! A table of calls, and of what is no call: summaries in, aligned lines out, the Call-ID last.
//!
//! Where the width is limited, the Call-ID is shortened first, then names; columns that still do not fit are left
//! out, least needed first. Without a limit every Call-ID is whole, for whoever reads by program.

use pipeline::call::IN_PROGRESS;
use pipeline::event::{End, Outcome, RegistrationOutcome};
use sip::Method;
use wire::Timestamp;

use crate::style::{Colour, Style};
use crate::text::{cut, printable, width};
use crate::{Summary, clock};

/// The table: a line of titles, then one for each call.
pub fn table(calls: &[Summary], style: &Style) -> String {
    let mut columns: Vec<Column> = COLUMNS.iter().map(|kind| Column::new(*kind, calls, style)).collect();
    columns.retain(|column| match column.kind.name {
        Name::Mos => calls.iter().any(|call| call.media.is_some()),
        Name::What => calls.iter().any(|call| call.method.is_some()),
        _ => true,
    });
    fit(&mut columns, style.cells());
    let mut lines = String::new();
    let titles = columns.iter().map(|column| (column.kind.title, Colour::Strong));
    line(&mut lines, &columns, titles, style);
    for (row, call) in calls.iter().enumerate() {
        let colour = |column: &Column| if column.kind.name == Name::Outcome { verdict(call) } else { Colour::Plain };
        line(&mut lines, &columns, columns.iter().map(|column| (&*column.cells[row], colour(column))), style);
    }
    lines
}

/// One line of a list that grows, in columns that do not depend on what comes: of a call, or of titles. The Call-ID has
/// what is left.
pub fn appended(call: Option<&Summary>, style: &Style) -> String {
    let mut fixed = FIXED.to_vec();
    let takes = |fixed: &[(Name, usize)]| fixed.iter().map(|(_, cells)| cells + GAP).sum::<usize>();
    let mut dispensable = DISPENSABLE.iter();
    while takes(&fixed) + LEAST_CALL_ID > style.cells()
        && let Some(name) = dispensable.next()
    {
        fixed.retain(|(known, _)| known != name);
    }
    let rest = style.cells().saturating_sub(takes(&fixed)).max(LEAST_CALL_ID);
    let mut row = String::new();
    for (name, cells) in fixed.into_iter().chain([(Name::CallId, rest)]) {
        let kind = COLUMNS.iter().find(|kind| kind.name == name).expect("every name has a column");
        let (text, colour) = match call {
            None if name == Name::Time => ("time".to_owned(), Colour::Strong),
            None => (kind.title.to_owned(), Colour::Strong),
            Some(call) if name == Name::Time => (clock::time_of_day(style.zone.shown(call.start)), Colour::Plain),
            Some(call) if name == Name::Outcome => ((kind.text)(call), verdict(call)),
            Some(call) => ((kind.text)(call), Colour::Plain),
        };
        let text = printable(&text, style.unicode);
        let text = cut(&text, cells, style.unicode);
        let blanks = " ".repeat(if name == Name::CallId { 0 } else { cells - width(&text) });
        let gap = if row.is_empty() { "" } else { &"  "[..GAP] };
        let text = style.paint(colour, &text);
        row += &if kind.right { format!("{gap}{blanks}{text}") } else { format!("{gap}{text}{blanks}") };
    }
    row.truncate(row.trim_end().len());
    row + "\n"
}

/// Columns of a list that grows, and their cells.
const FIXED: [(Name, usize); 9] = [
    (Name::Time, 8),
    (Name::Caller, 14),
    (Name::Callee, 14),
    (Name::Status, 4),
    (Name::Outcome, 14),
    (Name::SetUp, 7),
    (Name::Ring, 7),
    (Name::Length, 7),
    (Name::Carrier, 13),
];

/// Cells of a Call-ID at least, in a list that grows.
const LEAST_CALL_ID: usize = 12;

/// A table of columns of one's own: their titles, and whether their values are numbers; a line of cells for each row.
/// Nothing is left out; where the width is limited, the last columns are cut.
pub fn columns(titles: &[(&str, bool)], rows: &[Vec<String>], style: &Style) -> String {
    let cell = |text: &str| match text {
        "" => nothing(),
        text => cut(&printable(text, style.unicode), LONGEST_OF_OWN, style.unicode).into_owned(),
    };
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let widths = titles
        .iter()
        .enumerate()
        .map(|(at, (title, _))| cells.iter().map(|row| width(&row[at])).max().unwrap_or(0).max(width(title)));
    let widths: Vec<usize> = widths.collect();
    let mut lines = String::new();
    let mut line = |cells: &[String], colour: Colour| {
        let padded = cells.iter().zip(&widths).zip(titles).map(|((cell, column), (_, number))| {
            let blanks = " ".repeat(column - width(cell));
            if *number { blanks + cell } else { format!("{cell}{blanks}") }
        });
        let whole = padded.collect::<Vec<_>>().join(&" ".repeat(GAP));
        lines += &style.paint(colour, &cut(whole.trim_end(), style.cells(), style.unicode));
        lines.push('\n');
    };
    let names: Vec<String> = titles.iter().map(|(title, _)| (*title).to_owned()).collect();
    line(&names, Colour::Strong);
    cells.iter().for_each(|row| line(row, Colour::Plain));
    lines
}

/// Cells of a value in a column of one's own.
const LONGEST_OF_OWN: usize = 80;

/// The colour of an outcome.
pub fn verdict(call: &Summary) -> Colour {
    match call.outcome {
        _ if call.failed => Colour::Bad,
        outcome if outcome == Outcome::Answered.as_str() || outcome == RegistrationOutcome::Success.as_str() => {
            Colour::Good
        }
        IN_PROGRESS => Colour::Open,
        _ => Colour::Plain,
    }
}

/// The outcome, and how it ended if that is unusual: `answered, bye_timeout`.
fn outcome(call: &Summary) -> String {
    match call.end.filter(|end| *end != End::Bye.as_str()) {
        Some(end) => format!("{}, {end}", call.outcome),
        None => call.outcome.to_owned(),
    }
}

/// The method, and how often it came to the same: `OPTIONS x37`.
fn what(call: &Summary) -> String {
    let method = call.method.unwrap_or(Method::Invite.as_str());
    call.times.map_or_else(|| method.to_owned(), |times| format!("{method} x{times}"))
}

/// The worst opinion of an interval of its media, and a mark for faults: `2.95!`.
fn mos(call: &Summary) -> String {
    let Some(media) = &call.media else { return nothing() };
    let worst = media.intervals.iter().map(|interval| interval.mos_cq).min_by(f64::total_cmp);
    let mark = if media.faults.is_empty() { "" } else { "!" };
    worst.map_or(NOTHING.to_owned(), |worst| format!("{worst:.2}")) + mark
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Time,
    What,
    Caller,
    Callee,
    Status,
    Outcome,
    SetUp,
    Ring,
    Length,
    Carrier,
    Messages,
    Mos,
    CallId,
}

/// One kind of column.
#[derive(Clone, Copy)]
struct Kind {
    name: Name,
    title: &'static str,
    /// Numbers end at the same cell, text begins there.
    right: bool,
    /// Cells it may be shortened to; 0 for one that is shown whole or not at all.
    shortest: usize,
    text: fn(&Summary) -> String,
}

/// All columns, in the order they are shown.
const COLUMNS: [Kind; 13] = [
    column(Name::Time, "time (UTC)", 0, |call| time(call.start)),
    column(Name::What, "what", 0, what),
    column(Name::Caller, "caller", 10, |call| call.caller.as_deref().unwrap_or(NOTHING).to_owned()),
    column(Name::Callee, "callee", 10, |call| call.callee.as_deref().unwrap_or(NOTHING).to_owned()),
    number(Name::Status, "code", |call| call.status.map_or_else(nothing, |status| status.to_string())),
    column(Name::Outcome, "outcome", 12, outcome),
    number(Name::SetUp, "set-up", |call| call.setup.map_or_else(nothing, clock::seconds)),
    number(Name::Ring, "ring", |call| call.ring.map_or_else(nothing, clock::seconds)),
    number(Name::Length, "length", |call| call.duration.map_or_else(nothing, clock::length)),
    column(Name::Carrier, "carrier", 7, |call| call.carrier.to_string()),
    number(Name::Messages, "msgs", |call| call.messages.to_string()),
    number(Name::Mos, "MOS", mos),
    column(Name::CallId, "Call-ID", 10, |call| call.call_id.to_string()),
];

/// A day and a time of it.
fn time(at: Timestamp) -> String {
    format!("{} {}", clock::day(at), clock::time_of_day(at))
}

/// Columns that are left out where there is no room, the first first.
const DISPENSABLE: [Name; 9] = [
    Name::Messages,
    Name::Ring,
    Name::Carrier,
    Name::SetUp,
    Name::CallId,
    Name::Mos,
    Name::Length,
    Name::Time,
    Name::Callee,
];

/// Columns that are shortened, the first first.
const ELASTIC: [Name; 5] = [Name::CallId, Name::Carrier, Name::Callee, Name::Caller, Name::Outcome];

/// Cells between two columns.
const GAP: usize = 2;

/// Cells of a value other than the Call-ID: what is longer was made to be in the way.
const LONGEST: usize = 40;

/// Cells of a Call-ID in which most are told apart.
const COMFORTABLE_CALL_ID: usize = 24;

const NOTHING: &str = "-";

fn nothing() -> String {
    NOTHING.to_owned()
}

const fn column(name: Name, title: &'static str, shortest: usize, text: fn(&Summary) -> String) -> Kind {
    Kind { name, title, right: false, shortest, text }
}

const fn number(name: Name, title: &'static str, text: fn(&Summary) -> String) -> Kind {
    Kind { name, title, right: true, shortest: 0, text }
}

/// A column and what stands in it, escaped.
struct Column {
    kind: Kind,
    cells: Vec<String>,
    width: usize,
}

impl Column {
    fn new(kind: Kind, calls: &[Summary], style: &Style) -> Self {
        let most = if kind.name == Name::CallId { usize::MAX } else { LONGEST };
        let cell = |call: &Summary| match kind.name {
            Name::Time => time(style.zone.shown(call.start)),
            _ => cut(&printable(&(kind.text)(call), style.unicode), most, style.unicode).into_owned(),
        };
        let mut column = Self { kind, cells: calls.iter().map(cell).collect(), width: 0 };
        if kind.name == Name::Time && calls.iter().any(|call| style.zone.shown(call.start) != call.start) {
            column.kind.title = "time (local)";
        }
        column.measure();
        column
    }

    fn measure(&mut self) {
        self.width = self.cells.iter().map(|cell| width(cell)).max().unwrap_or(0).max(width(self.kind.title));
    }

    /// Cells it should have before others say more than they must.
    fn comfortable(&self) -> usize {
        if self.kind.name == Name::CallId { self.width.min(COMFORTABLE_CALL_ID) } else { self.width }
    }

    /// Leaves out of times what is the same in all of them: the day, or the year.
    fn shorten_time(&mut self) {
        let Some(first) = self.cells.first() else { return };
        let same = |until: usize| self.cells.iter().all(|cell| cell[..until] == first[..until]);
        let left_out = ["2026-01-01 ".len(), "2026-".len()].into_iter().find(|until| same(*until)).unwrap_or(0);
        self.cells.iter_mut().for_each(|cell| *cell = cell.split_off(left_out));
        self.kind.title = "time";
        self.measure();
    }

    /// Cells it takes at least.
    fn least(&self) -> usize {
        match self.kind.shortest {
            0 => self.width,
            shortest => self.width.min(shortest.max(width(self.kind.title))),
        }
    }
}

/// Makes the columns fit into `cells`.
fn fit(columns: &mut Vec<Column>, cells: usize) {
    let gaps = |columns: &[Column]| GAP * columns.len().saturating_sub(1);
    let least = |columns: &[Column]| columns.iter().map(Column::least).sum::<usize>() + gaps(columns);
    let comfortable = |columns: &[Column]| columns.iter().map(Column::comfortable).sum::<usize>() + gaps(columns);
    if comfortable(columns) > cells {
        columns.iter_mut().filter(|column| column.kind.name == Name::Time).for_each(Column::shorten_time);
    }
    let mut dispensable = DISPENSABLE.iter();
    while least(columns) > cells
        && let Some(name) = dispensable.next()
    {
        columns.retain(|column| column.kind.name != *name);
    }
    let mut excess = (columns.iter().map(|column| column.width).sum::<usize>() + gaps(columns)).saturating_sub(cells);
    for name in ELASTIC {
        for column in columns.iter_mut().filter(|column| column.kind.name == name) {
            let taken = excess.min(column.width - column.least());
            column.width -= taken;
            excess -= taken;
        }
    }
}

fn line<'a>(lines: &mut String, columns: &[Column], cells: impl Iterator<Item = (&'a str, Colour)>, style: &Style) {
    let mut line = String::new();
    for (at, (column, (cell, colour))) in columns.iter().zip(cells).enumerate() {
        let cell = cut(cell, column.width, style.unicode);
        // Nothing is invisible behind the last one, and blanks have no colour.
        let blanks = " ".repeat(column.width - width(&cell));
        let cell = style.paint(colour, &cell);
        let gap = if at == 0 { "" } else { &"  "[..GAP] };
        line += gap;
        line += &if column.kind.right { blanks + &cell } else { cell + &blanks };
    }
    *lines += line.trim_end();
    lines.push('\n');
}
