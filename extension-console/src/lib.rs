//! `[extensions.console]`: a page for one host, with the figures of now, calls that are up or ended lately, and their
//! ladders; the same as JSON under `/api/`.
//!
//! Records of calls and a copy of the rows come in, HTTP answers go out; nothing here changes or delays what is
//! captured, and while nobody looks no shard is asked for anything. What privacy took out of a record is not here.
//!
//! | file | what it is about |
//! |---|---|
//! | `config` | keys, and what makes an endpoint unsafe |
//! | `guard` | who may ask: method, host name, token |
//! | `site` | what is shown: calls, figures, and the rules a reload changes |
//! | `routes`, `query`, `reply`, `files` | requests and answers |
//! | `calls`, `entry`, `pieces` | the calls that are shown |
//! | `asker` | questions to the shards, few of them however many look |
//! | `figures` | ratios and numbers from the rows |
//! | `subscribers`, `follow`, `changes` | pages that are open, and what they are told |

mod asker;
mod calls;
mod changes;
mod config;
mod console;
mod entry;
mod figures;
mod files;
mod follow;
mod guard;
mod pieces;
mod query;
mod reply;
mod routes;
mod site;
mod subscribers;
#[cfg(test)]
mod tests;

pub use config::{Config, Settings};
pub use console::Console;
