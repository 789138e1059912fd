//! Words of a filter: text in, words with their places out.

use crate::error::Error;

/// A word and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its first character, from 1 on.
    pub at: usize,
    pub word: Word,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// `and`, a field, a number, a duration, a time, an address: whatever stands without quotes.
    Plain(String),
    /// What stood between quotes.
    Quoted(String),
    Operator(Operator),
    Open,
    Close,
    /// Behind the last.
    End,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
    Matches,
    MatchesNot,
}

impl Operator {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Matches => "~",
            Self::MatchesNot => "!~",
        }
    }
}

/// Cuts a filter into words, the last of which is [`Word::End`].
pub fn words(text: &str) -> Result<Vec<Token>, Error> {
    let mut chars = text.chars().zip(1..).peekable();
    let mut tokens = Vec::new();
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(Error::new(
            MAX_LENGTH + 1,
            "the filter is too long",
            format!("write at most {MAX_LENGTH} characters"),
        ));
    }
    while let Some((char, at)) = chars.next() {
        let mut follows = |wanted| chars.next_if(|(char, _)| *char == wanted).is_some();
        let word = match char {
            char if char.is_whitespace() => continue,
            '(' => Word::Open,
            ')' => Word::Close,
            '~' => Word::Operator(Operator::Matches),
            // One is enough, as people type it.
            '=' if follows('~') => Word::Operator(Operator::Matches),
            '=' => {
                follows('=');
                Word::Operator(Operator::Equal)
            }
            '!' if follows('=') => Word::Operator(Operator::Unequal),
            '!' if follows('~') => Word::Operator(Operator::MatchesNot),
            '<' if follows('=') => Word::Operator(Operator::AtMost),
            '<' => Word::Operator(Operator::Below),
            '>' if follows('=') => Word::Operator(Operator::AtLeast),
            '>' => Word::Operator(Operator::Above),
            '&' if follows('&') => Word::Plain("and".into()),
            '|' if follows('|') => Word::Plain("or".into()),
            '!' => Word::Plain("not".into()),
            '"' | '\'' => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        Some((end, _)) if end == char => break,
                        // Only the quote itself: a backslash before anything else is the expression's.
                        Some(('\\', _)) => match chars.next_if(|(next, _)| *next == char) {
                            Some((quote, _)) => quoted.push(quote),
                            None => {
                                quoted.push('\\');
                                // Of two the second begins nothing.
                                quoted.extend(chars.next_if(|(next, _)| *next == '\\').map(|(next, _)| next));
                            }
                        },
                        Some((other, _)) => quoted.push(other),
                        None => {
                            return Err(Error::new(at, "the quote has no end", format!("put {char} behind the text")));
                        }
                    }
                }
                Word::Quoted(quoted)
            }
            char if is_plain(char) => {
                let mut plain = String::from(char);
                while let Some((next, _)) = chars.next_if(|(next, _)| is_plain(*next)) {
                    plain.push(next);
                }
                Word::Plain(plain)
            }
            other => {
                let what = format!("{other:?} means nothing here");
                return Err(Error::new(at, what, "put texts between quotes"));
            }
        };
        tokens.push(Token { at, word });
    }
    tokens.push(Token { at: length + 1, word: Word::End });
    Ok(tokens)
}

/// What words without quotes are made of: names, numbers, durations, times, addresses, networks.
fn is_plain(char: char) -> bool {
    char.is_alphanumeric() || "_-.:/+[]*@%".contains(char)
}

/// Most characters of a filter.
const MAX_LENGTH: usize = 4096;
