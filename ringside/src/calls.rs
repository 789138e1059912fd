//! `ringside calls`: the calls of capture files, one line for each, the newest last.

use call_views::{Summary, View};

use crate::captures::{self, Asked};
use crate::cli::{Calls, CallsFormat};
use crate::failure::Failure;
use crate::json::line;
use crate::show::print;
use crate::terminal;

/// Lists what matches.
pub fn calls(arguments: Calls) -> Result<(), Failure> {
    let Calls { captures, all, failed, poor, number, filter, format } = arguments;
    let with_number = number.is_some();
    let any = !failed && !poor && !with_number && filter.is_none();
    let asked = Asked::of(number, filter.as_ref(), poor);
    // A summary is all that is shown: messages are let go as soon as their call is over.
    let summary = move |view: &View<'_>| -> Option<Summary> {
        let summary = view.summary();
        let matches = (!failed || summary.failed)
            && (!poor || summary.poor)
            && (!with_number || view.record.has_number)
            && filter.as_ref().is_none_or(|filter| filter.wants(view));
        matches.then_some(summary)
    };
    let of_call = summary.clone();
    let mut calls = match all {
        false => captures::calls(&captures, asked, move |_, view| of_call(view))?,
        true => {
            let (mut calls, exchanges) =
                captures::calls_and_more(&captures, asked, false, move |_, view| of_call(view))?;
            calls.extend(exchanges.iter().filter_map(|exchange| {
                let times = (exchange.times > 1).then_some(exchange.times);
                summary(&exchange.view()).map(|summary| Summary { times, ..summary })
            }));
            calls
        }
    };
    if calls.is_empty() {
        let what = match (any, all) {
            (false, false) => "no call matches",
            (false, true) => "no call and no other request matches",
            (true, false) => "no call is in these captures; --all lists other requests",
            (true, true) => "no call and no other request is in these captures",
        };
        return Err(Failure::Failed(what.to_owned()));
    }
    calls.sort_by_key(|call| call.start);
    match format {
        CallsFormat::Table => print(&call_views::table(&calls, &terminal::style(None))),
        CallsFormat::Json => print(&calls.iter().map(line).collect::<String>()),
    }
}
