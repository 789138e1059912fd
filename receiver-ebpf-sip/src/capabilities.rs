//! Privileges: which are needed, and giving all of them up once capture is set up.
//!
//! Opening the packet socket needs CAP_NET_RAW, loading the eBPF program CAP_BPF (Linux 5.8). What is done
//! afterwards (reading the ring, changing maps, following interfaces, promiscuous mode) needs none.

use std::fs;
use std::io;

use caps::{CapSet, Capability};

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// The kernel refused; it should not.
    #[error("capabilities could not be dropped")]
    Refused(#[from] caps::errors::CapsError),
    /// `no_new_privs` could not be set, or the threads could not be listed.
    #[error("capabilities could not be dropped for good")]
    System(#[from] io::Error),
    /// Capabilities belong to a thread: those that exist already keep theirs.
    #[error("{0} other threads still have capabilities: drop them before any thread is started")]
    OtherThreads(usize),
}

/// Gives up every capability of the process for good: nothing executed later gets one either. To be
/// called while the process has one thread; threads started later inherit the empty sets.
pub fn drop_capabilities() -> Result<(), CapabilityError> {
    drop_of_this_thread()?;
    match threads_with_capabilities()? {
        0 => Ok(()),
        others => Err(CapabilityError::OtherThreads(others)),
    }
}

/// As [`drop_capabilities`], for the calling thread alone: what tests of many threads need.
pub fn drop_of_this_thread() -> Result<(), CapabilityError> {
    set_no_new_privs()?;
    caps::clear(None, CapSet::Ambient)?;
    // Emptying the bounding set takes CAP_SETPCAP. Without it `no_new_privs` keeps the door shut: what is
    // executed never gets more than the permitted set, which is empty below.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        caps::clear(None, CapSet::Bounding)?;
    }
    caps::clear(None, CapSet::Inheritable)?;
    caps::clear(None, CapSet::Permitted)?;
    Ok(())
}

/// Whether the calling thread has a capability in effect.
pub fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// The command that lets this program capture as an ordinary user.
pub fn setcap_command() -> String {
    let program = std::env::current_exe();
    let program = program.as_deref().map_or("ringside".into(), |path| path.to_string_lossy());
    format!("setcap cap_net_raw,cap_bpf+ep {program}")
}

fn set_no_new_privs() -> io::Result<()> {
    // SAFETY: this prctl takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Threads of this process whose permitted set is not empty.
fn threads_with_capabilities() -> io::Result<usize> {
    let mut count = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let thread = task?.path();
        match fs::read_to_string(thread.join("status")) {
            Ok(status) if has_permitted(&status) => count += 1,
            Ok(_) => {}
            // It ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Reads the line `CapPrm:` of a thread's status; one that is missing counts as having capabilities.
fn has_permitted(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    line.is_none_or(|set| set.trim().bytes().any(|digit| digit != b'0'))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_left_after_dropping() {
        thread::spawn(|| {
            drop_of_this_thread().expect("dropping needs no permission");
            for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
                assert!(caps::read(None, set).expect("own sets can be read").is_empty(), "{set:?}");
            }
            let status = fs::read_to_string("/proc/thread-self/status").expect("procfs is mounted");
            assert!(status.contains("NoNewPrivs:\t1"));
            assert!(!has_permitted(&status));
        })
        .join()
        .expect("the thread asserts");
    }

    #[test]
    fn dropping_twice_is_no_error() {
        thread::spawn(|| {
            drop_of_this_thread().expect("first");
            drop_of_this_thread().expect("second");
        })
        .join()
        .expect("the thread asserts");
    }

    #[test]
    fn a_permitted_set_is_read_from_the_status_of_a_thread() {
        assert!(!has_permitted("CapInh:\t0\nCapPrm:\t0000000000000000\n"));
        assert!(has_permitted("CapPrm:\t0000000000002000\n"));
        assert!(has_permitted("nothing of the kind"));
    }
}
