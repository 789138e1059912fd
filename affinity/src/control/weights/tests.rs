//! Weights told second by second: what each backend was asked and how it answered, and what is left of its weight.

use super::*;

/// A service whose backends all weigh 100, with a target of 200 ms.
#[derive(Default)]
struct Play {
    weights: Weights,
    changes: Vec<Change>,
}

impl Play {
    /// A line each: `COUNT x NAME INVITEs@median[!503s][-silent] ... => NAME=thousandths ...`. Who is not told of is asked
    /// nothing. Every line tells all backends there are.
    #[track_caller]
    fn play(&mut self, lines: &str) -> &mut Self {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (told, expected) = line.split_once("=>").expect("a line says what follows");
            let (count, told) = told.split_once(" x ").expect("how often");
            let words: Vec<&str> = told.split_whitespace().collect();
            let samples: Vec<(&str, Sample)> = words.chunks(2).map(|pair| (pair[0], sample(pair[1]))).collect();
            for _ in 0..count.trim().parse::<usize>().expect("a number") {
                let observed: Vec<Observed<'_>> =
                    samples.iter().map(|(name, sample)| Observed { name, weight: 100, sample: *sample }).collect();
                self.changes.extend(self.weights.tick(Duration::from_millis(200), &observed));
            }
            for word in expected.split_whitespace() {
                let (name, factor) = word.split_once('=').expect("name and factor");
                assert_eq!(self.weights.factor(name).to_string(), factor, "{name} after {line}");
            }
        }
        self
    }
}

fn sample(text: &str) -> Sample {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let (text, silent) = text.split_once('-').map_or((text, 0), |(text, silent)| (text, number(silent)));
    let (text, unavailable) = text.split_once('!').map_or((text, 0), |(text, some)| (text, number(some)));
    let (invites, median) = text.split_once('@').expect("INVITEs and their delay");
    let mut sample = Sample { invites: number(invites), unavailable, ..Sample::default() };
    let answered = sample.invites - silent;
    (0..answered).for_each(|_| sample.delays.record(Duration::from_millis(number(median))));
    sample
}

#[test]
fn three_late_ticks_later_than_the_others_take_a_fifth_and_every_further_one_again() {
    Play::default().play(
        "2 x a 50@300 b 50@100 c 50@100 => a=1000
         1 x a 50@300 b 50@100 c 50@100 => a=800 b=1000
         1 x a 50@300 b 50@100 c 50@100 => a=640
         1 x a 50@300 b 50@100 c 50@100 => a=512",
    );
}

#[test]
fn a_tick_in_time_begins_the_count_anew() {
    Play::default().play(
        "2 x a 50@300 b 50@100 => a=1000
         1 x a 50@180 b 50@100 => a=1000
         2 x a 50@300 b 50@100 => a=1000
         1 x a 50@300 b 50@100 => a=800",
    );
}

#[test]
fn one_as_late_as_the_others_keeps_its_weight() {
    Play::default().play("20 x a 50@300 b 50@250 c 50@240 => a=1000 b=1000 c=1000");
}

#[test]
fn a_backend_alone_keeps_its_weight() {
    Play::default().play("20 x a 50@900!40 => a=1000");
}

#[test]
fn more_than_one_refusal_in_twenty_reduces_at_once() {
    Play::default().play(
        "5 x a 100@100!5 b 100@100 => a=1000
         1 x a 100@100!6 b 100@100 => a=800
         1 x a 100@100!6 b 100@100 => a=640",
    );
}

#[test]
fn silence_counts_over_ten_seconds() {
    Play::default().play(
        "9  x a 100@100-6 b 100@100 => a=1000
         1  x a 100@100-6 b 100@100 => a=800",
    );
    // Those of a burst that are answered in the next second are not silent.
    Play::default().play(
        "9  x a 100@100   b 100@100 => a=1000
         1  x a 100@100-40 b 100@100 => a=1000",
    );
}

#[test]
fn a_quarter_is_left_whatever_happens() {
    Play::default().play("60 x a 50@900!50 b 50@100 => a=250 b=1000");
}

#[test]
fn half_of_the_backends_at_most_are_reduced_the_worst_first() {
    Play::default().play("4 x a 50@100!10 b 50@100!30 c 50@100!20 d 50@100 => b=409 c=409 a=1000 d=1000");
    Play::default().play("4 x a 50@100!10 b 50@100!30 c 50@100 => b=409 a=1000 c=1000");
}

#[test]
fn five_good_ticks_give_a_twentieth_back_each_tick() {
    Play::default().play(
        "4 x a 50@300 b 50@100 => a=640
         4 x a 50@150 b 50@100 => a=640
         1 x a 50@150 b 50@100 => a=690
         1 x a 50@150 b 50@100 => a=740
         1 x a 50@180 b 50@100 => a=740
         4 x a 50@150 b 50@100 => a=740
         9 x a 50@150 b 50@100 => a=1000",
    );
}

#[test]
fn few_calls_join_and_half_a_minute_without_enough_counts_as_good() {
    Play::default().play(
        "3  x a 10@300 b 50@100 => a=1000
         3  x a 10@300 b 50@100 => a=800
         29 x a 0@0     b 50@100 => a=800
         4  x a 0@0     b 50@100 => a=800
         1  x a 0@0     b 50@100 => a=850
         3  x a 0@0     b 50@100 => a=1000",
    );
}

#[test]
fn every_change_is_told_with_its_reason() {
    let mut play = Play::default();
    play.play("3 x a 50@300 b 50@100 => a=800\n 1 x a 50@100!10 b 50@100 => a=640\n 5 x a 50@100 b 50@100 => a=690");
    let told: Vec<String> = play
        .changes
        .iter()
        .map(|change| format!("{} {}>{} {}", change.backend, change.from, change.to, change.reason.as_str()))
        .collect();
    assert_eq!(told, ["a 1000>800 delay", "a 800>640 errors", "a 640>690 recovered"]);
}

#[test]
fn no_tick_moves_more_than_a_tenth_of_the_slots() {
    let names: Vec<String> = (0..6).map(|number| format!("sbc-{number}")).collect();
    let weighted = |weights: &Weights| {
        Maglev::weighted(&names.iter().map(|name| (name, 100 * weights.factor(name))).collect::<Vec<_>>())
    };
    let (bad, good) = (sample("50@100!30"), sample("50@100"));
    let mut weights = Weights::default();
    for _ in 0..40 {
        let before = weighted(&weights);
        let observed: Vec<Observed<'_>> = names
            .iter()
            .enumerate()
            .map(|(place, name)| Observed { name, weight: 100, sample: if place < 3 { bad } else { good } })
            .collect();
        weights.tick(Duration::from_millis(200), &observed);
        let moved = weighted(&weights).moved(&before);
        assert!(moved <= usize::from(SLOTS) / 10, "{moved} slots moved");
    }
    assert!(names[..3].iter().all(|name| weights.factor(name) == FLOOR), "it arrives all the same");
}

#[test]
fn a_backend_that_left_and_comes_back_has_its_whole_weight() {
    let mut play = Play::default();
    play.play("3 x a 50@300 b 50@100 => a=800\n 1 x b 50@100 => b=1000\n 1 x a 50@300 b 50@100 => a=1000");
}
