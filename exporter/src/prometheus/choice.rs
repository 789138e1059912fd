//! What of the metrics is shown: `families`, `names_per_code` and `buckets` in, a choice out.

use std::collections::BTreeMap;

use glob::Pattern;
use metrics::schema::families;
use metrics::{Choice, Unknown};
use pipeline::settings::Problems;

/// `None` when something is wrong, all of which is then in `problems`.
pub(super) fn choice(
    wanted: &[String],
    names_per_code: bool,
    buckets: &BTreeMap<String, Vec<f64>>,
    problems: &mut Problems,
) -> Option<Choice> {
    let mut choice = Choice::default();
    let mut sound = true;
    let mut rules = Vec::new();
    for (index, text) in wanted.iter().enumerate() {
        let (shown, name) = text.strip_prefix('!').map_or((true, text.as_str()), |name| (false, name));
        match Pattern::new(name) {
            Ok(pattern) if families().any(|family| pattern.matches(family.name)) => rules.push((shown, pattern)),
            Ok(_) => {
                problems.error(format!("families[{index}]"), format!("no metric is called {name:?}"), NAMES);
                sound = false;
            }
            Err(error) => {
                problems.error(format!("families[{index}]"), format!("{name:?} is no pattern: {error}"), PATTERN);
                sound = false;
            }
        }
    }
    // The last rule that fits decides.
    let is_shown =
        |name: &str| rules.iter().rev().find(|(_, rule)| rule.matches(name)).is_some_and(|(shown, _)| *shown);
    choice.show(is_shown);
    if !names_per_code {
        choice.hide_names_per_code();
    }
    for (name, bounds) in buckets {
        let path = format!("buckets.{name}");
        let (what, help) = match choice.keep_bounds(name, bounds) {
            Ok(()) => continue,
            Err(Unknown::Name) => (format!("no metric is called {name:?}"), NAMES.to_owned()),
            Err(Unknown::NoHistogram) => (format!("{name} is no histogram"), NAMES.to_owned()),
            Err(Unknown::Bound(bound, all)) => {
                let all: Vec<String> = all.iter().map(f64::to_string).collect();
                (format!("{name} has no bound {bound}"), format!("choose among {}", all.join(", ")))
            }
        };
        problems.error(&path, what, &help);
        sound = false;
    }
    sound.then_some(choice)
}

const NAMES: &str = "`ringside components --metrics` lists all, without their prefix";
const PATTERN: &str = "`*` stands for any characters, `?` for one, a `!` before all leaves out what fits";

#[cfg(test)]
mod tests {
    use metrics::{Exposition, F, Format, LabelSet, Registry, Undefined};

    use super::*;

    fn chosen(wanted: &[&str], names_per_code: bool, buckets: &[(&str, &[f64])]) -> Result<Choice, String> {
        let wanted: Vec<String> = wanted.iter().map(|&text| text.to_owned()).collect();
        let buckets = buckets.iter().map(|(name, bounds)| ((*name).to_owned(), bounds.to_vec())).collect();
        let mut problems = Problems::default();
        choice(&wanted, names_per_code, &buckets, &mut problems).ok_or_else(|| problems.to_string())
    }

    #[track_caller]
    fn text(choice: Choice) -> String {
        let registry = Registry::new("");
        let mut rows = registry.shard();
        rows.add(LabelSet::OTHER, F::Requests, 0, 1);
        for millis in [1, 30, 30, 700] {
            rows.observe(LabelSet::OTHER, F::Ttr, 0, std::time::Duration::from_millis(millis));
        }
        let snapshot = registry.snapshot().choose(choice.into());
        Exposition::new(snapshot, Format::Text, Undefined::Nan).into_text()
    }

    #[test]
    fn everything_is_shown_unless_something_else_is_chosen() {
        assert_eq!(chosen(&["*"], true, &[]), Ok(Choice::default()));
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let text = text(chosen(&["*", "!*_total", "requests_total"], true, &[]).expect("it is right"));
        assert!(text.contains("\nrequests_total{") && text.contains("\nttr_count{"), "{text}");
        assert!(!text.contains("packets_total") && !text.contains("invite_total"), "{text}");
    }

    #[test]
    fn second_names_can_be_left_out() {
        let text = text(chosen(&["*"], false, &[]).expect("it is right"));
        for name in ["invite_total", "486_total", "100_total", "message_total"] {
            assert!(!text.contains(&format!("\n{name}")), "{name}");
        }
        assert!(text.contains("requests_total") && text.contains("session_attempts_total"), "inputs have one name");
    }

    #[test]
    fn buckets_that_are_left_out_fall_into_the_next_one() {
        let text = text(chosen(&["ttr"], true, &[("ttr", &[50.0, 500.0])]).expect("it is right"));
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("ttr")).collect();
        let series = |rest: &str| format!("ttr{}", rest.replace('{', "{carrier=\"other\",ua_type=\"other\","));
        assert_eq!(
            lines[..3],
            [series("_bucket{le=\"50\"} 3"), series("_bucket{le=\"500\"} 3"), series("_bucket{le=\"+Inf\"} 4")]
        );
        assert_eq!(lines.len(), 5, "{text}");
    }

    #[test]
    fn what_there_is_not_is_refused_with_what_there_is() {
        for (wanted, buckets, expected) in [
            (&["sip_exporter_ser"][..], &[][..], "families[0]: no metric is called"),
            (&["*", "!nothing_*"], &[], "families[1]: no metric is called \"nothing_*\""),
            (&["***"], &[], "families[0]: \"***\" is no pattern"),
            (&["*"], &[("ttr", &[3.0][..])], "buckets.ttr: ttr has no bound 3; choose among 1, 2, 5, 10"),
            (&["*"], &[("ser", &[3.0])], "buckets.ser: ser is no histogram"),
            (&["*"], &[("tttr", &[])], "buckets.tttr: no metric is called"),
        ] {
            let problems = chosen(wanted, true, buckets).expect_err(expected);
            assert!(problems.contains(expected), "{problems}");
        }
    }
}
