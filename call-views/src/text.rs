//! Text that takes the cells it is said to take: anything in, printable characters of a known width out.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without anything a terminal would obey: control characters, marks that combine with or turn round what
/// stands beside them, and whatever else has no width of its own become `\u{..}`. Without `unicode` so does
/// everything beyond ASCII.
pub fn printable(text: &str, unicode: bool) -> Cow<'_, str> {
    let shown = |c: char| match c {
        ' '..='~' => true,
        // Other blanks break alignment in some fonts and look like nothing in all.
        _ => unicode && c.width().is_some_and(|width| width > 0) && !c.is_whitespace(),
    };
    if text.chars().all(shown) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match shown(c) {
            true => escaped.push(c),
            false => write!(escaped, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String cannot fail"),
        }
    }
    Cow::Owned(escaped)
}

/// The cells that `text` takes, which is printable.
pub fn width(text: &str) -> usize {
    // Character by character, as terminals move on: some sequences are one glyph for a font and two for them.
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// As much of `text` as fits into `cells`; what is left out is marked at the end.
pub fn cut(text: &str, cells: usize, unicode: bool) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let mark = if unicode { "…" } else { "~" };
    let (head, _) = split(text, cells.saturating_sub(mark.width()));
    match cells {
        0 => Cow::Borrowed(""),
        _ => Cow::Owned(format!("{head}{mark}")),
    }
}

/// The longest beginning of `text` within `cells`, and the rest.
pub fn split(text: &str, cells: usize) -> (&str, &str) {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > cells
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// `text` filled up with blanks to `cells`.
pub fn left(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(width(text))))
}

/// Lines of at most `cells` that hold `items` with `between` them; an item that is longer is broken anywhere.
pub fn fill(items: &[String], between: &str, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let last = at + 1 == items.len();
        let item = if last { item.clone() } else { format!("{item}{between}") };
        match lines.last_mut() {
            Some(line) if width(line) + width(item.trim_end()) <= cells => *line += &item,
            _ => {
                let mut rest = item.as_str();
                while width(rest.trim_end()) > cells {
                    // A character wider than the line still has to go somewhere.
                    let first = rest.chars().next().map_or(0, char::len_utf8);
                    let at = split(rest, cells).0.len().max(first);
                    lines.push(rest[..at].to_owned());
                    rest = &rest[at..];
                }
                lines.push(rest.to_owned());
            }
        }
    }
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        assert_eq!(printable("\x1b[2J\r\n\u{9b}1m\u{7}", true), "\\u{1b}[2J\\u{d}\\u{a}\\u{9b}1m\\u{7}");
        // Right-to-left override, zero width joiner, combining accent, no-break space.
        assert_eq!(printable("\u{202e}\u{200d}e\u{301}\u{a0}", true), "\\u{202e}\\u{200d}e\\u{301}\\u{a0}");
        assert_eq!(printable("Zoë 你", true), "Zoë 你");
        assert_eq!(printable("Zoë 你", false), "Zo\\u{eb} \\u{4f60}");
    }

    #[test]
    fn wide_characters_take_two_cells_and_are_never_halved() {
        assert_eq!(width("a你b"), 4);
        assert_eq!(split("你好", 3), ("你", "好"));
        assert_eq!(cut("你好吗", 5, true), "你好…");
        assert_eq!(cut("你好吗", 4, false), "你~");
        assert_eq!(left("你", 4), "你  ");
    }

    #[test]
    fn what_fits_is_not_cut() {
        assert_eq!(cut("abc", 3, true), "abc");
        assert_eq!(cut("abcd", 3, true), "ab…");
        assert_eq!((cut("abcd", 1, true), cut("abcd", 0, true)), ("…".into(), "".into()));
    }

    #[test]
    fn lines_break_between_items_and_within_one_that_is_too_long() {
        let items = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(fill(&items(&["one", "two", "three"]), ", ", 9), ["one, two,", "three"]);
        assert_eq!(fill(&items(&["abcdefgh", "i"]), ", ", 4), ["abcd", "efgh", ", i"]);
    }
}
