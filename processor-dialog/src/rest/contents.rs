//! What is kept of everything under a Call-ID that is at rest, and how that is written into a few bytes.
//!
//! Numbers that tend to be small are written in groups of seven bits; times as nanoseconds from the time of packing,
//! exactly; slots and five-tuples, of which a call has few, once, and by their place from then on. The key of a
//! transaction is made of its Via and method again. What would not fit the form is not put to rest.
//!
//! ```text
//! base time, 8 | transactions: count, then (method, Via or key) each, 9 | slots | five-tuples
//! attempts | registrations | dialogs | requests, each with its transactions, each with its hops and items
//! ```

use pipeline::Slot;
use sip::Method;
use wire::Timestamp;

use super::form::{DIRECTORY, ENTRY, OWN_KEY, Reader, Writer, fixed};
use crate::entries::Handle;
use crate::items::Item;
use crate::key::{Key, Keys, Mark};

/// Everything under one Call-ID. A list that belongs to one entry of another stands in that list's order, and the
/// entry says how many are its own.
#[derive(Debug, Default, PartialEq)]
pub struct Contents {
    pub attempts: Vec<Attempt>,
    pub delays: Vec<u32>,
    pub registrations: Vec<Registration>,
    pub dialogs: Vec<Dialog>,
    pub requests: Vec<Request>,
    pub transactions: Vec<Transaction>,
    pub through: Vec<Mark>,
    pub items: Vec<Item>,
}

/// See [`crate::attempt::Attempt`]: answered or ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempt {
    pub key: Key,
    pub slot: Slot,
    pub t0: Timestamp,
    pub cseq: u32,
    pub answered: bool,
    pub alerted: bool,
    /// Its latest INVITE: an index into the requests; `None` when that is forgotten.
    pub request: Option<usize>,
    pub requests: u32,
    /// How many To tags gave a delay.
    pub delays: usize,
}

/// See [`crate::registration::Registration`]: ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Registration {
    pub key: Key,
    pub slot: Slot,
    pub cseq: u32,
    pub requests: u32,
}

/// See [`crate::dialog::Dialog`]: ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dialog {
    pub key: Key,
    pub request_slot: Slot,
    pub attempt_slot: Slot,
    pub cseq: u32,
    pub primary: bool,
    pub acknowledged: bool,
    pub via_depth: Option<u16>,
    pub due: Timestamp,
}

/// See [`crate::logical_request::LogicalRequest`]: it has its final, timed out, or is an ACK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    pub key: Key,
    pub slot: Slot,
    pub method: Method,
    pub cseq: u32,
    pub counted: bool,
    pub timed_out: bool,
    pub answered_at_all: bool,
    pub reason_counted: bool,
    pub in_dialog: bool,
    pub final_status: u16,
    pub depth: u16,
    pub items_counted: u8,
    pub record: Record,
    pub due: Timestamp,
    pub dialog: DialogRef,
    pub registration: Option<usize>,
    pub invite: Option<Invite>,
    /// How many transactions it has.
    pub transactions: usize,
}

/// See [`crate::invite::Invite`]: decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Invite {
    pub attempt: Option<usize>,
    pub primary: DialogRef,
    pub failed: bool,
    pub provisional: bool,
    pub dialed: bool,
    pub answered_200: bool,
    pub cancelled: bool,
}

/// See [`crate::calls::Record`]: one that has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Record {
    None,
    Call,
    Request,
}

/// A dialog that is named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DialogRef {
    None,
    /// It is at rest too: an index into the dialogs.
    Here(usize),
    /// It has ended, but stays in its table.
    InTable(Handle),
}

/// See [`crate::transaction::Transaction`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transaction {
    pub key: Key,
    pub via: Mark,
    pub root: bool,
    pub request_seen: bool,
    pub at_origin: bool,
    pub succeeded: bool,
    pub failed: bool,
    /// How many Vias are below its own.
    pub through: usize,
    /// How many items were seen of it.
    pub items: usize,
}

impl Contents {
    /// Nothing.
    pub fn clear(&mut self) {
        let Self { attempts, delays, registrations, dialogs, requests, transactions, through, items } = self;
        attempts.clear();
        delays.clear();
        registrations.clear();
        dialogs.clear();
        requests.clear();
        transactions.clear();
        through.clear();
        items.clear();
    }

