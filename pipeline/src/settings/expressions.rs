//! Regular expressions of a list in the configuration: values in, the index of the first one in file order that matches
//! anywhere out.
//!
//! One automaton searches for all expressions at once, in linear time whatever the value is: regex-automata
//! does not backtrack. What is compiled and what is searched are both bounded.

use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};

/// Most bytes of a value that are searched; a longer one is cut.
pub const MAX_VALUE: usize = 1024;

/// Largest compiled form of one expression, bytes.
const MAX_ONE: usize = 1 << 20;

/// Largest compiled form of all expressions, bytes.
const MAX_ALL: usize = 16 << 20;

/// All expressions, compiled. Shared by clones.
#[derive(Clone, Debug, Default)]
pub struct Expressions {
    /// `None` without expressions.
    regex: Option<Regex>,
}

/// Why expressions cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong with them.
    pub what: String,
    /// What to do about it.
    pub help: &'static str,
}

impl Expressions {
    /// Whether one expression can be used.
    pub fn check(regex: &str) -> Result<(), Refused> {
        let config = thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_ONE));
        let built = thompson::Compiler::new().configure(config).syntax(syntax()).build(regex);
        built.map(drop).map_err(|error| Refused::new(error.size_limit().is_some(), &error))
    }

    /// Compiles all expressions, each of which was checked.
    pub fn new(regexes: &[&str]) -> Result<Self, Refused> {
        if regexes.is_empty() {
            return Ok(Self::default());
        }
        // Lowest index is not leftmost match: every expression is searched for to the end of the value.
        let config = Config::new().match_kind(MatchKind::All).utf8_empty(false).nfa_size_limit(Some(MAX_ALL));
        let built = Regex::builder().configure(config).syntax(syntax()).build_many(regexes);
        let regex = built.map_err(|error| Refused::new(error.size_limit().is_some(), &error))?;
        Ok(Self { regex: Some(regex) })
    }

    /// What one thread needs to search.
    pub fn searcher(self) -> Searcher {
        let search =
            |regex: Regex| Search { cache: regex.create_cache(), matches: PatternSet::new(regex.pattern_len()), regex };
        Searcher { search: self.regex.map(search) }
    }
}

/// What comes from the wire need not be UTF-8.
fn syntax() -> syntax::Config {
    syntax::Config::new().utf8(false)
}

impl Refused {
    fn new(too_large: bool, error: &dyn std::error::Error) -> Self {
        if too_large {
            let help = "use smaller repetitions, or [0-9] and [A-Za-z] in place of \\d and \\w";
            return Self { what: "it is too large once compiled".to_owned(), help };
        }
        // The text of a syntax error draws the expression over several lines; the last one says what is wrong.
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let text = cause.to_string();
        let what = text.lines().last().unwrap_or(&text).trim_start_matches("error: ").to_owned();
        let help = match ["look-around", "backreferences"].iter().any(|lacking| what.contains(lacking)) {
            true => "write it without: it is enough that what is looked for stands somewhere in the value",
            false => "put a backslash before characters meant as such, and '...' around the expression",
        };
        Self { what, help }
    }
}

/// Searches values; allocates only until it has seen what is common. Empty by default: nothing matches.
#[derive(Debug, Default)]
pub struct Searcher {
    search: Option<Search>,
}

#[derive(Debug)]
struct Search {
    regex: Regex,
    cache: Cache,
    matches: PatternSet,
}

impl Searcher {
    /// Index of the first expression that matches anywhere in the first [`MAX_VALUE`] bytes.
    pub fn find(&mut self, value: &[u8]) -> Option<u16> {
        let Search { regex, cache, matches } = self.search.as_mut()?;
        let value = &value[..value.len().min(MAX_VALUE)];
        matches.clear();
        regex.which_overlapping_matches_with(cache, &Input::new(value), matches);
        matches.iter().next().map(|pattern| pattern.as_u32() as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(regexes: &[&str], value: &str) -> Option<u16> {
        Expressions::new(regexes).expect("expressions").searcher().find(value.as_bytes())
    }

    #[test]
    fn the_first_entry_that_matches_anywhere_wins_not_the_leftmost_match() {
        let regexes = ["T46", "(?i)yealink", "^Yealink SIP-T46", ".*"];
        assert_eq!(find(&regexes, "Yealink SIP-T46S 66.86"), Some(0));
        assert_eq!(find(&regexes, "YEALINK SIP-T48"), Some(1));
        assert_eq!(find(&regexes, "Grandstream"), Some(3));
        assert_eq!(find(&["b+", "a", "ab"], "ab"), Some(0));
        assert_eq!(find(&["abc", "ab", "b"], "xabc"), Some(0));
        assert_eq!(find(&["abc", "ab", "b"], "xab"), Some(1));
    }

    #[test]
    fn a_shorter_entry_inside_a_longer_one_does_not_hide_it() {
        assert_eq!(find(&["Asterisk PBX 20", "Asterisk"], "Asterisk PBX 20.6"), Some(0));
        assert_eq!(find(&["Asterisk", "Asterisk PBX 20"], "Asterisk PBX 20.6"), Some(0));
    }

    #[test]
    fn no_match_and_no_expressions_are_none() {
        assert_eq!(find(&["a"], "b"), None);
        assert_eq!(find(&["^a"], "ba"), None);
        assert_eq!(find(&[], "b"), None);
    }

    #[test]
    fn an_absent_user_agent_is_matched_by_what_matches_nothing_at_all() {
        assert_eq!(find(&["a", "^$"], ""), Some(1));
        assert_eq!(find(&["a"], ""), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_searched_too() {
        let mut searcher = Expressions::new(&["Phone", "(?-u)\\xff$"]).expect("expressions").searcher();
        assert_eq!(searcher.find(b"\xfe\xff Phone \xff"), Some(0));
        assert_eq!(searcher.find(b"Fon \xff"), Some(1));
    }

    #[test]
    fn a_long_value_is_searched_at_its_front_only() {
        let long = format!("{}Phone", " ".repeat(MAX_VALUE - 5));
        assert_eq!(find(&["Phone"], &long), Some(0));
        assert_eq!(find(&["Phone"], &format!(" {long}")), None);
    }

    #[test]
    fn expressions_that_would_be_slow_elsewhere_are_not() {
        let value = "a".repeat(MAX_VALUE);
        assert_eq!(find(&["(a*)*b", "(a|a)*c", "(a?){20}a{20}d", "a"], &value), Some(3));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        assert_eq!(Expressions::check("(abc").unwrap_err().what, "unclosed group");
        assert_eq!(
            Expressions::check("(?=a)").unwrap_err().what,
            "look-around, including look-ahead and look-behind, is not supported"
        );
        assert_eq!(Expressions::check("\\w{1000}").unwrap_err().what, "it is too large once compiled");
        assert_eq!(Expressions::check("(?i)^Yealink"), Ok(()));
    }

    #[test]
    fn all_expressions_together_are_bounded() {
        let one = "[a-z]{2000}";
        assert_eq!(Expressions::check(one), Ok(()));
        let error = Expressions::new(&vec![one; 256]).unwrap_err();
        assert_eq!(error.what, "it is too large once compiled");
    }
}
