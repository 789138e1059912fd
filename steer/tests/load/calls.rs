//! A SIP endpoint and a generator of calls that cost as little as they can: answered calls of seven messages, in a closed loop
//! or at a rate, from one flow or many, with a BYE from the same port or another.
//!
//! Both run on threads of this process, so that what it used of the processors is what a call cost, with the kernel's part.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use integration::balanced::Lab;
use memchr::memmem;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Backends that answer, each on a thread.
pub struct Backends {
    threads: Vec<(Arc<AtomicBool>, JoinHandle<usize>)>,
}

/// How often a thread looks whether it is time to end.
const LOOK: Duration = Duration::from_millis(50);

impl Backends {
    /// The first so many of the lab. An INVITE or REGISTER keeps one of them for `work`, and everything else waits.
    pub fn start(lab: &Lab, pods: usize, work: Duration) -> Self {
        Self::at((0..pods).map(|pod| lab.socket(pod)).collect(), work)
    }

    /// Likewise at these sockets.
    pub fn at(sockets: Vec<UdpSocket>, work: Duration) -> Self {
        let serve = |(pod, socket): (usize, UdpSocket)| {
            let stop = Arc::<AtomicBool>::default();
            let stopped = Arc::clone(&stop);
            (stop, thread::spawn(move || serve(&socket, pod, work, &stopped)))
        };
        Self { threads: sockets.into_iter().enumerate().map(serve).collect() }
    }

    /// Ends one: its calls are lost.
    pub fn end(&mut self, pod: usize) {
        self.threads[pod].0.store(true, Ordering::Relaxed);
    }

    /// How many calls each had.
    pub fn finish(self) -> Vec<usize> {
        self.threads.iter().for_each(|(stop, _)| stop.store(true, Ordering::Relaxed));
        self.threads.into_iter().map(|(_, thread)| thread.join().expect("it does not panic")).collect()
    }
}

fn serve(socket: &UdpSocket, pod: usize, work: Duration, stop: &AtomicBool) -> usize {
    socket.set_read_timeout(Some(LOOK)).expect("a duration that is not 0");
    let (mut known, mut bytes, mut answer) = (HashSet::new(), vec![0; 65_536], Vec::with_capacity(65_536));
    let mut busy = Busy { work, until: Instant::now() };
    let tag = format!(";tag=b{pod}\r\n\r\n").into_bytes();
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let message = &bytes[..length];
        let Some(call) = call(message) else { continue };
        let statuses: &[&[u8]] = match message {
            [b'A', ..] => continue,
            [b'I', ..] => {
                busy.work();
                if known.insert((call.name, call.number)) { &[TRYING, RINGING, OK] } else { &[OK] }
            }
            [b'R', ..] => {
                busy.work();
                &[OK]
            }
            _ if known.contains(&(call.name, call.number)) => &[OK],
            _ => &[UNKNOWN],
        };
        let fields = memchr::memchr(b'\n', message).map_or(0, |end| end + 1);
        for status in statuses {
            answer.clear();
            // All fields as they came: the tag is a parameter of their last one, To.
            answer.extend_from_slice(status);
            answer.extend_from_slice(&message[fields..length.saturating_sub(4).max(fields)]);
            answer.extend_from_slice(&tag);
            // A client that is gone needs none.
            let _ = socket.send_to(&answer, from);
        }
    }
    known.len()
}

const TRYING: &[u8] = b"SIP/2.0 100 Trying\r\n";
const RINGING: &[u8] = b"SIP/2.0 180 Ringing\r\n";
const OK: &[u8] = b"SIP/2.0 200 OK\r\n";
const UNKNOWN: &[u8] = b"SIP/2.0 481 Call/Transaction Does Not Exist\r\n";

/// What takes time, one after another. A thread that wakes up late catches up.
struct Busy {
    work: Duration,
    until: Instant,
}

