//! SIP OPTIONS probes (`sip-metrics.md` 6.1): the one component that sends anything to the SIP network.
//!
//! [`exchange`] is what is said and what is believed, without sockets or clocks; [`path`] carries it over a socket or
//! connection that is kept; [`session`] finds where a target is ([`dns`]) and asks there; [`receiver`] does
//! so again and again, [`page`] when it is scraped.

pub mod chance;
pub mod config;
pub mod dns;
pub mod endpoint;
pub mod exchange;
pub mod page;
pub mod path;
pub mod receiver;
pub mod session;
pub mod tls;

pub use config::{Config, Settings, Target};
pub use endpoint::Endpoint;
pub use page::ProbeEndpoint;
pub use path::{End, Fault, Report};
pub use receiver::SipProbeReceiver;
pub use session::{Ready, Session};
