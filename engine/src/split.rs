//! The split: frames of one batch in, each to the lane that follows its call.
//!
//! Messages by a keyed hash of the Call-ID; all registrations go to the first lane ([`sip::group()`]). Not by flow: the legs of a
//! proxied call are different flows and one call. Media go to every lane: which call they belong to only
//! shows there. The tally goes to the first lane too, the time to every lane, so that
//! all are at the time of the last packet when they have followed what they were handed. What stands before it,
//! reassembly and the removal of duplicates, has seen every packet.

use std::hash::BuildHasher;
use std::io;

use foldhash::fast::RandomState;
use pipeline::{FrameBatch, SipFrame, Transport};
use sip::Group;

use super::flow::{Flow, Working};
use super::lane::{Fallen, Lane};

/// Something that is done to a flow, with what it needs.
pub(super) type Ask<I, T> = fn(&mut Flow, I, Working<'_>) -> T;

/// Lanes, and who gets what.
pub(super) struct Split {
    lanes: Vec<Lane>,
    /// Keyed, so that nobody outside can put all calls into one lane.
    hash: RandomState,
}

impl Split {
    /// Gives each flow a thread called `name` and its number.
    pub(super) fn start(name: &str, flows: Vec<Flow>) -> io::Result<Self> {
        let lanes = flows.into_iter().enumerate().map(|(index, flow)| Lane::start(format!("{name}-{index}"), flow));
        Ok(Self { lanes: lanes.collect::<io::Result<_>>()?, hash: RandomState::default() })
    }

    /// How many lanes there are.
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Hands a batch out. Waits while a lane has no room.
    pub(super) fn hand_out(&mut self, batch: &FrameBatch) -> Result<(), Fallen> {
        for frame in &batch.frames {
            let message = batch.message(frame);
            let lane = self.lane_of(frame, message);
            self.lanes[lane].open()?.push(message, frame.clone());
        }
        // Whose call they belong to, only their endpoints tell: each lane knows its own.
        for packet in &batch.media {
            for lane in &mut self.lanes {
                lane.open()?.media.push(*packet);
            }
        }
        for packet in &batch.rtcp {
            for lane in &mut self.lanes {
                lane.open()?.push_rtcp(&batch.bytes[packet.range.clone()], packet.clone());
            }
        }
        self.lanes[0].open()?.tally = batch.tally.clone();
        self.lanes.iter_mut().try_for_each(|lane| {
            lane.open()?.now = batch.now;
            lane.close()
        })
    }

    /// Waits until every lane has followed what it was handed.
    pub(super) fn settle(&mut self) -> Result<(), Fallen> {
        self.lanes.iter_mut().try_for_each(Lane::settle)
    }

    /// Has `ask` done in every lane, each with one of `inputs`, once it has followed what it was handed.
    pub(super) fn ask<I, T>(&mut self, inputs: Vec<I>, ask: Ask<I, T>) -> Result<Vec<T>, Fallen>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let asked = self.lanes.iter_mut().zip(inputs);
        let asked = asked.map(|(lane, input)| lane.ask(move |flow, working| ask(flow, input, working)));
        let asked: Vec<_> = asked.collect::<Result<_, _>>()?;
        self.lanes.iter_mut().zip(&asked).map(|(lane, asked)| lane.answer(asked)).collect()
    }

    fn lane_of(&self, frame: &SipFrame, message: &[u8]) -> usize {
        let truncated = frame.truncated && frame.transport == Transport::Udp;
        match sip::group(message, truncated) {
            // The upper half of the product is as even as the hash, without a division.
            Some(Group::Call(call_id)) => {
                ((u128::from(self.hash.hash_one(call_id)) * self.lanes.len() as u128) >> 64) as usize
            }
            // What belongs nowhere is refused by the parser, whoever asks it.
            Some(Group::Registrations) | None => 0,
        }
    }
}
