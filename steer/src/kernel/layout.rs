//! The layout of the programs' maps: `ebpf/steer/limits.h` once more, byte for byte.
//!
//! Addresses are sixteen bytes, IPv4 as IPv6 (RFC 4291 §2.5.5.2); addresses and ports are in network order.

use std::net::{IpAddr, SocketAddr};

use affinity::steer::{
    Action, CLASSES, FIRST_RESPONSE_BUCKETS, General, Kind, MAX_EMERGENCY_USERS, MAX_RULES, MAX_SERVICES, Marks,
    RuleTable, StandardPath,
};

/// Another number: maps of before cannot be taken over.
pub const LAYOUT: u64 = 2;

/// `struct settings`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    pub key: [u64; 2],
    pub grace: u64,
    pub dialog_idle: u64,
    pub settle_until: u64,
    pub flags: u64,
}

pub const SETTING_ACTIVE: u64 = 1;
pub const SETTING_CLASSES: u64 = 2;
pub const SETTING_WATCHED: u64 = 4;
pub const SETTING_DIRECT: u64 = 8;

/// `struct port_set`.
pub type Ports = [u64; 1024];

/// `struct place_key`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceKey {
    pub address: [u8; 16],
    pub port: [u8; 2],
    pub zero: u16,
}

/// `struct place`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub what: u16,
    pub number: u16,
}

pub const PLACES: usize = 8192;
pub const PLACE_SERVICE: u16 = 1;
pub const PLACE_BACKEND: u16 = 2;
pub const PLACE_ADDRESS: u16 = 3;

/// `struct service`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Service {
    pub flags: u32,
    pub generation: u16,
    pub rules_generation: u16,
    pub emergency_cost: u64,
    pub emergency_full: u64,
}

pub const SERVICE_KNOWN: u32 = 1;
pub const SERVICE_BY_SOURCE: u32 = 2;
pub const SERVICE_EXISTING_ONLY: u32 = 4;
pub const SERVICE_OVERLOAD: u32 = 8;
pub const SERVICE_EMERGENCY_LIMIT: u32 = 16;
pub const SERVICE_EMERGENCY_USERS: u32 = 32;

/// `struct slots`.
pub type Slots = [u16; 4096];

/// `slot_table`: where in the map a table stands.
pub const fn slot_table(service: u16, generation: u16, is_v6: bool, is_local: bool) -> u32 {
    service as u32 * 8 + generation as u32 * 4 + is_v6 as u32 * 2 + is_local as u32
}

/// `rule_table_of`: likewise a table of rules.
pub const fn rule_table_of(service: u16, generation: u16) -> u32 {
    service as u32 * 2 + generation as u32
}

/// `rule_of`: likewise a rule.
pub const fn rule_of(service: u16, generation: u16, number: u32) -> u32 {
    rule_table_of(service, generation) * RULES + number
}

/// `struct backend`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backend {
    pub address: [[u8; 16]; 2],
    pub port: [[u8; 2]; 2],
    pub service: u16,
    pub flags: u16,
}

pub const BACKEND_KNOWN: u16 = 1;
pub const BACKEND_LOCAL: u16 = 2;
pub const BACKEND_V4: u16 = 4;
pub const BACKEND_V6: u16 = 8;
pub const BACKEND_DOWN: u16 = 16;

pub const DEVICE_OWN: u32 = 1;
pub const DEVICE_POD: u32 = 2;
/// Bits of these; above them stands the index of a bridge or bond.
pub const DEVICE_FLAGS: u32 = 4;

pub const HOP_STACK: u16 = 0;
pub const HOP_POD: u16 = 1;
pub const HOP_NEIGHBOUR: u16 = 2;

/// `struct hop`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hop {
    pub device: u32,
    pub kind: u16,
    pub zero: u16,
}

/// `struct user_key`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserKey {
    pub service: u32,
    pub user: [u8; 16],
}

/// Users of all services.
const USERS: usize = MAX_SERVICES as usize * MAX_EMERGENCY_USERS;
const _: () = assert!(USERS == 1024);

