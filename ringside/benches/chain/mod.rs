//! What both benchmarks of the whole chain share: packets of answered calls in memory, and two ways for them to go
//! from packet to count: through the engine as it is built from a configuration, and stage by stage, called by hand.

mod engine;
mod packets;
mod stages;

pub use engine::Engine;
pub use packets::Packets;
pub use stages::{Stage, Stages};

/// An answered call of seven messages; `@` stands for its number.
pub const CALL: &str = "
    0.000 alice -> bob INVITE sdp ua=\"Yealink SIP-T46S 66.85.0.5\" call=@ branch=z9hG4bK-i@ cseq=1 ftag=f@
    0.001 alice <- bob 100 call=@
    0.100 alice <- bob 180 call=@ tag=t@
    2.000 alice <- bob 200 sdp call=@ tag=t@
    2.010 alice -> bob ACK call=@ branch=z9hG4bK-a@
    9.000 alice -> bob BYE call=@ branch=z9hG4bK-b@ cseq=2 ftag=f@ ttag=t@
    9.010 alice <- bob 200 call=@ of=BYE";

/// Messages of [`CALL`].
pub const MESSAGES: usize = 7;

/// Seconds after which as many calls end and are forgotten as begin: 9 s up, 32 s remembered.
const FULL: u64 = 45;

/// What a small site gives labels to.
const LABELS: &str = r#"
    carriers = [
        { name = "east", cidrs = ["198.51.100.0/24"] },
        { name = "west", cidrs = ["203.0.113.0/24"] },
        { name = "home", cidrs = ["192.0.2.0/24"] },
    ]
    user_agents = [
        { regex = "^Asterisk", label = "asterisk" },
        { regex = "^Grandstream", label = "grandstream" },
        { regex = "^Yealink", label = "yealink" },
    ]
"#;
