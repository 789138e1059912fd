//! Backends of services: facts about affinity in, cells of named rows out.

use pipeline::affinity::AffinityFact;

use crate::{F, ShardRows};

/// Counts a fact about a service or a backend.
pub fn count(rows: &mut ShardRows, fact: AffinityFact) {
    match fact {
        AffinityFact::DialogPlaced(backend) => rows.add_named(backend, F::AffinityDialogs, 0, 1),
        AffinityFact::DialogMoved(service, cause) => rows.add_named(service, F::AffinityMoved, cause.index(), 1),
        AffinityFact::MovedFailed(service) => rows.add_named(service, F::AffinityMovedFailed, 0, 1),
        AffinityFact::PinnedFlows(service, change) => {
            rows.adjust_named(service, F::AffinityPinned, 0, change.into());
        }
        AffinityFact::OffPortReply(service) => rows.add_named(service, F::AffinityOffPort, 0, 1),
        AffinityFact::UntranslatedReply(service) => rows.add_named(service, F::AffinityUntranslated, 0, 1),
        AffinityFact::Bypassed(service) => rows.add_named(service, F::AffinityBypass, 0, 1),
        AffinityFact::UnknownBackend(service) => rows.add_named(service, F::AffinityUnknown, 0, 1),
    }
}