/// `struct rule_table`.
pub type RuleNumbers = [u8; RuleTable::LEN];

/// `struct rule`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rule {
    pub cost: u64,
    pub full: u64,
    pub then: u8,
    pub per_source: u8,
    pub only_counts: u8,
    pub priority: u8,
    pub dscp: u8,
    pub zero: [u8; 3],
}

pub const RULES: u32 = MAX_RULES as u32 + 1;
pub const THEN_STEER: u8 = 0;
pub const THEN_PASS: u8 = 1;
pub const THEN_DROP: u8 = 2;
pub const THEN_LIMIT: u8 = 3;
pub const UNSET: u8 = 0xff;

/// What follows the number of bits in `struct class_key`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClassKey {
    pub family: [u8; 4],
    pub address: [u8; 16],
}

/// `struct dialog_key`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DialogKey {
    pub hash: u64,
    pub service: u32,
    pub zero: u32,
}

/// `struct dialog`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialog {
    pub last: u64,
    pub ends: u64,
    pub asked: u64,
    pub backend: u16,
    pub learned: u8,
    pub answered: u8,
    pub life: u32,
}

/// `struct flow_key`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    pub client: [u8; 16],
    pub backend: [u8; 16],
    pub client_port: [u8; 2],
    pub backend_port: [u8; 2],
}

/// `struct flow`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub last: u64,
    pub service: [u8; 16],
    pub port: [u8; 2],
    pub is_direct: u16,
    pub device: u32,
}

/// `struct fragment_key`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FragmentKey {
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub identification: u32,
    pub egress: u32,
}

/// `struct fragment`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub seen: u64,
    pub address: [u8; 16],
    pub device: u32,
    pub hop: u16,
    pub end: u16,
}

/// `struct bucket_key`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketKey {
    pub address: [u8; 16],
    pub service: u16,
    pub rule: u16,
}

/// `struct bucket`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub tokens: u64,
    pub last: u64,
}

/// `struct general_counters`.
pub type Generals = [u64; General::ALL.len()];

/// `struct service_counters`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ServiceCounters {
    pub packets: [[u64; Action::ALL.len()]; Kind::COUNT],
    pub passed: [u64; StandardPath::ALL.len()],
    pub rules: [[u64; 2]; RULES as usize],
    pub emergency: u64,
    pub emergency_over: u64,
    pub in_dialog_known: u64,
    pub in_dialog_unknown: u64,
}

/// `struct backend_counters`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BackendCounters {
    pub requests: u64,
    pub invites: u64,
    pub acks: u64,
    pub new_dialogs: u64,
    pub learned: u64,
    pub sent: u64,
    pub responses: [u64; 6],
    pub unavailable: u64,
    pub timeouts: u64,
    pub first_response: [u64; FIRST_RESPONSE_BUCKETS],
    pub first_response_sum: u64,
}

/// `struct event`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub at: u64,
    pub hash: u64,
    pub device: u32,
    pub service: u16,
    pub backend: u16,
    pub status: u16,
    pub kind: u8,
    pub action: u8,
    pub why: u8,
    pub rule: u8,
    pub zero: [u8; 34],
}

const _: () = assert!(size_of::<Settings>() == 48 && size_of::<Service>() == 24 && size_of::<Rule>() == 24);
const _: () = assert!(size_of::<PlaceKey>() == 20 && size_of::<Backend>() == 40 && size_of::<UserKey>() == 20);
const _: () = assert!(size_of::<DialogKey>() == 16 && size_of::<Dialog>() == 32 && size_of::<ClassKey>() == 20);
const _: () = assert!(size_of::<FlowKey>() == 36 && size_of::<Flow>() == 32 && size_of::<BucketKey>() == 20);
const _: () = assert!(size_of::<FragmentKey>() == 40 && size_of::<Fragment>() == 32 && size_of::<Event>() == 64);
const _: () = assert!(size_of::<Hop>() == 8);
const _: () = assert!(size_of::<ServiceCounters>() == 1136 && size_of::<BackendCounters>() == 632);
const _: () = assert!(RuleTable::LEN == Kind::COUNT * CLASSES as usize * Marks::COUNT);

