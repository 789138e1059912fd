//! Columns of the list: which there are, how wide, and what stands in them.

use call_views::{clock, verdict};
use pipeline::call::IN_PROGRESS;
use pipeline::call::Subject;

use crate::known::Known;

/// A column.
pub struct Column {
    pub title: &'static str,
    pub cells: usize,
    pub right: bool,
    pub text: fn(&Known) -> String,
}

/// The columns of a list that is so wide, behind the mark.
pub fn columns(width: usize) -> Vec<&'static Column> {
    let mut columns: Vec<&Column> = COLUMNS.iter().collect();
    let takes = |columns: &[&Column]| columns.iter().map(|column| column.cells + 1).sum::<usize>() + 1;
    let mut dispensable = DISPENSABLE.iter();
    while takes(&columns) > width
        && let Some(title) = dispensable.next()
    {
        columns.retain(|column| column.title != *title);
    }
    columns
}

/// All that stands in a row, for searching.
pub fn row_text(call: &Known) -> String {
    COLUMNS.iter().map(|column| (column.text)(call)).collect::<Vec<_>>().join(" ")
}

/// The colour of the outcome.
pub fn colour(call: &Known) -> call_views::Colour {
    verdict(&call.view().summary())
}

const COLUMNS: [Column; 14] = [
    Column { title: "time", cells: 8, right: false, text: |call| clock::time_of_day(call.record.start) },
    Column { title: "from", cells: 12, right: false, text: |call| party(call, true) },
    Column { title: "to", cells: 12, right: false, text: |call| party(call, false) },
    Column { title: "method", cells: 9, right: false, text: method },
    Column { title: "code", cells: 4, right: true, text: |call| optional(call.record.status) },
    Column { title: "outcome", cells: 12, right: false, text: outcome },
    Column {
        title: "set-up",
        cells: 7,
        right: true,
        text: |call| call.record.setup.map_or_else(String::new, clock::seconds),
    },
    Column {
        title: "length",
        cells: 7,
        right: true,
        text: |call| call.record.duration.map_or_else(String::new, clock::length),
    },
    Column { title: "msgs", cells: 5, right: true, text: messages },
    Column {
        title: "ring",
        cells: 7,
        right: true,
        text: |call| call.record.ring.map_or_else(String::new, clock::seconds),
    },
    Column { title: "carrier", cells: 14, right: false, text: |call| call.carrier.to_string() },
    Column { title: "source", cells: 21, right: false, text: |call| address(call, call.record.source) },
    Column { title: "destination", cells: 21, right: false, text: |call| address(call, call.record.destination) },
    Column { title: "Call-ID", cells: 36, right: false, text: |call| call.record.call_id.to_string() },
];

/// What goes first where there is no room.
const DISPENSABLE: [&str; 9] =
    ["Call-ID", "destination", "source", "carrier", "ring", "msgs", "method", "length", "set-up"];

fn party(call: &Known, is_caller: bool) -> String {
    let record = &call.record;
    let (number, end) = match is_caller {
        true => (&record.caller, record.source),
        false => (&record.callee, record.destination),
    };
    number.as_deref().map_or_else(|| address(call, end), str::to_owned)
}

fn address(call: &Known, end: u16) -> String {
    call.record.endpoints.get(usize::from(end)).map_or_else(String::new, |end| end.address.to_string())
}

fn method(call: &Known) -> String {
    match call.record.subject {
        Subject::Call => "INVITE".to_owned(),
        _ => call.record.transactions.first().map_or_else(String::new, |first| first.method.as_str().to_owned()),
    }
}

fn outcome(call: &Known) -> String {
    let record = &call.record;
    let is_up = call.is_up && record.outcome == IN_PROGRESS;
    match (record.outcome, record.sessions.is_empty(), record.ringing.is_empty()) {
        (_, false, _) if is_up => "talking".to_owned(),
        (_, true, false) if is_up => "ringing".to_owned(),
        (_, true, true) if is_up => "calling".to_owned(),
        (outcome, ..) if call.times > 1 => format!("{outcome} {}x", call.times),
        (outcome, ..) => outcome.replace('_', " "),
    }
}

fn messages(call: &Known) -> String {
    call.record.messages.to_string()
}

fn optional(number: Option<u16>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}
