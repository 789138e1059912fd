//! Calls over real sockets: backends that know only their own calls, clients whose BYE comes from another port.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use integration::balanced::Lab;

/// Backends that answer, each on a thread.
pub struct Backends {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<usize>>,
}

impl Backends {
    pub fn start(lab: &Lab, pods: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let serve = |pod| {
            let (socket, stop) = (lab.socket(pod), Arc::clone(&stop));
            std::thread::spawn(move || serve(&socket, &stop))
        };
        Self { threads: (0..pods).map(serve).collect(), stop }
    }

    /// How many calls each had.
    pub fn finish(self) -> Vec<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    }
}

/// How often a thread looks whether it is time to end.
const LOOK: Duration = Duration::from_millis(20);

fn serve(socket: &UdpSocket, stop: &AtomicBool) -> usize {
    socket.set_read_timeout(Some(LOOK)).expect("a duration that is not 0");
    let (mut known, mut bytes) = (HashSet::new(), vec![0; 65_536]);
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let message = String::from_utf8_lossy(&bytes[..length]);
        let Some(call_id) = header(&message, "Call-ID") else { continue };
        let status = match message.split(' ').next() {
            Some("ACK") => continue,
            Some("INVITE") => {
                known.insert(call_id.to_owned());
                "200 OK"
            }
            _ if known.contains(call_id) => "200 OK",
            _ => "481 Call/Transaction Does Not Exist",
        };
        let echo = |name| format!("{name}: {}\r\n", header(&message, name).unwrap_or_default());
        let fields: String = ["Via", "From", "Call-ID", "CSeq", "X-Pad"].map(echo).concat();
        let answer = format!("SIP/2.0 {status}\r\n{fields}To: <sip:b@c>;tag=t\r\nContent-Length: 0\r\n\r\n");
        socket.send_to(answer.as_bytes(), from).expect("there is a route");
    }
    known.len()
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What became of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub answered: usize,
    /// BYE was answered with 200.
    pub ended: usize,
    /// BYE was answered with 481.
    pub lost: usize,
    /// INVITE or BYE was not answered.
    pub silent: usize,
    /// An answer came from another address than the service's.
    pub strange: usize,
}

/// Calls of one kind. One value for all calls of a test: a port that was closed may be taken for a moment longer by a child
/// of another test that has not begun its program yet.
pub struct Calls<'a> {
    pub lab: &'a Lab,
    /// Bytes of padding in each message.
    pub padding: usize,
    /// Their Call-IDs begin with it.
    pub name: &'a str,
    /// How long an answer may take: long where all are to come, on machines that have much to do.
    pub patience: Duration,
    first: Vec<UdpSocket>,
    other: Vec<UdpSocket>,
}

impl<'a> Calls<'a> {
    pub fn new(lab: &'a Lab, name: &'a str, padding: usize) -> Self {
        // Enough flows for a balancer to choose by chance among its backends.
        let sockets = |port| (0..32).map(|number| lab.client(10 + number % 8, port + u16::from(number))).collect();
        Self { lab, padding, name, patience: Duration::from_secs(10), first: sockets(5060), other: sockets(6060) }
    }

    /// Begins calls, by number.
    pub fn begin(&self, calls: std::ops::Range<usize>) -> Outcome {
        let mut outcome = Outcome::default();
        for call in calls {
            let socket = &self.first[call % self.first.len()];
            match self.exchange(socket, "INVITE", call, "") {
                Some((200, from)) => {
                    outcome.answered += 1;
                    outcome.strange += usize::from(from != self.lab.service());
                    let ack = self.message("ACK", call, ";tag=t");
                    socket.send_to(ack.as_bytes(), self.lab.service()).expect("there is a route");
                }
                Some((status, _)) => panic!("INVITE {call}: {status}"),
                None => outcome.silent += 1,
            }
        }
        outcome
    }

    /// Ends calls: `hop` from another port than they began.
    pub fn end(&self, calls: std::ops::Range<usize>, hop: bool) -> Outcome {
        let mut outcome = Outcome::default();
        for call in calls {
            let sockets = if hop { &self.other } else { &self.first };
            match self.exchange(&sockets[call % sockets.len()], "BYE", call, ";tag=t") {
                Some((200, from)) => {
                    outcome.ended += 1;
                    outcome.strange += usize::from(from != self.lab.service());
                }
                Some((481, _)) => outcome.lost += 1,
                Some((status, _)) => panic!("BYE {call}: {status}"),
                None => outcome.silent += 1,
            }
        }
        outcome
    }

    fn message(&self, method: &str, call: usize, tag: &str) -> String {
        let number = if method == "BYE" { 2 } else { 1 };
        format!(
            "{method} sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{call}{method}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:b@c>{tag}\r\nCall-ID: {}-{call}@client\r\nCSeq: {number} {method}\r\nX-Pad: {}\r\n\r\n",
            self.name,
            "x".repeat(self.padding),
        )
    }

    /// Sends a request; status and source of the answer to it, if one comes.
    fn exchange(&self, socket: &UdpSocket, method: &str, call: usize, tag: &str) -> Option<(u16, SocketAddr)> {
        socket.send_to(self.message(method, call, tag).as_bytes(), self.lab.service()).expect("there is a route");
        let until = Instant::now() + self.patience;
        let mut bytes = vec![0; 65_536];
        loop {
            let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            socket.set_read_timeout(Some(left)).expect("a duration that is not 0");
            // What is no datagram says nothing of the answer, which may still come.
            let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
            let message = String::from_utf8_lossy(&bytes[..length]);
            let is_ours = header(&message, "Call-ID") == Some(&format!("{}-{call}@client", self.name));
            if is_ours && header(&message, "CSeq").is_some_and(|cseq| cseq.ends_with(method)) {
                return Some((message.split(' ').nth(1)?.parse().ok()?, from));
            }
        }
    }
}
