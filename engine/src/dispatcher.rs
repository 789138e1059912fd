//! The dispatcher: frames of one batch in, each to the worker that follows its call.
//!
//! Messages by a keyed hash of the Call-ID; all registrations go to the first worker ([`sip::group()`]). Not by flow: the legs of a
//! proxied call are different flows and one call. Media go to every worker: which call they belong to only
//! shows there. The tally goes to the first worker too, the time to every worker, so that
//! all are at the time of the last packet when they have followed what they were handed. What stands before it,
//! reassembly and the removal of duplicates, has seen every packet.

use std::hash::BuildHasher;
use std::io;

use foldhash::fast::RandomState;
use pipeline::{FrameBatch, SipFrame, Transport};
use sip::Group;

use super::flow::{Flow, Working};
use super::worker::{Worker, WorkerPanic};

/// Something that is done to a flow, with what it needs.
pub(super) type Ask<I, T> = fn(&mut Flow, I, Working<'_>) -> T;

/// Workers, and who gets what.
pub(super) struct Dispatcher {
    workers: Vec<Worker>,
    /// Keyed, so that nobody outside can put all calls into one worker.
    hash: RandomState,
}

impl Dispatcher {
    /// Gives each flow a thread called `name` and its number.
    pub(super) fn start(name: &str, flows: Vec<Flow>) -> io::Result<Self> {
        let workers = flows.into_iter().enumerate().map(|(index, flow)| Worker::start(format!("{name}-{index}"), flow));
        Ok(Self { workers: workers.collect::<io::Result<_>>()?, hash: RandomState::default() })
    }

    /// How many workers there are.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Hands a batch out. Waits while a worker has no room.
    pub(super) fn hand_out(&mut self, batch: &FrameBatch) -> Result<(), WorkerPanic> {
        for frame in &batch.frames {
            let message = batch.message(frame);
            let worker = self.lane_of(frame, message);
            self.workers[worker].open()?.push(message, frame.clone());
        }
        // Whose call they belong to, only their endpoints tell: each worker knows its own.
        for packet in &batch.media {
            for worker in &mut self.workers {
                worker.open()?.media.push(*packet);
            }
        }
        for packet in &batch.rtcp {
            for worker in &mut self.workers {
                worker.open()?.push_rtcp(&batch.bytes[packet.range.clone()], packet.clone());
            }
        }
        let first = self.workers[0].open()?;
        first.tally = batch.tally.clone();
        first.refused.clone_from(&batch.refused);
        self.workers.iter_mut().try_for_each(|worker| {
            worker.open()?.now = batch.now;
            worker.close()
        })
    }

    /// Waits until every worker has followed what it was handed.
    pub(super) fn settle(&mut self) -> Result<(), WorkerPanic> {
        self.workers.iter_mut().try_for_each(Worker::settle)
    }

    /// Has `ask` done in every worker, each with one of `inputs`, once it has followed what it was handed.
    pub(super) fn ask<I, T>(&mut self, inputs: Vec<I>, ask: Ask<I, T>) -> Result<Vec<T>, WorkerPanic>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let asked = self.workers.iter_mut().zip(inputs);
        let asked = asked.map(|(worker, input)| worker.ask(move |flow, working| ask(flow, input, working)));
        let asked: Vec<_> = asked.collect::<Result<_, _>>()?;
        self.workers.iter_mut().zip(&asked).map(|(worker, asked)| worker.answer(asked)).collect()
    }

    fn lane_of(&self, frame: &SipFrame, message: &[u8]) -> usize {
        let truncated = frame.is_cut() && frame.transport == Transport::Udp;
        match sip::group(message, truncated) {
            // The upper half of the product is as even as the hash, without a division.
            Some(Group::Call(call_id)) => {
                ((u128::from(self.hash.hash_one(call_id)) * self.workers.len() as u128) >> 64) as usize
            }
            // What belongs nowhere is refused by the parser, whoever asks it.
            Some(Group::Registrations) | None => 0,
        }
    }
}