    /// Writes everything; `false` when it does not fit the form.
    pub fn write(&self, now: Timestamp, keys: &Keys, out: &mut Writer) -> bool {
        out.begin(now);
        out.byte(self.transactions.len());
        let methods = self.requests.iter().flat_map(|lr| std::iter::repeat_n(lr.method, lr.transactions));
        for (tx, method) in self.transactions.iter().zip(methods) {
            let derived = method != Method::Other && keys.transaction_of(tx.via, method, b"") == tx.key;
            out.byte(if derived { method.index() } else { OWN_KEY });
            out.fixed(if derived { tx.via } else { tx.key.hash() });
        }
        let slots_of_dialog = |dialog: &Dialog| [dialog.request_slot, dialog.attempt_slot];
        let slots = self.requests.iter().map(|lr| lr.slot).chain(self.dialogs.iter().flat_map(slots_of_dialog));
        let slots = slots.chain(self.attempts.iter().map(|attempt| attempt.slot));
        slots.chain(self.registrations.iter().map(|registration| registration.slot)).for_each(|slot| out.slot(slot));
        self.items.iter().for_each(|item| out.tuple(item.tuple));
        if out.misfit {
            return false;
        }
        out.dictionaries();

        out.byte(self.attempts.len());
        let mut delays = self.delays.iter();
        for attempt in &self.attempts {
            out.fixed(attempt.key.hash());
            out.slot_place(attempt.slot, usize::from(attempt.answered) | usize::from(attempt.alerted) << 1);
            out.number(now.since(attempt.t0).as_nanos() as u64);
            out.number(attempt.cseq.into());
            out.index(attempt.request);
            out.number(attempt.requests.into());
            out.byte(attempt.delays);
            delays.by_ref().take(attempt.delays).for_each(|of| out.bytes(&of.to_le_bytes()));
        }
        out.byte(self.registrations.len());
        for registration in &self.registrations {
            out.fixed(registration.key.hash());
            out.slot_place(registration.slot, 0);
            out.number(registration.cseq.into());
            out.number(registration.requests.into());
        }
        out.byte(self.dialogs.len());
        for dialog in &self.dialogs {
            out.fixed(dialog.key.hash());
            let bits = usize::from(dialog.primary)
                | usize::from(dialog.acknowledged) << 1
                | usize::from(dialog.via_depth.is_some()) << 2;
            out.slot_place(dialog.request_slot, bits);
            out.slot_place(dialog.attempt_slot, 0);
            out.number(dialog.cseq.into());
            if let Some(depth) = dialog.via_depth {
                out.number(depth.into());
            }
            out.number(dialog.due.since(now).as_nanos() as u64);
        }
        out.byte(self.requests.len());
        let mut parts = (self.transactions.iter(), self.through.iter(), self.items.iter());
        for lr in &self.requests {
            write_request(lr, now, out);
            for tx in parts.0.by_ref().take(lr.transactions) {
                write_transaction(tx, keys, lr.method, out);
                parts.1.by_ref().take(tx.through).for_each(|via| out.fixed(*via));
                parts.2.by_ref().take(tx.items).for_each(|item| out.item(item));
            }
        }
        out.is_whole()
    }

    /// Reads what [`Contents::write`] wrote, in place of what is here.
    pub fn read(&mut self, bytes: &[u8], keys: &Keys) {
        self.clear();
        let mut from = Reader::new(bytes);
        let now = from.now;
        for _ in 0..from.byte() {
            let attempt = Attempt {
                key: Key::of_hash(from.fixed()),
                slot: from.slot_place(),
                answered: from.bits & 1 != 0,
                alerted: from.bits & 2 != 0,
                t0: Timestamp::from_nanos(now.as_nanos() - from.number()),
                cseq: from.number() as u32,
                request: from.index(),
                requests: from.number() as u32,
                delays: from.byte(),
            };
            self.delays.extend((0..attempt.delays).map(|_| from.word()));
            self.attempts.push(attempt);
        }
        for _ in 0..from.byte() {
            self.registrations.push(Registration {
                key: Key::of_hash(from.fixed()),
                slot: from.slot_place(),
                cseq: from.number() as u32,
                requests: from.number() as u32,
            });
        }
        for _ in 0..from.byte() {
            let key = Key::of_hash(from.fixed());
            let request_slot = from.slot_place();
            let bits = from.bits;
            self.dialogs.push(Dialog {
                key,
                request_slot,
                attempt_slot: from.slot_place(),
                primary: bits & 1 != 0,
                acknowledged: bits & 2 != 0,
                cseq: from.number() as u32,
                via_depth: (bits & 4 != 0).then(|| from.number() as u16),
                due: from.due(),
            });
        }
        for _ in 0..from.byte() {
            let lr = read_request(&mut from);
            for _ in 0..lr.transactions {
                let tx = read_transaction(&mut from, keys, self.transactions.len());
                self.through.extend((0..tx.through).map(|_| from.fixed()));
                self.items.extend((0..tx.items).map(|_| from.item()));
                self.transactions.push(tx);
            }
            self.requests.push(lr);
        }
    }
}

