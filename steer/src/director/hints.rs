//! What backends say of themselves: that they drain, want less, or have too much to do.
//!
//! A hint concerns the backend alone that sent it. Weight and overload lapse; draining lasts until the backend says that it
//! is up, or is gone. A service counts as overloaded once half of its backends say so.

use std::net::IpAddr;
use std::time::Duration;

use affinity::control::WHOLE;
use serde::Deserialize;

use super::Director;

/// A hint as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// Whether it takes new dialogs.
    #[serde(default)]
    pub state: Option<HintState>,
    /// What it wants of its weight, 0.1 to 1.
    #[serde(default)]
    pub weight: Option<f64>,
    /// Whether it has too much to do.
    #[serde(default)]
    pub overload: Option<bool>,
    /// How long weight and overload hold. Default 30 s, at most 300 s.
    #[serde(default = "ttl", with = "pipeline::settings::duration")]
    pub ttl: Duration,
}

fn ttl() -> Duration {
    Duration::from_secs(30)
}

/// Longest `ttl`.
const LONGEST: Duration = Duration::from_secs(300);

/// Hints of one backend that are taken in a second.
const MOST: u32 = 10;

/// Whether a backend takes new dialogs, as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HintState {
    /// No.
    Drain,
    /// Yes.
    Up,
}

/// What became of a hint: the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HintResult {
    /// It holds.
    Taken,
    /// Nobody at that address is a backend.
    Stranger,
    /// It says nothing, or something that cannot be.
    Wrong,
    /// There were too many in this second.
    TooMany,
}

impl HintResult {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Taken, Self::Stranger, Self::Wrong, Self::TooMany];

    /// The value of the `result` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Stranger => "stranger",
            Self::Wrong => "wrong",
            Self::TooMany => "too_many",
        }
    }
}

/// What a backend said of itself, until which second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Hinted {
    drains: bool,
    /// Thousandths.
    weight: Option<(u32, u64)>,
    overload: Option<u64>,
    /// Hints in a second.
    count: (u64, u32),
}

impl Hinted {
    pub(super) fn drains(&self) -> bool {
        self.drains
    }

    /// What it wants of its weight, in thousandths.
    pub(super) fn weight(&self, now: u64) -> u32 {
        self.weight.filter(|(_, until)| now < *until).map_or(WHOLE, |(weight, _)| weight)
    }

    fn is_overloaded(&self, now: u64) -> bool {
        self.overload.is_some_and(|until| now < until)
    }

    fn take(&mut self, hint: Hint, now: u64) -> HintResult {
        self.count = if self.count.0 == now { (now, self.count.1 + 1) } else { (now, 1) };
        if self.count.1 > MOST {
            return HintResult::TooMany;
        }
        let until = now + hint.ttl.as_secs().max(1);
        if let Some(state) = hint.state {
            self.drains = state == HintState::Drain;
        }
        if let Some(weight) = hint.weight {
            self.weight = Some(((weight * f64::from(WHOLE)).round() as u32, until));
        }
        if let Some(overload) = hint.overload {
            self.overload = overload.then_some(until);
        }
        HintResult::Taken
    }
}

impl Director {
    /// Takes a hint that came from this address.
    pub fn hint(&mut self, from: IpAddr, hint: Hint) -> HintResult {
        let (now, from) = (self.seconds, from.to_canonical());
        let members = self.services.values_mut().flat_map(|service| &mut service.members);
        let mut theirs =
            members.filter(|member| member.addresses.iter().any(|address| address.ip() == from)).peekable();
        let says = hint.state.is_some() || hint.weight.is_some() || hint.overload.is_some();
        let fits = hint.weight.is_none_or(|weight| (0.1..=1.0).contains(&weight)) && hint.ttl <= LONGEST;
        let result = match theirs.peek() {
            None => HintResult::Stranger,
            Some(_) if !says || !fits => HintResult::Wrong,
            Some(_) => theirs.map(|member| member.hinted.take(hint, now)).max().unwrap_or(HintResult::Stranger),
        };
        *self.tally.hints.entry(result).or_default() += 1;
        result
    }

    /// Counts anew who says that it is overloaded.
    pub(super) fn judge_hints(&mut self) {
        let now = self.seconds;
        for service in self.services.values_mut() {
            let there = service.members.iter().filter(|member| member.gone.is_none());
            let (all, overloaded) = there.fold((0, 0), |(all, overloaded), member| {
                (all + 1, overloaded + usize::from(member.hinted.is_overloaded(now)))
            });
            service.hinted_overload = overloaded > 0 && overloaded * 2 >= all;
        }
    }
}
