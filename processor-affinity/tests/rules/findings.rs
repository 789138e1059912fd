//! A finding each, by the table of `steering.md` 2, and what is none.

use crate::scene::{LISTED, Scene, stated};

/// A call that pod1 takes, up since 0.2 s.
const CALL: &str = "
    0.000 client -> vip INVITE => pod1
    0.010 client <- vip 100 <= pod1
    0.200 client <- vip 200 tag=b <= pod1
    0.210 client -> vip ACK => pod1
";

fn with(rest: &str) -> Vec<String> {
    stated(&format!("{CALL}{rest}"))
}

#[test]
fn a_call_that_stays_where_it_began_is_placed_and_nothing_else() {
    let rest = "60.0 client -> vip BYE => pod1\n60.1 client <- vip 200 <= pod1";
    assert_eq!(with(rest), ["placed sbc/pod1"]);
    assert_eq!(with("110.0 client -> vip INVITE => pod1\n110.1 client <- vip 200 tag=b <= pod1"), ["placed sbc/pod1"]);
}

#[test]
fn a_request_from_another_port_moves_the_dialog_for_that() {
    let rest = "30.0 moved -> vip BYE ttag=b => pod2\n30.1 moved <- vip 481 of=BYE <= pod2";
    assert_eq!(with(rest), ["placed sbc/pod1", "moved sbc source_port", "failed sbc"]);
    let lucky = "30.0 moved -> vip BYE ttag=b => pod1\n30.1 moved <- vip 200 of=BYE <= pod1";
    assert_eq!(with(lucky), ["placed sbc/pod1"]);
}

#[test]
fn a_request_after_a_silence_longer_than_conntrack_moves_the_dialog_for_that() {
    let rest = |at: f64| format!("{at:.3} client -> vip BYE => pod2\n{:.3} client <- vip 481 of=BYE <= pod2", at + 0.1);
    // The flow was heard last at 0.2101, when the ACK was seen behind the translation.
    assert_eq!(with(&rest(120.211)), ["placed sbc/pod1", "moved sbc idle", "failed sbc"]);
    assert_eq!(with(&rest(120.209)), ["placed sbc/pod1", "moved sbc other", "failed sbc"]);
}

#[test]
fn a_backend_that_is_asked_and_silent_for_ten_seconds_is_gone() {
    let rest = |later: f64| {
        format!(
            "20.0 client -> vip INFO => pod1\n{later:.3} client -> vip BYE => pod2\n{:.3} client <- vip 481 of=BYE <= pod2",
            later + 0.1
        )
    };
    assert_eq!(with(&rest(30.2)), ["placed sbc/pod1", "moved sbc backend_gone", "failed sbc"]);
    // Nothing asked it for an answer.
    let silent = "30.0 client -> vip BYE => pod2\n30.1 client <- vip 481 of=BYE <= pod2";
    assert_eq!(with(silent), ["placed sbc/pod1", "moved sbc other", "failed sbc"]);
}

#[test]
fn an_invite_repeated_after_a_challenge_moves_for_that_whatever_else_fits() {
    let text = "
        0.00 client -> vip INVITE => pod1
        0.01 client <- vip 407 tag=c <= pod1
        0.02 client -> vip ACK => pod1
        0.03 moved -> vip INVITE cseq=2 branch=z9hG4bKnew => pod2
        0.04 moved <- vip 407 of=INVITE tag=d <= pod2";
    assert_eq!(stated(text), ["placed sbc/pod1", "moved sbc auth_retry"]);
    // A new attempt of the same caller without a challenge is none of its requests.
    let again = "
        0.00 client -> vip INVITE => pod1
        0.01 client <- vip 503 tag=c <= pod1
        0.02 client -> vip ACK => pod1
        0.03 client -> vip INVITE cseq=2 branch=z9hG4bKnew => pod2
        0.04 client <- vip 486 of=INVITE tag=d <= pod2";
    assert_eq!(stated(again), ["placed sbc/pod1"]);
}