const _: () = assert!(std::mem::offset_of!(Event, device) == 16 && std::mem::offset_of!(Event, service) == 20);
const _: () = assert!(std::mem::offset_of!(Event, backend) == 22 && std::mem::offset_of!(Event, status) == 24);
const _: () = assert!(std::mem::offset_of!(Event, kind) == 26 && std::mem::offset_of!(Event, rule) == 29);

macro_rules! pod {
    ($($name:ident)*) => { $(
        // SAFETY: `repr(C)`, integers only, and without padding, which the sizes above prove.
        unsafe impl aya::Pod for $name {}
    )* };
}

pod!(Settings PlaceKey Place Service Backend Hop UserKey Rule ClassKey DialogKey Dialog FlowKey Flow FragmentKey Fragment
     BucketKey Bucket ServiceCounters BackendCounters);

/// An address as the maps have it.
pub fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

impl From<Option<affinity::steer::Hop>> for Hop {
    fn from(hop: Option<affinity::steer::Hop>) -> Self {
        use affinity::steer::Hop::{Neighbour, Pod};
        let (kind, device) = match hop {
            None => (HOP_STACK, 0),
            Some(Pod(device)) => (HOP_POD, device),
            Some(Neighbour(device)) => (HOP_NEIGHBOUR, device),
        };
        Self { device, kind, zero: 0 }
    }
}

impl PlaceKey {
    /// The key of an address and port.
    pub fn of(address: SocketAddr) -> Self {
        Self { address: wide(address.ip()), port: address.port().to_be_bytes(), zero: 0 }
    }
}

#[cfg(test)]
mod tests {
    use affinity::steer::{
        BLANKS, CSEQ_DIGITS, EXPIRES_DIGITS, EXTENSION_HEADERS, FLOW_IDLE, FRAGMENT_LIFE, LINGER, LONGEST_EXPIRES,
        MAX_BACKENDS, MAX_CIDRS, MAX_DEVICES, MAX_SERVICES,
    };
    use affinity::{CALL_ID, SLOTS, WINDOW};

    use super::*;

    const LIMITS: &str = include_str!("../../../ebpf/steer/limits.h");

