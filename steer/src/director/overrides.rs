//! What an operator said by command, over what is configured. It outlives the daemon, and lapses once the configuration
//! says something else than it did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Mode, State};

/// Everything that was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Overrides {
    mode: Option<Over<Mode>>,
    /// By `service/backend`.
    states: BTreeMap<String, Over<State>>,
    weights: BTreeMap<String, Over<u32>>,
}

/// A value, and what was configured when it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Over<T> {
    said: T,
    configured: T,
}

impl<T: Copy + PartialEq> Over<T> {
    fn value(over: Option<&Self>, configured: T) -> T {
        over.filter(|over| over.configured == configured).map_or(configured, |over| over.said)
    }
}

impl Overrides {
    /// The mode, where this one is configured.
    pub(super) fn mode(&self, configured: Mode) -> Mode {
        Over::value(self.mode.as_ref(), configured)
    }

    /// The state of a backend, where this one is configured.
    pub(super) fn state(&self, service: &str, backend: &str, configured: State) -> State {
        Over::value(self.states.get(&format!("{service}/{backend}")), configured)
    }

    /// The weight of a backend, likewise.
    pub(super) fn weight(&self, service: &str, backend: &str, configured: u32) -> u32 {
        Over::value(self.weights.get(&format!("{service}/{backend}")), configured)
    }

    /// This mode is configured now: what was said over another one is over for good.
    pub(super) fn lapse_mode(&mut self, configured: Mode) {
        self.mode = self.mode.filter(|over| over.configured == configured);
    }

    /// The same of a backend.
    pub(super) fn lapse_backend(&mut self, service: &str, backend: &str, state: State, weight: u32) {
        let name = format!("{service}/{backend}");
        if self.states.get(&name).is_some_and(|over| over.configured != state) {
            self.states.remove(&name);
        }
        if self.weights.get(&name).is_some_and(|over| over.configured != weight) {
            self.weights.remove(&name);
        }
    }

    pub(super) fn say_mode(&mut self, said: Mode, configured: Mode) {
        self.mode = (said != configured).then_some(Over { said, configured });
    }

    pub(super) fn say_state(&mut self, service: &str, backend: &str, said: State, configured: State) {
        say(&mut self.states, service, backend, said, configured);
    }

    pub(super) fn say_weight(&mut self, service: &str, backend: &str, said: u32, configured: u32) {
        say(&mut self.weights, service, backend, said, configured);
    }

    /// The backend is gone.
    pub(super) fn forget(&mut self, service: &str, backend: &str) {
        let name = format!("{service}/{backend}");
        self.states.remove(&name);
        self.weights.remove(&name);
    }
}

fn say<T: PartialEq>(all: &mut BTreeMap<String, Over<T>>, service: &str, backend: &str, said: T, configured: T) {
    let name = format!("{service}/{backend}");
    match said == configured {
        true => drop(all.remove(&name)),
        false => drop(all.insert(name, Over { said, configured })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_holds_until_the_configuration_changes() {
        let mut overrides = Overrides::default();
        overrides.say_mode(Mode::Active, Mode::Observe);
        overrides.say_state("s", "a", State::Drain, State::Up);
        overrides.say_weight("s", "a", 10, 100);
        assert_eq!(overrides.mode(Mode::Observe), Mode::Active);
        assert_eq!(overrides.state("s", "a", State::Up), State::Drain);
        assert_eq!((overrides.weight("s", "a", 100), overrides.weight("s", "b", 100)), (10, 100));
        assert_eq!(overrides.weight("s", "a", 50), 50);
        let text = serde_json::to_string(&overrides).expect("it is plain");
        assert_eq!(serde_json::from_str::<Overrides>(&text).expect("it was written here"), overrides);
        overrides.say_weight("s", "a", 100, 100);
        overrides.forget("s", "a");
        overrides.say_mode(Mode::Observe, Mode::Observe);
        assert_eq!(overrides, Overrides::default());
    }
}
