//! Made-up traffic is what it says: `ringside replay` finds every call, and each as what it was made.

use std::fs::File;

use integration::exposition::Exposition;
use integration::ringside;
use integration::scratch::Folder;
use integration::traffic::{Held, Kind, Traffic};

fn replayed(traffic: &Traffic, arguments: &[&str]) -> (Exposition, Held) {
    let folder = Folder::new("traffic");
    let mut file = File::create(folder.join("calls.pcap")).expect("a capture");
    let held = traffic.write(&mut file).expect("it can be written");
    let output = ringside::command(&[&["replay", "calls.pcap"], arguments].concat(), folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (Exposition::parse(std::str::from_utf8(&output.stdout).expect("the exposition is UTF-8")), held)
}

#[test]
fn every_made_up_call_is_found_as_what_it_was_made() {
    for shards in ["service.shards=1", "service.shards=3"] {
        let (found, held) = replayed(&Traffic { calls: 5_000, ..Traffic::default() }, &["--set", shards]);
        let of = |kinds: &[Kind]| kinds.iter().map(|kind| held.of(*kind) as f64).sum::<f64>();
        let answered = of(&[Kind::Answered, Kind::Repeated]);
        found.assert([
            ("packets_total", held.messages as f64),
            ("session_attempts_total", 5_000.0 - of(&[Kind::Registered])),
            ("session_outcomes_total{outcome=\"answered\"}", answered),
            ("sessions_ended_total{end=\"bye\"}", answered),
            ("session_outcomes_total{outcome=\"busy\"}", of(&[Kind::Busy])),
            ("session_outcomes_total{outcome=\"no_answer\"}", of(&[Kind::Absent])),
            ("session_outcomes_total{outcome=\"client_error\"}", of(&[Kind::Unknown])),
            ("session_outcomes_total{outcome=\"ineffective\"}", of(&[Kind::Overloaded])),
            ("session_outcomes_total{outcome=\"cancelled\"}", of(&[Kind::Cancelled])),
            ("registration_outcomes_total{outcome=\"success\"}", of(&[Kind::Registered])),
            ("registration_attempts_total", of(&[Kind::Registered])),
            ("retransmissions_total{kind=\"request\"}", of(&[Kind::Repeated])),
            ("retransmissions_total{kind=\"response\"}", 0.0),
            ("parse_errors_total", 0.0),
            ("unmatched_total", 0.0),
            ("anomalies_total", 0.0),
            ("capture_duplicates_total", 0.0),
            ("dialogs", 0.0),
        ]);
    }
}