    fn is_defined(name: &str, value: u64) -> bool {
        LIMITS.lines().filter_map(|line| line.strip_prefix("#define ")).any(|line| {
            let mut words = line.split_whitespace();
            let number = |word: &str| match word.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => word.parse().ok(),
            };
            words.next() == Some(name) && words.next().and_then(number) == Some(value)
        })
    }

    #[test]
    fn numbers_are_those_of_the_kernel_side() {
        let numbers = [
            ("LAYOUT", LAYOUT),
            ("WINDOW", WINDOW as u64),
            ("CALL_ID", CALL_ID as u64),
            ("BLANKS", BLANKS as u64),
            ("CSEQ_DIGITS", CSEQ_DIGITS as u64),
            ("EXPIRES_DIGITS", EXPIRES_DIGITS as u64),
            ("LONGEST_EXPIRES", LONGEST_EXPIRES.into()),
            ("EXTENSION_HEADERS", EXTENSION_HEADERS as u64),
            ("SERVICES", MAX_SERVICES.into()),
            ("BACKENDS", MAX_BACKENDS.into()),
            ("PLACES", PLACES as u64),
            ("SLOTS", SLOTS.into()),
            ("RULES", RULES.into()),
            ("KINDS", Kind::COUNT as u64),
            ("CLASSES", CLASSES.into()),
            ("MARKS", Marks::COUNT as u64),
            ("CIDRS", MAX_CIDRS as u64),
            ("DEVICES", MAX_DEVICES as u64),
            ("EMERGENCY_USERS", USERS as u64),
            ("NO_BACKEND", affinity::steer::Slots::NONE.into()),
            ("UNSET", UNSET.into()),
            ("FIRST_RESPONSE_BUCKETS", FIRST_RESPONSE_BUCKETS as u64),
            ("SETTING_ACTIVE", SETTING_ACTIVE),
            ("SETTING_CLASSES", SETTING_CLASSES),
            ("SETTING_WATCHED", SETTING_WATCHED),
            ("SETTING_DIRECT", SETTING_DIRECT),
            ("PLACE_SERVICE", PLACE_SERVICE.into()),
            ("PLACE_BACKEND", PLACE_BACKEND.into()),
            ("PLACE_ADDRESS", PLACE_ADDRESS.into()),
            ("SERVICE_KNOWN", SERVICE_KNOWN.into()),
            ("SERVICE_BY_SOURCE", SERVICE_BY_SOURCE.into()),
            ("SERVICE_EXISTING_ONLY", SERVICE_EXISTING_ONLY.into()),
            ("SERVICE_OVERLOAD", SERVICE_OVERLOAD.into()),
            ("SERVICE_EMERGENCY_LIMIT", SERVICE_EMERGENCY_LIMIT.into()),
            ("SERVICE_EMERGENCY_USERS", SERVICE_EMERGENCY_USERS.into()),
            ("BACKEND_KNOWN", BACKEND_KNOWN.into()),
            ("BACKEND_LOCAL", BACKEND_LOCAL.into()),
            ("BACKEND_V4", BACKEND_V4.into()),
            ("BACKEND_V6", BACKEND_V6.into()),
            ("BACKEND_DOWN", BACKEND_DOWN.into()),
            ("DEVICE_OWN", DEVICE_OWN.into()),
            ("DEVICE_POD", DEVICE_POD.into()),
            ("DEVICE_FLAGS", DEVICE_FLAGS.into()),
            ("HOP_STACK", HOP_STACK.into()),
            ("HOP_POD", HOP_POD.into()),
            ("HOP_NEIGHBOUR", HOP_NEIGHBOUR.into()),
        ];
        for (name, value) in numbers {
            assert!(is_defined(name, value), "{name} is not {value}");
        }
        let times = [("LINGER", LINGER), ("FLOW_IDLE", FLOW_IDLE), ("FRAGMENT_LIFE", FRAGMENT_LIFE)];
        for (name, time) in times {
            assert!(LIMITS.contains(&format!("#define {name} ({} * SECOND)\n", time.as_secs())), "{name}");
        }
    }

    /// The names of an enumeration in order, without its end.
    fn listed(first: &str) -> Vec<&str> {
        let names = LIMITS.lines().map(str::trim).skip_while(|line| line.trim_end_matches(',') != first);
        names.take_while(|line| *line != "};").map(|line| line.trim_end_matches(',')).collect()
    }

    #[test]
    fn lists_are_in_the_order_of_the_kernel_side() {
        let upper = |name: &str| name.to_ascii_uppercase();
        assert_eq!(listed("INVITE"), Kind::all().map(Kind::as_str).collect::<Vec<_>>());
        let actions: Vec<String> = Action::ALL.iter().map(|action| upper(action.as_str())).collect();
        assert_eq!(listed("STEER"), [&actions[..], &["ACTIONS".to_owned()]].concat());
        let paths: Vec<String> = StandardPath::ALL.iter().map(|path| format!("BY_{}", upper(path.as_str()))).collect();
        assert_eq!(listed("BY_TCP"), [&paths[..], &["STANDARD_PATHS".to_owned()]].concat());
        let spelled = |which: &General| {
            let name = format!("{which:?}");
            let words = name.char_indices().flat_map(|(at, letter)| {
                let apart = (at > 0 && letter.is_uppercase()).then_some('_');
                apart.into_iter().chain([letter.to_ascii_uppercase()])
            });
            words.collect::<String>()
        };
        let generals: Vec<String> = General::ALL.iter().map(spelled).collect();
        assert_eq!(listed("SEEN"), [&generals[..], &["GENERALS".to_owned()]].concat());
    }
}
