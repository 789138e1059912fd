//! What the steering program decides, as text: one packet a line, with what becomes of it.
//!
//! `12.5 a -> core INVITE one = steer b1`: at 12.5 s the client `a` sends an INVITE with Call-ID `one` to the service
//! `core`, and it goes to the backend `b1`. `@b1` is a Call-ID that falls to `b1` by itself. Names may have a port (`a:5070`) and the family (`a6`); behind the Call-ID
//! stand `tag`, `cseq METHOD`, or other words that [`script::Line`] knows. Whoever is steered or translated has right
//! checksums.

mod dialogs;
mod direct;
mod packets;
mod rules;
mod script;
mod states;
