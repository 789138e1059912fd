//! The test data of our own making is what is checked in, and `ringside replay` makes of each capture what is expected:
//! its counts, its word to the operator, and of one call the same exposition however it is wrapped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use integration::exposition::{Exposition, Series};
use integration::ringside;
use integration::testdata::{EXPECTED, FOLDERS, made, present, root};
use serde_json::Value;

#[test]
fn what_is_checked_in_is_what_is_made() {
    let made: BTreeMap<_, _> = made().into_iter().map(|file| (file.path, file.bytes)).collect();
    let present = FOLDERS.iter().flat_map(|folder| {
        let names = present(folder).expect("a folder of test data");
        names.into_iter().map(move |name| format!("{folder}/{name}"))
    });
    let differing = made.iter().filter(|(path, bytes)| fs::read(root().join(path)).ok().as_ref() != Some(bytes));
    let differing: BTreeSet<_> = differing.map(|(path, _)| path).collect();
    let unknown: BTreeSet<_> = present.filter(|path| !made.contains_key(path)).collect();
    assert!(
        differing.is_empty() && unknown.is_empty(),
        "missing or changed: {differing:?}; made by nobody: {unknown:?}; `cargo run -p integration --bin testdata` \
         writes them anew"
    );
}

/// What is written down about the captures.
fn expected() -> Value {
    let text = fs::read_to_string(root().join("captures").join(EXPECTED)).expect("expected values");
    serde_json::from_str(&text).expect("JSON")
}

/// Selectors and counts.
fn counts(value: &Value) -> Vec<(String, f64)> {
    let counts = value.as_object().expect("counts").iter();
    counts.map(|(selector, count)| (selector.clone(), count.as_f64().expect("a number"))).collect()
}

/// Replays a capture; what it counts, and what it says.
#[track_caller]
fn replay(name: &str, options: &Value) -> (Exposition, String) {
    let path = format!("captures/{name}");
    let options = options.as_array().into_iter().flatten().map(|option| option.as_str().expect("text"));
    let arguments: Vec<&str> = ["replay", &path].into_iter().chain(options).collect();
    let output = ringside::command(&arguments, &root());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {}: {said}", output.status);
    (Exposition::parse(std::str::from_utf8(&output.stdout).expect("the exposition is UTF-8")), said)
}

/// Every series but the version and those that the capture counts differently, in an order of its own.
fn comparable(scrape: &Exposition, counted: &[(String, f64)]) -> Vec<String> {
    let name = |selector: &str| format!("sip_exporter_{}", selector.split('{').next().unwrap_or_default());
    let excepted: BTreeSet<String> = counted.iter().map(|(selector, _)| name(selector)).collect();
    let is_compared = |series: &&Series| series.name != "sip_exporter_build_info" && !excepted.contains(&series.name);
    let mut lines: Vec<_> = scrape.series().iter().filter(is_compared).map(|series| format!("{series:?}")).collect();
    lines.sort();
    lines
}

fn differences(name: &str, case: &Value, of_the_call: &[(String, f64)], reference: &Exposition) -> Vec<String> {
    let (scrape, said) = replay(name, &case["options"]);
    let counted = counts(&case["counts"]);
    let mut differences = scrape.differences(counted.iter().map(|(selector, count)| (selector, *count)));
    match case["says"].as_str() {
        Some(says) if !said.contains(says) => differences.push(format!("said {said:?}, not {says:?}")),
        // Messages that cannot be read are told besides, where the capture is about them.
        None if !said.is_empty() && !said.contains(" messages could not be read") => {
            differences.push(format!("said {said:?}"));
        }
        _ => {}
    }
    if case["call"] == true {
        differences.extend(scrape.differences(of_the_call.iter().map(|(selector, count)| (selector, *count))));
        let (found, wanted) = (comparable(&scrape, &counted), comparable(reference, &counted));
        let only = |these: &[String], others: &[String], word: &str| -> Vec<String> {
            these.iter().filter(|line| !others.contains(line)).map(|line| format!("{word} {line}")).collect()
        };
        differences.extend(only(&found, &wanted, "has"));
        differences.extend(only(&wanted, &found, "lacks"));
    }
    differences.into_iter().map(|difference| format!("{name}: {difference}")).collect()
}

#[test]
fn every_capture_counts_what_it_holds_and_the_call_is_the_same_in_every_wrapping() {
    let expected = expected();
    let (reference, _) = replay(expected["reference"].as_str().expect("a name"), &Value::Null);
    let of_the_call = counts(&expected["call"]);
    let captures = expected["captures"].as_object().expect("captures");
    let found = captures.iter().flat_map(|(name, case)| differences(name, case, &of_the_call, &reference));
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(captures.len() > 100, "only {} captures are listed", captures.len());
}
