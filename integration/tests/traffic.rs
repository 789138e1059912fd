//! Made-up traffic is what it says: `ringside replay` finds every call, and each as what it was made.

use std::fs::File;

use integration::exposition::Exposition;
use integration::ringside;
use integration::scratch::Folder;
use integration::traffic::{Held, Traffic};

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
        found.assert(held.expectations());
    }
}
