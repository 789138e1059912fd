//! What a component's configuration is made of: durations, sizes and networks as people write them, and problems.
//!
//! A component offers a serde `Config`, every key with a default, and a function that turns it into settings that are
//! ready to use or says what is wrong with it. It knows neither files nor lines: it names the path inside its own table,
//! `carriers[1].cidrs[0]`.

pub mod duration;
pub mod expressions;
pub mod network;
mod problem;
pub mod size;

pub use problem::{Place, Problem, Problems, Severity};
