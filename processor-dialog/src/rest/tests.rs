//! What rests is as if it did not: the same facts at the same message, whether nothing ever rests, everything that
//! may does at once, or what usually does.

use std::time::Duration;

use ladder::Step;
use pipeline::event::Event;
use pipeline::{Facts, FrameBatch, SipFrame, Slot};
use proptest::prelude::*;
use wire::Timestamp;

use super::contents::Contents;
use super::form::Writer;
use crate::config::Config;
use crate::state::State;

#[path = "../../tests/rules/traffic.rs"]
mod traffic;

/// When something is put to rest.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Habit {
    #[default]
    Usual,
    Never,
    /// After every message, whatever may.
    Always,
}

/// A processor, and who was told of in which order: slots are numbered differently when they are given back later.
struct Player {
    state: State,
    facts: Facts,
    names: Vec<u32>,
    opened: u32,
}

impl Player {
    fn new(habit: Habit, config: Config) -> Self {
        let mut state = State::new(config, None);
        state.rest.habit = habit;
        Self { state, facts: Facts::default(), names: vec![0], opened: 0 }
    }

    /// The facts of messages that come in one batch, in any order and of whatever labels.
    fn take_batch(&mut self, steps: &[(Duration, &Step)]) -> Vec<String> {
        let mut batch = FrameBatch::default();
        for (at, step) in steps {
            batch.now = Timestamp::from_nanos(1_767_225_600_000_000_000) + *at;
            batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, batch.now));
        }
        self.facts.clear();
        self.state.take(&batch, &mut self.facts);
        self.facts.events.iter().map(|event| format!("{:?}", event.fact)).collect()
    }

    /// The facts of one message, or of the time that passes without one.
    fn take(&mut self, now: Duration, step: Option<&Step>) -> Vec<Event> {
        let now = Timestamp::from_nanos(1_767_225_600_000_000_000) + now;
        let mut batch = FrameBatch { now, ..FrameBatch::default() };
        if let Some(step) = step {
            batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, now));
        }
        self.facts.clear();
        let before = self.names.clone();
        self.state.take(&batch, &mut self.facts);
        for origin in &self.facts.origins {
            let index = origin.slot.0 as usize;
            self.names.resize(self.names.len().max(index + 1), 0);
            self.opened += 1;
            self.names[index] = self.opened;
        }
        // In a batch of one message a slot is either new or was known before.
        let name = |slot: Slot| {
            let opened = self.facts.origins.iter().any(|origin| origin.slot == slot);
            let names = if opened { &self.names } else { &before };
            Slot(names.get(slot.0 as usize).copied().unwrap_or_default())
        };
        let named = self.facts.events.iter().map(|event| Event { slot: name(event.slot), ..*event });
        let mut events: Vec<Event> = named.collect();
        // Timers that are due at the same time may fire in any order.
        events.sort_by_cached_key(|event| (event.slot.0, format!("{:?}", event.fact)));
        events
    }

    fn held(&self) -> [usize; 7] {
        let state = &self.state;
        let tables = [state.requests.len(), state.transactions.len(), state.attempts.len(), state.dialogs.len()];
        let [requests, transactions, attempts, dialogs] = tables;
        [requests, transactions, attempts, dialogs, state.groups.len(), state.rest.len(), state.slots.len()]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_fact_changes_when_what_is_over_rests(messages in traffic::played()) {
        let calls = traffic::calls();
        let habits = [Habit::Never, Habit::Always, Habit::Usual];
        let mut players = habits.map(|habit| Player::new(habit, Config::default()));
        let mut now = Duration::ZERO;
        for played in messages {
            now += Duration::from_millis(played.pause);
            let call = &calls[played.call];
            let step = &call[played.message % call.len()];
            let [expected, always, usual] = players.each_mut().map(|player| player.take(now, Some(step)));
            prop_assert_eq!(&expected, &always);
            prop_assert_eq!(&expected, &usual);
        }
        for _ in 0..4 {
            now += Duration::from_secs(100_000);
            let [expected, always, usual] = players.each_mut().map(|player| player.take(now, None));
            prop_assert_eq!(&expected, &always);
            prop_assert_eq!(&expected, &usual);
        }
        for player in players {
            prop_assert_eq!(player.held(), [0; 7]);
            prop_assert_eq!(player.state.pool.held(), 0);
            prop_assert_eq!(player.state.transactions.known(), 0);
        }
    }

    #[test]
    fn no_fact_changes_when_what_is_over_rests_at_the_end_of_a_batch(
        messages in traffic::played(),
        batches in prop::collection::vec(1usize..40, 150),
    ) {
        let calls = traffic::calls();
        let mut now = Duration::ZERO;
        let steps: Vec<(Duration, &Step)> = messages.iter().map(|played| {
            now += Duration::from_millis(played.pause);
            let call = &calls[played.call];
            (now, &call[played.message % call.len()])
        }).collect();
        let mut one_by_one = Player::new(Habit::Never, Config::default());
        let mut expected: Vec<String> = steps.chunks(1).flat_map(|step| one_by_one.take_batch(step)).collect();
        let mut player = Player::new(Habit::Usual, Config::default());
        let (mut facts, mut left) = (Vec::new(), &steps[..]);
        for len in batches {
            let (batch, rest) = left.split_at(len.min(left.len()));
            facts.extend(player.take_batch(batch));
            prop_assert!(player.state.rest.ending.is_empty());
            left = rest;
        }
        prop_assert!(left.is_empty());
        expected.sort();
        facts.sort();
        prop_assert_eq!(expected, facts);
        for _ in 0..4 {
            now += Duration::from_secs(100_000);
            player.take(now, None);
        }
        prop_assert_eq!(player.held(), [0; 7]);
        prop_assert_eq!(player.state.pool.held(), 0);
        prop_assert_eq!(player.state.transactions.known(), 0);
    }

    #[test]
    fn whatever_makes_room_in_small_tables_nothing_is_held_in_the_end(
        messages in traffic::played(),
        max_calls in 1usize..4,
    ) {
        let calls = traffic::calls();
        for habit in [Habit::Always, Habit::Usual] {
            let mut player = Player::new(habit, Config { max_calls, ..Config::default() });
            let mut now = Duration::ZERO;
            for played in &messages {
                now += Duration::from_millis(played.pause);
                let call = &calls[played.call];
                player.take(now, Some(&call[played.message % call.len()]));
                prop_assert!(player.state.requests.len() <= 2 * max_calls);
                prop_assert!(player.state.transactions.len() <= 4 * max_calls);
            }
            for _ in 0..4 {
                now += Duration::from_secs(100_000);
                player.take(now, None);
            }
            prop_assert_eq!(player.held(), [0; 7]);
        }
    }
}

