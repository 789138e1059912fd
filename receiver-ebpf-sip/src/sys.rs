//! The system calls of capture, each behind a safe function: sockets, options, poll, the list of interfaces.
//!
//! Errors are the kernel's. Nothing here decides anything.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// A network interface of this network namespace, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub index: u32,
    pub name: String,
}

/// A raw socket that no child process inherits.
pub fn socket(domain: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(domain, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Starts an AF_PACKET socket: from now on it takes every protocol of every interface.
pub fn bind_packet_any(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sockaddr_ll; its interface index 0 means any.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    bind(socket, &address)
}

/// Subscribes an AF_NETLINK socket to multicast groups.
pub fn bind_netlink(socket: BorrowedFd<'_>, groups: u32) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sockaddr_nl; the kernel chooses the port id.
    let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = groups;
    bind(socket, &address)
}

/// `A` is one of the `sockaddr_*` structures.
fn bind<A>(socket: BorrowedFd<'_>, address: &A) -> io::Result<()> {
    // SAFETY: address and length describe one live structure.
    let result =
        unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(address).cast(), size_of::<A>() as libc::socklen_t) };
    checked(result)
}

/// `setsockopt` with the structure that belongs to `option`.
pub fn set_option<T: Copy>(socket: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: value and length describe one live structure, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    checked(result)
}

/// Replaces the socket's filter by a classic one. Needs no capability.
pub fn attach_classic(socket: BorrowedFd<'_>, code: &[libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(code.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len, filter: code.as_ptr().cast_mut() };
    // The kernel copies `code`, which outlives the call, and does not write to it.
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// What a TPACKET_V3 ring lost since the last call (the kernel resets the numbers).
pub fn ring_statistics(socket: BorrowedFd<'_>) -> io::Result<libc::tpacket_stats_v3> {
    // SAFETY: the structure is three integers: all zeroes is a valid value.
    let mut statistics: libc::tpacket_stats_v3 = unsafe { mem::zeroed() };
    get_option(socket, libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut statistics)?;
    Ok(statistics)
}

/// The error pending on a socket, which this clears.
pub fn take_error(socket: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    let mut error: libc::c_int = 0;
    get_option(socket, libc::SOL_SOCKET, libc::SO_ERROR, &mut error)?;
    Ok((error != 0).then(|| io::Error::from_raw_os_error(error)))
}

/// `T` is a structure of integers only, so that any bytes are a valid value.
fn get_option<T: Copy>(socket: BorrowedFd<'_>, level: i32, option: i32, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into the live `value`.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, ptr::from_mut(value).cast(), &mut length) };
    checked(result)
}

/// Waits until one of two sockets has something, at most `wait` (whole milliseconds, rounded up). Returns
/// what was reported for each; a signal counts as nothing.
pub fn poll(sockets: [BorrowedFd<'_>; 2], wait: Duration) -> io::Result<[i16; 2]> {
    let mut polled = sockets.map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let milliseconds = i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    // SAFETY: the array lives through the call and its length is given.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, milliseconds) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok([0; 2]) } else { Err(error) };
    }
    Ok(polled.map(|one| one.revents))
}

/// What a clock shows, in nanoseconds.
pub fn clock(which: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the live structure.
    unsafe { libc::clock_gettime(which, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Reads one datagram without waiting and forgets it. `Ok(false)`: there was none.
pub fn discard_datagram(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut byte = 0_u8;
    // SAFETY: one byte of room is given for one live byte; the kernel cuts the rest off.
    let result = unsafe { libc::recv(socket.as_raw_fd(), ptr::from_mut(&mut byte).cast(), 1, libc::MSG_DONTWAIT) };
    if result >= 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// Every interface of the calling thread's network namespace.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    // SAFETY: takes no pointers.
    let list = unsafe { libc::if_nameindex() };
    if list.is_null() {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut entry = list;
    // SAFETY: the list ends with an entry of index 0 and no name; until `if_freenameindex` every entry
    // before that holds a C string.
    unsafe {
        while (*entry).if_index != 0 && !(*entry).if_name.is_null() {
            let name = CStr::from_ptr((*entry).if_name).to_string_lossy().into_owned();
            found.push(Interface { index: (*entry).if_index, name });
            entry = entry.add(1);
        }
        libc::if_freenameindex(list);
    }
    Ok(found)
}

/// Release of the running kernel, `6.1.0-18-amd64`.
pub fn kernel_release() -> io::Result<String> {
    // SAFETY: the structure is arrays of bytes: all zeroes is a valid value.
    let mut name: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: the kernel fills the live structure with C strings.
    checked(unsafe { libc::uname(&mut name) })?;
    // SAFETY: as said, a C string within the array.
    Ok(unsafe { CStr::from_ptr(name.release.as_ptr()) }.to_string_lossy().into_owned())
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
