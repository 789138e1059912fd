//! The same engine with several shards behind one receiver.

use super::*;

const THREE: &str = "service.shards=3";

fn count(diary: &Diary, what: &str) -> usize {
    noted(diary).iter().filter(|note| *note == what).count()
}

#[test]
fn every_shard_is_drained_and_they_end_as_one() {
    let (mut engine, _, diary) = engine(&[THREE]);
    engine.start_receivers().expect("the fake starts");
    let (mut running, ended) = run(engine);
    assert_eq!(running.stop_shards(), 1);
    assert!(matches!(ended.recv(), Ok(Ended::Stopped)));
    assert!(ended.recv().is_err(), "nobody is left to end");
    assert_eq!(["wire started", "dialog drained", "enrich drained"].map(|what| count(&diary, what)), [1, 3, 3]);
}

#[test]
fn a_panic_in_any_shard_is_reported_with_the_component_it_came_from() {
    let (engine, ..) = engine(&[THREE, "processors.enrich.panics=true"]);
    let (_running, ended) = run(engine);
    let Ok(Ended::Panicked { component }) = ended.recv() else { panic!("it panics at once") };
    assert_eq!(component, "enrich");
}

#[test]
fn a_reload_reaches_every_shard_and_names_what_needs_a_restart_once() {
    for frames in ["{}", "{ frames = 3 }"] {
        let (engine, catalogue, diary) = engine(&[THREE, &format!("receivers.wire={frames}")]);
        let (mut running, ended) = run(engine);
        let (reply, replies) = channel();
        let changes = ["processors.dialog={ ports = [7], window = 50, buffer = 1 }", "service.shards=2"];
        let new = configuration(ONE_PIPELINE, &changes, &catalogue);
        let sent = running.reconfigure(&new, move |keys| reply.send(keys).expect("the test waits for it"));
        assert_eq!(sent.expect("the shard takes orders"), (vec!["service.shards".to_owned()], 1));
        assert_eq!(replies.recv().expect("one reply"), ["processors.dialog.buffer"]);
        assert_eq!(count(&diary, "dialog reconfigured ports [7]"), 3);
        assert_eq!(count(&diary, "wire window 50"), 1);
        running.stop_shards();
        assert!(matches!(ended.recv(), Ok(Ended::Stopped)));
    }
}

#[test]
fn what_shards_tell_about_themselves_is_added_up() {
    for running in [false, true] {
        let (mut engine, catalogue, _) = engine(&[THREE]);
        engine.start_receivers().expect("the fake starts");
        let status = Arc::clone(engine.status());
        if running {
            let (mut running, _ended) = run(engine);
            let (reply, replies) = channel();
            let new = configuration(ONE_PIPELINE, &[THREE], &catalogue);
            let sent = running.reconfigure(&new, move |keys| reply.send(keys).expect("the test waits for it"));
            sent.expect("the shard takes orders");
            replies.recv().expect("the status is renewed before the reply");
        }
        let mut numbers = Vec::new();
        status.telemetry(&mut numbers);
        let held: Vec<_> = numbers.iter().filter(|number| number.name == "held").collect();
        let told: Vec<String> = held.iter().map(|n| format!("{:?} {}", n.labels, n.value)).collect();
        assert_eq!(told, [r#"[("processor", "dialog")] 3"#, r#"[("processor", "enrich")] 3"#]);
    }
}
