//! Networks for tests of live capture: namespaces of their own, veth pairs, raw frames.
//!
//! A namespace has no name and dies with the last thread or descriptor in it, so that nothing is left
//! behind even by a test that is killed, and ports need not be shared out.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod capture;
pub mod frames;

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use caps::{CapSet, Capability, CapsHashSet};

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
        ip(&format!("link add name left type veth peer name right netns {}", right.path()));
        address("left", 1);
    });
    right.run(|| address("right", 2));
    Ok((left, right))
}

fn address(interface: &str, host: u8) {
    ip(&format!("address add 10.99.0.{host}/24 dev {interface}"));
    ip(&format!("address add fd99::{host}/64 dev {interface} nodad"));
    ip(&format!("link set dev {interface} up"));
}

/// A cable within the namespace of the calling thread: `name` and `name-peer`, both up.
pub fn veth(name: &str) {
    ip(&format!("link add name {name} type veth peer name {name}-peer"));
    ip(&format!("link set dev {name} up"));
    ip(&format!("link set dev {name}-peer up"));
}

/// A device without link header, there as long as the file is open.
pub fn tun(name: &str) -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(device) }
}

/// Whether somebody asked for promiscuous mode.
pub fn is_promiscuous(interface: &str) -> bool {
    let output =
        Command::new("ip").args(["-d", "link", "show", "dev", interface]).output().expect("iproute2 is installed");
    String::from_utf8_lossy(&output.stdout).contains("promiscuity 1")
}

/// Leaves the calling thread these capabilities and an ordinary user's id.
pub fn become_nobody_with(kept: &[Capability]) {
    const NOBODY: libc::c_long = 65_534;
    // SAFETY: these calls take numbers. setresuid by its number concerns this thread alone.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_KEEPCAPS, 1_u64, 0_u64, 0_u64, 0_u64), 0);
        assert_eq!(libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY), 0);
    }
    let kept: CapsHashSet = kept.iter().copied().collect();
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).expect("fewer capabilities can always be had");
    }
}

/// A thread in the namespace of the one that makes it, which keeps its privileges.
pub struct Helper {
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    done: mpsc::Receiver<()>,
}

impl Helper {
    /// Ends when dropped.
    pub fn new() -> Self {
        let (jobs, todo) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (finished, done) = mpsc::channel();
        thread::spawn(move || {
            for job in todo {
                job();
                let _ = finished.send(());
            }
        });
        Self { jobs, done }
    }

    /// Returns when the job is done.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.send(Box::new(job)).expect("the helper lives");
        self.done.recv().expect("the job did not panic");
    }
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
            (libc::if_nametoindex(name.as_ptr()), libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0))
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
