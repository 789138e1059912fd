//! The vectors of the metrics specification, each by `ringside replay --format json`: every series compared with the
//! expected one (`sip-metrics.md` §7).

mod compare;
mod media;
mod unmet;
mod vector;

use integration::ringside;
use integration::scratch::Folder;
use serde_json::Value;

use compare::{differences_from_complete, differences_from_expected};
use vector::Vector;

/// Every series after the last packet.
#[track_caller]
fn replay(vector: &Vector) -> Vec<Value> {
    replay_with_calls(vector).0
}

/// Every series after the last packet, and every call.
#[track_caller]
fn replay_with_calls(vector: &Vector) -> (Vec<Value>, Vec<Value>) {
    let folder = Folder::new("vector");
    std::fs::write(folder.join("pipeline.toml"), vector.configuration()).expect("a configuration");
    let capture = vector.capture.display().to_string();
    let arguments = ["replay", "--config", "pipeline.toml", "--format", "json", "--calls", "calls", &capture];
    let output = ringside::command(&arguments, folder.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}: {said}", vector.id, output.status);
    let calls = std::fs::read_to_string(folder.join("calls")).expect("replay writes calls");
    let calls = calls.lines().map(|line| serde_json::from_str(line).expect("replay writes JSON")).collect();
    (serde_json::from_slice(&output.stdout).expect("replay writes JSON"), calls)
}

/// Replays one vector of `public-vectors/` and compares all that its file says.
#[track_caller]
fn check(id: &str) {
    let vector = Vector::load("public-vectors", id);
    let series = replay(&vector);
    let mut differences = differences_from_expected(&series, &vector.expected);
    let complete = vector.complete.expect("all series are listed");
    differences.extend(differences_from_complete(&series, &complete));
    assert!(differences.is_empty(), "{id} {}\n  {}", vector.title, differences.join("\n  "));
}

/// Compares all vectors of a folder. Those that `unmet` lists have to differ.
#[track_caller]
fn check_all(folder: &str, unmet: &[&str], differences: impl Fn(&Vector, &[Value]) -> Vec<String>) {
    let vectors = Vector::all(folder);
    assert!(!vectors.is_empty());
    let is_vector = |id: &&str| vectors.iter().any(|vector| vector.id == *id);
    assert_eq!(unmet.iter().copied().find(|id| !is_vector(id)), None, "is listed as not met, but is not in {folder}");
    let found = vectors.iter().map(|vector| {
        let mut differences = differences(vector, &replay(vector));
        if !differences.is_empty() {
            differences.insert(0, vector.title.clone());
        }
        (vector.id.clone(), differences)
    });
    let wrong = corpus::unexpected(unmet, found);
    assert!(wrong.is_empty(), "{folder} (tests/vectors/unmet.rs)\n{}", wrong.join("\n"));
}

#[test]
fn public_cases_come_to_what_is_expected_of_them() {
    check_all("public-cases", unmet::PUBLIC_CASES, |case, series| differences_from_expected(series, &case.expected));
}

/// Whole: what was worked by hand, every series of SIP, and the media of every call.
#[test]
fn calls_with_media_come_to_what_is_expected_of_them() {
    let vectors = Vector::all("media-vectors");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let (series, calls) = replay_with_calls(&vector);
        let mut differences = differences_from_expected(&series, &vector.expected);
        let unlisted = |name: &str| unmet::UNLISTED.contains(&(vector.id.as_str(), name));
        let is_listed =
            |series: &&Value| series["name"].as_str().is_some_and(|name| !media::is_media(name) && !unlisted(name));
        let sip: Vec<Value> = series.iter().filter(is_listed).cloned().collect();
        differences.extend(differences_from_complete(&sip, vector.complete.as_deref().expect("all series are listed")));
        differences.extend(media::differences(&calls, &vector.media));
        assert!(differences.is_empty(), "{} {}\n  {}", vector.id, vector.title, differences.join("\n  "));
        for (_, name) in unmet::UNLISTED.iter().filter(|(id, _)| *id == vector.id) {
            assert!(series.iter().any(|series| series["name"] == *name), "{} is not there any more: {name}", vector.id);
        }
    }
}

macro_rules! vectors {
    ($($name:ident $id:literal;)*) => { $(#[test] fn $name() { check($id); })* };
}

vectors! {
    p01_plain_completed_call "P01";
    p02_busy "P02";
    p03_server_error "P03";
    p04_redirect_and_answered_elsewhere "P04";
    p05_registration_without_challenge "P05";
    p06_registration_redirected "P06";
    p07_options_ping "P07";
    p08_one_retransmitted_invite "P08";
    p09_call_still_up_at_the_end "P09";
    p10_two_carriers "P10";
    p11_cancelled_while_ringing "P11";
    p12_one_proxy_two_hops "P12";
    p13_challenged_then_declined "P13";
    p14_rings_for_ever "P14";
    p15_only_the_leg_below_a_proxy "P15";
    p16_session_timer_dropped "P16";
    p17_capture_starts_in_mid_call "P17";
    p18_tcp_split_and_pipelined "P18";
    p19_ipv6_in_two_fragments "P19";
    p20_registration_challenged_refreshed_expired "P20";
    p21_late_200_after_a_failure "P21";
}
