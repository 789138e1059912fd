//! SIP messages on disk: messages in, packets and pcapng files out, and out of folders of them what belongs to some calls.
//!
//! What knows of a message its bytes, addresses and times makes packets of it ([`Packets`]), and writes packets of any kind
//! ([`Writer`]). A [`Folder`] keeps the newest messages on disk, with an index; [`select()`] finds the messages of calls in one.

mod folder;
mod index;
mod names;
mod packets;
mod pcapng;
mod select;

pub use folder::{Counts, Folder, Limits};
pub use index::Parties;
pub use packets::{Packets, messages};
pub use pcapng::Writer;
pub use select::{Known, captures, select};
