//! What a processor is built with besides its settings.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::ComponentId;
use crate::labels::LabelSets;
use crate::media::MediaPorts;

/// What a processor is built with besides its settings.
#[derive(Clone)]
pub struct ProcessorContext {
    /// Where labels are interned.
    pub label_sets: Arc<LabelSets>,
    /// Somebody asked for a record of each call.
    pub calls: Option<CallsWanted>,
    /// So many work side by side (`service.shards`), each with a part of the calls: bounds are divided among them.
    pub shards: usize,
    /// A processor of media is in the pipeline: where it tells endpoints, and whoever follows dialogs tells it of calls.
    pub media: Option<Arc<MediaPorts>>,
    /// Which one it is.
    pub id: ComponentId,
    /// What those that work side by side have in common.
    pub common: Common,
}

/// What the shards behind one set of receivers have in common, by the component that put it there. For what cannot be told from
/// a part of the calls. Cheap to clone: all clones are the same.
#[derive(Clone, Default)]
pub struct Common(Arc<Mutex<Vec<(ComponentId, Arc<dyn Any + Send + Sync>)>>>);

impl Common {
    /// What component `id` has in common, made by the first that asks. Takes a lock: keep the result.
    pub fn of<T: Send + Sync + 'static>(&self, id: &ComponentId, make: impl FnOnce() -> T) -> Arc<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = held.iter().find(|(other, _)| other == id).map(|(_, value)| Arc::clone(value));
        let value = there.unwrap_or_else(|| {
            let made: Arc<dyn Any + Send + Sync> = Arc::new(make());
            held.push((id.clone(), Arc::clone(&made)));
            made
        });
        value.downcast().expect("a component keeps one type of thing")
    }
}

/// What records of calls are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallsWanted {
    /// `service.instance.id` of this program: part of every span's identity, so that two observers of one call
    /// never claim the same span.
    pub instance: Arc<str>,
    /// Also records of single requests outside dialogs (REGISTER, OPTIONS and the like).
    pub requests: bool,
    /// Long calls may come in pieces (`emit`, `max_segment`); else each record is a whole call.
    pub pieces: bool,
    /// Digits somebody looks for: records say whether they have them.
    pub number: Option<Arc<str>>,
    /// Somebody looks at calls: the headers of their messages are kept, and which calls began last.
    pub watched: bool,
}
