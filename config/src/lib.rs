//! Configuration: TOML files in, checked settings of every component out, or every problem with its place.
//!
//! Files are parsed to a tree of values that know where they stand ([`node`]), merged, `--set` put over them
//! and `${env:NAME}` replaced (`source`, `variable`). Each component's table is then read into its own
//! `Config` (`read`) and checked by it ([`catalogue`]). Nothing is logged and nothing is guessed: what is
//! not understood is a [`Problem`](pipeline::settings::Problem).

pub mod catalogue;
mod check;
mod effective;
pub mod file;
pub mod graph;
mod load;
pub mod node;
mod read;
mod schema;
mod secret;
pub mod service;
mod source;
mod suggest;
mod variable;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Checked, Role, Settings, Type};
pub use check::{Components, Configuration};
pub use effective::HIDDEN;
pub use load::{NOTHING, Sources};
pub use node::{Node, Step};
pub use service::Service;
pub use variable::written;
