//! Datagrams: one socket for each address, with the kernel's time stamps of what comes in.
//!
//! The socket is not connected: an answer may come from another address of the same target, and only branch and method
//! decide. What ICMP says of it ends what is under way.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
    sockopt::{Ipv4RecvErr, Ipv6RecvErr, ReceiveTimestampns},
};
use nix::sys::time::TimeSpec;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Fault, Order, Phases, Report, Task};
use pipeline::probes::TlsSeen;

/// Largest datagram.
const LARGEST: usize = 65_535;
/// Datagrams taken before something else may happen.
const AT_A_TIME: usize = 32;

pub(super) async fn run(mut task: Task, mut orders: mpsc::Receiver<Order>) {
    let mut socket: Option<Socket> = None;
    let mut open = true;
    while open || task.exchange.under_way() > 0 {
        let ready = async {
            match &socket {
                Some(socket) => socket.socket.ready(Interest::READABLE | Interest::ERROR).await.map(drop),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv(), if open => match order {
                Some(order) => begin(&mut task, &mut socket, order).await,
                None => open = false,
            },
            result = ready => {
                let socket_now = socket.as_ref().expect("only a socket is ready");
                let taken = match result {
                    Ok(()) => socket_now.take(&mut task).await,
                    error => error,
                };
                if let Err(error) = taken {
                    // What ICMP tells, or a socket that is broken: the next probe has a new one.
                    let kind = error.raw_os_error();
                    task.break_off(|| Fault::Unreachable(again(kind)));
                    socket = None;
                }
            }
            () = tokio::time::sleep_until(task.due()) => {
                let requests = task.on_timeout();
                if let Some(socket) = &socket {
                    send(&mut task, socket, requests).await;
                }
            }
        }
    }
}

async fn begin(task: &mut Task, socket: &mut Option<Socket>, order: Order) {
    let place = task.place;
    if socket.is_none() {
        match Socket::open(place.address, task.ready.target.bind).await {
            Ok(opened) => *socket = Some(opened),
            Err(error) => {
                let _ = order.reply.send(Report::failed(Some(place), Fault::Socket(error)));
                return;
            }
        }
    }
    let socket = socket.as_ref().expect("it was opened");
    if let Some(request) = task.begin(order, socket.local, Phases::default(), TlsSeen::default()) {
        send(task, socket, vec![request]).await;
    }
}

async fn send(task: &mut Task, socket: &Socket, requests: Vec<Vec<u8>>) {
    for request in requests {
        if let Err(error) = socket.socket.send_to(&request, task.place.address).await {
            let kind = error.raw_os_error();
            return task.break_off(|| Fault::Unreachable(again(kind)));
        }
    }
}

/// The same error for each probe it ends.
fn again(code: Option<i32>) -> io::Error {
    code.map_or_else(|| ErrorKind::Other.into(), io::Error::from_raw_os_error)
}

/// A socket, and what its requests say they come from.
struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Socket {
    /// Bound to `from`, or to what the system chooses, for requests to `to`.
    async fn open(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Self> {
        let any = |to: SocketAddr| SocketAddr::new(if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, 0);
        let bound = from.map_or_else(|| any(to), |from| SocketAddr::new(from, 0));
        let socket = StdUdpSocket::bind(bound)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        match to {
            SocketAddr::V4(_) => setsockopt(&socket, Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvErr, &true)?,
        }
        let mut local = socket.local_addr()?;
        if local.ip().is_unspecified() {
            // Connecting sends nothing; it asks for the route.
            let route = StdUdpSocket::bind(any(to))?;
            route.connect(to)?;
            local.set_ip(route.local_addr()?.ip());
        }
        let socket = UdpSocket::from_std(socket)?;
        // So that the first request does not wait for the runtime to know the socket.
        socket.writable().await?;
        Ok(Self { socket, local })
    }

    /// Takes what has come. An error says that the target is not reached.
    async fn take(&self, task: &mut Task) -> io::Result<()> {
        // Not kept: a thousand targets rest most of the time.
        let mut buffer = vec![0; LARGEST];
        for _ in 0..AT_A_TIME {
            match self.socket.try_io(Interest::READABLE, || self.receive(&mut buffer)) {
                Ok((len, at)) => {
                    let requests = task.on_message(at, &buffer[..len]);
                    send(task, self, requests).await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // What has been queued of ICMP keeps the socket from resting.
                    return match self.socket.take_error()? {
                        Some(error) => Err(error),
                        None => self.drain_errors(),
                    };
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One datagram, and when its last byte came on the monotonic clock.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Instant)> {
        let mut slices = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!(TimeSpec);
        let received =
            recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty())?;
        let now = Instant::now();
        let stamp = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        });
        let at = stamp.map_or(now, |stamp| monotonic(now, SystemTime::now(), stamp));
        Ok((received.bytes, at))
    }

    /// Empties the queue of errors. One that is there is the target's.
    fn drain_errors(&self) -> io::Result<()> {
        let mut found = false;
        loop {
            // The datagram it is about, of which nothing is needed.
            let mut head = [0; 64];
            let mut slices = [IoSliceMut::new(&mut head)];
            match recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, None, MsgFlags::MSG_ERRQUEUE) {
                Ok(_) => found = true,
                Err(nix::Error::EAGAIN) if found => return Err(ErrorKind::HostUnreachable.into()),
                Err(nix::Error::EAGAIN) => {
                    // Nothing is there: the readiness for errors is stale, and is to be forgotten.
                    let _ = self.socket.try_io(Interest::ERROR, || Err::<(), _>(ErrorKind::WouldBlock.into()));
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A time stamp of the wall clock on the monotonic one. The two are read together after the fact, so that only a step of
/// the wall clock in between could mislead; then the time of reading counts.
fn monotonic(now: Instant, wall: SystemTime, stamp: Duration) -> Instant {
    /// Longer than a datagram waits for its reader.
    const LONGEST: Duration = Duration::from_secs(1);
    let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    match wall.checked_sub(stamp) {
        Some(age) if age <= LONGEST => now.checked_sub(age).unwrap_or(now),
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_the_kernel_counts_unless_the_clock_was_set() {
        let (now, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_secs(1000));
        let at = |millis: u64| monotonic(now, wall, Duration::from_millis(millis));
        assert_eq!(at(999_990), now - Duration::from_millis(10));
        assert_eq!((at(1_000_001), at(900_000)), (now, now));
    }
}
