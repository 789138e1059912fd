//! Transactions: which messages are new, which are repeats, copies or hops (`sip-metrics.md` 2.1, 2.2, 2.4).
//!
//! A transaction is one request and its responses on one hop. It belongs to a [`crate::request::Request`], of which only
//! the transactions with none above them, its roots, count. What comes in is a message's hashes, what goes out is what
//! the message turned out to be; nothing here knows of dialogs or attempts.

use std::num::NonZeroU32;

use call_records::SightingKind;
use wire::Timestamp;

use crate::ack::Ack;
use crate::hash::{Branch, Hop};
use crate::list::{Chain, Pool};
use crate::observed::Observed;

/// One request and its responses on one hop.
#[derive(Debug)]
pub struct Transaction {
    /// What it is found by, besides the method of its request (2.1).
    pub branch: Branch,
    /// Its top Via.
    hop: Hop,
    /// The final that decides what it is to others.
    pub outcome: Final,
    /// The failure, where it is that.
    failure: Chain<Failure>,
    /// What was seen on it: the first ones, and those beyond.
    first: [Item; 4],
    more: Chain<Item>,
    /// How many it has of the first ones.
    held: u8,
    /// The Vias below its top one: the hops the request came through.
    path: Chain<Hop>,
    /// How many of its items are counted for the request.
    counted: u8,
    /// No transaction of the request is above it (2.4).
    pub root: bool,
    /// The request itself was seen, not only responses.
    pub request_seen: bool,
    /// Who sent it.
    pub sender: Sender,
    /// When its first message began.
    pub began: Timestamp,
}

const _: () = assert!(size_of::<Option<Transaction>>() <= 72);

/// Who sent the request of a transaction, by its Vias (2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// With one Via: whoever made it, or hides what is above. The way it took, from address to address and port, as a hash.
    Origin(NonZeroU32),
    /// With several: a proxy passed it on.
    Proxy,
}

/// How far a transaction came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    /// No response yet.
    Silent,
    /// Provisional ones alone.
    None,
    /// The first one was 300 or more, and no 2xx came since.
    Failure,
    /// A 2xx was seen.
    Success,
}

/// A final response of 300 or more.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// When it was complete.
    pub at: Timestamp,
    /// 300 to 699.
    pub status: u16,
    /// Cause of a Q.850 Reason in it, 0 to 999.
    pub cause: Option<u16>,
    /// It says when to try again.
    pub retry_after: bool,
}

/// The request, its ACK, or one response, with the five-tuple of its first sighting (2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Item {
    /// Hash of To tag and RSeq.
    hash: u32,
    /// From the lowest bit on: [`REQUEST`], [`ACK`] or a status; [`COUNTED`]; as much as fits of the hash of the five-tuple.
    rest: u32,
}

/// A request that was answered with a 2xx, both seen on one hop, with one Via.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchange {
    branch: Branch,
    hop: Hop,
    /// All of the request's [`Item`] but its hash, which is 0.
    request: u32,
    response: Item,
}

impl Exchange {
    /// That of the response.
    pub fn status(&self) -> u16 {
        (self.response.rest & KIND) as u16
    }
}

/// The bits of what an item is.
const KIND: u32 = (1 << 10) - 1;
/// It is counted for the request.
const COUNTED: u32 = 1 << 10;
/// 21 bits: of two million copies on another hop one is taken for a repeat.
const TUPLE: u32 = !(KIND | COUNTED);

/// What tells an item from others of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemId {
    kind: u16,
    hash: u32,
}

impl Item {
    fn is(&self, id: ItemId) -> bool {
        self.hash == id.hash && self.rest & KIND == u32::from(id.kind)
    }

    fn is_counted(&self) -> bool {
        self.rest & COUNTED != 0
    }
}

impl ItemId {
    /// The request itself.
    pub const REQUEST: Self = Self { kind: REQUEST, hash: 0 };
    /// The ACK of a final of 300 or more.
    pub const ACK: Self = Self { kind: ACK, hash: 0 };

    /// A response; `hash` is that of its To tag and RSeq.
    pub fn response(status: u16, hash: u32) -> Self {
        Self { kind: status, hash }
    }

    /// A number for it, the same for the same item.
    pub fn bits(self) -> u64 {
        u64::from(self.kind) << 32 | u64::from(self.hash)
    }
}

/// The lists of all transactions.
#[derive(Default)]
pub struct TransactionPools {
    /// Items beyond the first ones of each.
    pub items: Pool<Item>,
    /// Vias below the top one of each.
    pub hops: Pool<Hop>,
    /// Of those that failed.
    pub failures: Pool<Failure>,
}

impl Transaction {
    /// One of which nothing was seen yet, with one Via.
    pub fn new(branch: Branch, hop: Hop, sender: Sender, began: Timestamp) -> Self {
        Self {
            branch,
            hop,
            outcome: Final::Silent,
            failure: Chain::default(),
            first: [Item::default(); 4],
            more: Chain::default(),
            held: 0,
            path: Chain::default(),
            counted: 0,
            root: true,
            request_seen: false,
            sender,
            began,
        }
    }

    /// The same with Vias below its top one.
    pub fn with_path(mut self, path: impl Iterator<Item = Hop>, pools: &mut TransactionPools) -> Self {
        path.for_each(|hop| _ = self.path.push(&mut pools.hops, hop));
        self
    }

