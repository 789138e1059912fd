//! Citations of the specification: prose in, the sections it names out.
//!
//! A section is cited with its page, as in "`sip-metrics.md` 2.6" or "section 2.6 of the specification"; where the rules
//! are at work, in comments and in the specification itself, a number in parentheses is enough: "(2.6)", "(2.2 rule 1,
//! 4.6)", or at the head of a comment: "2.5: forks". What is said of an RFC is none, nor is "§" without a page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;

use crate::pages::Page;

const FOLDER: &str = "docs/spec/";

/// Where sections are when no page is named.
const RULES: &str = "sip-metrics.md";

/// One section that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    pub line: usize,
    pub page: String,
    pub section: String,
}

/// What sections the pages of the specification have.
pub struct Sections(BTreeMap<String, BTreeSet<String>>);

impl Sections {
    pub fn of(pages: &[Page]) -> Self {
        let heading = Regex::new(r"(?m)^#{2,3} ([0-9]+(?:\.[0-9]+)?)\.? ").expect("a pattern");
        let sections = |page: &Page| groups(&heading, &page.text).into_iter().map(|found| found.text(1)).collect();
        let pages = pages.iter().filter(|page| page.path.starts_with(FOLDER));
        Self(pages.map(|page| (page.name().to_owned(), sections(page))).collect())
    }

    pub fn contain(&self, citation: &Citation) -> bool {
        self.0.get(&citation.page).is_some_and(|sections| sections.contains(&citation.section))
    }
}

/// The ways to cite; in each pattern one group is a list of sections.
struct Ways {
    /// Page, list: "`sip-metrics.md` 2.6".
    named: Regex,
    /// A standard, "§" or "section", list, whose: "section 2.6 of the specification".
    section: Regex,
    /// List: "(2.3, 4.6)".
    bare: Regex,
    /// List that begins a comment, "2.1 to 2.4: keys", or is all of it.
    head: Regex,
    /// List that begins a cell of a table: "| 2.1, 2.2: keys |".
    cell: Regex,
}

static WAYS: LazyLock<Ways> = LazyLock::new(|| {
    const ONE: &str = r"[0-9]\.[0-9]{1,2}(?:\s+rule\s+[0-9])?";
    const WHOLE: &str = r"[0-9]+(?:\.[0-9]{1,2})?(?:\s+rule\s+[0-9])?";
    let list = |one: &str| format!(r"({one}(?:(?:,|\s+to|\s+and)\s+{one})*)\b");
    let pattern = |pattern: String| Regex::new(&pattern).expect("a pattern");
    Ways {
        named: pattern(format!(
            r"\b((?:sip-metrics|interface|steering)\.md)`?,?\s+(?:§\s?|sections?\s+)?{}",
            list(WHOLE)
        )),
        section: pattern(format!(
            r"((?:RFC|E\.|G\.)[\s0-9.]+)?(§|[Ss]ections?)\s?{}(?:\s+of\s+(the specification|\S+))?",
            list(WHOLE)
        )),
        bare: pattern(format!(r"(?:^|\W)\((?:[^()0-9]*;\s)?{}(?:[:;]\s[^()]*)?\)", list(ONE))),
        head: pattern(format!(r"(?m)^\s*{}(?:(?: and [a-z ]+| `[^`\n]+`)?:\s|\s*$)", list(ONE))),
        cell: pattern(format!(r"\|\s{}:\s", list(ONE))),
    }
});

/// All citations of a page, in order of the ways to cite.
pub fn of(page: &Page) -> Vec<Citation> {
    let prose = page.prose();
    let own = page.path.strip_prefix(FOLDER).filter(|name| *name != "README.md");
    let mut found = Vec::new();
    for citation in groups(&WAYS.named, &prose) {
        found.extend(citation.sections(&citation.text(1), 2));
    }
    for citation in groups(&WAYS.section, &prose) {
        let [standard, sign, whose] = [1, 2, 4].map(|group| citation.text(group));
        let page = match whose.trim_matches(|mark: char| "`.,;:)".contains(mark)) {
            _ if !standard.is_empty() => continue,
            "the specification" => RULES,
            page @ ("sip-metrics.md" | "interface.md" | "steering.md") => page,
            "" if sign == "§" => match own {
                Some(page @ "steering.md") => page,
                _ => continue,
            },
            "" => RULES,
            _ => continue,
        };
        found.extend(citation.sections(page, 3));
    }
    if page.kind() != "md" || own.is_some() {
        found.extend(groups(&WAYS.bare, &prose).iter().flat_map(|citation| citation.sections(RULES, 1)));
    }
    if page.kind() != "md" {
        found.extend(groups(&WAYS.head, &prose).iter().flat_map(|citation| citation.sections(RULES, 1)));
    }
    if page.kind() == "md" && own.is_none() && prose.contains(RULES) {
        found.extend(groups(&WAYS.cell, &prose).iter().flat_map(|citation| citation.sections(RULES, 1)));
    }
    // "`sip-metrics.md` section 2" is one in two ways.
    let mut once: Vec<Citation> = Vec::new();
    for citation in found {
        if !once.contains(&citation) {
            once.push(citation);
        }
    }
    once
}