#[test]
fn a_retransmission_that_another_backend_gets_moves_the_dialog() {
    let rest =
        "20.0 client -> vip BYE => pod1\n31.5 client -> vip BYE again => pod2\n31.6 client <- vip 481 of=BYE <= pod2";
    assert_eq!(with(rest), ["placed sbc/pod1", "moved sbc backend_gone", "failed sbc"]);
}

#[test]
fn a_dialog_moves_and_fails_once() {
    let rest = "
        30.0 moved -> vip INFO ttag=b => pod2
        30.1 moved <- vip 481 of=INFO <= pod2
        40.0 client -> vip BYE => pod3
        40.1 client <- vip 481 of=BYE <= pod3";
    assert_eq!(with(rest), ["placed sbc/pod1", "moved sbc source_port", "failed sbc"]);
}

#[test]
fn without_a_translation_in_sight_the_first_answer_shows_the_backend() {
    let behind = "
        0.00 client -> vip INVITE
        0.01 client <- vip 100 <= pod2";
    assert_eq!(stated(behind), ["placed sbc/pod2"]);
    let before = "
        0.00 client -> vip INVITE
        0.01 client <- vip 100
        0.20 client <- vip 200 tag=b
        0.21 client -> vip ACK";
    assert_eq!(stated(before), ["unknown sbc", "unknown sbc"]);
}

#[test]
fn a_response_to_another_port_than_asked_for_is_off_port_once() {
    // Where the ladder cannot write rport, the bytes are changed.
    let mut scene = Scene::new(LISTED);
    let mut steps = crate::scene::steps(
        "0.00 moved -> vip INVITE => pod1
         0.10 moved <- vip 180 tag=b <= pod1
         0.20 moved <- vip 200 tag=b <= pod1",
    );
    for step in &mut steps {
        let text = String::from_utf8(step.bytes.clone()).expect("text");
        step.bytes = text.replacen(";branch=", ";rport;branch=", 1).into_bytes();
        if step.destination == "192.0.2.10:40000".parse().expect("an address") {
            step.destination.set_port(5060);
        }
    }
    scene.take(&steps);
    scene.settle();
    assert_eq!(scene.stated, ["placed sbc/pod1", "off_port sbc"]);
}

#[test]
fn a_response_that_goes_back_through_a_second_translation_is_not_off_port() {
    let mut scene = Scene::new(LISTED);
    let text = "
        0.00 client -> vip INVITE
        0.0001 node -> pod1 INVITE copy
        0.10 client <- vip 180 tag=b
        0.0999 node <- pod1 180 copy";
    let mut steps = crate::scene::steps(text);
    for step in &mut steps {
        let text = String::from_utf8(step.bytes.clone()).expect("text");
        step.bytes = text.replacen(";branch=", ";rport;branch=", 1).into_bytes();
    }
    scene.take(&steps);
    scene.settle();
    assert_eq!(scene.stated, ["placed sbc/pod1"]);
}

#[test]
fn a_response_from_elsewhere_is_untranslated_where_the_service_is_a_source_too() {
    let other = "
        0.000 other -> vip OPTIONS call=o => pod2
        0.010 other <- vip 200 call=o <= pod2
        0.100 client -> vip INVITE => pod1
        0.200 client <- pod1 200 of=INVITE tag=b copy";
    // The ladder has no response to copy there: it is written as one of the service that is not seen itself.
    let text = other.replace("client <- pod1 200 of=INVITE tag=b copy", "client <- vip 200 tag=b <= pod1");
    let mut steps = crate::scene::steps(&text);
    let own = "10.96.0.60:5060".parse().expect("an address");
    let last = steps.iter().rposition(|step| step.source == own).expect("it is there");
    steps.remove(last);
    let mut scene = Scene::new(LISTED);
    scene.take(&steps);
    scene.settle();
    assert_eq!(scene.stated, ["placed sbc/pod1", "untranslated sbc"]);
    // Where the service never is a source, the tap is behind the translation.
    steps.retain(|step| step.source != own);
    let mut behind = Scene::new(LISTED);
    behind.take(&steps);
    behind.settle();
    assert_eq!(behind.stated, ["placed sbc/pod1"]);
}