impl Busy {
    fn work(&mut self) {
        if self.work.is_zero() {
            return;
        }
        let now = Instant::now();
        // Later than this it was idle.
        let idle = self.until + self.work * 10 < now;
        self.until = if idle { now } else { self.until } + self.work;
        thread::sleep(self.until.saturating_duration_since(now));
    }
}

/// What a message says of its call.
struct Said {
    /// The first byte of its name.
    name: u8,
    number: u32,
    cseq: u8,
}

/// `Call-ID: name-00000001@...` and the `CSeq: 1 METHOD` behind it.
fn call(message: &[u8]) -> Option<Said> {
    let from = memmem::find(message, b"\r\nCall-ID: ")? + b"\r\nCall-ID: ".len();
    let rest = &message[from..];
    let at = memchr::memchr(b'@', rest)?;
    let digits = rest.get(at.checked_sub(NUMBER.len())?..at)?;
    let number = digits.iter().try_fold(0_u32, |sum, digit| {
        digit.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
    })?;
    let end = at + memchr::memchr(b'\n', &rest[at..])?;
    Some(Said { name: rest[0], number, cseq: *rest.get(end + b"\nCSeq: ".len())? })
}

/// What is to be sent.
#[derive(Clone)]
pub struct Plan {
    /// Their Call-IDs begin with it; its first letter is no other plan's.
    pub name: &'static str,
    pub calls: usize,
    pub pace: Pace,
    /// From the ACK to the BYE.
    pub hold: Duration,
    /// From how many ports.
    pub flows: usize,
    /// The BYE comes from another port.
    pub hop: bool,
    /// Requests are repeated after half a second without an answer (RFC 3261 §17.1.1.2), as long as `patience`.
    pub repeat: bool,
    /// After how long without an answer a call is lost.
    pub patience: Duration,
    /// The user that is called.
    pub user: &'static str,
    /// Whether calls follow; otherwise only this request is sent.
    pub only: Option<&'static str>,
    /// The first host and port of the client.
    pub from: (u8, u16),
    /// Bytes of padding in each message, and so in each answer.
    pub padding: usize,
}

/// How fast.
#[derive(Clone, Copy)]
pub enum Pace {
    /// So many calls at a time.
    Window(usize),
    /// So many a second.
    Rate(f64),
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: "call",
            calls: 100,
            pace: Pace::Window(32),
            hold: Duration::ZERO,
            flows: 1,
            hop: false,
            repeat: false,
            patience: Duration::from_secs(5),
            user: "bob",
            only: None,
            from: (10, 10_000),
            padding: 0,
        }
    }
}

/// What became of them.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// INVITE and BYE were answered with 200.
    pub good: usize,
    /// BYE was answered with 481.
    pub lost: usize,
    /// INVITE or BYE was not answered.
    pub silent: usize,
    /// Answers from another address than the service's.
    pub strange: usize,
    /// Calls by backend.
    pub shares: Vec<usize>,
    /// Of those that broke after their INVITE had been answered: how many each backend had.
    pub broken_at: [usize; 9],
    /// Of these, those that nobody could have kept.
    pub excused: usize,
    /// From INVITE to 200, in µs, in order.
    pub delays: Vec<u32>,
    pub took: Duration,
}

impl Outcome {
    pub fn broken(&self) -> usize {
        self.lost + self.silent + self.strange - self.excused
    }

