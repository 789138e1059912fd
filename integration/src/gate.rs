//! Whether a live test can run here, and which of them may run beside others.
//!
//! What cannot run is said ([`testnet::skipped`]): nothing is skipped in silence.

use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use testnet::{Namespace, skipped};

/// Tests beside each other share it; one that needs the machine for itself takes it whole.
static MACHINE: RwLock<()> = RwLock::new(());

/// The right to run, given back when dropped.
#[derive(Debug)]
pub enum Pass {
    /// Beside others.
    Shared(RwLockReadGuard<'static, ()>),
    /// Alone: load and memory are looked at.
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Waits for its turn; `None` when this machine cannot run `test`, which is then said.
pub fn shared(test: &str) -> Option<Pass> {
    possible(test)?;
    Some(Pass::Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner)))
}

/// Like [`shared`], with no other live test beside it.
pub fn alone(test: &str) -> Option<Pass> {
    possible(test)?;
    Some(Pass::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner)))
}

/// Whether this machine can run `test`; `None` when it cannot, which is then said.
pub fn possible(test: &str) -> Option<()> {
    let Err(obstacle) = obstacle() else { return Some(()) };
    skipped(test, &obstacle);
    None
}

/// What stands in the way of capturing with eBPF between namespaces of our own.
///
/// # Errors
/// The obstacle, for people to read.
pub fn obstacle() -> Result<(), String> {
    Namespace::new().map_err(|error| format!("network namespaces are refused: {error}"))?;
    if let Err(error) = bpf_map() {
        return Err(format!("bpf() is refused: {error}"));
    }
    Ok(())
}

/// Asks the kernel for the smallest map there is, and gives it back.
fn bpf_map() -> io::Result<()> {
    const BPF_MAP_CREATE: libc::c_int = 0;
    const BPF_MAP_TYPE_ARRAY: u32 = 2;
    /// The first fields of `union bpf_attr` for BPF_MAP_CREATE.
    #[repr(C)]
    struct MapCreate {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
    }
    let attributes =
        MapCreate { map_type: BPF_MAP_TYPE_ARRAY, key_size: 4, value_size: 8, max_entries: 1, map_flags: 0 };
    // SAFETY: the kernel reads `size_of` bytes from a pointer that is valid for them, and keeps nothing of it.
    let map = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, &attributes, size_of::<MapCreate>()) };
    if map < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is ours and used nowhere else.
    unsafe { libc::close(map as libc::c_int) };
    Ok(())
}