#[test]
fn a_request_within_a_dialog_sent_straight_to_a_backend_passes_the_service_by() {
    let rest = "30.0 client -> pod1 BYE ttag=b\n30.6 client -> pod1 BYE again\n30.7 client <- pod1 200 of=BYE";
    assert_eq!(with(rest), ["placed sbc/pod1", "bypass sbc"]);
    // A capture behind the translation alone shows every request so.
    assert_eq!(
        stated("0.0 client -> pod1 INVITE\n0.1 client <- pod1 200 tag=b\n0.2 client -> pod1 BYE"),
        Vec::<String>::new()
    );
}

/// So many calls, a second apart, of which `pod` says where each goes.
fn calls(count: u32, pod: impl Fn(u32) -> u32) -> String {
    let call = |number: u32| {
        let pod = pod(number);
        format!(
            "{number}.0 client -> vip INVITE call=c{number} => pod{pod}\n{number}.1 client <- vip 486 call=c{number} <= pod{pod}\n"
        )
    };
    (1..=count).map(call).collect()
}

fn pinned(text: &str) -> Vec<String> {
    stated(text).into_iter().filter(|fact| fact.starts_with("pinned")).collect()
}

#[test]
fn a_client_with_a_hundred_calls_on_one_backend_is_pinned_where_another_answers() {
    let other = "0.5 other -> vip INVITE call=o => pod2\n0.6 other <- vip 486 call=o <= pod2\n";
    assert_eq!(pinned(&format!("{other}{}", calls(100, |_| 1))), ["pinned sbc +1"]);
    assert_eq!(pinned(&format!("{other}{}", calls(99, |_| 1))), Vec::<String>::new());
    assert_eq!(pinned(&calls(100, |_| 1)), Vec::<String>::new(), "nobody else answered anything");
    assert_eq!(pinned(&calls(100, |number| 1 + u32::from(number % 10 == 5))), ["pinned sbc +1"], "nine of ten");
    assert_eq!(pinned(&calls(109, |number| 1 + u32::from(number % 9 == 5))), Vec::<String>::new());
}

#[test]
fn a_flow_is_free_again_once_its_calls_are_out_of_the_window() {
    let mut scene = Scene::new(LISTED);
    scene.play(&format!(
        "0.5 other -> vip INVITE call=o => pod2\n0.6 other <- vip 486 call=o <= pod2\n{}",
        calls(120, |_| 1)
    ));
    scene.pass(400);
    assert!(scene.stated.iter().any(|fact| fact == "pinned sbc +1"));
    assert!(!scene.stated.iter().any(|fact| fact == "pinned sbc -1"));
    scene.pass(300);
    assert_eq!(scene.stated.last().map(String::as_str), Some("pinned sbc -1"));
    let report = scene.report();
    let trunk = &report.services[0].pinned_trunks[0];
    assert_eq!((trunk.calls, trunk.to_backend, trunk.backend), (120, 120, 0));
}

#[test]
fn records_of_calls_are_told_where_each_went() {
    let mut scene = Scene::new(LISTED);
    scene.play(&format!("{CALL}30.0 moved -> vip BYE ttag=b => pod2"));
    let told: Vec<_> =
        scene.steered.iter().map(|steer| (&*steer.service, steer.backend.as_deref(), steer.moved)).collect();
    assert_eq!(told, [("sbc", None, false), ("sbc", Some("pod1"), false), ("sbc", Some("pod1"), true)]);
}

#[test]
fn over_ipv6_it_is_the_same() {
    let mut steps = crate::scene::steps(&format!(
        "{CALL}30.0 moved -> vip BYE ttag=b => pod2\n30.1 moved <- vip 481 of=BYE <= pod2"
    ));
    for step in &mut steps {
        for address in [&mut step.source, &mut step.destination] {
            let text = match address.ip().to_string().as_str() {
                "10.96.0.60" => "2001:db8:96::60",
                "10.244.1.11" => "2001:db8:244::11",
                "10.244.1.12" => "2001:db8:244::12",
                _ => "2001:db8:1::10",
            };
            address.set_ip(text.parse().expect("an address"));
        }
    }
    let mut scene = Scene::new(LISTED);
    scene.take(&steps);
    assert_eq!(scene.stated, ["placed sbc/pod1", "moved sbc source_port", "failed sbc"]);
}
