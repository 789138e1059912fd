//! Live proof: real peers on one side, `ringside` in the middle, its own `/metrics` on the other.
//!
//! What the live tests and the demonstration share: network namespaces of their own, SIPp, raw frames, the program
//! under test, a reader of the exposition, a Collector to push to. Linux only; needs root. Traffic never leaves the
//! namespaces.

pub mod backend;
pub mod balanced;
pub mod baresip;
pub mod browser;
pub mod collector;
pub mod exposition;
pub mod flows;
pub mod frames;
pub mod gate;
pub mod http;
pub mod media;
pub mod probed;
pub mod process;
pub mod proxy;
pub mod ringside;
pub mod scraper;
pub mod scratch;
pub mod sipp;
pub mod soak;
pub mod stores;
pub mod testdata;
pub mod traffic;
pub mod wait;
