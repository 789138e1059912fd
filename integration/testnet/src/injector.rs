//! A packet socket for sending: frames go out over one interface, byte for byte.

use std::ffi::CString;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Puts frames on an interface as they are.
#[derive(Debug)]
pub struct Injector {
    socket: OwnedFd,
}

impl Injector {
    /// On an interface of the calling thread's namespace. Needs CAP_NET_RAW.
    pub fn new(interface: &str) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: `name` is a C string that lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        // SAFETY: no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if index == 0 || socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor just made and owned by nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: all zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = i32::try_from(index).expect("an interface index is small");
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is valid for `size` bytes and only read.
        if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket })
    }

    /// Sends one frame.
    ///
    /// # Panics
    /// When the kernel does not take it whole.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the buffer is valid for its length and only read.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "send: {}", io::Error::last_os_error());
    }

    /// Sends many frames, as fast as the kernel takes them.
    ///
    /// # Panics
    /// When it does not take one whole.
    pub fn send_all<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) {
        let mut frames = frames.into_iter();
        loop {
            let pieces: Vec<libc::iovec> = frames
                .by_ref()
                .take(AT_ONCE)
                .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
                .collect();
            if pieces.is_empty() {
                return;
            }
            let message = |piece: &libc::iovec| {
                // SAFETY: all zero is a valid mmsghdr: no address, no control data.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_iov = std::ptr::from_ref(piece).cast_mut();
                message.msg_hdr.msg_iovlen = 1;
                message
            };
            let mut messages: Vec<libc::mmsghdr> = pieces.iter().map(message).collect();
            let mut rest = &mut messages[..];
            while !rest.is_empty() {
                let count = libc::c_uint::try_from(rest.len()).expect("few at once");
                // SAFETY: `rest` holds `count` messages; the frames they point at live through the call and are only
                // read.
                let sent = unsafe { libc::sendmmsg(self.socket.as_raw_fd(), rest.as_mut_ptr(), count, 0) };
                assert!(sent > 0, "sendmmsg: {}", io::Error::last_os_error());
                let (done, others) = rest.split_at_mut(sent as usize);
                // SAFETY: the message's one piece is an element of `pieces`.
                let whole = |one: &libc::mmsghdr| one.msg_len as usize == unsafe { (*one.msg_hdr.msg_iov).iov_len };
                assert!(done.iter().all(whole), "a frame was cut");
                rest = others;
            }
        }
    }
}

/// Frames to a system call.
const AT_ONCE: usize = 512;

/// Sends `bytes` as datagrams of `size` bytes each, in one buffer that the kernel or the device cuts (`UDP_SEGMENT`, since
/// Linux 4.18).
///
/// # Errors
/// What the kernel says.
pub fn send_in_segments(socket: &UdpSocket, to: SocketAddr, bytes: &[u8], size: u16) -> io::Result<()> {
    let size = libc::c_int::from(size);
    // SAFETY: the value is valid for its length and only read.
    let set = unsafe {
        let length = size_of_val(&size) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const size).cast(), length)
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    socket.send_to(bytes, to).map(drop)
}
