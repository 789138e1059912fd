//! OPTIONS to backends (RFC 3261 §11): one datagram a probe, any response is an answer.
//!
//! [`Prober`] is told the time and what came; sockets are its caller's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use affinity::{Glance, Start};

/// Who is probed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Name of its service.
    pub service: String,
    /// Its name.
    pub backend: String,
    /// Where it is.
    pub address: SocketAddr,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of whom.
    pub target: Target,
    /// A response came in time.
    pub answered: bool,
}

/// What is to be sent to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub to: SocketAddr,
    /// A datagram.
    pub bytes: Vec<u8>,
}

/// Probes of all backends. Times are since any moment.
#[derive(Debug, Default)]
pub struct Prober {
    targets: HashMap<Target, Probed>,
    /// Which probe is under way with whom.
    branches: HashMap<String, Target>,
}

#[derive(Debug)]
struct Probed {
    interval: Duration,
    next: Duration,
    /// The same for all probes of a backend, so that they are one entry at most to who remembers dialogs.
    call_id: String,
    count: u32,
    branch: Option<String>,
}

/// Greatest number of a CSeq (RFC 3261 §8.1.1.5).
const MOST_CSEQ: u32 = i32::MAX as u32;

impl Prober {
    /// Probes these from now on, each at its interval, and nobody else. Their first probes are spread over it.
    pub fn probe(&mut self, targets: Vec<(Target, Duration)>, now: Duration) {
        let wanted: HashMap<Target, Duration> = targets.into_iter().collect();
        self.targets.retain(|target, _| wanted.contains_key(target));
        self.branches.retain(|_, target| wanted.contains_key(target));
        let count = u32::try_from(wanted.len().max(1)).unwrap_or(u32::MAX);
        for (place, (target, interval)) in (0..).zip(wanted) {
            let probed = self.targets.entry(target);
            let probed = probed.or_insert_with(|| Probed {
                interval,
                next: now + interval * place / count,
                call_id: chance(),
                count: 0,
                branch: None,
            });
            probed.interval = interval;
        }
    }

    /// What is due: requests to send, and probes that nobody answered until the next. `from` is where the socket is that
    /// sends to an address; `None`: it cannot be reached, which counts as no answer.
    pub fn due(
        &mut self,
        now: Duration,
        mut from: impl FnMut(SocketAddr) -> Option<SocketAddr>,
    ) -> (Vec<Request>, Vec<Outcome>) {
        let (mut requests, mut outcomes) = (Vec::new(), Vec::new());
        for (target, probed) in self.targets.iter_mut().filter(|(_, probed)| probed.next <= now) {
            if let Some(branch) = probed.branch.take() {
                self.branches.remove(&branch);
                outcomes.push(Outcome { target: target.clone(), answered: false });
            }
            probed.next = now + probed.interval;
            let Some(from) = from(target.address) else {
                outcomes.push(Outcome { target: target.clone(), answered: false });
                continue;
            };
            probed.count = probed.count % MOST_CSEQ + 1;
            let (branch, bytes) = options(target.address, from, &probed.call_id, probed.count);
            self.branches.insert(branch.clone(), target.clone());
            probed.branch = Some(branch);
            requests.push(Request { to: target.address, bytes });
        }
        (requests, outcomes)
    }

    /// When [`Self::due`] is to be asked again; `None` while nobody is probed.
    pub fn next(&self) -> Option<Duration> {
        self.targets.values().map(|probed| probed.next).min()
    }

    /// Takes a datagram. It is an answer when it is a response to a probe under way, wherever it came from.
    pub fn received(&mut self, datagram: &[u8]) -> Option<Outcome> {
        let glance = Glance::at(datagram)?;
        let Start::Response(_) = glance.start else { return None };
        let branch = std::str::from_utf8(glance.via?.branch).ok()?;
        let target = self.branches.remove(branch)?;
        self.targets.get_mut(&target)?.branch = None;
        Some(Outcome { target, answered: true })
    }
}

