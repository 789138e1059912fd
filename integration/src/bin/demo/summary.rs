//! The metrics of the demonstration as a page people can read: a scrape in, text on standard output.

use integration::exposition::Exposition;
use integration::sipp::Counts;

/// Ratios under their bare name and their strict one.
const RATIOS: [(&str, &str, &str); 6] = [
    ("ser", "ser_rfc6076", "session establishment"),
    ("seer", "seer_rfc6076", "session establishment effectiveness"),
    ("isa", "isa_rfc6076", "ineffective session attempts"),
    ("scr", "scr_rfc6076", "session completion"),
    ("asr", "asr_e425", "answer seizure"),
    ("ner", "ner_e425", "network effectiveness"),
];

/// Histograms, their unit, and what they measure.
const DELAYS: [(&str, &str, &str); 6] = [
    ("ttr", "ms", "to the first provisional response"),
    ("pdd", "ms", "to ringing"),
    ("rrd", "ms", "registration"),
    ("answer_delay_seconds", "s", "to the answer"),
    ("ring_seconds", "s", "ringing"),
    ("sdt_seconds", "s", "session"),
];

/// Prints outcomes, ratios and delays, and what SIPp counted beside what was captured.
pub fn print(scrape: &Exposition, counts: &Counts) {
    println!("\nmessages: {} sent by SIPp, {} counted", counts.packets(), scrape.count("packets_total"));
    println!("\ncalls attempted {:>14}", scrape.count("session_attempts_total"));
    let outcomes = scrape.series().iter().filter(|series| series.name == "sip_exporter_session_outcomes_total");
    for series in outcomes.filter(|series| series.value > 0.0) {
        println!("  {:20} {:>7}", series.labels["outcome"], series.value);
    }
    println!("registrations active {:>9}", scrape.count("registrations_active"));

    println!("\nratio, percent{:>31} {:>9}", "usual", "strict");
    for (usual, strict, meaning) in RATIOS {
        let percent = |name| scrape.value(name).unwrap_or(f64::NAN);
        println!("  {:5} {meaning:36} {:6.1} {:>9.1}", usual.to_uppercase(), percent(usual), percent(strict));
    }

    println!("\nmean time");
    for (name, unit, meaning) in DELAYS {
        let part = |part| scrape.value(&format!("{name}_{part}")).unwrap_or(0.0);
        println!("  {meaning:42} {:8.2} {unit}", part("sum") / part("count"));
    }
}
