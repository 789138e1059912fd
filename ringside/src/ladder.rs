//! `ringside ladder`: the calls of capture files message by message, the newest last.

use std::sync::Arc;

use call_views::message::{self, Detail};
use call_views::{Exchange, Exchanges, View, ladder};
use engine::Catalogue;
use pipeline::{Call, CallRecord};

use crate::captures::{self, Asked, LateMessages};
use crate::cli::{Ladder, LadderFormat};
use crate::failure::Failure;
use crate::folders;
use crate::json::line;
use crate::show::print;
use crate::terminal;

/// Cells of a line where no terminal says how many there are: what a mail or a ticket shows without a break.
const WITHOUT_TERMINAL: usize = 80;

/// Draws the calls that match.
pub fn ladder(catalogue: &Catalogue, arguments: &Ladder) -> Result<(), Failure> {
    let Ladder { captures, call_id, filter, period, .. } = arguments;
    let who = folders::Asked { filter: filter.as_ref(), call_ids: call_id, period: *period, number: None };
    let resolved = folders::resolved(catalogue, captures, &who)?;
    let (wanted, filter) = (arguments.call_id.clone(), arguments.filter.clone());
    let messages = arguments.headers || arguments.raw;
    let asked = Asked::of(None, filter.as_ref(), true).with_messages(messages);
    let period = arguments.period;
    let matches = move |view: &View<'_>| {
        period.has(view.record.start)
            && (wanted.is_empty() || wanted.iter().any(|wanted| **wanted == *view.record.call_id))
            && filter.as_ref().is_none_or(|filter| filter.wants(view))
    };
    let of_call = matches.clone();
    let keep = move |call: &Call, view: &View<'_>| {
        let (carrier, ua_type) = (view.carrier.into(), view.ua_type.into());
        of_call(view).then(|| Kept { record: Arc::clone(&call.record), carrier, ua_type })
    };
    let more = (arguments.all || !arguments.call_id.is_empty()).then(|| Exchanges::new(true));
    let (mut calls, exchanges, late) = captures::calls(catalogue, &resolved.captures, asked, more, keep)?;
    let wanted = exchanges.into_iter().filter(|exchange| matches(&exchange.view()));
    calls.extend(wanted.map(|Exchange { record, carrier, ua_type, .. }| Kept {
        record: Arc::new(record),
        carrier,
        ua_type,
    }));
    if calls.is_empty() {
        let what = match arguments.call_id.is_empty() {
            false => "no call has this Call-ID: `ringside calls --all --format json` shows them whole",
            true if arguments.filter.is_some() || period.is_limited() => "no call matches",
            true => "no call is in these captures; --all draws other requests",
        };
        return Err(Failure::Failed(what.to_owned()));
    }
    calls.sort_by_key(|call| call.record.start);
    if arguments.call_id.len() > 1 {
        let records: Vec<&CallRecord> = calls.iter().map(|call| &*call.record).collect();
        let first = &calls[0];
        let (carrier, ua_type) = (first.carrier.clone(), first.ua_type.clone());
        let joined = ladder::joined(&records).map(|record| Kept { record: Arc::new(record), carrier, ua_type });
        calls = joined.into_iter().collect();
    }
    let detail = match (arguments.headers, arguments.raw) {
        (_, true) => Some(Detail::All),
        (true, false) => Some(Detail::Headers),
        (false, false) => None,
    };
    print(&drawn(&calls, &late, arguments.format, detail, arguments.utc))
}

fn drawn(calls: &[Kept], late: &LateMessages, format: LadderFormat, detail: Option<Detail>, utc: bool) -> String {
    let views = calls.iter().map(Kept::view);
    match format {
        LadderFormat::Text => {
            let style = terminal::style(Some(WITHOUT_TERMINAL), utc);
            let text = |view: View<'_>| {
                let messages = detail.map(|detail| format!("\n{}", message::all(&view, detail, &style)));
                let later = later(&view, late).map_or_else(String::new, |later| later + "\n");
                ladder::text(&view, &style) + &later + &messages.unwrap_or_default()
            };
            views.map(text).collect::<Vec<_>>().join("\n\n")
        }
        // A diagram holds one call; a document may hold several.
        LadderFormat::Mermaid => {
            let diagram = |view: View<'_>| ladder::mermaid(&view, &later(&view, late).unwrap_or_default());
            match calls {
                [call] => diagram(call.view()),
                _ => views.map(|view| format!("```mermaid\n{}```\n", diagram(view))).collect::<Vec<_>>().join("\n"),
            }
        }
        LadderFormat::Json => {
            let object = |view: View<'_>| {
                let mut object = ladder::json(&view);
                object.later_messages =
                    late.of(&view.record.call_id, view.record.start).map_or(0, |late| late.messages);
                if detail != Some(Detail::All) {
                    object.ladder.iter_mut().for_each(|step| step.raw = None);
                }
                line(&object)
            };
            views.map(object).collect()
        }
    }
}

/// What came after the call was over, in words; `None` where nothing did.
fn later(view: &View<'_>, late: &LateMessages) -> Option<String> {
    let late = late.of(&view.record.call_id, view.record.start)?;
    let (s, more) = (if late.messages == 1 { "" } else { "s" }, (late.last - view.record.until).as_secs_f64());
    Some(format!("{} later message{s}, the last {more:.1} s after the call was over", late.messages))
}

/// A call until it is drawn.
struct Kept {
    record: Arc<CallRecord>,
    carrier: Box<str>,
    ua_type: Box<str>,
}

impl Kept {
    fn view(&self) -> View<'_> {
        View { record: &self.record, carrier: &self.carrier, ua_type: &self.ua_type }
    }
}
