//! Live SIP off the wire: an eBPF socket filter decides in the kernel, a TPACKET_V3 ring carries packets
//! over, and what every receiver shares ([`intake`]) makes SIP frames of them.
//!
//! Passive: it never sends, delays or drops a packet of the host. Needs CAP_NET_RAW, and CAP_BPF for the
//! eBPF program, both only until it has started. Where asked to it reads TLS in the clear ([`tls`]), which needs more.

pub mod capabilities;
mod capture;
mod classic;
mod clocks;
mod config;
mod failure;
mod filter;
mod interfaces;
mod mapping;
mod media;
pub mod probe;
mod program;
mod receiver;
mod ring;
mod sys;
mod telemetry;
pub mod tls;

pub use capabilities::drop_capabilities;
pub use clocks::Clocks;
pub use config::{Config, Transport};
pub use receiver::EbpfSipReceiver;
pub use ring::RingShape;
pub use tls::TlsConfig;
