//! Probes of one target over one path: bytes and the time in, requests to send and results out (RFC 3261 §17.1.2).
//!
//! Sans-io: no socket, no clock, no waiting. A response belongs to the request whose branch it names, with OPTIONS in
//! its CSeq, and to nobody else (6.1); wherever it came from. The first final response ends a probe, but a challenge
//! that can be answered is, once. What comes besides is counted by kind and never believed.

mod digest;
mod request;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pipeline::probes::Unexpected;
use sip::{Framing, Message, Method, Start};

pub use digest::Credentials;
use request::Request;
pub use request::{Carrier, Form, Marks};

/// T1: the first wait of Timer E (RFC 3261 §17.1.2.2).
const T1: Duration = Duration::from_millis(500);
/// T2: the longest wait of Timer E, and its wait after a provisional response.
const T2: Duration = Duration::from_secs(4);
/// Probes that ended and are remembered, so that what comes behind them is known for what it is.
const REMEMBERED: usize = 16;
/// Most probes under way on one path; one more is refused. Thirty-two are under way where a silent target is asked
/// once a second with a timeout of Timer F.
pub const MAX_UNDER_WAY: usize = 64;
/// Longest text taken over from a response, in bytes.
const LONGEST_TEXT: usize = 128;

/// Which probe: counted by whoever begins them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeId(pub u64);

/// What is to be done, or was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To be sent. The time of the first transmission was that of the call which gave it.
    Send(Vec<u8>),
    /// A probe is over.
    Ended(ProbeId, Answer),
    /// Something came that ends nothing.
    Unexpected(Unexpected),
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The final response; `None` when none came in time.
    pub response: Option<Response>,
    /// First byte of the first transmission to last byte of the first final response, which may be the challenge that
    /// was answered; `None` without a final response.
    pub rtt: Option<Duration>,
    /// A provisional response that came, the last one.
    pub provisional: Option<u16>,
    /// How often a request was sent again.
    pub retransmissions: u32,
}

/// What a final response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 to 699.
    pub status: u16,
    /// Reason phrase, with nothing a terminal would obey; perhaps empty.
    pub reason: String,
    /// Server, or User-Agent, with nothing a terminal would obey; `None` where neither is given.
    pub server: Option<String>,
}

/// Probes under way over one path, and those that ended lately.
#[derive(Debug)]
pub struct Exchange {
    form: Form,
    carrier: Carrier,
    credentials: Option<Credentials>,
    under_way: Vec<Probe>,
    /// Branches of probes that are over, the newest last, and whether a final response had come.
    over: VecDeque<(String, bool)>,
}

/// One probe.
#[derive(Debug)]
struct Probe {
    id: ProbeId,
    marks: Marks,
    local: SocketAddr,
    branch: String,
    cseq: u32,
    request: Vec<u8>,
    sent: Instant,
    /// When it is lost.
    deadline: Instant,
    /// When Timer E fires, and its last wait; `None` over what loses nothing.
    resend: Option<(Instant, Duration)>,
    first_final: Option<Duration>,
    provisional: Option<u16>,
    retransmissions: u32,
}

impl Exchange {
    /// Asks what `form` says over `carrier`; answers challenges where it has credentials.
    pub fn new(form: Form, carrier: Carrier, credentials: Option<Credentials>) -> Self {
        Self { form, carrier, credentials, under_way: Vec::new(), over: VecDeque::new() }
    }

    /// Begins a probe at `now`, from `local`: what it gives is to be sent at once. `None` when too many are under way.
    pub fn begin(
        &mut self,
        id: ProbeId,
        marks: Marks,
        local: SocketAddr,
        now: Instant,
        deadline: Instant,
    ) -> Option<Output> {
        if self.under_way.len() >= MAX_UNDER_WAY {
            return None;
        }
        let branch = request::branch(marks.branch);
        let resend = (!self.carrier.is_reliable()).then_some((now + T1, T1));
        let mut probe = Probe {
            id,
            marks,
            local,
            branch,
            cseq: 1,
            request: Vec::new(),
            sent: now,
            deadline,
            resend,
            first_final: None,
            provisional: None,
            retransmissions: 0,
        };
        probe.request = probe.write(&self.form, self.carrier, None);
        let request = probe.request.clone();
        self.under_way.push(probe);
        Some(Output::Send(request))
    }

