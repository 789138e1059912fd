//! SIP messages without the people in them: a parsed message in, the bytes of another one out, which says the same about its call.
//!
//! Built up anew from what is understood; what is not is replaced or left out, so that nothing passes because nobody thought
//! of it. Numbers, names, hosts, Call-IDs, tags and branches become others under a key, the same ones for the same, by
//! functions that cannot be undone without it; addresses keep the prefixes they share (`addresses`). What rules of calls ask
//! for stays: methods, statuses, registered phrases, option tags, timers, codecs. No clock, no I/O, no log.

mod addresses;
mod body;
mod fields;
mod keyed;
mod numbers;
mod text;
mod vocabulary;
mod words;

use std::net::SocketAddr;

use sip::{Message, Start};

use addresses::Addresses;
use keyed::Keyed;
use numbers::{Ports, Sequences};
use text::Mode;
use vocabulary::Words as Known;
use words::Words;

/// Replaces under one key. Messages are given to [`Anonymizer::note`] first, all of them, then to [`Anonymizer::message`].
#[derive(Debug)]
pub struct Anonymizer {
    words: Words,
    addresses: Addresses,
    ports: Ports,
    sequences: Sequences,
}

impl Anonymizer {
    /// With this key, of any length: the same one replaces the same by the same.
    pub fn new(key: &[u8]) -> Self {
        let keyed = Keyed::new(key);
        Self {
            words: Words::new(keyed.clone()),
            addresses: Addresses::new(keyed.clone()),
            ports: Ports::new(keyed.clone()),
            sequences: Sequences::default(),
        }
    }

    /// Notes which numbers a message uses, so that no two become one.
    pub fn note(&mut self, message: &Message<'_>, ends: [SocketAddr; 2]) {
        self.ports.noting = true;
        self.sequences.note(message);
        self.message(message);
        ends.iter().for_each(|end| _ = self.ports.port(end.port()));
        self.ports.noting = false;
    }

    /// What stands for an address and port. Ports above 9999 become others below.
    pub fn address(&mut self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.addresses.address(address.ip()), self.port(address.port()))
    }

    /// What stands for a port.
    pub fn port(&mut self, port: u16) -> u16 {
        self.ports.port(port)
    }

    /// The bytes of the message that stands for one. Content-Length is that of its body, where there was one.
    pub fn message(&mut self, message: &Message<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.bytes().len());
        match message.start {
            Start::Request { name, uri, .. } => {
                self.put_method(name, &mut out);
                out.push(b' ');
                self.put(uri, Mode::Parameters, &mut out);
                out.extend_from_slice(b" SIP/2.0\r\n");
            }
            Start::Response { status, reason } => {
                out.extend_from_slice(format!("SIP/2.0 {status} ").as_bytes());
                self.put(reason, Mode::Known(Known::Phrases), &mut out);
                out.extend_from_slice(b"\r\n");
            }
        }
        let body = self.body(message);
        self.put_fields(message, &body, &mut out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&body.bytes);
        out
    }

    /// A method: one that is registered, or a word that stands for it.
    fn put_method(&mut self, name: &[u8], out: &mut Vec<u8>) {
        match sip::Method::named(name) {
            sip::Method::Other => self.put(name, Mode::Free, out),
            _ => out.extend_from_slice(name),
        }
    }
}