    /// The delay that so many per cent of the calls do not exceed, in µs.
    pub fn delay(&self, percent: usize) -> u32 {
        self.delays
            .get((self.delays.len() * percent / 100).min(self.delays.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Holding,
    Ending,
    Over,
}

#[derive(Clone, Copy)]
struct Call {
    state: State,
    since: Instant,
    backend: usize,
}

/// A message with places for the number of the call.
struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

const NUMBER: &str = "########";

impl Template {
    fn new(plan: &Plan, method: &str, cseq: u32, pod_tag: bool) -> Self {
        let tag = if pod_tag { ";tag=b" } else { "" };
        let Plan { name, user, .. } = plan;
        let text = format!(
            "{method} sip:{user}@sip.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{NUMBER}-{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@sip.example.com>;tag=a{NUMBER}\r\n\
             Call-ID: {name}-{NUMBER}@client.example.com\r\nCSeq: {cseq} {method}\r\nContact: <sip:alice@192.0.2.10:5060>\r\n\
             User-Agent: load/1.0\r\nX-Pad: {}\r\nContent-Length: 0\r\nTo: <sip:{user}@sip.example.com>{tag}\r\n\r\n",
            "x".repeat(plan.padding),
        );
        let places = memmem::find_iter(text.as_bytes(), NUMBER).collect();
        Self { bytes: text.into_bytes(), places }
    }

    fn number(&mut self, call: usize) -> &[u8] {
        let (mut digits, mut rest) = ([b'0'; NUMBER.len()], call);
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        for place in &self.places {
            self.bytes[*place..*place + NUMBER.len()].copy_from_slice(&digits);
        }
        &self.bytes
    }
}

/// Plays calls, and waits until all are over.
pub struct Generator<'a> {
    plan: &'a Plan,
    service: SocketAddr,
    sockets: Vec<UdpSocket>,
    epoll: Epoll,
    invite: Template,
    ack: Template,
    bye: Template,
    calls: Vec<Call>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    active: usize,
    outcome: Outcome,
}

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// Sends what a plan says from the clients of a lab.
pub fn play(lab: &Lab, plan: &Plan) -> Outcome {
    Generator::new(lab, plan).run()
}

impl<'a> Generator<'a> {
    pub fn new(lab: &Lab, plan: &'a Plan) -> Self {
        // 5,000 ports for each host.
        let (host, port) = plan.from;
        let client = |number: usize| lab.client(host + (number / 5000) as u8, port + (number % 5000) as u16);
        Self::from(client, lab.service(), plan)
    }

    /// From sockets by number to a service.
    pub fn from(client: impl Fn(usize) -> UdpSocket, service: SocketAddr, plan: &'a Plan) -> Self {
        let count = plan.flows * if plan.hop { 2 } else { 1 };
        let socket = |number: usize| {
            let socket = client(number);
            socket.set_nonblocking(true).expect("it can be set");
            socket
        };
        let sockets: Vec<UdpSocket> = (0..count).map(socket).collect();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("Linux");
        for (number, socket) in (0..).zip(&sockets) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
            epoll.add(socket.as_fd(), event).expect("a socket of our own");
        }
        let method = plan.only.unwrap_or("INVITE");
        Self {
            plan,
            service,
            sockets,
            epoll,
            invite: Template::new(plan, method, 1, false),
            ack: Template::new(plan, "ACK", 1, true),
            bye: Template::new(plan, "BYE", 2, true),
            calls: Vec::with_capacity(plan.calls),
            timers: BinaryHeap::new(),
            active: 0,
            outcome: Outcome { shares: vec![0; 9], ..Outcome::default() },
        }
    }

    pub fn run(mut self) -> Outcome {
        let begun = Instant::now();
        let mut events = [EpollEvent::empty(); 64];
        let mut bytes = vec![0; 65_536];
        loop {
            let now = Instant::now();
            let due = match self.plan.pace {
                Pace::Window(window) => self.calls.len() + window.saturating_sub(self.active),
                Pace::Rate(rate) => ((now - begun).as_secs_f64() * rate) as usize + 1,
            };
            while self.calls.len() < due.min(self.plan.calls) {
                self.begin(now);
            }
            self.expire(now);
            if self.calls.len() == self.plan.calls && self.active == 0 {
                break;
            }
            let wait = if self.calls.len() < self.plan.calls { 1 } else { 5 };
            let ready = match self.epoll.wait(&mut events, EpollTimeout::from(wait as u8)) {
                Ok(ready) => ready,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => panic!("epoll: {error}"),
            };
            for event in &events[..ready] {
                self.receive(event.data() as usize, &mut bytes);
            }
        }
        self.outcome.took = begun.elapsed();
        self.outcome.delays.sort_unstable();
        self.outcome
    }

    fn begin(&mut self, now: Instant) {
        let call = self.calls.len();
        self.calls.push(Call { state: State::Calling, since: now, backend: 0 });
        self.active += 1;
        self.send(call, State::Calling);
        self.wait(call, now);
    }

    fn wait(&mut self, call: usize, now: Instant) {
        let after = if self.plan.repeat { HALF_A_SECOND.min(self.plan.patience) } else { self.plan.patience };
        self.timers.push(Reverse((now + after, call)));
    }

    fn send(&mut self, call: usize, state: State) {
        let flow = call % self.plan.flows;
        let (template, socket) = match state {
            State::Calling => (&mut self.invite, flow),
            State::Holding => (&mut self.ack, flow),
            _ => (&mut self.bye, if self.plan.hop { self.plan.flows + flow } else { flow }),
        };
        loop {
            match self.sockets[socket].send_to(template.number(call), self.service) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                // What a rule of the node refuses is lost like any other.
                _ => return,
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, call))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Call { state, since, backend } = self.calls[call];
            match state {
                State::Over => {}
                State::Holding if since + self.plan.hold <= now => self.end(call, now),
                State::Holding => self.timers.push(Reverse((since + self.plan.hold, call))),
                State::Calling | State::Ending if since + self.plan.patience <= now => {
                    self.outcome.silent += 1;
                    if state == State::Ending {
                        self.outcome.broken_at[backend] += 1;
                    }
                    self.over(call);
                }
                State::Calling | State::Ending if self.plan.repeat => {
                    self.send(call, state);
                    self.wait(call, now);
                }
                // A timer of what was answered since.
                State::Calling | State::Ending => self.timers.push(Reverse((since + self.plan.patience, call))),
            }
        }
    }

    fn end(&mut self, call: usize, now: Instant) {
        (self.calls[call].state, self.calls[call].since) = (State::Ending, now);
        self.send(call, State::Ending);
        self.wait(call, now);
    }

    fn over(&mut self, call: usize) {
        self.calls[call].state = State::Over;
        self.active -= 1;
    }

    fn receive(&mut self, socket: usize, bytes: &mut [u8]) {
        while let Ok((length, from)) = self.sockets[socket].recv_from(bytes) {
            self.outcome.strange += usize::from(from != self.service);
            self.answered(&bytes[..length]);
        }
    }

    fn answered(&mut self, message: &[u8]) {
        let (Some(said), Some(status)) = (call(message), message.get(8..11)) else { return };
        let (call, is_bye) = (said.number as usize, said.cseq == b'2');
        let Some(Call { state, since, backend }) = self.calls.get(call).copied() else { return };
        if said.name != self.plan.name.as_bytes()[0] {
            return;
        }
        let now = Instant::now();
        match (state, is_bye, status) {
            (State::Calling, false, b"200") => {
                // Behind the tag, which says who answered, there are two line ends.
                let backend = usize::from(message[message.len() - 5].wrapping_sub(b'0')).min(8);
                self.outcome.shares[backend] += 1;
                self.outcome.delays.push((now - since).as_micros() as u32);
                if self.plan.only.is_some() {
                    self.outcome.good += 1;
                    return self.over(call);
                }
                self.calls[call] = Call { state: State::Holding, since: now, backend };
                self.send(call, State::Holding);
                match self.plan.hold.is_zero() {
                    true => self.end(call, now),
                    false => self.timers.push(Reverse((now + self.plan.hold, call))),
                }
            }
            (State::Ending, true, b"200") => {
                self.outcome.good += 1;
                self.over(call);
            }
            (State::Ending, true, b"481") => {
                self.outcome.lost += 1;
                self.outcome.broken_at[backend] += 1;
                self.over(call);
            }
            _ => {}
        }
    }
}
