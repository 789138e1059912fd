//! Namespaces, and a cable between two: what `ip netns` does, without names.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    handle: File,
}

impl Namespace {
    /// A new one, loopback up. Needs CAP_SYS_ADMIN.
    pub fn new() -> io::Result<Self> {
        let made = thread::spawn(|| {
            // SAFETY: no pointers; only this thread, which then ends, leaves the namespace it was in.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            File::open("/proc/thread-self/ns/net")
        });
        let namespace = Self { handle: made.join().expect("the thread does not panic")? };
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    /// The one this process is in.
    pub fn current() -> io::Result<Self> {
        Ok(Self { handle: File::open("/proc/self/ns/net")? })
    }

    /// The same once more, for another thread.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { handle: self.handle.try_clone()? })
    }

    /// Moves the calling thread into it, for good.
    ///
    /// # Panics
    /// Without CAP_SYS_ADMIN.
    pub fn enter(&self) {
        enter(self.handle.as_raw_fd()).expect("the namespace exists as long as its handle");
    }

    /// Runs `work` on a thread inside the namespace: sockets it opens stay there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that will run inside the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let handle = self.handle.as_raw_fd();
        let mut command = Command::new(program);
        // SAFETY: setns is a bare system call, allowed between fork and exec. Should the namespace be dropped before the
        // command is spawned, the call fails and so does the spawn.
        unsafe { command.pre_exec(move || enter(handle)) };
        command
    }

    /// `ip` inside the namespace; see [`ip`].
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub fn ip(&self, arguments: &str) {
        self.run(|| ip(arguments));
    }

    /// Whether somebody listens on a UDP port here.
    pub fn hears_udp(&self, port: u16) -> bool {
        self.has_socket(["udp", "udp6"], &format!(":{port:04X} "))
    }

    /// Whether somebody listens on a TCP port here.
    pub fn hears_tcp(&self, port: u16) -> bool {
        // Of a listener the remote address is all zeros.
        self.has_socket(["tcp", "tcp6"], &format!(":{port:04X} 0000"))
    }

    /// Whether one of the kernel's tables of sockets has a line with `pattern`.
    fn has_socket(&self, tables: [&str; 2], pattern: &str) -> bool {
        let table = |name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
        self.run(|| tables.map(table)).iter().any(|table| table.lines().any(|line| line.contains(pattern)))
    }

    /// A path by which `ip` finds the namespace.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd())
    }
}

fn enter(handle: RawFd) -> io::Result<()> {
    // SAFETY: no pointers; moves the calling thread alone.
    match unsafe { libc::setns(handle, libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs `ip ARGUMENTS`, separated by space, in the namespace of the calling thread.
///
/// # Panics
/// When it fails, with what it said.
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two namespaces and a cable: `left` in one, `right` in the other, MTU 1500, IPv4 and IPv6 up.
#[derive(Debug)]
pub struct Cable {
    /// 10.20.0.1, fd00:20::1.
    pub left: Namespace,
    /// 10.20.0.2, fd00:20::2.
    pub right: Namespace,
}

impl Cable {
    /// Needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
    pub fn new() -> io::Result<Self> {
        let cable = Self { left: Namespace::new()?, right: Namespace::new()? };
        cable.left.ip(&format!(
            "link add left address 02:00:00:00:20:01 type veth peer name right address 02:00:00:00:20:02 netns {}",
            cable.right.path()
        ));
        for (side, name, own, other) in [(&cable.left, "left", 1, 2), (&cable.right, "right", 2, 1)] {
            side.ip(&format!("addr add 10.20.0.{own}/24 dev {name}"));
            // Duplicate address detection would keep the address unusable for a second.
            side.ip(&format!("addr add fd00:20::{own}/64 dev {name} nodad"));
            side.ip(&format!("link set {name} up"));
            // Nor should the first datagram wait for its neighbour to be found.
            for address in [format!("10.20.0.{other}"), format!("fd00:20::{other}")] {
                side.ip(&format!("neigh add {address} lladdr 02:00:00:00:20:0{other} nud permanent dev {name}"));
            }
        }
        Ok(cable)
    }

    /// The addresses of both ends on a port, left first.
    pub fn addresses(&self, family: Family, port: u16) -> (SocketAddr, SocketAddr) {
        let end = |number: u8| match family {
            Family::V4 => IpAddr::from(Ipv4Addr::new(10, 20, 0, number)),
            Family::V6 => IpAddr::from(Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, number.into())),
        };
        (SocketAddr::new(end(1), port), SocketAddr::new(end(2), port))
    }
}

/// Version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Its loopback address.
    pub const fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Self::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }
}
