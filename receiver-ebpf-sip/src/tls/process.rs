//! Other processes, as procfs shows them: who they are, which TLS libraries they have mapped.
//!
//! Looking at a process of another user takes CAP_SYS_PTRACE, for its program, its mappings and its root folder. A
//! process may end or change at any moment; one that has ended is no error.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::library::{self, Library};

/// Who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// As the kernel knows it: at most 15 bytes.
    pub name: String,
    /// Path of its program, as it sees it itself; `None` where that cannot be read.
    pub program: Option<String>,
    /// Its control groups, one per hierarchy.
    pub cgroups: Vec<String>,
}

/// A TLS library that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mapped {
    /// As the process sees it.
    pub path: String,
    /// Number of the file in its filesystem.
    pub inode: u64,
    /// The file was replaced or removed since: what is at the path now is another one.
    pub replaced: bool,
}

/// Most bytes that are read of a file in procfs: some 100,000 mappings.
const LONGEST: u64 = 16 << 20;

impl Process {
    /// `None` if it has ended.
    pub fn look(id: u64) -> Option<Self> {
        let name = read(&format!("/proc/{id}/comm")).ok()?;
        let program = fs::read_link(format!("/proc/{id}/exe")).ok();
        let program = program.map(|path| path.to_string_lossy().trim_end_matches(DELETED).to_owned());
        let cgroups = read(&format!("/proc/{id}/cgroup")).unwrap_or_default();
        // `0::/system.slice/x.service`
        let cgroups = cgroups.lines().filter_map(|line| Some(line.splitn(3, ':').nth(2)?.to_owned())).collect();
        Some(Self { name: name.trim_end_matches('\n').to_owned(), program, cgroups })
    }
}

/// The ids of all processes there are.
pub fn all() -> io::Result<Vec<u64>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The TLS libraries a process has mapped. Of one that has ended there are none; errs with `PermissionDenied` where
/// CAP_SYS_PTRACE is missing.
pub fn libraries(id: u64) -> io::Result<BTreeSet<Mapped>> {
    match read(&format!("/proc/{id}/maps")) {
        Ok(text) => Ok(text.lines().filter_map(mapped_library).collect()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        // ESRCH: it has ended since the file was opened.
        Err(_) => Ok(BTreeSet::new()),
    }
}

/// `7f12..-7f13.. r-xp 0001f000 fe:01 1234    /usr/lib/x86_64-linux-gnu/libssl.so.3`
fn mapped_library(line: &str) -> Option<Mapped> {
    let mut fields = line.splitn(6, ' ').skip(1);
    let permissions = fields.next()?;
    let inode = fields.nth(2)?.parse().ok()?;
    let path = fields.next()?.trim_start();
    if !permissions.contains('x') || !path.starts_with('/') {
        return None;
    }
    let (path, replaced) = path.strip_suffix(DELETED).map_or((path, false), |path| (path, true));
    library::of_file(path).map(|_| Mapped { path: path.to_owned(), inode, replaced })
}

const DELETED: &str = " (deleted)";

/// Opens a file as a process sees it, within its own root folder. The path is one the kernel gave, so it holds no
/// links; one that does now, or that is no plain file, was put there since and is refused.
pub fn open(id: u64, path: &str) -> io::Result<File> {
    let root =
        File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(format!("/proc/{id}/root"))?;
    let path = CString::new(path)?;
    // SAFETY: all zeroes is a valid open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: path and structure live through the call, and the size is the structure's.
    let result = unsafe {
        libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &raw const how, size_of::<libc::open_how>())
    };
    let file = match i32::try_from(result) {
        // SAFETY: just opened, and nobody else knows it.
        Ok(fd) if fd >= 0 => File::from(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => return Err(io::Error::last_os_error()),
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The whole text of a file in procfs.
fn read(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a file of a library holds that is needed here.
pub fn points(file: &File, library: &Library) -> io::Result<Vec<library::Point>> {
    /// Many times the size of a library with its debug information.
    const LARGEST: u64 = 64 << 20;
    if file.metadata()?.len() > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    library.points(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_library_is_read_off_its_line() {
        let mapped = |line: &str| mapped_library(line).map(|mapped| (mapped.path, mapped.inode, mapped.replaced));
        let line = "7f0e1c01f000-7f0e1c07d000 r-xp 0001f000 fe:00 1835 \u{20}                    /usr/lib/libssl.so.3";
        assert_eq!(mapped(line), Some(("/usr/lib/libssl.so.3".to_owned(), 1835, false)));
        let gone = format!("{line} (deleted)");
        assert_eq!(mapped(&gone), Some(("/usr/lib/libssl.so.3".to_owned(), 1835, true)));
        assert_eq!(mapped(&line.replace("r-xp", "r--p")), None);
        assert_eq!(mapped(&line.replace("libssl", "libc")), None);
        assert_eq!(mapped("7f0e1c01f000-7f0e1c07d000 rw-p 00000000 00:00 0"), None);
        assert_eq!(mapped(""), None);
    }

    #[test]
    fn this_process_is_known_by_its_program() {
        let own = Process::look(std::process::id().into()).expect("it runs");
        let program = std::env::current_exe().expect("a path");
        assert_eq!(own.program.as_deref(), program.to_str());
        assert!(!own.name.is_empty());
        assert!(all().expect("procfs is mounted").contains(&std::process::id().into()));
        assert!(libraries(std::process::id().into()).expect("one's own").is_empty());
    }

    #[test]
    fn files_are_opened_as_the_process_sees_them_and_links_are_not_followed() {
        let id = std::process::id().into();
        let program = std::env::current_exe().expect("a path");
        open(id, program.to_str().expect("text")).expect("one's own program");
        assert!(open(id, "/proc/self/exe").is_err(), "a link");
        assert!(open(id, "/usr").is_err(), "a folder");
        assert!(open(id, "/no/such/file").is_err());
    }
}