/// The key of the transaction at a place.
pub fn transaction_key(bytes: &[u8], place: usize, keys: &Keys) -> Key {
    let entry = &bytes[DIRECTORY + 1 + place * ENTRY..][..ENTRY];
    let value = fixed(&entry[1..]);
    match entry[0] as usize {
        OWN_KEY => Key::of_hash(value),
        method => keys.transaction_of(value, Method::ALL[method], b""),
    }
}

fn write_request(lr: &Request, now: Timestamp, out: &mut Writer) {
    let invite = lr.invite.as_ref();
    let has = |test: fn(&Invite) -> bool| invite.is_some_and(test);
    let simple = lr.transactions == 1 && lr.depth == 1;
    let bits = [
        lr.counted,
        lr.timed_out,
        lr.answered_at_all,
        lr.reason_counted,
        lr.in_dialog,
        simple,
        lr.dialog != DialogRef::None,
        lr.registration.is_some(),
        lr.record == Record::Call,
        lr.record == Record::Request,
        invite.is_some(),
        has(|invite| invite.failed),
        has(|invite| invite.provisional),
        has(|invite| invite.dialed),
        has(|invite| invite.answered_200),
        has(|invite| invite.cancelled),
    ];
    let word = bits.iter().rev().fold(0u16, |word, bit| word << 1 | u16::from(*bit));
    out.fixed(lr.key.hash());
    out.bytes(&word.to_le_bytes());
    out.slot_place(lr.slot, lr.method.index());
    out.number(lr.cseq.into());
    out.number(lr.final_status.into());
    out.byte(lr.items_counted.into());
    out.number(lr.due.since(now).as_nanos() as u64);
    if !simple {
        out.byte(lr.transactions);
        out.number(lr.depth.into());
    }
    if lr.dialog != DialogRef::None {
        out.dialog(lr.dialog);
    }
    if lr.registration.is_some() {
        out.index(lr.registration);
    }
    if let Some(invite) = invite {
        out.index(invite.attempt);
        out.dialog(invite.primary);
    }
}

fn read_request(from: &mut Reader<'_>) -> Request {
    let key = Key::of_hash(from.fixed());
    let word = from.byte() | from.byte() << 8;
    let bit = |place: usize| word >> place & 1 != 0;
    let slot = from.slot_place();
    let mut lr = Request {
        key,
        slot,
        method: Method::ALL[from.bits],
        cseq: from.number() as u32,
        counted: bit(0),
        timed_out: bit(1),
        answered_at_all: bit(2),
        reason_counted: bit(3),
        in_dialog: bit(4),
        final_status: from.number() as u16,
        depth: 1,
        items_counted: from.byte() as u8,
        record: match (bit(8), bit(9)) {
            (true, _) => Record::Call,
            (_, true) => Record::Request,
            _ => Record::None,
        },
        due: from.due(),
        dialog: DialogRef::None,
        registration: None,
        invite: None,
        transactions: 1,
    };
    if !bit(5) {
        lr.transactions = from.byte();
        lr.depth = from.number() as u16;
    }
    if bit(6) {
        lr.dialog = from.dialog();
    }
    if bit(7) {
        lr.registration = from.index();
    }
    if bit(10) {
        lr.invite = Some(Invite {
            attempt: from.index(),
            primary: from.dialog(),
            failed: bit(11),
            provisional: bit(12),
            dialed: bit(13),
            answered_200: bit(14),
            cancelled: bit(15),
        });
    }
    lr
}

fn write_transaction(tx: &Transaction, keys: &Keys, method: Method, out: &mut Writer) {
    let own_key = method == Method::Other || keys.transaction_of(tx.via, method, b"") != tx.key;
    let flags = [tx.root, tx.request_seen, tx.at_origin, tx.succeeded, tx.failed, tx.through > 0, own_key];
    out.byte(flags.iter().rev().fold(0, |word, bit| word << 1 | usize::from(*bit)));
    out.byte(tx.items);
    if tx.through > 0 {
        out.byte(tx.through);
    }
    if own_key {
        out.fixed(tx.via);
    }
}

fn read_transaction(from: &mut Reader<'_>, keys: &Keys, place: usize) -> Transaction {
    let word = from.byte();
    let bit = |place: usize| word >> place & 1 != 0;
    let items = from.byte();
    let through = if bit(5) { from.byte() } else { 0 };
    let (key, named) = (transaction_key(from.whole, place, keys), &from.whole[DIRECTORY + 1 + place * ENTRY..]);
    let via = if bit(6) { from.fixed() } else { fixed(&named[1..]) };
    Transaction {
        key,
        via,
        root: bit(0),
        request_seen: bit(1),
        at_origin: bit(2),
        succeeded: bit(3),
        failed: bit(4),
        through,
        items,
    }
}
