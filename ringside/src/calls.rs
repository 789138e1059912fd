//! `ringside calls`: the calls of capture files, one line for each, the newest last.

use call_views::View;

use crate::captures::{self, Asked};
use crate::cli::{Calls, CallsFormat};
use crate::failure::Failure;
use crate::json::line;
use crate::show::print;
use crate::terminal;

/// Lists the calls that match.
pub fn calls(arguments: Calls) -> Result<(), Failure> {
    let Calls { captures, failed, poor, number, filter, format } = arguments;
    let with_number = number.is_some();
    let any = !failed && !poor && !with_number && filter.is_none();
    let asked = Asked::of(number, filter.as_ref(), poor);
    // A summary is all that is shown: messages are let go as soon as their call is over.
    let mut calls = captures::calls(&captures, asked, move |call, carrier, ua_type| {
        let view = View { record: &call.record, carrier, ua_type };
        let summary = view.summary();
        let matches = (!failed || summary.failed)
            && (!poor || summary.poor)
            && (!with_number || call.record.has_number)
            && filter.as_ref().is_none_or(|filter| filter.wants(&view));
        matches.then_some(summary)
    })?;
    if calls.is_empty() {
        let what = if any { "no call is in these captures" } else { "no call matches" };
        return Err(Failure::Failed(what.to_owned()));
    }
    calls.sort_by_key(|call| call.start);
    match format {
        CallsFormat::Table => print(&call_views::table(&calls, &terminal::style(None))),
        CallsFormat::Json => print(&calls.iter().map(line).collect::<String>()),
    }
}
