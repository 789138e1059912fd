//! Privileges: which are needed, and giving them up once capture is set up.
//!
//! Opening the packet socket needs CAP_NET_RAW, loading the eBPF program CAP_BPF (Linux 5.8). What is done
//! afterwards (reading the ring, changing maps, following interfaces, promiscuous mode) needs none. Only the thread
//! that sets probes for TLS keeps some, and says which beforehand.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use caps::{CapSet, Capability, CapsHashSet};

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

/// Threads that keep capabilities: their ids, and the permitted set of each as the kernel shows it.
static KEEPERS: Mutex<Vec<(libc::pid_t, u64)>> = Mutex::new(Vec::new());

/// Gives up every capability of the process for good, but for what threads have said to keep: nothing executed later
/// gets one either. To be called while the process has no other threads; those started later inherit the empty sets.
pub fn drop_capabilities() -> Result<(), CapabilityError> {
    drop_of_this_thread()?;
    match threads_with_capabilities()? {
        0 => Ok(()),
        others => Err(CapabilityError::OtherThreads(others)),
    }
}

/// As [`drop_capabilities`], for the calling thread alone: what tests of many threads need.
pub fn drop_of_this_thread() -> Result<(), CapabilityError> {
    reduce_this_thread(&CapsHashSet::new())
}

/// Leaves the calling thread those of `wanted` that it has, and nothing else; [`drop_capabilities`] will let it be.
pub fn keep_on_this_thread(wanted: &[Capability]) -> Result<(), CapabilityError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = wanted.iter().copied().filter(|one| permitted.contains(one)).collect();
    reduce_this_thread(&kept)?;
    let set = kept.iter().fold(0, |set, one| set | one.bitmask());
    // SAFETY: takes nothing, gives a number.
    let id = unsafe { libc::gettid() };
    KEEPERS.lock().unwrap_or_else(PoisonError::into_inner).push((id, set));
    Ok(())
}

fn reduce_this_thread(kept: &CapsHashSet) -> Result<(), CapabilityError> {
    set_no_new_privs()?;
    caps::clear(None, CapSet::Ambient)?;
    // Emptying the bounding set takes CAP_SETPCAP. Without it `no_new_privs` keeps the door shut: what is
    // executed never gets more than the permitted set, which is empty below.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        caps::clear(None, CapSet::Bounding)?;
    }
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, kept)?;
    caps::set(None, CapSet::Permitted, kept)?;
    Ok(())
}

/// Whether the calling thread has a capability in effect.
pub fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// Whether the kernel refused something for want of a capability, told by the causes of an error.
pub fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::PermissionDenied;
        }
        cause = error.source();
    }
    false
}

/// The command that lets this program capture as an ordinary user.
pub fn setcap_command() -> String {
    setcap("cap_net_raw,cap_bpf")
}

/// The same, and read TLS in the clear too.
pub fn setcap_command_with_tls() -> String {
    setcap("cap_net_raw,cap_bpf,cap_perfmon,cap_sys_ptrace")
}

fn setcap(capabilities: &str) -> String {
    let program = std::env::current_exe();
    let program = program.as_deref().map_or("ringside".into(), Path::to_string_lossy);
    format!("setcap {capabilities}+ep {program}")
}

fn set_no_new_privs() -> io::Result<()> {
    // SAFETY: this prctl takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Threads of this process with permitted capabilities they have not said to keep.
fn threads_with_capabilities() -> io::Result<usize> {
    let keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut count = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        let id = task.file_name().to_str().and_then(|name| name.parse().ok());
        let kept = keepers.iter().find(|(keeper, _)| Some(*keeper) == id).map_or(0, |(_, set)| *set);
        match fs::read_to_string(task.path().join("status")) {
            Ok(status) if permitted(&status) & !kept != 0 => count += 1,
            Ok(_) => {}
            // It ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Reads the line `CapPrm:` of a thread's status; one that is missing counts as all capabilities there are.
fn permitted(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(u64::MAX)
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
            assert_eq!(permitted(&status), 0);
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
        assert_eq!(permitted("CapInh:\t0\nCapPrm:\t0000000000000000\n"), 0);
        assert_eq!(permitted("CapPrm:\t0000000000002000\n"), 1 << 13);
        assert_eq!(permitted("nothing of the kind"), u64::MAX);
    }

    #[test]
    fn a_thread_keeps_what_it_says_and_no_more() {
        thread::spawn(|| {
            let before = caps::read(None, CapSet::Permitted).expect("own sets can be read");
            let wanted = Capability::CAP_BPF;
            keep_on_this_thread(&[wanted]).expect("fewer capabilities can always be had");
            let kept: CapsHashSet = before.contains(&wanted).then_some(wanted).into_iter().collect();
            for set in [CapSet::Effective, CapSet::Permitted] {
                assert_eq!(caps::read(None, set).expect("own sets can be read"), kept, "{set:?}");
            }
            for set in [CapSet::Inheritable, CapSet::Ambient] {
                assert!(caps::read(None, set).expect("own sets can be read").is_empty(), "{set:?}");
            }
        })
        .join()
        .expect("the thread asserts");
    }
}