/// A match and the text it was found in.
struct Found<'a> {
    text: &'a str,
    captures: Captures,
}

fn groups<'a>(pattern: &Regex, text: &'a str) -> Vec<Found<'a>> {
    pattern.captures_iter(text).map(|captures| Found { text, captures }).collect()
}

impl Found<'_> {
    /// What a group of the pattern matched; empty when it took no part.
    fn text(&self, group: usize) -> String {
        self.captures.get_group(group).map(|span| self.text[span.range()].to_owned()).unwrap_or_default()
    }

    /// A citation for each number of a group, but for those of rules.
    fn sections(&self, page: &str, group: usize) -> Vec<Citation> {
        let start = self.captures.get_group(group).expect("the list always takes part").start;
        let line = self.text[..start].matches('\n').count() + 1;
        let list = self.text(group);
        let words: Vec<&str> = list.split(|mark: char| mark.is_whitespace() || mark == ',').collect();
        let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
        let numbers = (0..words.len()).filter(|&at| is_number(words[at]) && (at == 0 || words[at - 1] != "rule"));
        let citation = |at: usize| Citation { line, page: page.to_owned(), section: words[at].to_owned() };
        numbers.map(citation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Citation, Sections, of};
    use crate::pages::Page;

    /// Page and section of each citation.
    fn cited(path: &str, text: &str) -> Vec<String> {
        of(&Page::new(path, text))
            .into_iter()
            .map(|citation| format!("{} {}", citation.page, citation.section))
            .collect()
    }

    fn rules(sections: &[&str]) -> Vec<String> {
        sections.iter().map(|section| format!("sip-metrics.md {section}")).collect()
    }

    #[test]
    fn a_page_is_named_with_its_sections() {
        assert_eq!(
            cited("a.rs", "//! What is (`sip-metrics.md` 0.2, 2.2 rule 1; RFC 3261 §17)."),
            rules(&["0.2", "2.2"])
        );
        assert_eq!(cited("a.rs", "//! Rules of `sip-metrics.md`\n//! sections 2 to 4."), rules(&["2", "4"]));
        assert_eq!(cited("a.md", "See [`interface.md` §2](x/interface.md#2-command-line)."), ["interface.md 2"]);
        assert_eq!(
            cited("a.c", "/* As section 1.7 of the specification says,\n * and §8 of `steering.md`. */"),
            ["sip-metrics.md 1.7", "steering.md 8"]
        );
    }

    #[test]
    fn where_rules_are_at_work_a_number_is_enough() {
        assert_eq!(
            cited("a.rs", "// Undone (2.3,\n// 4.6), or so (2.2 rule 2), see\n// (3.3: all)."),
            rules(&["2.3", "4.6", "2.2", "3.3"])
        );
        assert_eq!(
            cited("a.rs", "//! 2.1 to 2.4, 3.7 and hostile traffic: keys.\n\n    // 4.6\n"),
            rules(&["2.1", "2.4", "3.7", "4.6"])
        );
        assert_eq!(cited("docs/spec/a.md", "Kept (K1; section 2.5.) as in (1.7)"), rules(&["2.5", "1.7"]));
        assert_eq!(cited("docs/spec/steering.md", "Mended (§6, RFC 3581 §4)."), ["steering.md 6"]);
        assert_eq!(cited("a.md", "| file | `sip-metrics.md` |\n| `a.rs` | 2.1, 2.2: keys |"), rules(&["2.1", "2.2"]));
    }

    #[test]
    fn other_numbers_are_no_citations() {
        for text in [
            "// RFC 3261 section 17.1, RFC 6076 (§4.9), (§8.1.3.5), E.425 §1.3",
            "// section 4.2 of RFC 6455",
            "// Linux 5.8, rustls 0.23.46, HTTP/1.1 (HTTP/1.1), 2.5 s, (1.95 or later), at (0.5, 1, 2 s), quantile(0.95)",
            "// 3.5 MiB. Then\n// 4.2 s, but: no",
            "call(2.9); let text = \"(9.9)\";",
        ] {
            assert_eq!(cited("a.rs", text), [""; 0], "{text}");
        }
        assert_eq!(cited("docs/a.md", "Measured (9.9) | 2.5 |"), [""; 0]);
    }

    #[test]
    fn a_section_that_is_not_there_is_found() {
        let spec = Page::new("docs/spec/sip-metrics.md", "## 2. Requests\n\n### 2.1 Keys\n\n### 2.10 More\n");
        let sections = Sections::of(&[spec]);
        let text = "/// Its key (2.1).\nfn key() {}\n\n/// Undone (2.9), (2.10).";
        let missing: Vec<_> =
            of(&Page::new("a.rs", text)).into_iter().filter(|citation| !sections.contain(citation)).collect();
        assert_eq!(missing, [Citation { line: 4, page: "sip-metrics.md".to_owned(), section: "2.9".to_owned() }]);
    }
}
