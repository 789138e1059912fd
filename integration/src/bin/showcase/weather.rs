//! Calls with something to see: two carriers and two types of phones, a busy time and a quiet one, and a carrier whose
//! gateway is overloaded for a while.

use std::array;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use integration::flows::{self, refused};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, Party, exchange};
use testnet::Namespace;

/// Who they are, in the words of `[processors.enrich]`.
pub const ENRICH: &str = "carriers = [{ name = \"alpha\", cidrs = [\"127.1.0.0/16\"] }, \
    { name = \"beta\", cidrs = [\"127.2.0.0/16\"] }]\n\
    user_agents = [{ regex = '^Yealink', label = \"yealink\" }, { regex = '^Grandstream', label = \"grandstream\" }]";

/// Acts of the play, and how long each lasts.
const ACTS: u32 = 24;
const ACT: Duration = Duration::from_secs(10);

/// First port; every kind of call takes two of each set.
const FIRST_PORT: u16 = 15_060;

/// Sets of ports, taken in turns: calls of one act go on in the next.
const SETS: usize = 2;

/// A kind of calls: whose they are, what happens in them, and how many begin per second in each act.
struct Kind {
    caller: Ipv4Addr,
    scenario: Scenario,
    rate: fn(act: u32) -> u32,
}

/// The ports all of them use.
pub fn ports() -> Vec<u16> {
    (FIRST_PORT..).take(2 * SETS * kinds().len()).collect()
}

fn kinds() -> Vec<Kind> {
    let alpha = Ipv4Addr::new(127, 1, 0, 1);
    let beta = Ipv4Addr::new(127, 2, 0, 1);
    let of = |caller, scenario, rate| Kind { caller, scenario, rate };
    let phone = |flow: &str, agent: &str| Scenario::new(&flow.replace("INVITE", &format!("INVITE ua={agent}")));
    let longer = flows::ANSWERED.replace("300 ", "4000 ").replace("100  <- 200", "1500  <- 200");
    vec![
        of(alpha, phone(&longer, "Yealink-T46"), busy),
        of(alpha, phone(flows::CHALLENGED, "Yealink-T46"), |_| 2),
        of(alpha, Scenario::new(flows::CANCELLED), |_| 1),
        of(alpha, refused(486), |_| 1),
        of(alpha, refused(404), |act| act % 3 / 2),
        of(alpha, Scenario::new(flows::REGISTERED_AFTER_CHALLENGE), |_| 2),
        of(alpha, Scenario::new(flows::PINGED), |_| 2),
        of(alpha, phone(flows::RETRANSMITTED, "Yealink-T46"), |act| act % 4 / 3),
        of(beta, phone(&longer, "Grandstream"), |act| if overloaded(act) { 1 } else { 4 }),
        of(beta, phone(flows::CALLEE_HANGS_UP, "Grandstream"), |_| 1),
        of(beta, refused(480), |_| 1),
        of(beta, refused(503), |act| if overloaded(act) { 4 } else { 0 }),
        of(beta, Scenario::new(flows::REDIRECTED), |act| act % 2),
        of(beta, Scenario::new("-> REGISTER\n<- 403"), |act| u32::from(overloaded(act))),
    ]
}

/// Calls per second of a quiet start, a peak, and the time after it.
const fn busy(act: u32) -> u32 {
    match act {
        0..4 => 3,
        4..8 => 6,
        8..14 => 10,
        14..18 => 7,
        _ => 5,
    }
}

/// The gateway's bad minute.
const fn overloaded(act: u32) -> bool {
    matches!(act, 14..20)
}

/// Places all of them; how many there were.
pub fn play(namespace: &Namespace) -> u32 {
    let start = Instant::now();
    thread::scope(|scope| {
        let play = |(kind, port): (Kind, u16)| {
            let ports = array::from_fn(|set| port + 2 * set as u16);
            scope.spawn(move || kind.play(namespace, ports, start))
        };
        let playing: Vec<_> = kinds().into_iter().zip((FIRST_PORT..).step_by(2 * SETS)).map(play).collect();
        playing.into_iter().map(|kind| kind.join().expect("SIPp plays its scenario")).sum()
    })
}

impl Kind {
    /// Begins each act on time, whether the calls of the one before have ended or not.
    fn play(&self, namespace: &Namespace, ports: [u16; SETS], start: Instant) -> u32 {
        thread::scope(|scope| {
            let mut sets: [Option<ScopedJoinHandle<()>>; SETS] = [const { None }; SETS];
            let mut calls = 0;
            for (act, set) in (0..ACTS).zip((0..SETS).cycle()) {
                if let Some(before) = sets[set].take() {
                    before.join().expect("SIPp plays its scenario");
                }
                thread::sleep((start + ACT * act).saturating_duration_since(Instant::now()));
                let rate = (self.rate)(act);
                let load = Load { calls: rate * ACT.as_secs() as u32, rate };
                if rate > 0 {
                    let party = |ip, port| Party { namespace, address: SocketAddr::from((ip, port)) };
                    let caller = party(self.caller, ports[set] + 1);
                    let callee = party(Ipv4Addr::LOCALHOST, ports[set]);
                    sets[set] = Some(scope.spawn(move || _ = exchange(&self.scenario, caller, callee, load)));
                }
                calls += load.calls;
            }
            calls
        })
    }
}
