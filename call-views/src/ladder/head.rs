//! What is said above a ladder: a call in, lines of names and values out.

use pipeline::call::media::StreamRecord;

use super::messages;
use crate::style::{Colour, Style};
use crate::summary::hex_digits;
use crate::table::verdict;
use crate::text::{fill, left, printable};
use crate::{View, clock};

/// Cells of a name with the blanks behind it.
const NAME: usize = 10;

/// The lines above a ladder.
pub fn head(view: &View<'_>, style: &Style) -> String {
    let record = view.record;
    let escaped = |text: &str| printable(text, style.unicode).into_owned();
    let colour = verdict(&view.summary());
    let mut lines = vec![
        ("Call-ID", Colour::Strong, vec![escaped(&record.call_id)]),
        (view.method().unwrap_or("call"), Colour::Plain, parties(view, style)),
        ("outcome", colour, outcome(view)),
        ("delays", Colour::Plain, delays(view)),
        ("carrier", Colour::Plain, vec![escaped(view.carrier), format!("ua_type {}", escaped(view.ua_type))]),
        ("messages", Colour::Plain, counts(view)),
    ];
    let streams = record.media.iter().flat_map(|media| &media.streams).enumerate();
    lines.extend(streams.map(|(at, stream)| (if at == 0 { "heard" } else { "" }, Colour::Plain, heard(stream))));
    lines.push(("faults", Colour::Bad, faults(view)));
    lines.push(("trace", Colour::Quiet, vec![hex_digits(&record.trace(view.carrier).id)]));
    let mut head = String::new();
    for (name, colour, items) in lines.iter().filter(|(.., items)| !items.is_empty()) {
        let mut name = *name;
        for line in fill(items, ", ", style.cells() - NAME) {
            head += &style.paint(Colour::Quiet, left(name, NAME).as_str());
            head += &style.paint(*colour, &line);
            head.push('\n');
            name = "";
        }
    }
    head
}

fn parties(view: &View<'_>, style: &Style) -> Vec<String> {
    let record = view.record;
    let number = |number: Option<&str>| number.map(|number| printable(number, style.unicode).into_owned());
    let to = if style.unicode { '→' } else { '>' };
    let parties = match (number(record.caller.as_deref()), number(record.callee.as_deref())) {
        (None, None) => None,
        (caller, callee) => {
            let shown = |party: Option<String>| party.unwrap_or_else(|| "-".to_owned());
            Some(format!("{} {to} {}", shown(caller), shown(callee)))
        }
    };
    let at = style.zone.shown(record.start);
    let start =
        format!("{} {}{} {}", clock::day(at), clock::time_of_day(at), clock::millis(at), style.zone.name(record.start));
    // That of the first INVITE first; hops may use others.
    let mut transports = vec![record.transport.as_str()];
    for transaction in &record.transactions {
        let transport = transaction.transport.as_str();
        if !transports.contains(&transport) {
            transports.push(transport);
        }
    }
    parties.into_iter().chain([start]).chain(transports.into_iter().map(str::to_owned)).collect()
}

fn outcome(view: &View<'_>) -> Vec<String> {
    let record = view.record;
    let outcome = match record.status {
        Some(status) => format!("{} ({status})", record.outcome),
        None => record.outcome.to_owned(),
    };
    let end = record.end.map(|end| format!("ended: {end}"));
    let by = record.disconnected_by.map(|side| format!("by the {}", side.as_str()));
    let cause = record.hangup_cause.map(|cause| format!("Q.850 cause {cause}"));
    [outcome].into_iter().chain(end).chain(by).chain(cause).collect()
}

fn delays(view: &View<'_>) -> Vec<String> {
    let record = view.record;
    let delays = [("set-up", record.setup), ("ringing", record.ring), ("duration", record.duration)];
    let shown = |(name, delay): (&str, Option<_>)| Some(format!("{name} {} s", clock::seconds(delay?)));
    delays.into_iter().filter_map(shown).collect()
}

/// What was heard of a stream.
fn heard(stream: &StreamRecord) -> Vec<String> {
    let (side, codec, received) = (stream.side.as_str(), stream.codec.label(), stream.summary.received);
    let packets = if received == 1 { "packet" } else { "packets" };
    vec![
        format!("{side} {codec}: {received} {packets}"),
        format!("{:.1} % lost", stream.loss_percent()),
        format!("{:.1} ms jitter", stream.summary.jitter / 1e6),
        format!("MOS {:.2}", stream.rating.mos_cq),
    ]
}

/// What is wrong with it.
fn faults(view: &View<'_>) -> Vec<String> {
    let faults = view.record.media.iter().flat_map(|media| &media.faults);
    faults.map(|fault| format!("{} ({})", fault.fault.as_str(), fault.toward.as_str())).collect()
}

fn counts(view: &View<'_>) -> Vec<String> {
    let record = view.record;
    let again = match record.retransmissions {
        0 => None,
        1 => Some("1 retransmission".to_owned()),
        more => Some(format!("{more} retransmissions")),
    };
    [messages(record.messages)].into_iter().chain(again).collect()
}
