//! One call: what happens in it and when, from its number and the seed alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ladder::Step;

use super::message::{Body, Message};
use super::{Mix, Traffic};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answered, hung up by the caller: 7 messages.
    Answered,
    /// The same after the INVITE was sent twice: 8 messages.
    Repeated,
    /// 486: 5 messages.
    Busy,
    /// 480: 5 messages.
    Absent,
    /// 404: 4 messages.
    Unknown,
    /// 503: 4 messages.
    Overloaded,
    /// CANCEL while it rings: 7 messages.
    Cancelled,
    /// A registration after a challenge: 4 messages.
    Registered,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Repeated,
        Self::Busy,
        Self::Absent,
        Self::Unknown,
        Self::Overloaded,
        Self::Cancelled,
        Self::Registered,
    ];

    /// Of a hundred everyday calls so many, in the order of [`Kind::ALL`].
    const SHARES: [u64; Self::ALL.len()] = [70, 2, 4, 4, 2, 4, 4, 10];

    /// Which a number below 100 stands for.
    fn drawn(mut number: u64) -> Self {
        for (kind, share) in Self::ALL.into_iter().zip(Self::SHARES) {
            match number.checked_sub(share) {
                None => return kind,
                Some(rest) => number = rest,
            }
        }
        unreachable!("the shares are a hundred")
    }

    /// Its messages: milliseconds after the one before (`None`: the length of the call), then what is sent.
    const fn messages(self) -> &'static [(Option<u64>, What)] {
        use What::{Again, From, To};
        const INVITE: (Option<u64>, What) = (Some(0), To("INVITE", 1, Body::Offer));
        const TRYING: (Option<u64>, What) = (Some(2), From(100, "INVITE", 1, Body::None));
        const RINGING: (Option<u64>, What) = (Some(120), From(180, "INVITE", 1, Body::None));
        const ANSWER: (Option<u64>, What) = (Some(3_000), From(200, "INVITE", 1, Body::Answer));
        const ACK: (Option<u64>, What) = (Some(30), To("ACK", 1, Body::None));
        const BYE: (Option<u64>, What) = (None, To("BYE", 2, Body::None));
        const GONE: (Option<u64>, What) = (Some(15), From(200, "BYE", 2, Body::None));
        const fn refused(after: u64, status: u16) -> (Option<u64>, What) {
            (Some(after), From(status, "INVITE", 1, Body::None))
        }
        match self {
            Self::Answered => &[INVITE, TRYING, RINGING, ANSWER, ACK, BYE, GONE],
            Self::Repeated => &[INVITE, (Some(500), Again), TRYING, RINGING, ANSWER, ACK, BYE, GONE],
            Self::Busy => &[INVITE, TRYING, RINGING, const { refused(900, 486) }, ACK],
            Self::Absent => &[INVITE, TRYING, RINGING, const { refused(20_000, 480) }, ACK],
            Self::Unknown => &[INVITE, TRYING, const { refused(40, 404) }, ACK],
            Self::Overloaded => &[INVITE, TRYING, const { refused(5, 503) }, ACK],
            Self::Cancelled => &[
                INVITE,
                TRYING,
                RINGING,
                (Some(6_000), To("CANCEL", 1, Body::None)),
                (Some(3), From(200, "CANCEL", 1, Body::None)),
                const { refused(4, 487) },
                ACK,
            ],
            Self::Registered => &[
                (Some(0), To("REGISTER", 1, Body::None)),
                (Some(4), From(401, "REGISTER", 1, Body::None)),
                (Some(20), To("REGISTER", 2, Body::None)),
                (Some(6), From(200, "REGISTER", 2, Body::None)),
            ],
        }
    }

    /// How many messages it has.
    pub const fn message_count(self) -> u64 {
        self.messages().len() as u64
    }
}

/// One message.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A request, with its CSeq.
    To(&'static str, u32, Body),
    /// A response to a method and CSeq.
    From(u16, &'static str, u32, Body),
    /// The message before once more.
    Again,
}

/// A call as it will be.
pub(super) struct Plan {
    pub(super) kind: Kind,
    number: u64,
    seed: u64,
    dice: u64,
    talk: Duration,
}

/// Callers are behind so many carriers, and have so many user agents.
const CARRIERS: u64 = 4;
const USER_AGENTS: [&str; 6] = [
    "Yealink SIP-T46S 66.85.0.5",
    "Grandstream GXP2140 1.0.11.48",
    "Asterisk PBX 20.5.0",
    "FPBX-16.0.40(18.20.0)",
    "Cisco-CP8841/14.2.1",
    "PolycomVVX-VVX_410-UA/6.4.3.5814",
];

impl Plan {
    pub(super) fn of(traffic: &Traffic, number: u64) -> Self {
        let dice = mixed(traffic.seed ^ mixed(number));
        let kind = match traffic.mix {
            Mix::Answered => Kind::Answered,
            Mix::Everyday => Kind::drawn(dice % 100),
        };
        let nanos = traffic.talk.as_nanos() as u64;
        let talk = Duration::from_nanos(nanos / 2 + (dice >> 32) % nanos.max(1));
        Self { kind, number, seed: traffic.seed, dice, talk }
    }

    /// How long after the message before it a message comes; `None` when there is none.
    pub(super) fn pause_before(&self, index: usize) -> Option<Duration> {
        let (pause, _) = self.kind.messages().get(index)?;
        Some(pause.map_or(self.talk, Duration::from_millis))
    }

    /// A message as it goes over the wire.
    pub(super) fn step(&self, at: Duration, index: usize) -> Step {
        let (caller, callee) = self.addresses();
        let message = Message {
            call: self.number,
            seed: self.seed,
            dice: self.dice,
            caller,
            callee,
            user_agent: USER_AGENTS[(self.dice >> 16) as usize % USER_AGENTS.len()],
        };
        let messages = self.kind.messages();
        let (_, what) = messages[index];
        let what = if let What::Again = what { messages[index - 1].1 } else { what };
        match what {
            What::To(method, cseq, body) => {
                let confirmed = index > 1 && method != "REGISTER";
                let failed = matches!(messages[index.saturating_sub(1)].1, What::From(300.., ..));
                let own = method != "CANCEL" && (method != "ACK" || !failed);
                let bytes = message.request(method, cseq, confirmed && method != "CANCEL", own, body);
                Step { at, source: caller, destination: callee, bytes }
            }
            What::From(status, method, cseq, body) => {
                Step { at, source: callee, destination: caller, bytes: message.response(status, method, cseq, body) }
            }
            What::Again => unreachable!("nothing is repeated twice"),
        }
    }

    /// Caller and callee.
    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        let address = |net: u8, host: u64| {
            let [.., a, b] = host.to_be_bytes();
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, net, a, b.max(1))), 5060)
        };
        let carrier = (self.dice >> 8) % CARRIERS;
        (address(1 + carrier as u8, (self.dice >> 24) % 1_000), address(100, (self.dice >> 40) % 8))
    }
}

/// SplitMix64: every bit of the number changes half of the result.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
