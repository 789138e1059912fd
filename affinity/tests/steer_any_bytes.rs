//! Properties of the steering program's scan and model on mutated messages and frames.

#[path = "invariants/steer.rs"]
mod steer;

use proptest::prelude::*;
use steer::check_steer;

const MESSAGE: &[u8] = b"INVITE sip:911@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a:5060;branch=z9hG4bK1\r\nFrom: \"A\" <sip:a@b>;tag=1\r\n\
    To: \"B;tag=x\" <sip:b@example.com;tag=y>;tag=2\r\nCall-ID : one@a\r\n folded\r\ni: two\r\nCSeq: 1 INVITE\r\n\r\nCall-ID: body";

#[test]
fn every_prefix_of_a_message_may_come() {
    (0..=MESSAGE.len()).for_each(|len| check_steer(&MESSAGE[..len]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn mutated_messages_may_come(changes in prop::collection::vec((0..MESSAGE.len(), any::<u8>()), 0..8), len in 0..MESSAGE.len()) {
        let mut message = MESSAGE.to_vec();
        changes.into_iter().for_each(|(at, byte)| message[at] = byte);
        check_steer(&message[..len]);
        check_steer(&message);
    }
}
