//! Rules: what user space resolved "the first that fits" into. The program in the kernel looks once into a table.
//!
//! What must hold is for the compiler of the table to see to: no rule with a method or a limit stands where ACK, BYE, CANCEL,
//! PRACK or a response looks, and `pass` goes by network alone, since it would split dialogs.

use std::fmt;
use std::sync::Arc;

use sip::Method;

/// Most rules of a service.
pub const MAX_RULES: usize = 32;

/// Classes of source addresses, number 0 of them for addresses that no rule names.
pub const CLASSES: u8 = 64;

/// What a message is to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A request; what is no SIP counts as [`Method::Other`].
    Request(Method),
    /// A response.
    Response,
}

/// What a message has besides, as bits of a number below [`Marks::COUNT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// An emergency call, within the limit of those.
    pub emergency: bool,
    /// Its service is overloaded.
    pub overload: bool,
    /// A request with a To tag.
    pub in_dialog: bool,
    /// It has no Call-ID that counts.
    pub no_call_id: bool,
}

/// The number of the rule for each kind, class and marks of a message; number 0 is none. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct RuleTable(Arc<[u8]>);

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Steer, pass or drop, or as a limit has it.
    pub then: Then,
    /// Priority of the packet (`SO_PRIORITY`), 0 to 7; `None` leaves it.
    pub priority: Option<u8>,
    /// DSCP of the packet, 0 to 63 (RFC 2474 §3); `None` leaves it.
    pub dscp: Option<u8>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Steers it.
    Steer,
    /// Leaves it to the standard path.
    Pass,
    /// Drops it.
    Drop,
    /// Steers it within a limit.
    Limit {
        /// How many.
        limit: Limit,
        /// Of whom.
        per: Per,
        /// What becomes of the others.
        over: Over,
    },
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Messages a second, not 0.
    pub rate: u32,
    /// Messages at once, not 0.
    pub burst: u32,
}

/// Whose messages share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Those of a source address; of IPv6 those of its first 64 bits.
    Source,
    /// All of the service under this rule.
    Service,
}

/// What becomes of messages over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Dropped.
    Drop,
    /// Steered all the same, and counted.
    Count,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = Method::ALL.len() + 1;

    /// All of them, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        Method::ALL.into_iter().map(Self::Request).chain([Self::Response])
    }

    /// Its number, below [`Self::COUNT`].
    pub const fn index(self) -> usize {
        match self {
            Self::Request(method) => method.index(),
            Self::Response => Method::ALL.len(),
        }
    }

    /// The label `method` of metrics: the method, or `RESPONSE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request(method) => method.as_str(),
            Self::Response => "RESPONSE",
        }
    }
}

impl Marks {
    /// How many there are together.
    pub const COUNT: usize = 16;

    /// All of them, in the order of [`Self::bits`].
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(|bits| Self {
            emergency: bits & 1 != 0,
            overload: bits & 2 != 0,
            in_dialog: bits & 4 != 0,
            no_call_id: bits & 8 != 0,
        })
    }

    /// As bits, below [`Self::COUNT`].
    pub const fn bits(self) -> usize {
        self.emergency as usize
            | (self.overload as usize) << 1
            | (self.in_dialog as usize) << 2
            | (self.no_call_id as usize) << 3
    }
}

impl RuleTable {
    /// Numbers in it: one for each kind, class and marks.
    pub const LEN: usize = Kind::COUNT * CLASSES as usize * Marks::COUNT;

    /// Asks for the number of each. A number is at most [`MAX_RULES`].
    pub fn new(mut number: impl FnMut(Kind, u8, Marks) -> u8) -> Self {
        let mut table = Vec::with_capacity(Self::LEN);
        for kind in Kind::all() {
            for class in 0..CLASSES {
                table.extend(Marks::all().map(|marks| number(kind, class, marks)));
            }
        }
        Self(table.into())
    }

    /// The number of the rule for a message, 0 for none. `class` is below [`CLASSES`].
    pub fn of(&self, kind: Kind, class: u8, marks: Marks) -> u8 {
        self.0[(kind.index() * usize::from(CLASSES) + usize::from(class)) * Marks::COUNT + marks.bits()]
    }

    /// All numbers: those of a kind together, within it those of a class.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Default for RuleTable {
    /// Without rules.
    fn default() -> Self {
        Self::new(|_, _, _| 0)
    }
}

impl fmt::Debug for RuleTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleTable({} set)", self.0.iter().filter(|number| **number != 0).count())
    }
}

impl Limit {
    /// What a message costs, in nanoseconds: the time in which one more is due. At least 1.
    pub const fn cost(self) -> u64 {
        let cost = 1_000_000_000 / self.rate as u64;
        if cost == 0 { 1 } else { cost }
    }

    /// What a full bucket holds, in nanoseconds.
    pub const fn full(self) -> u64 {
        self.cost() * self.burst as u64
    }
}
