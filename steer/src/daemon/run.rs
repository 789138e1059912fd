//! The daemon's life: it waits for time, signals, files, clients and answers of backends, on one thread.
//!
//! The heartbeat is beaten by the very loop that does everything else, so that the kernel notices when that hangs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use endpoint::{Limits, Load};
use nix::time::{ClockId, clock_gettime};
use tokio::net::UdpSocket;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Daemon;
use super::answers::Then;
use super::inotify::Watch as Inotify;
use super::pages::{Hints, Metrics, Page};
use crate::control::{Asked, Reply, Server};
use crate::discovery;
use crate::kernel::{Kernel, KernelError};
use crate::policies::{Policies, Watch};
use crate::probes::Prober;
use crate::state::StateError;

/// From one heartbeat to the next.
const BEAT: Duration = Duration::from_millis(100);

/// From one look at discovery files to the next, if nothing tells of a change before.
const LOOK: Duration = Duration::from_secs(30);

/// Requests of clients that wait.
const WAITING: usize = 64;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A signal: steering goes on, frozen.
    Signal,
    /// Everything was taken out of the kernel.
    Detached,
}

/// Why it cannot run. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The folder of its state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The kernel side.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// An endpoint.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Refused),
    /// Something of the system.
    #[error("{what} could not be set up")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Now, of the clock that the programs in the kernel read: CLOCK_MONOTONIC in ns.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every kernel has this clock");
    u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::System { what, source }
}

/// Runs a daemon that has begun, until a signal, or until everything was taken out. `ready` is called once everything is set
/// up.
pub async fn run<K: Kernel>(
    mut daemon: Daemon<K>,
    mut policies: Option<Watch>,
    ready: impl FnOnce(),
) -> Result<Ended, RunError> {
    let mut signals = Signals::listen().map_err(system("signals"))?;
    let (control, mut asked) = mpsc::channel(WAITING);
    let _control = Server::start(&daemon.settings().control, control).map_err(system("the control socket"))?;
    let (ask, mut pages) = mpsc::channel(WAITING);
    let metrics = Arc::new(Metrics { ask: ask.clone(), load: Load::default() });
    let _metrics = endpoint::Server::start(daemon.settings().metrics, Limits::default(), metrics, "[metrics]")?;
    let hints = Arc::new(Hints { ask, load: Load::default() });
    let listen = daemon.settings().hints;
    let _hints =
        listen.map(|listen| endpoint::Server::start(listen, Limits::default(), hints, "[hints]")).transpose()?;
    let mut probing = Probing::open().map_err(system("a socket for probes"))?;
    let mut watch = Inotify::new(&discovery::folders(&daemon.settings().discovery)).map_err(system("inotify"))?;
    let [mut beat, mut second, mut look] = [BEAT, Duration::from_secs(1), LOOK].map(|period| {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    });
    probing.aim(&daemon);
    ready();
    loop {
        tokio::select! {
            biased;
            _ = beat.tick() => daemon.beat(now()),
            action = signals.next() => match action {
                Action::End(name) => {
                    tracing::info!(signal = name, "ending; what is steered goes on by the last tables");
                    return Ok(Ended::Signal);
                }
                Action::Reload => {
                    daemon.reload(now());
                    watch = Inotify::new(&discovery::folders(&daemon.settings().discovery)).map_err(system("inotify"))?;
                    probing.aim(&daemon);
                    policies.iter().for_each(Watch::ask);
                }
            },
            _ = second.tick() => {
                daemon.second(now());
                probing.aim(&daemon);
            }
            _ = look.tick() => daemon.noticed(now()),
            () = watch.changed() => daemon.noticed(now()),
            Some(asked) = asked.recv() => {
                if answer(&mut daemon, asked) == Then::End {
                    // The answer is on its way by another task.
                    tokio::time::sleep(BEAT).await;
                    return Ok(Ended::Detached);
                }
            }
            seen = look_at(&mut policies) => daemon.policed(seen, now()),
            Some(page) = pages.recv() => show(&mut daemon, page),
            outcomes = probing.next() => outcomes.iter().for_each(|outcome| daemon.probed(outcome)),
        }
    }
}

