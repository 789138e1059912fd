//! Calls on the screen of a terminal, in the manner of sngrep: calls and keys in, what is shown and what is to be done out.
//!
//! Sans-io: no terminal, no file, no clock. [`Screen`] is the state, [`draw()`] puts it into a buffer of cells. Whoever owns the
//! terminal reads keys, brings calls ([`Screen::on_calls`]) and does what [`Effect`] says. What comes from the wire is escaped
//! before it is laid out.
//!
//! | file | what it is about |
//! |---|---|
//! | `known` | a call that is shown |
//! | `list` | all of them: order, filter, marks, bounds |
//! | `flow` | the ladder of some, and the message beside it |
//! | `screen` | which page is shown, what each key does |
//! | `draw` | cells |

mod draw;
mod flow;
mod key;
mod known;
mod list;
mod screen;

pub use draw::draw;
pub use key::Key;
pub use known::{Known, Name};
pub use screen::{Effect, Screen};
