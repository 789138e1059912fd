//! The system calls of capture, each behind a safe function: sockets, options, poll, interfaces.
//!
//! Errors are the kernel's. Nothing here decides anything. `nix` makes the calls, but for what it does not know: addresses and
//! options of packet sockets, and what ethtool asks.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nameindex;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt};
use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime};

/// A network interface of this network namespace, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub index: u32,
    pub name: String,
}

/// A raw socket that no child process inherits.
pub fn socket(family: AddressFamily, protocol: Option<SockProtocol>) -> io::Result<OwnedFd> {
    Ok(socket::socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?)
}

/// Starts an AF_PACKET socket: from now on it takes every protocol of every interface.
pub fn bind_packet_any(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sockaddr_ll; its interface index 0 means any.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: address and length describe one live structure.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            ptr::from_ref(&address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    checked(result)
}

/// Subscribes an AF_NETLINK socket to multicast groups.
pub fn bind_netlink(socket: BorrowedFd<'_>, groups: u32) -> io::Result<()> {
    Ok(socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?)
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
    let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into the live structure, of which any bytes are a valid value.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut statistics).cast(),
            &mut length,
        )
    };
    checked(result)?;
    Ok(statistics)
}

/// The error pending on a socket, which this clears.
pub fn take_error(socket: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    let error = socket::getsockopt(&socket, sockopt::SocketError)?;
    Ok((error != 0).then(|| io::Error::from_raw_os_error(error)))
}

/// Waits until one of two sockets has something, at most `wait` (whole milliseconds, rounded up). Returns
/// what was reported for each; a signal counts as nothing.
pub fn poll(sockets: [BorrowedFd<'_>; 2], wait: Duration) -> io::Result<[PollFlags; 2]> {
    let mut polled = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN));
    let milliseconds = i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    let wait = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    match nix::poll::poll(&mut polled, wait) {
        Ok(_) => Ok(polled.map(|one| one.revents().unwrap_or_else(PollFlags::empty))),
        Err(Errno::EINTR) => Ok([PollFlags::empty(); 2]),
        Err(error) => Err(error.into()),
    }
}

/// What a clock that every kernel has shows, in nanoseconds.
pub fn clock(which: ClockId) -> u64 {
    let time = clock_gettime(which).map(Duration::from).unwrap_or_default();
    time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos())
}

/// Reads one datagram without waiting and forgets it. `Ok(false)`: there was none.
pub fn discard_datagram(socket: BorrowedFd<'_>) -> io::Result<bool> {
    // The kernel cuts off what the byte has no room for.
    match socket::recv(socket.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Every interface of the calling thread's network namespace.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let interface = |one: &nix::net::if_::Interface| Interface {
        index: one.index(),
        name: one.name().to_string_lossy().into_owned(),
    };
    Ok(if_nameindex()?.iter().map(interface).collect())
}

/// Release of the running kernel, `6.1.0-18-amd64`.
pub fn kernel_release() -> io::Result<String> {
    Ok(uname()?.release().to_string_lossy().into_owned())
}

/// What an interface does for the kernel, by the names of `ethtool --show-features`; only what is on.
pub fn features(interface: &str) -> io::Result<Vec<String>> {
    let socket = socket::socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // Each question is a structure of <linux/ethtool.h>, as words: its command first.
    let ask = |question: &mut [u32]| ethtool(&socket, interface, question);
    // ethtool_sset_info: reserved, a mask of 64 bits, the length of the one set in it.
    let mut length = [GSSET_INFO, 0, 1 << SET_OF_FEATURES, 0, 0];
    ask(&mut length)?;
    let count = (length[4] as usize).min(MOST_FEATURES);
    // ethtool_gstrings: the set, its length, names of 32 bytes.
    let mut names = vec![0; 3 + count * NAME_WORDS];
    names[..3].copy_from_slice(&[GSTRINGS, SET_OF_FEATURES, count as u32]);
    ask(&mut names)?;
    // ethtool_gfeatures: the number of blocks; of each what is available, requested, active, never changed.
    let blocks = count.div_ceil(32);
    let mut states = vec![0; 2 + blocks * 4];
    states[..2].copy_from_slice(&[GFEATURES, blocks as u32]);
    ask(&mut states)?;
    let is_on = |index: usize| states[2 + index / 32 * 4 + 2] >> (index % 32) & 1 == 1;
    let name = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let names = names[3..].chunks_exact(NAME_WORDS).enumerate();
    Ok(names.filter(|(index, _)| is_on(*index)).map(|(_, words)| name(words)).collect())
}

/// <linux/sockios.h>.
const SIOCETHTOOL: libc::Ioctl = 0x8946;
/// Commands of <linux/ethtool.h>: how long sets of names are, the names, what is on.
const GSSET_INFO: u32 = 0x37;
const GSTRINGS: u32 = 0x1b;
const GFEATURES: u32 = 0x3a;
/// ETH_SS_FEATURES.
const SET_OF_FEATURES: u32 = 4;
/// More than any kernel has, and in 4 KiB.
const MOST_FEATURES: usize = 128;
/// ETH_GSTRING_LEN.
const NAME_WORDS: usize = 32 / 4;

/// Asks the driver of an interface. `question` is as long as the answer.
fn ethtool(socket: &OwnedFd, interface: &str, question: &mut [u32]) -> io::Result<()> {
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let name = interface.as_bytes();
    // Its last byte stays 0, the end of the name.
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    request.ifr_name.iter_mut().zip(name).for_each(|(to, byte)| *to = byte.cast_signed());
    request.ifr_ifru.ifru_data = question.as_mut_ptr().cast();
    // SAFETY: the request and what it points at live through the call; the kernel writes what the question has room for.
    checked(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) })
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
