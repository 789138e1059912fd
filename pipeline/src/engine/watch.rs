//! Who looks at calls: gets those that ended, and asks shards for those that are up.
//!
//! The shard never waits: what ended is turned away and counted when nobody takes it, and a question is answered
//! between two batches, one at a time, with bounded work. Without a watcher there is nothing of this on its thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Questions, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::{KeptCall, Shard, Sink, kind};
use crate::call::live::{LiveAsk, ShownNumber};
use crate::call::{Call, Subject};
use crate::config::{Catalogue, ComponentId, Configuration, Role};
use crate::facts::Facts;
use crate::frame::FrameBatch;
use crate::graph::ShardPlan;

/// The way of one watcher to the calls.
#[derive(Debug)]
pub struct Watch {
    shards: Vec<SyncSender<Question>>,
    sender: Mutex<Option<Sender<KeptCall>>>,
    receiver: Mutex<Option<Receiver<KeptCall>>>,
    refused: AtomicU64,
}

/// What a shard is asked.
#[derive(Debug)]
pub(super) enum Question {
    /// For records of calls that are up.
    Calls(LiveAsk, oneshot::Sender<Vec<KeptCall>>),
    /// How records show a number.
    Number(Box<str>, oneshot::Sender<Option<ShownNumber>>),
}

impl Watch {
    fn new(shards: Vec<SyncSender<Question>>) -> Self {
        let (sender, receiver) = channel(WAITING);
        Self {
            shards,
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
            refused: AtomicU64::new(0),
        }
    }

    /// Where calls come out that ended, or went as far as a piece goes. Given once; `None` after that.
    pub fn ended(&self) -> Option<Receiver<KeptCall>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Calls that were turned away, because those before them were not taken in time.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Asks every shard. One that does not take the question, or ends, is left out.
    pub async fn ask(&self, ask: &LiveAsk) -> Vec<KeptCall> {
        let mut calls = Vec::new();
        for answer in self.put(|reply| Question::Calls(ask.clone(), reply)) {
            calls.extend(answer.await.unwrap_or_default());
        }
        calls
    }

    /// How records show a number; `None` where none are made. All shards have the same settings: the first to answer
    /// is believed.
    pub async fn shown(&self, number: &str) -> Option<ShownNumber> {
        for answer in self.put(|reply| Question::Number(number.into(), reply)) {
            if let Ok(Some(shown)) = answer.await {
                return Some(shown);
            }
        }
        None
    }

    /// Puts a question to every shard at once.
    fn put<A>(&self, question: impl Fn(oneshot::Sender<A>) -> Question) -> Vec<oneshot::Receiver<A>> {
        let put = |shard: &SyncSender<Question>| {
            let (reply, answer) = oneshot::channel();
            shard.try_send(question(reply)).is_ok().then_some(answer)
        };
        self.shards.iter().filter_map(put).collect()
    }

    fn entrance(&self) -> Option<Sender<KeptCall>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Those who look at calls, while the engine is being built.
pub(super) struct Watchers {
    watches: BTreeMap<ComponentId, Arc<Watch>>,
    /// Where the questions of each shard come out, in the order of the shards.
    inboxes: VecDeque<Questions<Question>>,
}

impl Watchers {
    /// Those of a configuration.
    pub(super) fn new(configuration: &Configuration, catalogue: &Catalogue) -> Self {
        let shards = configuration.graph.shards.iter().map(|_| sync_channel(QUESTIONS));
        let (senders, inboxes): (Vec<_>, _) = shards.unzip();
        let looks = |id: &&ComponentId| kind(&catalogue.extensions, id).role == Role::WatchesCalls;
        let ids = configuration.extensions.keys().filter(looks);
        Self { watches: ids.map(|id| (id.clone(), Arc::new(Watch::new(senders.clone())))).collect(), inboxes }
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.watches.is_empty()
    }

    /// Joins the next shard to them, if it finds calls.
    pub(super) fn join(&mut self, shard: &mut Shard, plan: &ShardPlan, catalogue: &Catalogue) {
        let questions = self.inboxes.pop_front().expect("an inbox for each shard was made");
        let role = |id: &ComponentId| kind(&catalogue.processors, id).role;
        if let Some(tap) = plan.tap(&role).filter(|_| self.are_there()) {
            shard.add_watch(tap, || WatchSink::new(self.watches.values()), questions);
        }
    }

    /// Every shard is joined: what ends with the last of them ends for watchers too.
    pub(super) fn close(self) -> BTreeMap<ComponentId, Arc<Watch>> {
        for watch in self.watches.values() {
            watch.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.watches
    }
}

/// Where calls come out for watchers: behind what labels them, before anything chooses among them.
pub(super) struct WatchSink(Vec<(Arc<Watch>, Sender<KeptCall>)>);

impl WatchSink {
    /// Feeds `watches`.
    fn new<'a>(watches: impl Iterator<Item = &'a Arc<Watch>>) -> Self {
        Self(watches.filter_map(|watch| watch.entrance().map(|sender| (Arc::clone(watch), sender))).collect())
    }
}

impl Sink for WatchSink {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        for call in facts.calls.iter().filter(|call| call.record.subject == Subject::Call) {
            let labels = facts.labels(call.record.slot);
            for (watch, sender) in &self.0 {
                // A watcher that is gone misses nothing.
                if sender.try_send(KeptCall { call: call.clone(), labels }).is_err() {
                    watch.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// A record of a call that is up, with its labels.
pub(super) fn kept(record: crate::CallRecord, facts: &Facts) -> KeptCall {
    let labels = facts.labels(record.slot);
    KeptCall { call: Call { record: record.into(), threshold: None }, labels }
}

/// Calls that ended and wait to be taken: what ends in a quarter of a second at 16,000 calls/s.
const WAITING: usize = 4096;

/// Questions that wait for a shard at most.
const QUESTIONS: usize = 8;
