//! A path: probes of one target at one address over one transport, on one socket or connection that is kept.
//!
//! A task owns the socket and an [`Exchange`]; probes come to it as orders and each gets one [`Report`]. It ends when
//! nobody can order any more and nothing is under way.

mod stream;
mod udp;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipeline::probes::{ProbeEnd, ProbeRow, TlsSeen};
use tokio::sync::{mpsc, oneshot};

use crate::dns::Place;
use crate::exchange::{Answer, Carrier, Exchange, MAX_UNDER_WAY, Output, ProbeId, Response};
use crate::session::Ready;

/// What came of one probe.
#[derive(Debug)]
pub struct Report {
    /// Where it went; `None` when no address was found.
    pub place: Option<Place>,
    /// How it ended.
    pub end: End,
    /// A provisional response that came, the last one.
    pub provisional: Option<u16>,
    /// How often a request was sent again.
    pub retransmissions: u32,
    /// What it took, as far as it came.
    pub phases: Phases,
    /// What the connection showed.
    pub tls: TlsSeen,
}

/// How a probe ended.
#[derive(Debug)]
pub enum End {
    /// By a final response, after this round trip.
    Answered(Response, Duration),
    /// Nothing came in time.
    Timeout,
    /// It could not be asked, or its connection broke.
    Failed(Fault),
}

/// How long the parts of a probe took; `None` for those it did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Looking up the name.
    pub resolve: Option<Duration>,
    /// Opening the connection, where there was none.
    pub connect: Option<Duration>,
    /// The handshake.
    pub tls: Option<Duration>,
    /// First byte sent to last byte of the first final response.
    pub transaction: Option<Duration>,
}