/// A request as a server answers it, with the branch that its response will name.
fn options(to: SocketAddr, from: SocketAddr, call_id: &str, count: u32) -> (String, Vec<u8>) {
    let branch = format!("z9hG4bK{}", chance());
    let text = format!(
        "OPTIONS sip:{to} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {from};branch={branch};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:ringside-steer@{from}>;tag={}\r\n\
         To: <sip:{to}>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: {count} OPTIONS\r\n\
         Accept: application/sdp\r\n\
         User-Agent: ringside-steer/{}\r\n\
         Content-Length: 0\r\n\r\n",
        &call_id[..16],
        env!("CARGO_PKG_VERSION"),
    );
    (branch, text.into_bytes())
}

/// 32 hexadecimal digits that nobody guesses.
fn chance() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers once it has started");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        let address = "10.0.0.1:5060".parse().expect("an address");
        Target { service: "s".to_owned(), backend: name.to_owned(), address }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn from(_: SocketAddr) -> Option<SocketAddr> {
        Some("10.0.0.9:40000".parse().expect("an address"))
    }

    /// The response of a server that copies what it has to (RFC 3261 §8.2.6.2).
    fn response(request: &Request) -> Vec<u8> {
        let text = String::from_utf8(request.bytes.clone()).expect("it was written here");
        let copied = text.lines().filter(|line| line.starts_with("Via") || line.starts_with("C"));
        let lines: Vec<&str> = std::iter::once("SIP/2.0 404 Not Found").chain(copied).chain(["", ""]).collect();
        lines.join("\r\n").into_bytes()
    }

    #[test]
    fn a_probe_is_a_request_that_a_server_can_answer_and_the_answer_is_known() {
        let mut prober = Prober::default();
        prober.probe(vec![(target("a"), SECOND)], Duration::ZERO);
        let (requests, outcomes) = prober.due(Duration::ZERO, from);
        assert!(outcomes.is_empty() && requests.len() == 1);
        let parsed = sip::parse(&requests[0].bytes, sip::Framing::Datagram { truncated: false });
        assert!(parsed.is_ok(), "{parsed:?}");
        let answer = response(&requests[0]);
        assert_eq!(prober.received(&requests[0].bytes), None, "a request is no answer");
        assert_eq!(prober.received(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKother\r\n\r\n"), None);
        assert_eq!(prober.received(b"\xff\xfe"), None);
        assert_eq!(prober.received(&answer), Some(Outcome { target: target("a"), answered: true }));
        assert_eq!(prober.received(&answer), None, "it answers once");
        assert_eq!(prober.next(), Some(SECOND));
        let (requests, outcomes) = prober.due(SECOND, from);
        assert!(outcomes.is_empty() && String::from_utf8_lossy(&requests[0].bytes).contains("CSeq: 2 OPTIONS"));
    }

    #[test]
    fn who_has_not_answered_when_the_next_is_due_did_not_answer() {
        let mut prober = Prober::default();
        prober.probe(vec![(target("a"), SECOND)], Duration::ZERO);
        let (requests, _) = prober.due(Duration::ZERO, from);
        assert_eq!(prober.due(SECOND / 2, from), (Vec::new(), Vec::new()), "nothing is due");
        let (_, outcomes) = prober.due(SECOND, from);
        assert_eq!(outcomes, [Outcome { target: target("a"), answered: false }]);
        assert_eq!(prober.received(&response(&requests[0])), None, "too late");
        let (_, outcomes) = prober.due(SECOND * 2, |_| None);
        assert_eq!(outcomes.len(), 2, "the one before, and this one, which cannot be sent");
    }

    #[test]
    fn probes_are_spread_and_who_is_gone_is_not_probed() {
        let mut prober = Prober::default();
        prober.probe(vec![(target("a"), SECOND), (target("b"), SECOND)], Duration::ZERO);
        assert_eq!(prober.due(Duration::ZERO, from).0.len(), 1);
        assert_eq!(prober.next(), Some(SECOND / 2));
        prober.probe(vec![(target("b"), SECOND)], SECOND);
        prober.probe(Vec::new(), SECOND);
        assert_eq!((prober.next(), prober.due(SECOND * 9, from)), (None, (Vec::new(), Vec::new())));
    }
}
