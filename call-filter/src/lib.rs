//! One language of filters for calls: a text in, what says of a call whether it is wanted out.
//!
//! `outcome == "ineffective" and setup > 3s and to ~ "49.*"`. Pure: no clock, no file. A comparison holds where any of
//! what a call says to the field fits; `!=` and `!~` hold where `==` and `~` do not. What privacy took out of a record
//! is not in it, so that no filter finds it.

mod error;
mod field;
mod lexer;
mod parser;
mod said;
mod test;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use call_views::View;

pub use error::Error;
pub use field::{FIELDS, Field, FieldHelp};
pub use said::Said;
use test::Test;
pub use test::time;

/// Which calls are wanted. Two of the same text are the same.
#[derive(Clone, Debug)]
pub struct Filter {
    text: Box<str>,
    root: Arc<Node>,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A part of a filter.
#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// Says what is wrong at which character, and what to do about it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parser::parse(text).map(|root| Self { text: text.into(), root: Arc::new(root) })
    }

    /// Whether it asks for header fields, which not every record has.
    pub fn needs_headers(&self) -> bool {
        self.root.asks(&Field::is_about_headers)
    }

    /// Whether it asks what callers heard.
    pub fn needs_media(&self) -> bool {
        self.root.asks(&Field::is_about_media)
    }

    /// Whether it asks for something that [`Parties`] say.
    pub fn asks_who(&self) -> bool {
        self.root.asks(&Field::is_about_parties)
    }

    /// Whether a call of which only this is known may be wanted. `false`: it is not, whatever else is true of it.
    pub fn may_want(&self, parties: &Parties<'_>) -> bool {
        self.root.may(parties).0
    }

    /// Whether a call is wanted.
    pub fn wants(&self, view: &View<'_>) -> bool {
        self.root.holds(view)
    }
}

/// Who may be who in a call of which not more is known.
#[derive(Clone, Debug)]
pub struct Parties<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// Users of From and To of its requests. `None` for one that may be anybody.
    pub between: Vec<[Option<Box<str>>; 2]>,
}

impl Node {
    /// Whether it may hold, and whether it may not.
    fn may(&self, parties: &Parties<'_>) -> (bool, bool) {
        let each = |nodes: &[Self]| nodes.iter().map(|node| node.may(parties)).collect::<Vec<_>>();
        match self {
            Self::All(nodes) => {
                let each = each(nodes);
                (each.iter().all(|(holds, _)| *holds), each.iter().any(|(_, not)| *not))
            }
            Self::Any(nodes) => {
                let each = each(nodes);
                (each.iter().any(|(holds, _)| *holds), each.iter().all(|(_, not)| *not))
            }
            Self::Not(node) => {
                let (holds, not) = node.may(parties);
                (not, holds)
            }
            Self::Test(test) => test.may(parties),
        }
    }

    fn holds(&self, view: &View<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(view)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(view)),
            Self::Not(node) => !node.holds(view),
            Self::Test(test) => test.holds(view),
        }
    }

    fn asks(&self, about: &impl Fn(&Field) -> bool) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(|node| node.asks(about)),
            Self::Not(node) => node.asks(about),
            Self::Test(test) => about(test.field()),
        }
    }
}

#[cfg(test)]
mod tests;
