//! Reason: why a request or a final response was sent (RFC 3326; in responses RFC 6432).

use crate::cursor::Cursor;
use crate::header::Values;
use crate::value;

/// Whose cause codes a [`Reason`] uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasonProtocol {
    /// ITU-T Q.850.
    Q850,
    /// A SIP status code.
    Sip,
    /// Any other.
    Other,
}

/// One element of the Reason list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose cause codes these are.
    pub protocol: ReasonProtocol,
    /// 0 to 999; `None` when absent, no number or larger.
    pub cause: Option<u16>,
}

/// Every Reason of a message, in order. Stray separators are passed over.
#[derive(Clone, Debug)]
pub(crate) struct Reasons<'a> {
    values: Values<'a>,
    list: Cursor<'a>,
}

impl<'a> Reasons<'a> {
    /// Reasons in `values`.
    pub fn new(values: Values<'a>) -> Self {
        Self { values, list: Cursor::new(b"".as_slice().into()) }
    }

    fn element(&mut self) -> Option<Reason> {
        self.list.skip_space();
        let name = self.list.token();
        let mut cause: Option<&[u8]> = None;
        while let Some(param) = self.list.param() {
            if cause.is_none() && param.is(b"cause") {
                cause = Some(param.value);
            }
        }
        self.list.eat(b',');
        let protocol = match name {
            [] => return None,
            _ if name.eq_ignore_ascii_case(b"Q.850") => ReasonProtocol::Q850,
            _ if name.eq_ignore_ascii_case(b"SIP") => ReasonProtocol::Sip,
            _ => ReasonProtocol::Other,
        };
        Some(Reason { protocol, cause: cause.and_then(parse_cause) })
    }
}

impl Iterator for Reasons<'_> {
    type Item = Reason;

    fn next(&mut self) -> Option<Reason> {
        loop {
            while !self.list.rest().is_empty() {
                if let Some(reason) = self.element() {
                    return Some(reason);
                }
            }
            self.list = Cursor::new(self.values.next()?);
        }
    }
}

fn parse_cause(value: &[u8]) -> Option<u16> {
    let cause = value::number(value, 999)?;
    if cause.clamped { None } else { Some(cause.value as u16) }
}
