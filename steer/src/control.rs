//! The control socket: a line of JSON asks, a line of JSON answers.
//!
//! `protocol.rs` has what can be asked, `server.rs` takes connections and checks who asks, `client.rs` asks for the commands.

pub mod client;
mod credentials;
pub mod protocol;
mod server;

pub use protocol::{Reply, Request};
pub use server::{Asked, Server};

/// Largest request, in bytes, its line end included.
pub const LARGEST: usize = 64 << 10;

/// Connections at a time.
pub const MOST_CONNECTIONS: usize = 16;
