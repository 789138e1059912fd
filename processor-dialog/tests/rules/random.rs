//! Whatever comes, in whatever order: nothing panics, no gauge is ever negative, and when everything is long over
//! nothing is held any more.

use std::time::Duration;

use processor_dialog::{Config, Queue};
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
        let queues = vec![Queue { name: "all".into(), expression: ".".into() }];
        let config = Config { max_calls, queues, ..Config::default() };
        let mut player = Player::new(config, Labelled::Yes).with_carriers().with_queues();
        let mut now = Duration::ZERO;
        for (i, played) in messages.into_iter().enumerate() {
            now += Duration::from_millis(played.pause);
            let call = &calls[played.call];
            player.take(now, Some(call[played.message % call.len()].clone()));
            if i % 8 == 0 {
                check(&player)?;
                if max_calls == 1000 {
                    each_attempt_has_an_outcome_or_is_open(&player)?;
                }
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

/// Whatever was lost, copied or came in another order, as long as no call had to make room (`sip-metrics.md` 2.3).
fn each_attempt_has_an_outcome_or_is_open(player: &Player) -> Result<(), TestCaseError> {
    let (exported, held) = (player.exported(), player.held());
    let sum = |name: &str| -> f64 {
        let of_it = |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        exported.numbers().filter(|(series, _)| of_it(series)).map(|(_, value)| value).sum()
    };
    let open = |table: &str| held.iter().find(|(name, _)| name == table).map_or(0.0, |(_, held)| *held);
    for (attempts, outcomes, table) in [
        ("session_attempts_total", "session_outcomes_total", "attempts"),
        ("registration_attempts_total", "registration_outcomes_total", "registrations"),
        ("trunk_attempts_total", "trunk_outcomes_total", "trunk_attempts"),
    ] {
        prop_assert_eq!((attempts, sum(attempts)), (attempts, sum(outcomes) + open(table)));
    }
    Ok(())
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

const GAUGES: [&str; 5] = ["dialogs{", "sessions{", "registrations_active{", "trunk_calls{", "queue_waiting{"];

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

/// A 401 that was captured a second before its REGISTER, which came after the REGISTER that answers it.
#[test]
fn a_register_that_comes_after_its_retry_leaves_nothing_behind() {
    let calls = calls();
    let mut player = Player::new(Config::default(), Labelled::Yes);
    let mut now = Duration::ZERO;
    for (message, pause) in [(11, 2000), (12, 1000), (70, 0)] {
        now += Duration::from_millis(pause);
        player.take(now, Some(calls[3][message % calls[3].len()].clone()));
    }
    player.take(now + Duration::from_secs(100_000), None);
    for (table, held) in player.held() {
        assert_eq!((table.as_str(), held), (table.as_str(), 0.0));
    }
}
