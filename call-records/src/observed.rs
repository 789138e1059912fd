//! A message as records see it.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::quality::RandomState;
use pipeline::CallsWanted;
use pipeline::call::ladder::Trunks;
use pipeline::{SipFrame, Slot};
use sip::{Message, Via};
use wire::Timestamp;

use crate::change::{CallId, DialogId};
use crate::config::Config;

/// A message, its frame, and the numbers that stand for its values.
pub struct Observed<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// Its addresses and times.
    pub frame: &'a SipFrame,
    /// Its Call-ID.
    pub call: CallId,
    /// The dialog of its pair of tags, whether there is one or not.
    pub dialog: DialogId,
    /// Its From tag.
    pub from: u32,
    /// Its To tag.
    pub to: u32,
    /// The carriers whose trunks it is the first to show its transaction on.
    pub trunks: &'a Trunks,
}

impl Observed<'_> {
    /// The time of the packet that completed it.
    pub fn now(&self) -> Timestamp {
        self.frame.at
    }

    /// The first cause of a Q.850 Reason in it, 0 to 999.
    pub fn q850_cause(&self) -> Option<u16> {
        let mut reasons = self.message.reasons().filter(|reason| reason.protocol == sip::ReasonProtocol::Q850);
        reasons.find_map(|reason| reason.cause)
    }
}

/// Who counts how many hold a slot. A record holds that of its call until it has left.
pub trait SlotHolder {
    /// One more holder.
    fn hold(&mut self, slot: Slot) -> Slot;
    /// One holder fewer.
    fn release(&mut self, slot: Slot);
}

/// How long is waited for what (`sip-metrics.md` 0.3).
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For a final response.
    pub timeout: Duration,
    /// For the final of an INVITE after its last provisional.
    pub proceeding: Duration,
    /// For the next INVITE after a redirect.
    pub retry_window: Duration,
}

/// What a record is made with besides the message.
pub struct Context<'a> {
    pub config: &'a Config,
    pub wanted: &'a CallsWanted,
    pub hashes: &'a RandomState,
    /// Header fields are kept: `Some(true)` while there is room for them.
    pub headers: Option<bool>,
}

impl Context<'_> {
    /// Sent-by and branch of a Via: what hops are told by.
    pub fn hop(&self, via: &Via<'_>) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        hasher.write(via.branch);
        hasher.write_u16(via.port);
        via.host.iter().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.finish()
    }
}
