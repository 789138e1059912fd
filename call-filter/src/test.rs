//! A comparison of a field with a value: read once, asked of each call.
//!
//! Several things may be said to a field (a call has many requests, addresses, trunks): a comparison holds where one of
//! them fits, and where nothing is said it does not hold. Opposites (`!=`, `!~`) are their comparison turned round.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use call_views::View;
use ipnet::IpNet;
use jiff::civil;
use jiff::tz::TimeZone;
use pipeline::call::IN_PROGRESS;
use pipeline::settings::duration;
use regex_automata::meta::{Config, Regex};
use wire::Timestamp;

use crate::field::{Field, Flag, Kind, Number, Place, Span, Text};
use crate::lexer::Operator;

/// A comparison.
#[derive(Clone, Debug)]
pub enum Test {
    Text { text: Text, header: String, pattern: Pattern },
    Number(Number, Bound<f64>),
    Span(Span, Bound<Duration>),
    Address(Place, Peer),
    Start(Bound<Timestamp>),
    Flag(Flag),
}

/// What a text is compared with.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The whole of it; letters of ASCII in any case.
    Is(String),
    /// An expression that fits the whole of it, as in Prometheus.
    Fits(Box<Regex>),
}

/// An order, and what to.
#[derive(Clone, Copy, Debug)]
pub struct Bound<T> {
    operator: Operator,
    value: T,
}

/// What an address is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    Network(IpNet),
    Socket(SocketAddr),
}

/// Why a comparison cannot be made.
#[derive(Debug)]
pub enum Wrong {
    Operator { what: String, help: String },
    Value { what: String, help: String },
}

impl Test {
    /// Reads the value as what the field is made of.
    pub fn new(field: &Field, operator: Operator, value: &str) -> Result<Self, Wrong> {
        use Operator::{Equal, Matches, MatchesNot, Unequal};
        let wrong = |what: &str| Wrong::Value {
            what: format!("{value:?} is no {what}"),
            help: format!("write it as in {}", field.example()),
        };
        let is_search = matches!(operator, Matches | MatchesNot);
        let is_equality = matches!(operator, Equal | Unequal);
        let refused = |can: &str| Wrong::Operator {
            what: format!("{} does not go with this field", operator.as_str()),
            help: format!("it takes {can}"),
        };
        const ORDER: &str = "==, !=, <, <=, >, >=";
        Ok(match field.kind {
            Kind::Text(text) => {
                let pattern = match is_search {
                    true => Pattern::Fits(Box::new(expression(value)?)),
                    false if is_equality => Pattern::Is(value.to_owned()),
                    false => return Err(refused("==, !=, ~, !~")),
                };
                Self::Text { text, header: field.header.clone(), pattern }
            }
            Kind::Flag(_) => {
                let what = "a flag is compared with nothing".to_owned();
                return Err(Wrong::Operator { what, help: "write it alone, or `not` before it".to_owned() });
            }
            Kind::Address(place) if is_equality => {
                Self::Address(place, peer(value).ok_or_else(|| wrong("address or network"))?)
            }
            Kind::Address(_) => return Err(refused("== and != with an address, address:port or network")),
            _ if is_search => return Err(refused(ORDER)),
            Kind::Number(number) => {
                let parsed = value.parse().ok().filter(|value: &f64| value.is_finite());
                Self::Number(number, Bound { operator, value: parsed.ok_or_else(|| wrong("number"))? })
            }
            Kind::Span(span) => {
                let parsed = duration::parse(value).ok_or_else(|| wrong("duration"))?;
                Self::Span(span, Bound { operator, value: parsed })
            }
            Kind::Start => Self::Start(Bound { operator, value: time(value).ok_or_else(|| wrong("time"))? }),
        })
    }

    /// Whether it asks for header fields.
    pub fn is_about_headers(&self) -> bool {
        matches!(self, Self::Text { text: Text::Header, .. })
    }

    /// Whether it asks what callers heard.
    pub fn is_about_media(&self) -> bool {
        matches!(
            self,
            Self::Text { text: Text::Codec | Text::Fault, .. }
                | Self::Number(Number::Mos | Number::Loss, _)
                | Self::Flag(Flag::Poor)
        )
    }

    /// Whether it holds of a call.
    pub fn holds(&self, view: &View<'_>) -> bool {
        match self {
            Self::Text { text, header, pattern } => holds_text(*text, header, pattern, view),
            Self::Number(number, bound) => holds_number(*number, bound, view),
            Self::Span(span, bound) => {
                let record = view.record;
                let said = match span {
                    Span::Setup => record.setup,
                    Span::Ring => record.ring,
                    Span::Duration => record.duration,
                };
                said.is_some_and(|said| bound.holds(&said))
            }
            Self::Address(place, peer) => {
                let record = view.record;
                match place {
                    Place::Any => record.endpoints.iter().any(|endpoint| peer.is(endpoint.address)),
                    Place::Source => peer.is(record.endpoint(record.source).address),
                    Place::Destination => peer.is(record.endpoint(record.destination).address),
                }
            }
            Self::Start(bound) => bound.holds(&view.record.start),
            Self::Flag(Flag::Failed) => !is_live(view) && view.failed(),
            Self::Flag(Flag::Poor) => view.record.media.as_ref().is_some_and(|media| media.is_poor()),
            Self::Flag(Flag::Live) => is_live(view),
        }
    }
}

