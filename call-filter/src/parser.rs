//! The grammar of filters: words in, a tree out.
//!
//! `or` binds less than `and`, `and` less than `not`; parentheses bind most. A flag stands alone, every other field is
//! compared with a value.

use crate::Node;
use crate::error::Error;
use crate::field::{Field, Kind, known};
use crate::lexer::{Operator, Token, Word, words};
use crate::test::{Test, Wrong};

/// Reads a filter.
pub fn parse(text: &str) -> Result<Node, Error> {
    let mut parser = Parser { tokens: words(text)?, next: 0, depth: 0 };
    let root = parser.any()?;
    match parser.peek() {
        Token { word: Word::End, .. } => Ok(root),
        Token { at, word: Word::Close } => {
            Err(Error::new(*at, "nothing was opened that closes here", "take the ) out"))
        }
        Token { at, .. } => Err(Error::new(*at, "the filter goes on", "put `and` or `or` between comparisons")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    /// The next word, which is taken; the end stays.
    fn take(&mut self) -> Token {
        let token = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes the next word if it is `keyword`, in any case.
    fn takes(&mut self, keyword: &str) -> bool {
        let is = matches!(&self.peek().word, Word::Plain(plain) if plain.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is);
        is
    }

    fn any(&mut self) -> Result<Node, Error> {
        let mut nodes = vec![self.all()?];
        while self.takes("or") {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self) -> Result<Node, Error> {
        let mut nodes = vec![self.not()?];
        while self.takes("and") {
            nodes.push(self.not()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn not(&mut self) -> Result<Node, Error> {
        self.deeper(|parser| match parser.takes("not") {
            true => Ok(Node::Not(Box::new(parser.not()?))),
            false => parser.one(),
        })
    }

    fn one(&mut self) -> Result<Node, Error> {
        let Token { at, word } = self.take();
        match word {
            Word::Open => {
                let node = self.deeper(Self::any)?;
                match self.take() {
                    Token { word: Word::Close, .. } => Ok(node),
                    Token { at: end, .. } => {
                        Err(Error::new(end, format!("the ( of character {at} is not closed"), "put a ) here"))
                    }
                }
            }
            Word::Plain(name) => self.comparison(at, &name),
            Word::End if at == 1 => Err(Error::new(at, "the filter is empty", "write for instance outcome == busy")),
            Word::End => {
                Err(Error::new(at, "a comparison is missing", "write a field, how to compare it, and a value"))
            }
            _ => Err(Error::new(at, "a comparison begins with a field", known())),
        }
    }

    fn comparison(&mut self, at: usize, name: &str) -> Result<Node, Error> {
        let field = Field::named(name).ok_or_else(|| Error::new(at, format!("there is no field {name:?}"), known()))?;
        let Word::Operator(operator) = self.peek().word else {
            return match field.kind {
                Kind::Flag(_) => Ok(Node::Test(Test::flag(field))),
                _ => {
                    let what = format!("{name} is compared with nothing");
                    Err(Error::new(self.peek().at, what, format!("write {name} {} or another value", field.example())))
                }
            };
        };
        let operator_at = self.take().at;
        let Token { at: value_at, word } = self.take();
        let (Word::Plain(value) | Word::Quoted(value)) = word else {
            return Err(Error::new(value_at, "the value is missing", format!("write {name} {}", field.example())));
        };
        let test = Test::new(field, operator, &value).map_err(|wrong| match wrong {
            Wrong::Operator { what, help } => Error::new(operator_at, what, help),
            Wrong::Value { what, help } => Error::new(value_at, what, help),
        })?;
        // It holds where its opposite does not, of all that a call says to the field.
        let is_opposite = matches!(operator, Operator::Unequal | Operator::MatchesNot);
        let test = Node::Test(test);
        Ok(if is_opposite { Node::Not(Box::new(test)) } else { test })
    }

    /// Goes one level down, which a hostile text cannot do without end.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Node, Error>) -> Result<Node, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.peek().at;
            return Err(Error::new(at, "parentheses stand too deep in each other", "write it with fewer of them"));
        }
        let node = read(self);
        self.depth -= 1;
        node
    }
}

/// How deep parts may stand in each other.
const MAX_DEPTH: usize = 100;