/// An ordinary call.
const CALL: &str = "
    0.000 alice -> bob INVITE sdp call=@ branch=z9hG4bK-i@
    0.001 alice <- bob 100 call=@
    0.100 alice <- bob 180 call=@ tag=t@
    2.000 alice <- bob 200 sdp call=@ tag=t@
    2.010 alice -> bob ACK call=@ branch=z9hG4bK-a@
    9.000 alice -> bob BYE call=@ branch=z9hG4bK-b@
    9.010 alice <- bob 200 call=@ of=BYE";

/// The string of the group that has rested longest.
fn string(state: &mut State) -> Option<&[u8]> {
    let group = state.groups.longest_at_rest()?;
    let group = state.groups.get(group)?;
    Some(state.rest.cells.get(group.resting.as_ref()?.cell))
}

#[test]
fn an_ended_call_leaves_the_tables_and_takes_a_few_bytes() {
    let mut player = Player::new(Habit::Usual, Config::default());
    for step in ladder::play(&CALL.replace('@', "1")) {
        player.take(step.at, Some(&step));
    }
    assert_eq!((player.state.dialogs.len(), player.state.attempts.len(), player.state.rest.len()), (0, 0, 1));
    let len = string(&mut player.state).expect("it rests").len();
    assert!(len <= 208, "{len} bytes");
}

#[test]
fn what_a_late_repeat_put_back_rests_again_once_no_more_comes() {
    let mut player = Player::new(Habit::Usual, Config::default());
    let steps = ladder::play(&CALL.replace('@', "1"));
    steps.iter().for_each(|step| _ = player.take(step.at, Some(step)));
    for late in [10_000, 10_500, 11_000] {
        player.take(Duration::from_millis(late), Some(&steps[6]));
        assert_eq!((player.state.rest.len(), player.state.rest.cooling.len()), (0, 1));
    }
    player.take(Duration::from_secs(14), None);
    assert_eq!((player.state.rest.len(), player.state.rest.cooling.len()), (1, 0));
}

