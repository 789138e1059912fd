//! Networks for tests of live capture: namespaces of their own, veth pairs, raw frames.
//!
//! A namespace has no name and dies with the last thread or descriptor in it, so that nothing is left
//! behind even by a test that is killed, and ports need not be shared out.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod frames;

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::thread;

/// A network namespace with loopback up.
pub struct Namespace {
    descriptor: File,
}

impl Namespace {
    /// Made by a thread that ends at once. Errs where the kernel refuses namespaces.
    pub fn new() -> io::Result<Self> {
        thread::spawn(|| {
            // SAFETY: takes a number; only this thread moves.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
                return Err(io::Error::last_os_error());
            }
            ip("link set lo up");
            Ok(Self { descriptor: File::open("/proc/thread-self/ns/net")? })
        })
        .join()
        .expect("the thread returns its errors")
    }

    /// Moves the calling thread into it, for good.
    pub fn enter(&self) {
        // SAFETY: takes numbers; only this thread moves.
        let result = unsafe { libc::setns(self.descriptor.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "setns: {}", io::Error::last_os_error());
    }

    /// Runs `body` on a thread of its own inside.
    pub fn run<R: Send>(&self, body: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                body()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// What `ip` understands as this namespace.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.descriptor.as_raw_fd())
    }
}

/// Two namespaces joined by a cable: `left` and `right` (MTU 1500), 10.99.0.1 and 10.99.0.2, fd99::1 and fd99::2.
pub fn joined_namespaces() -> io::Result<(Namespace, Namespace)> {
    let (left, right) = (Namespace::new()?, Namespace::new()?);
    left.run(|| {
        ip(&format!("link add left type veth peer name right netns {}", right.path()));
        address("left", 1);
    });
    right.run(|| address("right", 2));
    Ok((left, right))
}

fn address(interface: &str, host: u8) {
    ip(&format!("address add 10.99.0.{host}/24 dev {interface}"));
    ip(&format!("address add fd99::{host}/64 dev {interface} nodad"));
    ip(&format!("link set {interface} up"));
}

/// Runs `ip ARGUMENTS` in the namespace of the calling thread.
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Says, past the test harness's capture of output, that a test proves nothing here.
pub fn skipped(test: &str, why: &str) {
    let _ = writeln!(io::stderr(), "skipped: {test}: {why}");
}

/// Sends frames as they are, over an interface of the calling thread's namespace.
pub struct Injector {
    socket: OwnedFd,
    interface: libc::c_int,
}

impl Injector {
    /// Needs CAP_NET_RAW.
    pub fn new(interface: &str) -> io::Result<Self> {
        let name = CString::new(interface).expect("a name has no NUL");
        // SAFETY: the name is a C string; socket takes numbers and its result is owned by nobody else.
        let (index, socket) = unsafe {
            (
                libc::if_nametoindex(name.as_ptr()),
                libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0),
            )
        };
        if index == 0 || socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        Ok(Self { socket: unsafe { OwnedFd::from_raw_fd(socket) }, interface: index as libc::c_int })
    }

    /// One frame, from its Ethernet header on.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: all zeroes is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = self.interface;
        // SAFETY: buffers and lengths describe live memory.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        assert_eq!(sent, frame.len() as isize, "send: {}", io::Error::last_os_error());
    }
}
