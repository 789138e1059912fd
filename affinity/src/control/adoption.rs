//! Whether enough of the calls in progress are known for steering to be switched on without breaking them.

use std::collections::VecDeque;

/// Seconds that count.
const WINDOW: usize = 60;

/// Known ones in a thousand that are enough.
const ENOUGH: u64 = 990;

/// Requests within dialogs of the last minute, of one service.
#[derive(Clone, Debug, Default)]
pub struct Adoption {
    seconds: VecDeque<(u64, u64)>,
}

/// Requests within dialogs, and how many of their dialogs were known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratio {
    /// All of them.
    pub requests: u64,
    /// Those of known dialogs.
    pub known: u64,
}

impl Ratio {
    /// 0 to 1; `None` without requests.
    pub fn value(self) -> Option<f64> {
        (self.requests > 0).then(|| self.known as f64 / self.requests as f64)
    }
}

impl Adoption {
    /// Takes how many requests within dialogs came in a second, and how many of these belonged to a known dialog.
    pub fn second(&mut self, requests: u64, known: u64) {
        self.seconds.push_back((requests, known.min(requests)));
        if self.seconds.len() > WINDOW {
            self.seconds.pop_front();
        }
    }

    /// Of the last minute.
    pub fn ratio(&self) -> Ratio {
        let add =
            |sum: Ratio, second: &(u64, u64)| Ratio { requests: sum.requests + second.0, known: sum.known + second.1 };
        self.seconds.iter().fold(Ratio::default(), add)
    }

    /// Whether 99 % were known; of a minute in which nothing came within a dialog, too. Never before a minute is over.
    pub fn is_enough(&self) -> bool {
        let Ratio { requests, known } = self.ratio();
        self.seconds.len() == WINDOW && known * 1000 >= requests * ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_nine_percent_of_a_whole_minute_are_enough() {
        let mut adoption = Adoption::default();
        (0..59).for_each(|_| adoption.second(10, 10));
        assert!(!adoption.is_enough(), "a minute is not over");
        adoption.second(10, 4);
        assert_eq!(adoption.ratio(), Ratio { requests: 600, known: 594 });
        assert!(adoption.is_enough());
        adoption.second(10, 9);
        assert!(!adoption.is_enough());
        (0..60).for_each(|_| adoption.second(10, 10));
        assert!(adoption.is_enough() && adoption.ratio().value() == Some(1.0));
    }

    #[test]
    fn a_minute_without_any_is_enough_and_has_no_ratio() {
        let mut adoption = Adoption::default();
        (0..60).for_each(|_| adoption.second(0, 0));
        assert!(adoption.is_enough() && adoption.ratio().value().is_none());
    }
}
