//! The queues of the configuration: the URIs of an INVITE in, the queue it is for out (`sip-metrics.md` 4.8).

use std::sync::Arc;

use pipeline::LabelSets;
use pipeline::labels::Name;
use pipeline::settings::expressions::{Expressions, Searcher};
use sip::{Message, Start};

use crate::config::Queue;

/// All of them. Empty by default.
#[derive(Default)]
pub struct Queues {
    searcher: Searcher,
    /// In the order of the configuration; `None` of one for which there was no room.
    names: Vec<Option<Name>>,
}

impl Queues {
    /// Queues whose expressions were checked, under names of `label_sets`.
    pub fn new(queues: &[Queue], label_sets: &Arc<LabelSets>) -> Self {
        let expressions: Vec<&str> = queues.iter().map(|queue| queue.expression.as_str()).collect();
        let expressions = Expressions::new(&expressions).expect("the check has compiled them");
        let names = queues.iter().map(|queue| label_sets.intern_name("queue", &queue.name)).collect();
        Self { searcher: expressions.searcher(), names }
    }

    /// None is configured.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first queue in file order that fits the Request-URI, else the URI in To.
    pub fn find(&mut self, invite: &Message<'_>) -> Option<Name> {
        let Start::Request { uri, .. } = invite.start else { return None };
        let found = self.searcher.find(uri).or_else(|| self.searcher.find(invite.to.uri))?;
        self.names[usize::from(found)]
    }
}
