//! What standard output is: how wide, which characters, whether in colour.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::LazyLock;

use call_views::{Style, Zone};
use console::Term;
use jiff::tz::TimeZone;

/// How to lay out text for standard output. As wide as the terminal; without one `otherwise`, where `None` is as wide
/// as it takes. `COLUMNS` says more than either. Characters beyond ASCII where the locale is UTF-8, colours on a
/// terminal unless `NO_COLOR` is set. Times in the zone of whoever looks, unless `utc` is asked for.
pub fn style(otherwise: Option<usize>, utc: bool) -> Style {
    let is_terminal = io::stdout().is_terminal();
    let size = || Term::stdout().size_checked().map_or(NO_SIZE, |(_, columns)| columns.into());
    let width = if is_terminal { Some(size()) } else { otherwise };
    Style { zone: zone(utc), ..from_environment(&|name| std::env::var_os(name), is_terminal, width) }
}

/// The zone of whoever looks, by `TZ` or the system; UTC where that is asked for, or not known.
fn zone(utc: bool) -> Zone {
    static HERE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);
    if utc { Zone::UTC } else { Zone::new(&HERE) }
}

/// Cells of a terminal that does not tell.
const NO_SIZE: usize = 80;

fn from_environment(variable: &dyn Fn(&str) -> Option<OsString>, is_terminal: bool, width: Option<usize>) -> Style {
    let text = |name: &str| variable(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
    let columns = text("COLUMNS").and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    // The first that is set decides (POSIX, Base Definitions 8.2).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text).unwrap_or_default().to_lowercase();
    let plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style {
        zone: Zone::UTC,
        width: columns.or(width),
        unicode: locale.contains("utf-8") || locale.contains("utf8"),
        colour: is_terminal && !plain && text("TERM").is_some_and(|terminal| terminal != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(variables: &[(&str, &str)], is_terminal: bool, width: Option<usize>) -> Style {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        from_environment(&variable, is_terminal, width)
    }

    #[test]
    fn characters_go_by_the_first_locale_that_is_set() {
        assert!(style(&[("LANG", "de_DE.UTF-8")], false, None).unicode);
        assert!(style(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")], false, None).unicode);
        assert!(!style(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")], false, None).unicode);
        assert!(!style(&[], false, None).unicode);
    }

    #[test]
    fn colours_are_for_terminals_and_for_those_who_like_them() {
        let term = ("TERM", "xterm-256color");
        assert!(style(&[term], true, None).colour);
        assert!(style(&[term, ("NO_COLOR", "")], true, None).colour);
        assert!(!style(&[term, ("NO_COLOR", "1")], true, None).colour);
        assert!(!style(&[term], false, None).colour);
        assert!(!style(&[("TERM", "dumb")], true, None).colour);
    }

    #[test]
    fn columns_says_more_than_the_terminal() {
        assert_eq!(style(&[("COLUMNS", "120")], true, Some(80)).width, Some(120));
        assert_eq!(style(&[("COLUMNS", "wide")], true, Some(80)).width, Some(80));
        assert_eq!(style(&[("COLUMNS", "0")], false, None).width, None);
    }
}
