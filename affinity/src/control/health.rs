//! Which backends are down: those that say nothing to what they are asked, and those whose probes fail.
//!
//! Without probes a backend that fell silent gets nothing and so cannot show that it is back: after half a minute it is
//! tried again. With probes, they tell.

use std::collections::BTreeMap;

/// Requests without any reply that make a backend silent.
const ASKED: u64 = 10;

/// Seconds that it has to be silent for.
const SILENT: u32 = 3;

/// Seconds after which a silent backend is tried again.
const TRIED: u32 = 30;

/// What was heard of a backend in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Requests sent there, ACK not among them: nobody answers it.
    pub requests: u64,
    /// Responses and requests that came from there.
    pub replies: u64,
}

/// How many probes decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeRule {
    /// Failed ones running that take a backend down, 1 or more.
    pub down_after: u32,
    /// Answered ones running that bring it up, 1 or more.
    pub up_after: u32,
}

/// Who of a service's backends is down.
#[derive(Clone, Debug, Default)]
pub struct Backends {
    backends: BTreeMap<String, Backend>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Backend {
    /// Requests since it was last heard.
    asked: u64,
    /// Seconds since the first of these.
    seconds: u32,
    /// Seconds since it was found silent; `None` while it is not.
    silent: Option<u32>,
    failing: bool,
    /// Probes running that say the contrary of `failing`.
    contrary: u32,
}

impl Backends {
    /// Whether a backend is down; one never heard of is not.
    pub fn is_down(&self, name: &str) -> bool {
        self.backends.get(name).is_some_and(|backend| backend.failing || backend.silent.is_some())
    }

    /// Forgets backends that are no more.
    pub fn keep(&mut self, known: impl Fn(&str) -> bool) {
        self.backends.retain(|name, _| known(name));
    }

    /// Takes what was heard of a backend in a second. `probed`: probes tell when it is back.
    pub fn second(&mut self, name: &str, heard: Heard, probed: bool) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        if heard.replies > 0 {
            (backend.asked, backend.seconds, backend.silent) = (0, 0, None);
            return;
        }
        if let Some(since) = &mut backend.silent {
            *since += 1;
            if *since >= TRIED && !probed {
                (backend.asked, backend.seconds, backend.silent) = (0, 0, None);
            }
            return;
        }
        backend.asked += heard.requests;
        backend.seconds += u32::from(backend.asked > 0);
        if backend.asked >= ASKED && backend.seconds >= SILENT {
            backend.silent = Some(0);
        }
    }

    /// Takes the outcome of a probe.
    pub fn probed(&mut self, name: &str, answered: bool, rule: ProbeRule) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        let down = backend.failing || backend.silent.is_some();
        if answered != down {
            backend.contrary = 0;
            return;
        }
        backend.contrary += 1;
        if backend.contrary >= if down { rule.up_after } else { rule.down_after } {
            *backend = Backend { failing: !down, ..Backend::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: ProbeRule = ProbeRule { down_after: 3, up_after: 2 };

    /// Steps: `COUNT x REQUESTS/REPLIES`, `ok`, `fail`; behind `=>` what the backend is then.
    fn play(probed: bool, lines: &str) {
        let mut backends = Backends::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (told, expected) = line.split_once("=>").expect("a line says what follows");
            for step in told.split(',').map(str::trim) {
                match step {
                    "ok" => backends.probed("a", true, RULE),
                    "fail" => backends.probed("a", false, RULE),
                    seconds => {
                        let (count, heard) = seconds.split_once(" x ").expect("how often");
                        let (requests, replies) = heard.split_once('/').expect("what was heard");
                        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
                        let heard = Heard { requests: number(requests), replies: number(replies) };
                        (0..number(count)).for_each(|_| backends.second("a", heard, probed));
                    }
                }
            }
            assert_eq!(if backends.is_down("a") { "down" } else { "up" }, expected.trim(), "{line}");
        }
    }

    #[test]
    fn ten_requests_and_three_seconds_without_a_reply_are_down() {
        play(
            false,
            "2 x 100/0            => up
             1 x 0/1              => up
             2 x 4/0              => up
             5 x 0/0              => up
             1 x 1/0              => up
             1 x 1/0              => down",
        );
        play(false, "9 x 1/0 => up\n 1 x 1/0 => down");
    }

    #[test]
    fn silence_ends_with_a_reply_or_is_tried_after_half_a_minute() {
        play(
            false,
            "3 x 10/0  => down
             1 x 0/1   => up
             3 x 10/0  => down
             29 x 0/0  => down
             1 x 0/0   => up
             3 x 10/0  => down",
        );
    }

    #[test]
    fn probes_take_down_and_bring_up() {
        play(
            true,
            "fail, fail, ok, fail, fail => up
             fail                       => down
             ok, fail, ok               => down
             ok                         => up",
        );
    }

    #[test]
    fn where_there_are_probes_they_end_silence() {
        play(
            true,
            "3 x 10/0, 60 x 0/0  => down
             ok                  => down
             ok                  => up",
        );
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut backends = Backends::default();
        (0..3).for_each(|_| backends.probed("a", false, RULE));
        backends.keep(|name| name == "b");
        assert!(!backends.is_down("a"));
    }
}
