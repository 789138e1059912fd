//! Whatever comes, in whatever order: nothing panics, no gauge is ever negative, and when everything is long over
//! nothing is held any more.

use std::time::Duration;

use processor_dialog::Config;
use proptest::prelude::*;

use crate::expect::{Labelled, Player};
use crate::traffic::{calls, played};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn gauges_are_never_negative_ratios_keep_their_order_and_in_the_end_nothing_is_held(
        messages in played(),
        max_calls in prop::sample::select(vec![1usize, 2, 3, 1000]),
    ) {
        let calls = calls();
        let mut player = Player::new(Config { max_calls, ..Config::default() }, Labelled::Yes);
        let mut now = Duration::ZERO;
        for (i, played) in messages.into_iter().enumerate() {
            now += Duration::from_millis(played.pause);
            let call = &calls[played.call];
            player.take(now, Some(call[played.message % call.len()].clone()));
            if i % 8 == 0 {
                check(&player)?;
            }
        }
        // Longer than any timer: a day for a dialog without session timer.
        for _ in 0..4 {
            now += Duration::from_secs(100_000);
            player.take(now, None);
        }
        check(&player)?;
        for (table, held) in player.held() {
            prop_assert_eq!((table.as_str(), held), (table.as_str(), 0.0));
        }
        for (series, value) in player.exported().numbers() {
            if GAUGES.iter().any(|gauge| series.starts_with(gauge)) {
                prop_assert_eq!((series, value), (series, 0.0));
            }
        }
    }
}

/// What holds at any time (`sip-metrics.md` 4.3).
fn check(player: &Player) -> Result<(), TestCaseError> {
    let exported = player.exported();
    let numbers: std::collections::BTreeMap<&str, f64> = exported.numbers().collect();
    for (series, value) in &numbers {
        prop_assert!(*value >= 0.0, "{} is {}", series, value);
        for (greater, smaller) in ORDER {
            if let Some(labels) = series.strip_prefix(smaller).filter(|labels| labels.starts_with('{'))
                && let Some(other) = numbers.get(format!("{greater}{labels}").as_str())
            {
                prop_assert!(other >= value, "{} is {}, {} is {}", greater, other, series, value);
            }
        }
    }
    Ok(())
}

const GAUGES: [&str; 3] = ["dialogs{", "sessions{", "registrations_active{"];

/// The first is never below the second.
const ORDER: [(&str, &str); 8] = [
    ("seer", "ser"),
    ("ser", "asr"),
    ("asr", "scr"),
    ("seer_rfc6076", "ser_rfc6076"),
    ("ser_rfc6076", "asr_e425"),
    ("asr_e425", "scr_rfc6076"),
    ("ner_e425", "asr_e425"),
    ("invite_total", "invite_initial_total"),
];
