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
use pipeline::settings::duration;
use regex_automata::meta::{Config, Regex};
use wire::Timestamp;

use crate::Parties;
use crate::field::{Field, Kind, Text};
use crate::lexer::Operator;
use crate::said::Said;

/// A comparison.
#[derive(Clone, Debug)]
pub struct Test {
    field: Field,
    wanted: Wanted,
}

/// What is wanted of a field; of its kind.
#[derive(Clone, Debug)]
enum Wanted {
    Text(Pattern),
    Number(Bound<f64>),
    Span(Bound<Duration>),
    Peer(Peer),
    Time(Bound<Timestamp>),
    /// A flag that is set.
    Set,
}

/// What a text is compared with.
#[derive(Clone, Debug)]
enum Pattern {
    /// The whole of it; letters of ASCII in any case.
    Is(String),
    /// An expression that fits the whole of it, as in Prometheus.
    Fits(Box<Regex>),
}

/// An order, and what to.
#[derive(Clone, Copy, Debug)]
struct Bound<T> {
    operator: Operator,
    value: T,
}

/// What an address is compared with.
#[derive(Clone, Copy, Debug)]
enum Peer {
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
    pub fn new(field: Field, operator: Operator, value: &str) -> Result<Self, Wrong> {
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
        let wanted = match field.kind {
            Kind::Text(_) => Wanted::Text(match is_search {
                true => Pattern::Fits(Box::new(expression(value)?)),
                false if is_equality => Pattern::Is(value.to_owned()),
                false => return Err(refused("==, !=, ~, !~")),
            }),
            Kind::Flag(_) => {
                let what = "a flag is compared with nothing".to_owned();
                return Err(Wrong::Operator { what, help: "write it alone, or `not` before it".to_owned() });
            }
            Kind::Address(_) if is_equality => Wanted::Peer(peer(value).ok_or_else(|| wrong("address or network"))?),
            Kind::Address(_) => return Err(refused("== and != with an address, address:port or network")),
            _ if is_search => return Err(refused(ORDER)),
            Kind::Number(_) => {
                let parsed = value.parse().ok().filter(|value: &f64| value.is_finite());
                Wanted::Number(Bound { operator, value: parsed.ok_or_else(|| wrong("number"))? })
            }
            Kind::Span(_) => {
                let parsed = duration::parse(value).ok_or_else(|| wrong("duration"))?;
                Wanted::Span(Bound { operator, value: parsed })
            }
            Kind::Start => Wanted::Time(Bound { operator, value: time(value).ok_or_else(|| wrong("time"))? }),
        };
        Ok(Self { field, wanted })
    }

    /// A flag, asked whether it is set.
    pub fn flag(field: Field) -> Self {
        Self { field, wanted: Wanted::Set }
    }

    /// What it asks.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// Whether it may hold of a call of which only this is known, and whether it may not.
    pub fn may(&self, parties: &Parties<'_>) -> (bool, bool) {
        let Wanted::Text(pattern) = &self.wanted else { return (true, true) };
        let fits = |user: Option<&str>| user.map_or((true, true), |user| (pattern.fits(user), !pattern.fits(user)));
        let users = |place: usize| {
            let each: Vec<_> = parties.between.iter().map(|pair| fits(pair[place].as_deref())).collect();
            // Where nothing is said a comparison does not hold.
            (each.iter().any(|(holds, _)| *holds), each.is_empty() || each.iter().any(|(_, not)| *not))
        };
        match self.field.kind {
            // One that is long was noted only in part.
            Kind::Text(Text::CallId) if parties.call_id.len() < LONGEST => fits(Some(parties.call_id)),
            Kind::Text(Text::From) => users(0),
            Kind::Text(Text::To) => users(1),
            _ => (true, true),
        }
    }

    /// Whether it holds of a call.
    pub fn holds(&self, view: &View<'_>) -> bool {
        let mut holds = false;
        self.field.say(view, &mut |said| holds |= self.wanted.fits(&said));
        holds
    }
}

impl Wanted {
    fn fits(&self, said: &Said<'_>) -> bool {
        match (self, said) {
            (Self::Text(pattern), Said::Text(text)) => pattern.fits(text),
            (Self::Number(bound), Said::Number(number)) => bound.holds(number),
            (Self::Span(bound), Said::Span(span)) => bound.holds(span),
            (Self::Peer(peer), Said::Address(address)) => peer.is(*address),
            (Self::Time(bound), Said::Time(time)) => bound.holds(time),
            (Self::Set, Said::Flag(set)) => *set,
            // What a field says is of its kind, and so is what it was compared with.
            _ => false,
        }
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
pub fn time(text: &str) -> Option<Timestamp> {
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

/// A Call-ID so long may go on.
const LONGEST: usize = 256;
/// Largest compiled form of an expression, bytes.
const MAX_EXPRESSION: usize = 1 << 20;
