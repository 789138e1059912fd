//! The sender against real servers, gRPC and HTTP, that do well and badly.

mod answers;
mod client;
mod outages;
mod queue;
mod server;
mod services;
mod stored;
mod tls;
mod words;
