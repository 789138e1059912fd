//! Media of calls: which stream belongs to whom, what of it was lost or late, how it sounded, what is wrong with it
//! (`sip-metrics.md` 5; RFC 3264, RFC 3550, RFC 3611, RFC 6035, ITU-T G.107).
//!
//! **In:** packets of RTP as far as 12 bytes of their payload, reports of RTCP whole, and notes about calls by the processor
//! that follows dialogs. **Out:** facts about what callers hear, and the media of records of calls. It is sans-io: no clock,
//! no lock, no log; a replayed file states the same facts as the live wire. Nothing is allocated for a packet of a stream
//! that is known. Bounded in every table; beyond a bound the newest is refused and counted.

mod ahead;
mod calls;
mod config;
mod describe;
mod judge;
mod packets;
mod places;
mod processor;
mod records;
mod reports;
mod sender;
mod sessions;
mod slab;
mod state;
mod streams;
mod timers;
mod unknown;

pub use config::{CodecValues, Config, Settings, Visibility};
pub use processor::Media;
