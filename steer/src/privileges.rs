//! Capabilities: which there are, and giving them up once the programs are loaded.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl::set_no_new_privs;

/// What loading the programs takes: without CAP_PERFMON the verifier refuses pointers to packets.
pub const TO_LOAD: [Capability; 3] = [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_PERFMON];

/// What looking at policies of the node takes: `iptables-legacy` asks by a raw socket.
pub const TO_LOOK: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW];

/// Which of [`TO_LOAD`] this thread lacks.
pub fn missing() -> Vec<Capability> {
    let has = |capability: &Capability| caps::has_cap(None, CapSet::Effective, *capability).unwrap_or(false);
    TO_LOAD.into_iter().filter(|capability| !has(capability)).collect()
}

/// Gives up everything but `kept`, for good: of this thread, which is to be the only one.
pub fn give_up_all_but(kept: &[Capability]) -> Result<(), String> {
    set_no_new_privs().map_err(told)?;
    reduce(kept).map_err(told)
}

/// Gives up everything but `kept`, of this thread, for good; programs that it runs have what is kept as well.
pub fn keep_for_programs(kept: &[Capability]) -> Result<(), String> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(told)?;
    let kept: CapsHashSet = kept.iter().copied().filter(|one| permitted.contains(one)).collect();
    set_no_new_privs().map_err(told)?;
    let keep = || {
        caps::clear(None, CapSet::Ambient)?;
        if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
            let bounding = caps::read(None, CapSet::Bounding)?;
            bounding.difference(&kept).try_for_each(|one| caps::drop(None, CapSet::Bounding, *one))?;
        }
        caps::set(None, CapSet::Inheritable, &kept)?;
        caps::set(None, CapSet::Effective, &kept)?;
        caps::set(None, CapSet::Permitted, &kept)?;
        caps::set(None, CapSet::Ambient, &kept)
    };
    keep().map_err(told)
}

fn told(error: impl std::fmt::Display) -> String {
    format!("capabilities cannot be given up: {error}")
}

fn reduce(kept: &[Capability]) -> Result<(), caps::errors::CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = kept.iter().copied().filter(|one| permitted.contains(one)).collect();
    caps::clear(None, CapSet::Ambient)?;
    // Emptying the bounding set takes CAP_SETPCAP; without it `no_new_privs` keeps the door shut.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        caps::clear(None, CapSet::Bounding)?;
    }
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}
