//! What a processor is built with besides its settings.

use std::sync::Arc;

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
