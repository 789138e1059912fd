//! Bytes below SIP: link layers, IP, UDP, TCP headers, tunnels, reassembly.
//!
//! Pure: packets and their capture time in, datagrams out; no clock, no log, no I/O. Hostile bytes cost a
//! counter, never a panic, and every table has a bound.

pub mod decode;
pub mod encode;
mod ip;
mod link;
pub mod packet;
pub mod reassembly;
mod skip;
pub mod stream;
pub mod time;
mod transport;
mod tunnel;

pub use decode::{Datagram, Decoded, Decoder, Segment};
pub use encode::Encoder;
pub use packet::{Link, Packet, Tap};
pub use reassembly::ReassemblyCounts;
pub use skip::Skip;
pub use stream::{Chunk, Flow, Reader, Streams};
pub use time::Timestamp;
pub use tunnel::{TUNNEL_PORTS, UNREAD_PORTS};
