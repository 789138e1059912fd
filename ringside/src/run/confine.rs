//! After the start the program closes itself in with Landlock, where the kernel has it (Linux 5.13): of all files it can reach
//! those it comes back to, and what the system's own look-ups of names need. It cannot write anywhere but into the folders of
//! exporters.
//!
//! A thread that keeps capabilities to set probes (TLS) was there before and is not closed in: it reads libraries wherever
//! processes have them.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus,
};

use super::paths::Paths;

/// What name resolution, time zones, certificates of authorities and numbers about the process need.
const OF_THE_SYSTEM: [&str; 7] = ["/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/run"];

/// Devices that are read and written.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/urandom", "/dev/random"];

/// The newest rules that are known: older kernels enforce those they have.
const NEWEST: ABI = ABI::V5;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// By all rules there are.
    Fully,
    /// By those an older kernel has.
    Partly,
    /// The kernel has no Landlock, or it is switched off.
    Not,
}

impl Confined {
    /// For the operator.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fully => "files closed off by Landlock",
            Self::Partly => "files closed off by Landlock, as far as this kernel can",
            Self::Not => "files not closed off: this kernel has no Landlock",
        }
    }
}

/// Closes the calling thread in, and those it will start. `no_new_privs` is set already.
pub fn close(paths: &Paths) -> Result<Confined, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?.create()?;
    let system = OF_THE_SYSTEM.iter().map(PathBuf::from);
    let readable = system.chain(paths.read_folders()).map(|path| (path, read));
    let devices = DEVICES.iter().map(|path| (PathBuf::from(path), AccessFs::ReadFile | AccessFs::WriteFile));
    let written = paths.written.iter().map(|path| (path.clone(), all));
    for (path, access) in readable.chain(devices).chain(written) {
        // What is not there cannot be reached anyway.
        if let Ok(file) = PathFd::new(&path) {
            rules = rules.add_rule(PathBeneath::new(file, access))?;
        }
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Confined::Fully,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    #[test]
    fn only_what_is_named_can_be_reached() {
        let folder = tempfile::tempdir().expect("a folder");
        let [read, written, other] = ["read", "written", "other"].map(|name| folder.path().join(name));
        for path in [&read, &written, &other] {
            fs::create_dir(path).expect("it is new");
            fs::write(path.join("file"), "text").expect("it can be written");
        }
        let paths = Paths { read: vec![read.join("file")], written: vec![written.clone()] };
        // A thread of its own: it is closed in for ever.
        let confined = thread::spawn(move || {
            let confined = close(&paths).expect("rules can be made");
            if confined == Confined::Not {
                return confined;
            }
            assert!(fs::read_to_string(read.join("file")).is_ok());
            assert!(fs::write(read.join("file"), "").is_err(), "it is read only");
            // Replaced, as editors do, it is another file.
            fs::write(written.join("new"), "text").expect("its folder is open");
            fs::rename(written.join("new"), written.join("file")).expect("its folder is open");
            assert!(fs::read_to_string(other.join("file")).is_err());
            assert!(fs::read_to_string("/proc/self/status").is_ok() && fs::read_to_string("/etc/passwd").is_ok());
            confined
        });
        let confined = confined.join().expect("the thread asserts");
        if confined == Confined::Not {
            testnet::skipped("only_what_is_named_can_be_reached", "this kernel has no Landlock");
        }
    }
}
