//! Contact: bindings of a registration, targets of a redirection (RFC 3261 §20.10).

use crate::cursor::Cursor;
use crate::header::Values;
use crate::party::{self, Form};
use crate::value;

/// One element of the Contact list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`: every binding (§10.2.2).
    Star,
    /// One address.
    Address {
        /// The URI alone.
        uri: &'a [u8],
        /// Seconds; `None` when absent or no number, 2^32-1 when larger.
        expires: Option<u32>,
    },
}

/// Every Contact of a message, in order. Stray separators and damaged elements are passed over.
#[derive(Clone, Debug)]
pub(crate) struct Contacts<'a> {
    values: Values<'a>,
    list: Cursor<'a>,
    /// An `expires` among those taken so far was clamped.
    pub clamped: bool,
}

impl<'a> Contacts<'a> {
    /// Contacts in `values`.
    pub fn new(values: Values<'a>) -> Self {
        Self { values, list: Cursor::new(b"".as_slice().into()), clamped: false }
    }

    fn element(&mut self) -> Option<Contact<'a>> {
        self.list.skip_space();
        let uri = party::address(&mut self.list, Form::List);
        let mut expires = None;
        while let Some(param) = self.list.param() {
            if expires.is_none() && param.is(b"expires") {
                expires = value::number(param.value, u32::MAX);
            }
        }
        self.list.eat(b',');
        self.clamped |= expires.is_some_and(|expires| expires.clamped);
        match uri {
            [] => None,
            b"*" => Some(Contact::Star),
            _ => Some(Contact::Address { uri, expires: expires.map(|expires| expires.value) }),
        }
    }
}

impl<'a> Iterator for Contacts<'a> {
    type Item = Contact<'a>;

    fn next(&mut self) -> Option<Contact<'a>> {
        loop {
            while !self.list.rest().is_empty() {
                if let Some(contact) = self.element() {
                    return Some(contact);
                }
            }
            self.list = Cursor::new(self.values.next()?);
        }
    }
}
