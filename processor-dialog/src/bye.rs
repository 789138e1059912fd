//! The BYE that ended a dialog: nothing is asked of it any more but whether it, or its 2xx, comes again (`sip-metrics.md`
//! 2.2, 3.3).
//!
//! One that was seen on one hop, with one Via, is kept in the dialog it ended. With any further message of a BYE it becomes
//! a request like any other.

use pipeline::Slot;
use sip::Method;
use wire::Timestamp;

use crate::hash::Tag;
use crate::list::{List, Pool};
use crate::observed::pair;
use crate::request::{Progress, Request};
use crate::transaction::{Exchange, Transaction};

/// The BYE that ended a dialog, with its 2xx.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bye {
    /// First byte of its first transmission.
    began: Timestamp,
    /// Its number among the requests of its call.
    serial: u32,
    /// CSeq number.
    cseq: u32,
    exchange: Exchange,
    /// Its sender has the first tag of the dialog.
    from_first: bool,
}

/// The session of a dialog that is up takes as much with the state of that.
const _: () = assert!(size_of::<Bye>() <= 40);

impl Bye {
    /// What a dialog with these tags and labels keeps of a request, both remembered until then; `None` where that is not all
    /// that is known of it.
    pub fn new(
        request: &Request,
        pool: &Pool<Transaction>,
        tags: [Tag; 2],
        slot: Slot,
        until: Timestamp,
    ) -> Option<Self> {
        let transaction = request.transactions.get(pool, request.transactions.only(pool)?);
        let exchange = transaction.exchange()?;
        let status = exchange.status();
        let ended = request.method == Method::Bye && pair(request.from, request.to) == tags && request.slot == slot;
        let decided = request.progress == Progress::Decided { until, status } && transaction.began == request.t1;
        let plain = request.depth == 1 && !request.recording && !request.reason_counted;
        let Request { t1: began, serial, cseq, .. } = *request;
        let from_first = request.from == tags[0];
        (ended && decided && plain).then_some(Self { began, serial, cseq, exchange, from_first })
    }

    /// The request that it was.
    pub fn request(&self, [first, second]: [Tag; 2], slot: Slot, until: Timestamp) -> Request {
        let (from, to) = if self.from_first { (first, second) } else { (second, first) };
        Request {
            serial: self.serial,
            method: Method::Bye,
            from,
            to,
            cseq: self.cseq,
            slot,
            progress: Progress::Decided { until, status: self.exchange.status() },
            t1: self.began,
            depth: 1,
            reason_counted: false,
            recording: false,
            transactions: List::of(Transaction::of_exchange(self.exchange, self.began)),
        }
    }
}
