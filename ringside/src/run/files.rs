//! How many files may be open at a time: as many as the system lets, and enough to start.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::failure::Failure;

/// Sockets, maps, programs and pages of a usual start, with room. With fewer something fails that says nothing of the cause:
/// the kernel refuses a map, the filter falls back to the classic one.
pub const LEAST: u64 = 64;

/// Raises the limit to what this process may have. Errs where that is too low to start.
pub fn raise_limit() -> Result<(), Failure> {
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if now < most {
        // Enough may be enough: what is too low is told below.
        _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((now, _)) if now < LEAST => Err(Failure::Failed(too_low(now))),
        _ => Ok(()),
    }
}

/// What is wrong where only `now` files may be open.
pub fn too_low(now: u64) -> String {
    format!(
        "only {now} files may be open at a time (ulimit -n), {LEAST} are needed to start; raise the limit: `ulimit -n 1024`, \
         or LimitNOFILE= in the unit"
    )
}
