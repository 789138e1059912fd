//! What ringside serves itself: an address to listen on, connections within bounds, requests to whoever answers them.
//!
//! Metrics and the console are served by this. A [`Site`] knows what it answers; the [`Server`] sees to it that no
//! client, slow, silent or hostile, costs more than its share.

mod address;
mod auth;
mod host;
mod places;
mod server;
mod tls;

pub use address::address;
pub use auth::BasicAuth;
pub use host::host;
pub use server::{Abort, Client, Limits, Load, Refused, ResponseGuard, Server, Site};
pub use tls::{Acceptor, ClientAuth, TlsError, TlsServerConfig, Version, not_after};
