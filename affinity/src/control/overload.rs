//! Overload of a service: on while its backends together are late or refuse, off once they are well for a while.
//!
//! It moves nothing; it switches on the rules that ask for it.

use std::time::Duration;

use super::ticks::{Joining, Sample, Tick};

/// Ticks running over the target that switch it on.
const LATE: u32 = 3;

/// Ticks running at half of what switches it on that switch it off.
const CALM: u32 = 10;

/// 503 to INVITE that switch it on, in a thousand.
const REFUSED: u64 = 100;

/// Whether a service is overloaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overload {
    on: bool,
    joining: Joining,
    late: u32,
    calm: u32,
}

impl Overload {
    /// Whether it is.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Takes what was counted of all backends in a second; says whether it is overloaded from now on.
    pub fn tick(&mut self, target: Duration, sample: &Sample) -> bool {
        match self.joining.second(sample) {
            Tick::Joined => {}
            Tick::Quiet => self.step(false, true, false),
            Tick::Complete(sample) => {
                let median = sample.delays.median();
                let refused = sample.unavailable * 1000 / sample.invites.max(1);
                let late = median.is_some_and(|median| median > target);
                let calm = median.is_some_and(|median| median < target / 2) && refused <= REFUSED / 2;
                self.step(late, calm, refused > REFUSED);
            }
        }
        self.on
    }

    fn step(&mut self, late: bool, calm: bool, refused: bool) {
        self.late = if late { self.late + 1 } else { 0 };
        self.calm = if calm { self.calm + 1 } else { 0 };
        match self.on {
            false => self.on = refused || self.late >= LATE,
            true => self.on = self.calm < CALM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count x INVITEs@median!503s => on|off`, a line each; the target is 200 ms.
    fn play(lines: &str) {
        let mut overload = Overload::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (told, expected) = line.split_once("=>").expect("a line says what follows");
            let (count, told) = told.split_once(" x ").expect("how often");
            let (invites, told) = told.trim().split_once('@').expect("INVITEs");
            let (median, unavailable) = told.split_once('!').unwrap_or((told, "0"));
            let number = |text: &str| text.trim().parse::<u64>().expect("a number");
            let mut sample = Sample { invites: number(invites), unavailable: number(unavailable), ..Sample::default() };
            (0..sample.invites).for_each(|_| sample.delays.record(Duration::from_millis(number(median))));
            (0..number(count)).for_each(|_| _ = overload.tick(Duration::from_millis(200), &sample));
            assert_eq!(if overload.is_on() { "on" } else { "off" }, expected.trim(), "{line}");
        }
    }

    #[test]
    fn three_late_ticks_switch_it_on_and_ten_at_half_of_that_off() {
        play(
            "2 x 100@300 => off
             1 x 100@100 => off
             2 x 100@300 => off
             1 x 100@300 => on
             9 x 100@50  => on
             1 x 100@150 => on
             9 x 100@50  => on
             1 x 100@50  => off",
        );
    }

    #[test]
    fn more_than_a_tenth_of_503_switch_it_on_at_once() {
        play(
            "1  x 100@50!10 => off
             1  x 100@50!11 => on
             10 x 100@50!6  => on
             10 x 100@50!5  => off",
        );
    }

    #[test]
    fn few_calls_are_not_judged_and_none_for_half_a_minute_are_calm() {
        play(
            "1  x 100@50!50 => on
             29 x 0@0       => on
             9  x 0@0       => on
             1  x 0@0       => off
             1  x 19@900    => off",
        );
    }
}
