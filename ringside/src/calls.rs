//! `ringside calls`: the calls of capture files, one line for each, the newest last.

use std::cmp::Ordering;

use call_filter::{Field, Filter, Said};
use call_views::unread::{self, Unread};
use call_views::{Exchange, Exchanges, Summary, View};
use engine::Catalogue;
use pipeline::Call;
use wire::Timestamp;

use crate::captures::{self, Asked};
use crate::cli::{Calls, CallsFormat, Captures, Sort};
use crate::failure::Failure;
use crate::folders;
use crate::json::line;
use crate::live;
use crate::show::{self, print};
use crate::terminal;

/// Lists what matches.
pub fn calls(catalogue: &Catalogue, arguments: Calls) -> Result<(), Failure> {
    if arguments.live {
        return append(catalogue, arguments);
    }
    if arguments.refused {
        return refused(catalogue, arguments);
    }
    let Calls { paths, ports, run, all, failed, poor, number, filter, period, columns, sort, format, utc, .. } =
        arguments;
    let given = Captures { paths, ports, run };
    if format == CallsFormat::Json && !columns.is_empty() {
        return Err(Failure::Usage("--columns goes with a table or CSV: in JSON every key is there".to_owned()));
    }
    let any = !failed && !poor && number.is_none() && filter.is_none() && !period.is_limited();
    let fields = match format {
        CallsFormat::Csv if columns.is_empty() => USUAL.map(|name| Field::parse(name).expect("it is one")).to_vec(),
        _ => columns,
    };
    let asked = fields.iter().chain(sort.iter().map(|sort| &sort.field));
    let choice = Choice { failed, poor, with_number: number.is_some(), filter };
    let who = folders::Asked { filter: choice.filter.as_ref(), number: number.as_deref(), period, call_ids: &[] };
    let resolved = folders::resolved(catalogue, &given, &who)?;
    let captures = &resolved.captures;
    let asked = Asked::of(number, choice.filter.as_ref(), poor).with(asked);
    // A row is all that is shown: messages are let go as soon as their call is over.
    let row = {
        let (fields, sort) = (fields.clone(), sort.clone());
        move |view: &View<'_>, times: Option<u32>| -> Option<Row> {
            let summary = Summary { times, ..view.summary() };
            (period.has(summary.start) && choice.wants(view, &summary)).then(|| Row {
                start: summary.start,
                cells: fields.iter().map(|field| field.text(view)).collect(),
                key: sort.as_ref().and_then(|sort| sort.field.first(view)).map(Said::into_owned),
                summary,
            })
        }
    };
    let of_call = row.clone();
    let keep = move |_: &Call, view: &View<'_>| of_call(view, None);
    let more = all.then(|| Exchanges::new(false));
    let (mut rows, exchanges, late) = captures::calls(catalogue, captures, asked, more, keep)?;
    let of_exchange = |exchange: &Exchange| row(&exchange.view(), (exchange.times > 1).then_some(exchange.times));
    rows.extend(exchanges.iter().filter_map(of_exchange));
    if rows.is_empty() {
        let what = match (any, all) {
            (false, false) => "no call matches",
            (false, true) => "no call and no other request matches",
            (true, false) => "no call is in these captures; --all lists other requests",
            (true, true) => "no call and no other request is in these captures",
        };
        return Err(Failure::Failed(what.to_owned()));
    }
    let late = rows.iter().filter_map(|row| late.of(&row.summary.call_id, row.start)).map(|late| late.messages);
    let (messages, calls) = late.fold((0, 0_u32), |(messages, calls), more| (messages + more, calls + 1));
    if messages > 0 {
        let (s, calls) = (
            if messages == 1 { "" } else { "s" },
            if calls == 1 { "a call".to_owned() } else { format!("{calls} calls") },
        );
        show::say(&format!(
            "ringside: {messages} message{s} came after {calls} had been over: `ringside ladder` tells whose\n"
        ));
    }
    rows.sort_by_key(|row| row.start);
    if let Some(sort) = &sort {
        rows.sort_by(|one, other| one.compare(other, sort));
    }
    print(&match format {
        CallsFormat::Json => rows.iter().map(|row| line(&row.summary)).collect(),
        CallsFormat::Csv => comma_separated(&fields, &rows),
        CallsFormat::Table if fields.is_empty() => {
            let calls: Vec<Summary> = rows.into_iter().map(|row| row.summary).collect();
            call_views::table(&calls, &terminal::style(None, utc))
        }
        CallsFormat::Table => {
            let titles: Vec<_> = fields.iter().map(|field| (field.name(), field.is_number())).collect();
            let cells: Vec<_> = rows.into_iter().map(|row| row.cells).collect();
            call_views::columns(&titles, &cells, &terminal::style(None, utc))
        }
    })
}

