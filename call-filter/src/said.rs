//! What a call says to a field: nothing, one thing or several.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use call_views::View;
use pipeline::call::IN_PROGRESS;
use wire::Timestamp;

use crate::field::{Field, Flag, Kind, Number, Place, Span, Text};

/// One thing that a call says to a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A count, a status, a percentage, an opinion.
    Number(f64),
    /// How long something took.
    Span(Duration),
    /// Who sent or received.
    Address(SocketAddr),
    /// When something was.
    Time(Timestamp),
    /// Whether it is so.
    Flag(bool),
}

impl Said<'_> {
    /// The same, of a call that is gone.
    pub fn into_owned(self) -> Said<'static> {
        match self {
            Self::Text(text) => Said::Text(text.into_owned().into()),
            Self::Number(number) => Said::Number(number),
            Self::Span(span) => Said::Span(span),
            Self::Address(address) => Said::Address(address),
            Self::Time(time) => Said::Time(time),
            Self::Flag(flag) => Said::Flag(flag),
        }
    }

    /// Which stands first in a list; of one kind.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Span(one), Self::Span(other)) => one.cmp(other),
            (Self::Address(one), Self::Address(other)) => one.cmp(other),
            (Self::Time(one), Self::Time(other)) => one.cmp(other),
            (Self::Flag(one), Self::Flag(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }
}

/// As a column shows it: durations in seconds, times in RFC 3339, UTC.
impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) if number.fract() == 0.0 => write!(f, "{number:.0}"),
            Self::Number(number) => write!(f, "{number:.2}"),
            Self::Span(span) => write!(f, "{}.{:03}", span.as_secs(), span.subsec_millis()),
            Self::Address(address) => write!(f, "{address}"),
            Self::Time(time) => f.write_str(&call_views::rfc3339(*time)),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

impl Field {
    /// Everything that a call says to the field, each thing once; empty if nothing.
    pub fn text(&self, view: &View<'_>) -> String {
        let mut texts: Vec<String> = Vec::new();
        self.say(view, &mut |said| {
            let text = said.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        });
        texts.join(", ")
    }

    /// The first thing that a call says to the field.
    pub fn first<'a>(&self, view: &View<'a>) -> Option<Said<'a>> {
        let mut first = None;
        self.say(view, &mut |said| {
            first.get_or_insert(said);
        });
        first
    }

    /// Whether its values are numbers, which end at one place below each other.
    pub fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number(_) | Kind::Span(_))
    }

    /// Hands everything that a call says to the field to `hear`, in order.
    pub fn say<'a>(&self, view: &View<'a>, hear: &mut dyn FnMut(Said<'a>)) {
        let record = view.record;
        match self.kind {
            Kind::Text(text) => texts(text, &self.header, view, &mut |said| hear(Said::Text(said))),
            Kind::Number(number) => numbers(number, view, &mut |said| hear(Said::Number(said))),
            Kind::Span(span) => {
                let said = match span {
                    Span::Setup => record.setup,
                    Span::Ring => record.ring,
                    Span::Duration => record.duration,
                };
                said.into_iter().for_each(|said| hear(Said::Span(said)));
            }
            Kind::Address(Place::Any) => {
                record.endpoints.iter().for_each(|endpoint| hear(Said::Address(endpoint.address)));
            }
            Kind::Address(Place::Source) => hear(Said::Address(record.endpoint(record.source).address)),
            Kind::Address(Place::Destination) => hear(Said::Address(record.endpoint(record.destination).address)),
            Kind::Start => hear(Said::Time(record.start)),
            Kind::Flag(flag) => hear(Said::Flag(match flag {
                Flag::Failed => !is_live(view) && view.failed(),
                Flag::Poor => record.media.as_ref().is_some_and(|media| media.is_poor()),
                Flag::Live => is_live(view),
            })),
        }
    }
}

/// Whether it is undecided or up, as far as is known: at the end of a capture too.
fn is_live(view: &View<'_>) -> bool {
    view.record.outcome == IN_PROGRESS
}

fn texts<'a>(text: Text, header: &str, view: &View<'a>, hear: &mut dyn FnMut(Cow<'a, str>)) {
    let record = view.record;
    let mut said = |said: &'a str| hear(said.into());
    let transactions = record.transactions.iter();
    let media = record.media.iter();
    match text {
        Text::Outcome => said(record.outcome),
        Text::End => record.end.into_iter().for_each(said),
        Text::Reason => transactions.filter_map(|transaction| transaction.reason.as_deref()).for_each(said),
        Text::Method => transactions.for_each(|transaction| said(transaction.method.as_str())),
        Text::UserAgent => record.user_agent.as_deref().into_iter().for_each(said),
        Text::Carrier => said(view.carrier),
        Text::UaType => said(view.ua_type),
        Text::Trunk => {
            transactions.flat_map(|transaction| transaction.carriers()).for_each(|(_, carrier)| said(carrier))
        }
        Text::CallId => said(&record.call_id),
        Text::From => record.caller.as_deref().into_iter().for_each(said),
        Text::To => record.callee.as_deref().into_iter().for_each(said),
        Text::Transport => {
            said(record.transport.as_str());
            let others = transactions.map(|transaction| transaction.transport);
            others.filter(|transport| *transport != record.transport).for_each(|transport| said(transport.as_str()));
        }
        Text::TraceId => hear(call_views::hex_digits(&record.trace(view.carrier).id).into()),
        Text::Codec => media.flat_map(|media| &media.streams).for_each(|stream| said(stream.codec.label())),
        Text::Fault => media.flat_map(|media| &media.faults).for_each(|fault| said(fault.fault.as_str())),
        Text::Header => {
            let lines = record.headers.iter().flat_map(|message| message.lines());
            let fields = lines.filter_map(|line| line.split_once(':'));
            let named = fields.filter(|(name, _)| name.trim().eq_ignore_ascii_case(header));
            named.for_each(|(_, value)| said(value.trim()));
        }
    }
}

fn numbers(number: Number, view: &View<'_>, hear: &mut dyn FnMut(f64)) {
    let record = view.record;
    let streams = record.media.iter().flat_map(|media| &media.streams);
    match number {
        Number::Status => record.status.into_iter().for_each(|status| hear(status.into())),
        Number::Cause => record.hangup_cause.into_iter().for_each(|cause| hear(cause.into())),
        Number::Messages => hear(record.messages.into()),
        Number::Retransmissions => hear(record.retransmissions.into()),
        Number::Mos => {
            let worst = streams.filter_map(|stream| stream.worst).min_by(f32::total_cmp);
            worst.into_iter().for_each(|worst| hear(worst.into()));
        }
        Number::Loss => streams.for_each(|stream| hear(stream.loss_percent())),
    }
}
