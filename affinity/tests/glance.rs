//! Properties of a glance on mutated messages: whatever the bytes, what it says lies within them and within its bounds.

mod invariants;

use invariants::check_glance;
use proptest::prelude::*;

const MESSAGE: &[u8] = b"INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a:5060;branch=z9hG4bK1;rport, SIP/2.0/UDP b\r\n\
    From: \"A\" <sip:a@b>;tag=1\r\nTo: \"B;tag=x\" <sip:b@example.com;tag=y>;tag=2\r\nCall-ID : one@a\r\n folded\r\ni: two\r\n\
    CSeq: 1 INVITE\r\n\r\nCall-ID: body";

#[test]
fn every_prefix_of_a_message_may_be_looked_at() {
    (0..=MESSAGE.len()).for_each(|len| check_glance(&MESSAGE[..len]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn mutated_messages_may_come(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b" \t\r\n:;,=<>\"\\aiItTvV\0\xff".to_vec())), 0..12),
        repeat in 1usize..12,
    ) {
        let mut bytes = MESSAGE.to_vec();
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        check_glance(&bytes.repeat(repeat));
    }
}