#[test]
fn a_call_cools_once_however_often_its_end_is_repeated() {
    let mut player = Player::new(Habit::Usual, Config::default());
    let steps = ladder::play(
        "0.000 alice -> bob INVITE call=1 branch=z9hG4bK-1
         0.010 alice <- bob 486 call=1 tag=t",
    );
    player.take(steps[0].at, Some(&steps[0]));
    for repeat in 0..1000 {
        player.take(Duration::from_millis(10 + repeat), Some(&steps[1]));
    }
    assert_eq!(player.state.rest.cooling.len(), 1);
}

#[test]
fn no_more_is_put_back_than_is_needed_for_room() {
    let config = Config { max_calls: 30, ..Config::default() };
    let mut player = Player::new(Habit::Usual, config);
    let mut now = Duration::ZERO;
    for call in 0..20 {
        for step in ladder::play(&CALL.replace('@', &format!("{call}"))) {
            player.take(now + step.at / 100, Some(&step));
        }
        now += Duration::from_millis(100);
    }
    // 20 calls of 3 requests fill the table: each call at rest makes room for three.
    assert_eq!((player.state.requests.len(), player.state.rest.len()), (60, 20));
    for request in 0..9 {
        let step = &ladder::play(&format!("0.000 alice -> bob OPTIONS call=o{request} branch=z9hG4bK-o{request}"))[0];
        player.take(now, Some(step));
        assert_eq!((player.state.requests.len(), player.state.rest.len()), (60, 19 - request / 3));
    }
}

#[test]
fn a_call_that_is_up_keeps_its_dialog_alone_in_the_tables() {
    let mut player = Player::new(Habit::Usual, Config::default());
    for step in &ladder::play(&CALL.replace('@', "1"))[..5] {
        player.take(step.at, Some(step));
    }
    player.take(Duration::from_secs(5), None);
    assert_eq!(player.state.rest.len(), 0);
    player.take(Duration::from_secs(35), None);
    let state = &player.state;
    assert_eq!((state.groups.len(), state.requests.len(), state.dialogs.len()), (1, 0, 1));
}

#[test]
fn what_is_written_is_read_again() {
    // Through the form twice: the second string is the first.
    let mut player = Player::new(Habit::Always, Config::default());
    let mut checked = 0;
    for call in traffic::calls() {
        for step in &call {
            player.take(Duration::from_secs(1), Some(step));
            let Some(bytes) = string(&mut player.state).map(<[u8]>::to_vec) else { continue };
            let keys = &player.state.keys;
            let (mut contents, mut again, mut writer) = (Contents::default(), Contents::default(), Writer::default());
            contents.read(&bytes, keys);
            let base = Timestamp::from_nanos(u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")));
            assert!(contents.write(base, keys, &mut writer));
            assert_eq!(writer.written(), &bytes[..writer.written().len()]);
            again.read(writer.written(), keys);
            assert_eq!(contents, again);
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked} strings");
}

#[test]
fn a_cancelled_call_waits_for_its_ack_though_its_end_came_in_one_batch() {
    let mut player = Player::new(Habit::Usual, Config::default());
    let steps = ladder::play(
        "0.000 alice -> bob INVITE call=1
         1.000 alice -> bob CANCEL call=1
         1.001 alice <- bob 200 call=1
         1.002 alice <- bob 487 call=1
         1.003 alice -> bob ACK call=1",
    );
    let (end, ack) = steps.split_at(4);
    player.take_batch(&end.iter().map(|step| (step.at, step)).collect::<Vec<_>>());
    assert_eq!((player.state.rest.len(), player.state.rest.cooling.len()), (0, 1));
    player.take_batch(&[(ack[0].at, &ack[0])]);
    assert_eq!((player.state.rest.len(), player.state.rest.cooling.len()), (0, 1));
    player.take(Duration::from_secs(4), None);
    assert_eq!((player.state.rest.len(), player.state.rest.cooling.len()), (1, 0));
}