/// The newest messages that could not be read.
fn refused(catalogue: &Catalogue, arguments: Calls) -> Result<(), Failure> {
    let Calls { paths, ports, run, format, utc, .. } = arguments;
    let style = terminal::style(None, utc);
    let resolved = folders::resolved(catalogue, &Captures { paths, ports, run }, &folders::Asked::default())?;
    let list = Unread::list(captures::refused(catalogue, &resolved.captures)?.iter(), style.unicode);
    if list.is_empty() {
        return Err(Failure::Failed("every message in these captures could be read".to_owned()));
    }
    match format {
        CallsFormat::Table => print(&unread::table(&list, &style)),
        CallsFormat::Json => print(&list.iter().map(line).collect::<String>()),
        CallsFormat::Csv => Err(Failure::Usage("--refused prints a table or JSON".to_owned())),
    }
}

/// A line for each call that ends, for ever; it ends when nobody reads any more.
fn append(catalogue: &Catalogue, arguments: Calls) -> Result<(), Failure> {
    let Calls { run, failed, poor, number, filter, format, utc, .. } = arguments;
    let titles = match format {
        CallsFormat::Table => call_views::appended(None, &terminal::style(Some(WITHOUT_TERMINAL), utc)),
        CallsFormat::Json => String::new(),
        CallsFormat::Csv => {
            return Err(Failure::Usage("--live prints a table or JSON".to_owned()));
        }
    };
    let choice = Choice { failed, poor, with_number: number.is_some(), filter };
    let wanted = Asked::of(number, choice.filter.as_ref(), poor).wanted();
    let started = || _ = show::append(&titles);
    live::follow(catalogue, &run, wanted, started, move |view| {
        let summary = view.summary();
        if !choice.wants(view, &summary) {
            return true;
        }
        show::append(&match format {
            CallsFormat::Json => line(&summary),
            _ => call_views::appended(Some(&summary), &terminal::style(Some(WITHOUT_TERMINAL), utc)),
        })
    })
}

/// Cells of a line where no terminal says how many there are.
const WITHOUT_TERMINAL: usize = 120;

/// Which calls are wanted, whenever they were.
#[derive(Clone)]
struct Choice {
    failed: bool,
    poor: bool,
    with_number: bool,
    filter: Option<Filter>,
}

impl Choice {
    fn wants(&self, view: &View<'_>, summary: &Summary) -> bool {
        (!self.failed || summary.failed)
            && (!self.poor || summary.poor)
            && (!self.with_number || view.record.has_number)
            && self.filter.as_ref().is_none_or(|filter| filter.wants(view))
    }
}

/// What is shown of a call.
struct Row {
    start: Timestamp,
    summary: Summary,
    /// Of the columns that were asked for.
    cells: Vec<String>,
    /// What it is sorted by; `None` where it says nothing to that.
    key: Option<Said<'static>>,
}

impl Row {
    /// What says nothing comes last, whichever way the others stand.
    fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
        match (&self.key, &other.key) {
            (Some(one), Some(other)) if sort.down => other.order(one),
            (Some(one), Some(other)) => one.order(other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }
}

/// RFC 4180. A cell that a spreadsheet would take for a formula is text.
fn comma_separated(fields: &[Field], rows: &[Row]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |cells: Vec<String>| writer.write_record(cells).expect("a vector takes everything");
    write(fields.iter().map(|field| field.name().to_owned()).collect());
    for row in rows {
        let harmless = |(cell, field): (&String, &Field)| match cell.chars().next() {
            Some('=' | '+' | '-' | '@' | '\t' | '\r') if !field.is_number() => format!("'{cell}"),
            _ => cell.clone(),
        };
        write(row.cells.iter().zip(fields).map(harmless).collect());
    }
    let bytes = writer.into_inner().expect("a vector takes everything");
    String::from_utf8(bytes).expect("it was made of text")
}

/// Columns of CSV where none are asked for.
const USUAL: [&str; 15] = [
    "start",
    "method",
    "from",
    "to",
    "source",
    "destination",
    "outcome",
    "status",
    "end",
    "setup",
    "ring",
    "duration",
    "carrier",
    "ua_type",
    "call_id",
];