/// Why a target could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its name leads nowhere.
    #[error(transparent)]
    Dns(#[from] crate::dns::DnsError),
    /// No socket, or not with the address that is to be used.
    #[error("no socket: {0}")]
    Socket(#[source] std::io::Error),
    /// Nothing can be sent there, or the network says that nobody is there.
    #[error("not reached: {0}")]
    Unreachable(#[source] std::io::Error),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    /// No handshake.
    #[error("no TLS: {0}")]
    Tls(#[source] std::io::Error),
    /// The target closed the connection, or it broke.
    #[error("the connection was closed")]
    Closed,
    /// So many are under way that one more is no use.
    #[error("too many probes are under way")]
    TooMany,
}

impl Report {
    /// As its row counts it.
    pub fn counted(&self) -> ProbeEnd {
        match &self.end {
            End::Answered(Response { status, .. }, rtt) => ProbeEnd::Answered { status: *status, rtt: *rtt },
            End::Timeout => ProbeEnd::Timeout,
            End::Failed(_) => ProbeEnd::Error,
        }
    }

    /// One that came to nothing before anything was sent.
    pub(crate) fn failed(place: Option<Place>, fault: Fault) -> Self {
        Self {
            place,
            end: End::Failed(fault),
            provisional: None,
            retransmissions: 0,
            phases: Phases::default(),
            tls: TlsSeen::default(),
        }
    }
}

/// A wish for one probe.
struct Order {
    /// When its answer is late.
    deadline: Instant,
    reply: oneshot::Sender<Report>,
}

/// The way to a path's task.
#[derive(Clone)]
pub(crate) struct Path {
    orders: mpsc::Sender<Order>,
    place: Place,
}

/// What a path's task works with.
struct Task {
    ready: Arc<Ready>,
    place: Place,
    /// Where to count what belongs to no probe, and retransmissions as they happen.
    row: Option<(Arc<ProbeRow>, String)>,
    exchange: Exchange,
    waiting: Vec<(ProbeId, Waiting)>,
    next: u64,
}

/// Who waits for a probe under way.
struct Waiting {
    reply: oneshot::Sender<Report>,
    phases: Phases,
    tls: TlsSeen,
}

impl Path {
    /// Begins one to `place`. `row` counts what belongs to no probe, under this name of the path. To be called inside a
    /// runtime.
    pub(crate) fn open(ready: Arc<Ready>, place: Place, row: Option<(Arc<ProbeRow>, String)>) -> Self {
        let (orders, wishes) = mpsc::channel(MAX_UNDER_WAY);
        let exchange = Exchange::new(ready.target.form.clone(), place.carrier, ready.credentials.clone());
        let task = Task { ready, place, row, exchange, waiting: Vec::new(), next: 0 };
        match place.carrier {
            Carrier::Udp => drop(tokio::spawn(udp::run(task, wishes))),
            Carrier::Tcp | Carrier::Tls => drop(tokio::spawn(stream::run(task, wishes))),
        }
        Self { orders, place }
    }

    /// One probe.
    pub(crate) async fn probe(&self, deadline: Instant) -> Report {
        let (reply, report) = oneshot::channel();
        if self.orders.try_send(Order { deadline, reply }).is_err() {
            return Report::failed(Some(self.place), Fault::TooMany);
        }
        report.await.unwrap_or_else(|_| Report::failed(Some(self.place), Fault::Closed))
    }
}

impl Task {
    /// Begins what was ordered, from `local`: the request to be sent at once.
    fn begin(&mut self, order: Order, local: SocketAddr, phases: Phases, tls: TlsSeen) -> Option<Vec<u8>> {
        let Order { deadline, reply } = order;
        let now = Instant::now();
        let id = ProbeId(self.next);
        self.next += 1;
        let begun = self.exchange.begin(id, crate::exchange::Marks::draw(), local, now, deadline);
        let Some(Output::Send(request)) = begun else {
            let _ = reply.send(Report::failed(Some(self.place), Fault::TooMany));
            return None;
        };
        self.waiting.push((id, Waiting { reply, phases, tls }));
        Some(request)
    }

    /// Takes one message that came whole at `at`. Returns what is to be sent.
    fn on_message(&mut self, at: Instant, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        self.exchange.on_message(at, bytes, &mut out);
        self.settle(out, false)
    }

    /// Something came that is no message.
    fn on_garbage(&mut self) {
        let mut out = Vec::new();
        Exchange::on_garbage(&mut out);
        self.settle(out, false);
    }

    /// Does what is due. Returns what is to be sent.
    fn on_timeout(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        self.exchange.on_timeout(Instant::now(), &mut out);
        self.settle(out, true)
    }

    /// Tells who waits, counts what nobody waits for, and returns what is to be sent, `again` where it was before.
    fn settle(&mut self, outputs: Vec<Output>, again: bool) -> Vec<Vec<u8>> {
        let mut requests = Vec::new();
        for output in outputs {
            match (output, &self.row) {
                (Output::Send(request), row) => {
                    if let Some((row, _)) = row.as_ref().filter(|_| again) {
                        row.retransmitted();
                    }
                    requests.push(request);
                }
                (Output::Unexpected(what), Some((row, _))) => row.unexpected(what),
                (Output::Unexpected(_), None) => {}
                (Output::Ended(id, answer), _) => self.tell(id, answer),
            }
        }
        requests
    }

    fn tell(&mut self, id: ProbeId, answer: Answer) {
        let Answer { response, rtt, provisional, retransmissions } = answer;
        let end = response.zip(rtt).map_or(End::Timeout, |(response, rtt)| End::Answered(response, rtt));
        self.report(id, end, rtt, provisional, retransmissions);
    }

    /// Everything under way is over: the path is broken.
    fn break_off(&mut self, fault: impl Fn() -> Fault) {
        for (id, provisional, retransmissions) in self.exchange.give_up() {
            self.report(id, End::Failed(fault()), None, provisional, retransmissions);
        }
    }

    fn report(&mut self, id: ProbeId, end: End, transaction: Option<Duration>, provisional: Option<u16>, again: u32) {
        let index = self.waiting.iter().position(|(waiting, _)| *waiting == id).expect("it was begun and ends once");
        let (_, Waiting { reply, phases, tls }) = self.waiting.swap_remove(index);
        let phases = Phases { transaction, ..phases };
        let place = Some(self.place);
        // Who asked may have gone away.
        let _ = reply.send(Report { place, end, provisional, retransmissions: again, phases, tls });
    }

    /// When something is due; far away while nothing is.
    fn due(&self) -> tokio::time::Instant {
        /// Nothing is under way: only an order brings news.
        const NEVER: Duration = Duration::from_secs(24 * 3600);
        self.exchange.next_timeout().map_or_else(|| tokio::time::Instant::now() + NEVER, tokio::time::Instant::from_std)
    }
}
