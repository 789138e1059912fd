//! A packet socket for receiving: what comes in by one interface, byte for byte.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Takes the frames that come in by an interface.
#[derive(Debug)]
pub struct Tap {
    socket: OwnedFd,
}

impl Tap {
    /// On an interface of the calling thread's namespace. Needs CAP_NET_RAW, and CAP_NET_ADMIN for room for many.
    pub fn new(interface: &str) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: `name` is a C string that lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        // Nothing comes before it is bound.
        // SAFETY: no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if index == 0 || socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor just made and owned by nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        set(&socket, libc::SO_RCVBUFFORCE, &ROOM)?;
        // SAFETY: all zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = i32::try_from(index).expect("an interface index is small");
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is valid for `size` bytes and only read.
        if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket })
    }

    /// The next frame; `None` when none comes for so long.
    pub fn next(&self, patience: Duration) -> Option<Vec<u8>> {
        let wait = libc::timeval { tv_sec: patience.as_secs() as i64, tv_usec: patience.subsec_micros().max(1).into() };
        set(&self.socket, libc::SO_RCVTIMEO, &wait).ok()?;
        let mut frame = vec![0_u8; 65_600];
        // SAFETY: the buffer is valid for its length.
        let length = unsafe { libc::recv(self.socket.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
        frame.truncate(usize::try_from(length).ok()?);
        Some(frame)
    }
}

const ROOM: libc::c_int = 64 << 20;

fn set<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let size = size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: the value is valid for `size` bytes and only read.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value.cast(), size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
