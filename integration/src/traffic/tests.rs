use super::*;

fn made(traffic: Traffic) -> (Vec<u8>, Held) {
    let mut file = Vec::new();
    let held = traffic.write(&mut file).expect("memory takes everything");
    (file, held)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let traffic = Traffic { calls: 300, ..Traffic::default() };
    let (file, held) = made(traffic);
    assert!(made(traffic) == (file.clone(), held), "the bytes differ");
    assert!(made(Traffic { seed: 2, ..traffic }).0 != file, "the bytes are the same");
}

#[test]
fn time_never_runs_back_and_every_message_is_counted() {
    let traffic = Traffic { calls: 2_000, ..Traffic::default() };
    let mut last = Duration::ZERO;
    let mut count = 0;
    let held = traffic.each(|step, number| {
        assert!(step.at >= last, "message {number}");
        assert_eq!(number, count);
        (last, count) = (step.at, count + 1);
        Ok(())
    });
    let held = held.expect("nothing errs");
    assert_eq!(held.messages, count);
    assert_eq!(held.calls.iter().sum::<u64>(), 2_000);
    assert_eq!(held.messages, Kind::ALL.iter().map(|kind| held.of(*kind) * kind.message_count()).sum::<u64>());
    assert!(Kind::ALL.iter().all(|kind| held.of(*kind) > 0), "{held:?}");
}
