//! The calls that are shown: those that ended lately, and those that were up when a shard was asked last.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pipeline::call::live::ShownNumber;
use pipeline::call::sent::MAX_SENT_IN_ALL;
use pipeline::{KeptCall, LabelSets};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Duration, sleep};

use crate::entry::{Entry, Key};
use crate::pieces::{Pieces, sent};
use crate::query::Query;

/// The calls, newest kept. The lock is one of the main thread's alone: no shard ever takes it.
pub struct Calls {
    label_sets: Arc<LabelSets>,
    held: Mutex<Held>,
}

struct Held {
    /// In the order they ended.
    ended: VecDeque<Entry>,
    /// As they were told of last; what has ended since is in `ended` too.
    live: Vec<Entry>,
    pieces: Pieces,
    most: usize,
    /// Bytes of the messages of those that ended.
    sent: usize,
    /// So many of those in front have none any more.
    bare: usize,
}

impl Calls {
    /// None yet, and never more than `most` that ended.
    pub fn new(label_sets: Arc<LabelSets>, most: usize) -> Self {
        let held = Held { ended: VecDeque::new(), live: Vec::new(), pieces: Pieces::default(), most, sent: 0, bare: 0 };
        Self { label_sets, held: Mutex::new(held) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the bound.
    pub fn set_most(&self, most: usize) {
        let mut held = self.held();
        held.most = most;
        held.cut();
    }

    /// The bound.
    pub fn most(&self) -> usize {
        self.held().most
    }

    /// How many are kept after their end, and how many were up when that was asked last.
    pub fn count(&self) -> (usize, usize) {
        let held = self.held();
        (held.ended.len(), held.live.len())
    }

    /// Takes calls as they end, until no more can come. Those of a moment come together: waking for each would cost
    /// the shard a system call.
    pub async fn collect(&self, mut ended: Receiver<KeptCall>) {
        let mut some = Vec::new();
        while ended.recv_many(&mut some, usize::MAX).await > 0 {
            self.add(some.drain(..));
            sleep(MOMENT).await;
        }
    }

    /// Calls that ended, or went as far as a piece goes.
    pub fn add(&self, calls: impl Iterator<Item = KeptCall>) {
        let mut held = self.held();
        for call in calls {
            let mut entry = Entry::new(call, &self.label_sets);
            let key = entry.key();
            let most = held.most;
            if !entry.record.last {
                held.pieces.keep(key, &entry.record, most);
                continue;
            }
            if entry.record.piece > 1 {
                entry.record = held.pieces.finish(&key, &entry.record);
            }
            held.sent += sent(&entry.record);
            held.ended.push_back(entry);
        }
        held.cut();
    }

    /// Calls that are up, as shards told of them.
    pub fn set_live(&self, calls: Vec<KeptCall>) {
        let live = calls.into_iter().map(|call| Entry::new(call, &self.label_sets)).collect();
        self.held().live = live;
    }

    /// Nobody looks any more: what is up would be old when somebody does again.
    pub fn forget_live(&self) {
        self.held().live = Vec::new();
    }

    /// One call that a shard told of, with what left of it before.
    pub fn whole(&self, call: KeptCall) -> Entry {
        let mut entry = Entry::new(call, &self.label_sets);
        entry.record = self.held().pieces.joined(&entry.key(), &entry.record);
        entry
    }

    /// The newest call with a Call-ID that ended.
    pub fn ended(&self, call_id: &str) -> Option<Entry> {
        self.held().ended.iter().rfind(|entry| *entry.record.call_id == *call_id).cloned()
    }

    /// Whether a call with a Call-ID was up when that was asked last, and has not ended since.
    pub fn is_up(&self, call_id: &str) -> bool {
        let held = self.held();
        let is_it = |entry: &&Entry| *entry.record.call_id == *call_id;
        let up = held.live.iter().find(is_it).map(Entry::key);
        up.is_some_and(|key| !held.ended.iter().rev().filter(is_it).any(|entry| entry.key() == key))
    }

    /// The calls that are wanted, the newest first.
    pub fn list(&self, query: &Query, shown: Option<&ShownNumber>, usual: usize) -> Vec<Entry> {
        let held = self.held();
        let ended: HashSet<Key> = match held.live.is_empty() {
            true => HashSet::new(),
            false => held.ended.iter().map(Entry::key).collect(),
        };
        let up = held.live.iter().filter(|entry| !ended.contains(&entry.key()));
        let mut list: Vec<Entry> = up.chain(&held.ended).filter(|entry| query.wants(entry, shown)).cloned().collect();
        list.sort_by(|a, b| b.record.start.cmp(&a.record.start).then_with(|| a.record.call_id.cmp(&b.record.call_id)));
        list.truncate(query.limit.unwrap_or(usual).min(held.most));
        list
    }

    /// Carriers of the calls that are held, in order.
    pub fn carriers(&self) -> Vec<Arc<str>> {
        let held = self.held();
        let mut carriers: Vec<Arc<str>> =
            held.ended.iter().chain(&held.live).map(|entry| Arc::clone(&entry.carrier)).collect();
        carriers.sort_unstable();
        carriers.dedup();
        carriers
    }
}

impl Held {
    fn cut(&mut self) {
        let beyond = self.ended.len().saturating_sub(self.most);
        self.sent -= self.ended.drain(..beyond).map(|entry| sent(&entry.record)).sum::<usize>();
        self.bare = self.bare.saturating_sub(beyond);
        // Messages go before their calls, those of the oldest first.
        while self.sent > MAX_SENT_IN_ALL
            && let Some(oldest) = self.ended.get_mut(self.bare)
        {
            self.sent -= sent(&oldest.record);
            oldest.record = oldest.record.without_messages();
            self.bare += 1;
        }
        // Those that go on have the same room, of what they left behind.
        self.pieces.let_go(MAX_SENT_IN_ALL);
    }
}

/// How long calls that end are gathered.
const MOMENT: Duration = Duration::from_millis(200);