fn answer<K: Kernel>(daemon: &mut Daemon<K>, asked: Asked) -> Then {
    match asked {
        Asked::Once(request, answer) => {
            let (reply, then): (Reply, Then) = daemon.answer(&request, now());
            // Who has gone does not read it.
            let _ = answer.send(reply);
            then
        }
        Asked::Watch(answer) => {
            let _ = answer.send(daemon.events.subscribe());
            Then::Continue
        }
    }
}

fn show<K: Kernel>(daemon: &mut Daemon<K>, page: Page) {
    match page {
        Page::Metrics(answer) => _ = answer.send(daemon.metrics(now())),
        Page::Health(answer) => _ = answer.send(daemon.health()),
        Page::Hint(from, hint, answer) => _ = answer.send(daemon.hint(from, hint, now())),
    }
}

/// The next look at policies. One that ended is waited for no more.
async fn look_at(watch: &mut Option<Watch>) -> Policies {
    let Some(looking) = watch else { return std::future::pending().await };
    let seen = looking.next().await;
    if looking.has_ended() {
        *watch = None;
    }
    seen
}

/// Probes, with their sockets.
struct Probing {
    prober: Prober,
    begun: Instant,
    v4: UdpSocket,
    /// A node may be without IPv6.
    v6: Option<UdpSocket>,
}

/// Longest datagram that is looked at.
const DATAGRAM: usize = 2048;

impl Probing {
    fn open() -> io::Result<Self> {
        let bind = |address: SocketAddr| {
            let socket = std::net::UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)
        };
        let v4 = bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let v6 = bind((Ipv6Addr::UNSPECIFIED, 0).into()).ok();
        Ok(Self { prober: Prober::default(), begun: Instant::now(), v4, v6 })
    }

    fn aim<K: Kernel>(&mut self, daemon: &Daemon<K>) {
        self.prober.probe(daemon.targets(), self.begun.elapsed());
    }

    /// Waits until something came or was due; what came of it.
    async fn next(&mut self) -> Vec<crate::probes::Outcome> {
        let due = self.prober.next().map(|next| self.begun + next);
        let (mut one, mut other) = ([0; DATAGRAM], [0; DATAGRAM]);
        let received = tokio::select! {
            received = self.v4.recv(&mut one) => received.map(|len| &one[..len]),
            received = receive(self.v6.as_ref(), &mut other) => received.map(|len| &other[..len]),
            () = until(due) => return self.send(),
        };
        // An error is of a datagram that was sent before: it is not answered, which its time tells.
        received.ok().and_then(|datagram| self.prober.received(datagram)).into_iter().collect()
    }

    fn send(&mut self) -> Vec<crate::probes::Outcome> {
        let Self { prober, begun, v4, v6 } = self;
        let socket = |to: SocketAddr| if to.is_ipv4() { Some(&*v4) } else { v6.as_ref() };
        let from = |to: SocketAddr| {
            let port = socket(to)?.local_addr().ok()?.port();
            Some(SocketAddr::new(source(to)?, port))
        };
        let (requests, outcomes) = prober.due(begun.elapsed(), from);
        for request in requests {
            // What cannot be sent is not answered.
            let _ = socket(request.to).map(|socket| socket.try_send_to(&request.bytes, request.to));
        }
        outcomes
    }
}

/// The address that this node sends from to another: a socket that is connected knows it, and sends nothing.
fn source(to: SocketAddr) -> Option<std::net::IpAddr> {
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

async fn receive(socket: Option<&UdpSocket>, bytes: &mut [u8]) -> io::Result<usize> {
    match socket {
        Some(socket) => socket.recv(bytes).await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

enum Action {
    Reload,
    /// With the name of the signal.
    End(&'static str),
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Action {
        tokio::select! {
            _ = self.terminate.recv() => Action::End("SIGTERM"),
            _ = self.interrupt.recv() => Action::End("SIGINT"),
            _ = self.hangup.recv() => Action::Reload,
        }
    }
}