    /// That of the ACK of a 2xx, which had one Via. Who sent it is asked of none that waits for no response.
    pub fn of_ack(ack: &Ack, pools: &mut TransactionPools) -> Self {
        let mut transaction = Self::new(ack.branch, ack.hop, Sender::Proxy, ack.began);
        transaction.request_seen = true;
        transaction.see(ItemId::REQUEST, ack.tuple, pools);
        transaction
    }

    /// All that is known of it but when it began; `None` where that is more than a request and its 2xx.
    pub fn exchange(&self) -> Option<Exchange> {
        let [request, response, ..] = self.first;
        let items = self.held == 2 && self.more.is_empty() && request.is(ItemId::REQUEST) && response.is_counted();
        let plain = self.path.is_empty() && self.failure.is_empty() && self.root && self.request_seen;
        let Self { branch, hop, .. } = *self;
        (items && plain && self.outcome == Final::Success).then_some(Exchange {
            branch,
            hop,
            request: request.rest,
            response,
        })
    }

    /// One of which that is known. Who sent it is asked of none that waits for no response.
    pub fn of_exchange(exchange: Exchange, began: Timestamp) -> Self {
        let Exchange { branch, hop, request, response } = exchange;
        let mut transaction = Self::new(branch, hop, Sender::Proxy, began);
        transaction.first[..2].copy_from_slice(&[Item { hash: 0, rest: request }, response]);
        (transaction.held, transaction.counted) = (2, 1);
        (transaction.request_seen, transaction.outcome) = (true, Final::Success);
        transaction
    }

    /// Whether it is the hop below another one (2.4).
    pub fn is_below(&self, above: &Self, pools: &TransactionPools) -> bool {
        self.path.iter(&pools.hops).any(|(_, hop)| *hop == above.hop)
    }

    /// Takes an item (2.2).
    pub fn see(&mut self, id: ItemId, tuple: u32, pools: &mut TransactionPools) -> SightingKind {
        if let Some(item) = self.item(id, pools) {
            let same_way = (item.rest ^ tuple) & TUPLE == 0;
            return if same_way { SightingKind::Retransmission } else { SightingKind::Copy };
        }
        let item = Item { hash: id.hash, rest: tuple & TUPLE | u32::from(id.kind) };
        if let Some(free) = self.first.get_mut(usize::from(self.held)) {
            *free = item;
            self.held += 1;
        } else if self.more.iter(&pools.items).count() < MAX_ITEMS - self.first.len() {
            self.more.push(&mut pools.items, item);
        } else {
            return SightingKind::Retransmission;
        }
        SightingKind::First
    }

    /// Whether an item is counted for the request.
    pub fn counts(&self, id: ItemId, pools: &TransactionPools) -> bool {
        self.counted > 0 && self.item(id, pools).is_some_and(Item::is_counted)
    }

    /// How many items are counted for the request.
    pub fn counted(&self) -> u8 {
        self.counted
    }

    /// An item is counted for the request.
    pub fn count(&mut self, id: ItemId, pools: &mut TransactionPools) {
        let Self { first, held, more, counted, .. } = self;
        let item = match first[..usize::from(*held)].iter_mut().find(|item| item.is(id)) {
            Some(item) => item,
            None => {
                let Some(at) = more.find(&pools.items, |item| item.is(id)) else { return };
                more.get_mut(&mut pools.items, at)
            }
        };
        *counted += u8::from(!item.is_counted());
        item.rest |= COUNTED;
    }

    /// Notes a response: a 2xx, or the first final of 300 or more. Returns whether it is a 2xx after such a one.
    pub fn note_response(&mut self, status: u16, seen: &Observed<'_>, pools: &mut TransactionPools) -> bool {
        match (status, self.outcome) {
            (200..300, Final::Failure) => return true,
            (200..300, _) => self.outcome = Final::Success,
            (300.., Final::Silent | Final::None) => {
                let (cause, retry_after) = (seen.message.q850_cause(), seen.message.retry_after().is_some());
                self.outcome = Final::Failure;
                self.failure.push(&mut pools.failures, Failure { at: seen.now(), status, cause, retry_after });
            }
            (_, Final::Silent) => self.outcome = Final::None,
            _ => {}
        }
        false
    }

    /// It has neither a 2xx nor a failure.
    pub fn is_open(&self) -> bool {
        matches!(self.outcome, Final::Silent | Final::None)
    }

    /// Its failure.
    pub fn failure(&self, pools: &TransactionPools) -> Option<Failure> {
        self.failure.iter(&pools.failures).next().map(|(_, failure)| *failure)
    }

    /// Frees what it has in the pools.
    pub fn clear(&mut self, pools: &mut TransactionPools) {
        while self.more.pop(&mut pools.items).is_some() {}
        while self.path.pop(&mut pools.hops).is_some() {}
        self.failure.pop(&mut pools.failures);
    }

    fn item<'a>(&'a self, id: ItemId, pools: &'a TransactionPools) -> Option<&'a Item> {
        let first = self.first[..usize::from(self.held)].iter().find(|item| item.is(id));
        first.or_else(|| self.more.iter(&pools.items).map(|(_, item)| item).find(|item| item.is(id)))
    }
}

/// The request, in place of a status.
const REQUEST: u16 = 0;
/// The ACK of a final of 300 or more, in place of a status.
const ACK: u16 = 1;
/// Most items remembered of one transaction (3.7).
const MAX_ITEMS: usize = 64;
