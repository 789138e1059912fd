//! RTP and RTCP: the first bytes of packets, and reports, in; what a stream is like and how it sounds out (RFC 3550,
//! RFC 3611, ITU-T G.107; `sip-metrics.md` 5.2 to 5.6).
//!
//! [`Header`] reads the 12 bytes that are all of a packet that is ever looked at, [`rtcp`] reads reports. [`Stream`] counts
//! what was lost, repeated, out of order and too late, [`emodel`] says how that sounds. All are pure: no clock, no log, no
//! allocation. Times are nanoseconds of the capture clock.

mod codec;
pub mod emodel;
mod header;
mod ptime;
pub mod rtcp;
mod runs;
mod stream;
mod window;

pub use codec::{CODECS, Codec};
pub use header::{HEADER_LEN, Header, is_rtcp};
pub use rtcp::{Compound, RtcpError};
pub use runs::Bursts;
pub use stream::{Arrival, Interval, Stream, Summary, Taken};