/// Whether it is undecided or up, as far as is known: at the end of a capture too.
fn is_live(view: &View<'_>) -> bool {
    view.record.outcome == IN_PROGRESS
}

fn holds_text(text: Text, header: &str, pattern: &Pattern, view: &View<'_>) -> bool {
    let record = view.record;
    let fits = |said: &str| pattern.fits(said);
    let says = |said: &Option<Box<str>>| said.as_deref().is_some_and(fits);
    let mut media = record.media.iter();
    match text {
        Text::Outcome => fits(record.outcome),
        Text::End => record.end.is_some_and(fits),
        Text::Reason => record.transactions.iter().any(|transaction| says(&transaction.reason)),
        Text::Method => record.transactions.iter().any(|transaction| fits(transaction.method.as_str())),
        Text::UserAgent => says(&record.user_agent),
        Text::Carrier => fits(view.carrier),
        Text::UaType => fits(view.ua_type),
        Text::Trunk => {
            record.transactions.iter().flat_map(|transaction| transaction.carriers()).any(|(_, carrier)| fits(carrier))
        }
        Text::CallId => fits(&record.call_id),
        Text::From => says(&record.caller),
        Text::To => says(&record.callee),
        Text::Transport => {
            fits(record.transport.as_str())
                || record.transactions.iter().any(|transaction| fits(transaction.transport.as_str()))
        }
        Text::TraceId => {
            let id: String = record.trace(view.carrier).id.iter().map(|byte| format!("{byte:02x}")).collect();
            fits(&id)
        }
        Text::Codec => media.any(|media| media.streams.iter().any(|stream| fits(stream.codec.label()))),
        Text::Fault => media.any(|media| media.faults.iter().any(|fault| fits(fault.fault.as_str()))),
        Text::Header => record.headers.iter().flat_map(|message| message.lines()).any(|line| {
            line.split_once(':')
                .is_some_and(|(name, value)| name.trim().eq_ignore_ascii_case(header) && fits(value.trim()))
        }),
    }
}

fn holds_number(number: Number, bound: &Bound<f64>, view: &View<'_>) -> bool {
    let record = view.record;
    let fits = |said: f64| bound.holds(&said);
    let mut streams = record.media.iter().flat_map(|media| &media.streams);
    match number {
        Number::Status => record.status.is_some_and(|status| fits(status.into())),
        Number::Cause => record.hangup_cause.is_some_and(|cause| fits(cause.into())),
        Number::Messages => fits(record.messages.into()),
        Number::Retransmissions => fits(record.retransmissions.into()),
        Number::Mos => {
            let worst = streams.filter_map(|stream| stream.worst).min_by(f32::total_cmp);
            worst.is_some_and(|worst| fits(worst.into()))
        }
        Number::Loss => streams.any(|stream| fits(stream.loss_percent())),
    }
}

impl<T: PartialOrd> Bound<T> {
    fn holds(&self, said: &T) -> bool {
        let order = said.partial_cmp(&self.value);
        match self.operator {
            Operator::Below => order == Some(Ordering::Less),
            Operator::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Above => order == Some(Ordering::Greater),
            Operator::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            // What is the opposite of another was turned round.
            Operator::Equal | Operator::Unequal | Operator::Matches | Operator::MatchesNot => {
                order == Some(Ordering::Equal)
            }
        }
    }
}

impl Pattern {
    fn fits(&self, said: &str) -> bool {
        match self {
            Self::Is(text) => text.eq_ignore_ascii_case(said),
            Self::Fits(regex) => regex.is_match(said),
        }
    }
}

impl Peer {
    fn is(&self, address: SocketAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&address.ip().to_canonical()),
            Self::Socket(socket) => (socket.ip(), socket.port()) == (address.ip().to_canonical(), address.port()),
        }
    }
}

/// An address, a network, or an address and port.
fn peer(text: &str) -> Option<Peer> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().map(|address| Peer::Network(address.to_canonical().into()));
    let network = || text.parse().ok().map(Peer::Network);
    address.or_else(network).or_else(|| text.parse().ok().map(Peer::Socket))
}

/// RFC 3339 with its offset, or a day or a time of it in UTC.
fn time(text: &str) -> Option<Timestamp> {
    let exact = || text.parse::<jiff::Timestamp>().ok();
    let civil = || text.parse::<civil::DateTime>().ok();
    let day = || text.parse::<civil::Date>().ok().map(|day| day.at(0, 0, 0, 0));
    let utc = |civil: civil::DateTime| civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let at = exact().or_else(|| civil().or_else(day).and_then(utc))?;
    u64::try_from(at.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

/// An expression that has to fit a whole text; bounded, and searched in linear time.
fn expression(text: &str) -> Result<Regex, Wrong> {
    let config = Config::new().nfa_size_limit(Some(MAX_EXPRESSION));
    let built = Regex::builder().configure(config).build(&format!("^(?:{text})$"));
    built.map_err(|error| {
        let too_large = error.size_limit().is_some();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let said = cause.to_string();
        let last = said.lines().last().unwrap_or(&said).trim_start_matches("error: ").to_owned();
        let what = if too_large { "the expression is too large once compiled".to_owned() } else { last };
        Wrong::Value { what, help: "put a backslash before characters meant as such".to_owned() }
    })
}

/// Largest compiled form of an expression, bytes.
const MAX_EXPRESSION: usize = 1 << 20;
