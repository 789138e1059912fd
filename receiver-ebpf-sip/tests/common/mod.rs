//! What tests of live capture share beside `testnet`: devices, privileges, and a thread that keeps them.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod capture;
pub mod frames;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use caps::{CapSet, Capability, CapsHashSet};
use testnet::ip;

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