    /// How many probes are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Takes one message, the last byte of which came at `at`.
    pub fn on_message(&mut self, at: Instant, bytes: &[u8], out: &mut Vec<Output>) {
        let framing = if self.carrier.is_reliable() { Framing::Stream } else { Framing::Datagram { truncated: false } };
        let Ok(message) = sip::parse(bytes, framing) else {
            return out.push(Output::Unexpected(Unexpected::Unreadable));
        };
        let Start::Response { status, reason } = message.start else {
            // A request: the probe serves nobody.
            return out.push(Output::Unexpected(Unexpected::Stray));
        };
        let branch = message.via.branch;
        let is_ours = message.cseq.method == Method::Options;
        let Some(index) = self.under_way.iter().position(|probe| is_ours && probe.branch.as_bytes() == branch) else {
            return out.push(Output::Unexpected(self.what(is_ours, branch)));
        };
        let probe = &mut self.under_way[index];
        if at > probe.deadline {
            // It is lost, only nobody has looked yet.
            self.on_timeout(at, out);
            return out.push(Output::Unexpected(Unexpected::Late));
        }
        if status < 200 {
            probe.provisional = Some(status);
            if let Some((_, wait)) = &mut probe.resend {
                *wait = T2;
            }
            return;
        }
        let rtt = *probe.first_final.get_or_insert(at.saturating_duration_since(probe.sent));
        let credentials = self.credentials.as_ref();
        if let Some(challenged) =
            credentials.and_then(|own| probe.meet(&message, status, own, &self.form, self.carrier, at))
        {
            out.push(Output::Send(probe.request.clone()));
            return self.remember(challenged, true);
        }
        let probe = self.under_way.swap_remove(index);
        let server = message.field(b"Server").or_else(|| message.field(b"User-Agent"));
        let server = server.map(text).filter(|server| !server.is_empty());
        let response = Response { status, reason: text(reason), server };
        let Probe { id, provisional, retransmissions, .. } = probe;
        self.remember(probe.branch, true);
        let answer = Answer { response: Some(response), rtt: Some(rtt), provisional, retransmissions };
        out.push(Output::Ended(id, answer));
    }

    /// What came on a stream is no message, or too long for one.
    pub fn on_garbage(out: &mut Vec<Output>) {
        out.push(Output::Unexpected(Unexpected::Unreadable));
    }

    /// Sends again what is due at `now`, and gives up what is lost.
    pub fn on_timeout(&mut self, now: Instant, out: &mut Vec<Output>) {
        let mut index = 0;
        while let Some(probe) = self.under_way.get_mut(index) {
            if probe.deadline <= now {
                let probe = self.under_way.swap_remove(index);
                let Probe { id, provisional, retransmissions, .. } = probe;
                self.remember(probe.branch, false);
                let answer = Answer { response: None, rtt: None, provisional, retransmissions };
                out.push(Output::Ended(id, answer));
                continue;
            }
            if let Some((at, wait)) = &mut probe.resend
                && *at <= now
            {
                *wait = (*wait * 2).min(T2);
                // From now on: a program that stood still does not make up for what it missed.
                *at = now + *wait;
                probe.retransmissions += 1;
                out.push(Output::Send(probe.request.clone()));
            }
            index += 1;
        }
    }

    /// When to call [`Self::on_timeout`] if nothing comes; `None` while no probe is under way.
    pub fn next_timeout(&self) -> Option<Instant> {
        let due = |probe: &Probe| probe.resend.map_or(probe.deadline, |(at, _)| at.min(probe.deadline));
        self.under_way.iter().map(due).min()
    }

    /// The path is broken: whose probes are given up. What they were like until now is told with each.
    pub fn give_up(&mut self) -> Vec<(ProbeId, Option<u16>, u32)> {
        let broken: Vec<Probe> = self.under_way.drain(..).collect();
        let told = broken.iter().map(|probe| (probe.id, probe.provisional, probe.retransmissions)).collect();
        broken.into_iter().for_each(|probe| self.remember(probe.branch, false));
        told
    }

    /// What a response is that no probe under way waits for.
    fn what(&self, is_ours: bool, branch: &[u8]) -> Unexpected {
        match self.over.iter().find(|(over, _)| is_ours && over.as_bytes() == branch) {
            Some((_, true)) => Unexpected::Doubled,
            Some((_, false)) => Unexpected::Late,
            None => Unexpected::Stray,
        }
    }

    fn remember(&mut self, branch: String, answered: bool) {
        if self.over.len() == REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back((branch, answered));
    }
}

impl Probe {
    fn write(&self, form: &Form, carrier: Carrier, credentials: Option<(&'static str, &str)>) -> Vec<u8> {
        let Self { local, marks, branch, cseq, .. } = self;
        Request { form, carrier, local: *local, marks, branch, cseq: *cseq, credentials }.write()
    }

    /// Makes the request that answers a challenge, if the response is the first one and can be answered. Returns the
    /// branch that was challenged.
    fn meet(
        &mut self,
        message: &Message<'_>,
        status: u16,
        credentials: &Credentials,
        form: &Form,
        carrier: Carrier,
        at: Instant,
    ) -> Option<String> {
        let (asks, answers) = digest::headers(status).filter(|_| self.cseq == 1)?;
        let asking = message.fields().filter(|(name, _)| name.eq_ignore_ascii_case(asks.as_bytes()));
        let challenges = asking.map(|(_, value)| value);
        let value = digest::answer(challenges, credentials, &form.request_uri, self.marks.cnonce)?;
        let challenged = std::mem::replace(&mut self.branch, request::branch(self.marks.second_branch));
        self.cseq = 2;
        self.resend = self.resend.map(|_| (at + T1, T1));
        self.request = self.write(form, carrier, Some((answers, &value)));
        Some(challenged)
    }
}

/// Text of the far side, for people: what a terminal would obey is left out, and so is what is too long.
fn text(bytes: &[u8]) -> String {
    let short = &bytes[..bytes.len().min(LONGEST_TEXT)];
    let text = String::from_utf8_lossy(short);
    // Controls, and what turns the direction of text or breaks its line.
    let shown = |c: &char| {
        !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(shown).collect::<String>().trim().to_owned()
}
