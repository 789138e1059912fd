//! SIP messages on disk: messages in, packets and pcapng files out.
//!
//! What knows of a message its bytes, addresses and times makes packets of it ([`Packets`]), and writes packets of any kind
//! ([`Writer`]).

mod packets;
mod pcapng;

pub use packets::Packets;
pub use pcapng::Writer;
