//! Who looks at calls: gets those that ended, and asks shards for those that are up.
//!
//! The shard never waits: what ended is turned away and counted when nobody takes it, and a question is answered
//! between two batches, one at a time, with bounded work. Without a watcher there is nothing of this on its thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Questions, sync_channel};

use config::graph::ShardPlan;
use config::{Configuration, Role};
use pipeline::call::Subject;
use pipeline::call::watch::Question;
use pipeline::refused::Newest;
use pipeline::{Call, CallRecord, ComponentId, Facts, FrameBatch, KeptCall, Watch};
use tokio::sync::mpsc::Sender;

use super::{Catalogue, Shard, Sink, kind};

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
            watch.close();
        }
        self.watches
    }
}

/// Where calls come out for watchers: behind what labels them, before anything chooses among them.
pub(super) struct WatchSink(Vec<Fed>);

/// One that is fed.
struct Fed {
    watch: Arc<Watch>,
    entrance: Sender<KeptCall>,
    /// Messages that could not be read and that it is still to be told of.
    unread: Newest,
}

impl WatchSink {
    /// Feeds nobody: calls that are up can be asked for behind it all the same.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Feeds `watches`.
    fn new<'a>(watches: impl Iterator<Item = &'a Arc<Watch>>) -> Self {
        let fed = |watch: &Arc<Watch>| {
            let entrance = watch.entrance()?;
            Some(Fed { watch: Arc::clone(watch), entrance, unread: Newest::default() })
        };
        Self(watches.filter_map(fed).collect())
    }
}

impl Sink for WatchSink {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        for call in facts.calls.iter().filter(|call| call.record.subject == Subject::Call) {
            let labels = facts.labels(call.record.slot);
            for Fed { watch, entrance, .. } in &self.0 {
                watch.offer(entrance, KeptCall { call: call.clone(), labels });
            }
        }
        for Fed { watch, unread, .. } in &mut self.0 {
            facts.refused.iter().for_each(|refused| unread.push(refused.clone()));
            if !unread.is_empty() {
                watch.tell_unread(unread);
            }
        }
    }
}

/// A record of a call that is up, with its labels.
pub(super) fn kept(record: CallRecord, facts: &Facts) -> KeptCall {
    let labels = facts.labels(record.slot);
    KeptCall { call: Call { record: record.into(), threshold: None }, labels }
}

/// Questions that wait for a shard at most.
pub(super) const QUESTIONS: usize = 8;
