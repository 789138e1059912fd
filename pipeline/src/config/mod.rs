//! Configuration: TOML files in, checked settings of every component out, or every problem with its place.
//!
//! Files are parsed to a tree of values that know where they stand ([`node`]), merged, `--set` put over them
//! and `${env:NAME}` replaced (`source`, `variable`). Each component's table is then read into its own
//! `Config` (`read`) and checked by it ([`catalogue`]). Nothing is logged and nothing is guessed: what is
//! not understood is a [`Problem`].

pub mod catalogue;
mod check;
pub mod duration;
mod effective;
pub(crate) mod id;
mod load;
pub mod node;
pub mod problem;
mod read;
mod secret;
pub mod service;
pub mod size;
mod source;
pub(crate) mod suggest;
mod variable;

#[cfg(test)]
mod tests;

pub use catalogue::{
    CallsWanted, Catalogue, Checked, ExporterContext, ExtensionContext, ProcessorContext, Role, Settings, Type,
};
pub use check::{Components, Configuration};
pub use effective::HIDDEN;
pub use id::ComponentId;
pub use load::Sources;
pub use node::{Node, Step};
pub use problem::{Place, Problem, Problems, Severity};
pub use service::Service;
