//! Who is at the other end of a Unix socket (unix(7)): user, group, and further groups (Linux 4.13).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;

/// Most further groups that are asked for.
const MOST_GROUPS: usize = 1024;

/// Who connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    user: u32,
    groups: Vec<u32>,
}

impl Peer {
    /// Who is at the other end.
    pub(super) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let credentials = getsockopt(socket, PeerCredentials)?;
        let mut groups = further_groups(socket)?;
        groups.push(credentials.gid());
        Ok(Self { user: credentials.uid(), groups })
    }

    /// Whether it may command: root, the user of the daemon, and whoever is in the group that the socket belongs to.
    pub(super) fn may_command(&self, group: u32) -> bool {
        self.user == 0 || self.user == geteuid().as_raw() || self.groups.contains(&group)
    }
}

fn further_groups(socket: &impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; MOST_GROUPS];
    let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice())).expect("a few kilobytes");
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel writes no more than `bytes` bytes to the
    // buffer, which are as many as it has, and any bytes are group numbers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    groups.truncate(bytes as usize / size_of::<u32>());
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn both_ends_of_a_pair_are_this_process() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let peer = Peer::of(&one).expect("it can be asked");
        assert_eq!(peer.user, geteuid().as_raw());
        assert!(peer.groups.contains(&nix::unistd::getegid().as_raw()));
        assert!(peer.may_command(u32::MAX));
    }

    #[test]
    fn strangers_need_the_group() {
        let stranger = Peer { user: 12_345, groups: vec![7, 8] };
        assert!(stranger.may_command(8) && !stranger.may_command(9));
    }
}
