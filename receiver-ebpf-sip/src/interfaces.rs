//! Which interfaces are captured, and keeping up with those that come and go.
//!
//! Names from the configuration in, changes of interface indexes out. rtnetlink says that something
//! changed, not what: the list is read anew each time, so that an overrun of the netlink socket loses nothing.
//! Needs no capability.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockProtocol};

use crate::config::EVERY;
use crate::sys;

/// Tells that interfaces of the network namespace changed.
pub struct LinkWatch {
    socket: OwnedFd,
}

impl LinkWatch {
    /// Subscribes to link changes (rtnetlink, RTMGRP_LINK).
    pub fn open() -> io::Result<Self> {
        let socket = sys::socket(AddressFamily::Netlink, Some(SockProtocol::NetlinkRoute))?;
        sys::bind_netlink(socket.as_fd(), libc::RTMGRP_LINK as u32)?;
        Ok(Self { socket })
    }

    /// For `poll`.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether anything changed since the last call. Never waits.
    pub fn changed(&self) -> io::Result<bool> {
        let mut changed = false;
        loop {
            match sys::discard_datagram(self.socket()) {
                Ok(false) => return Ok(changed),
                Ok(true) => changed = true,
                // The socket overran: messages are missing, which says that something changed.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => changed = true,
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever there is and will be.
    Every,
    /// These, while they exist.
    Named(Vec<String>),
}

impl Wanted {
    /// From the key `interfaces`: `any` means every one.
    pub fn from_names(names: &[String]) -> Self {
        if names.iter().any(|name| name == EVERY) { Self::Every } else { Self::Named(names.to_vec()) }
    }

    /// Whether an interface of this name is wanted.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Named(names) => names.iter().any(|wanted| wanted == name),
        }
    }
}

/// The interfaces that are wanted and exist.
#[derive(Debug)]
pub struct Interfaces {
    wanted: Wanted,
    present: BTreeMap<u32, String>,
}

/// What a look at the interfaces found. An interface that was made anew under the same name is both.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub appeared: Vec<sys::Interface>,
    pub disappeared: Vec<sys::Interface>,
}

impl Interfaces {
    /// Knows of none until it is told what exists.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, present: BTreeMap::new() }
    }

    /// What is asked for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Asks for others; [`Interfaces::update`] tells the difference.
    pub fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// Takes note of what exists now.
    pub fn update(&mut self, existing: Vec<sys::Interface>) -> Changes {
        let now: BTreeMap<u32, String> = existing
            .into_iter()
            .filter(|interface| self.wanted.includes(&interface.name))
            .map(|interface| (interface.index, interface.name))
            .collect();
        let missing_in = |other: &BTreeMap<u32, String>, these: &BTreeMap<u32, String>| {
            these
                .iter()
                .filter(|(index, _)| !other.contains_key(index))
                .map(|(&index, name)| sys::Interface { index, name: name.clone() })
                .collect()
        };
        let changes =
            Changes { appeared: missing_in(&self.present, &now), disappeared: missing_in(&now, &self.present) };
        self.present = now;
        changes
    }

    /// Whether packets of this interface are wanted.
    pub fn contains(&self, index: u32) -> bool {
        self.wanted == Wanted::Every || self.present.contains_key(&index)
    }

    /// Named interfaces that do not exist.
    pub fn missing(&self) -> Vec<&str> {
        match &self.wanted {
            Wanted::Every => Vec::new(),
            Wanted::Named(names) => {
                let exists = |name: &str| self.present.values().any(|present| present == name);
                names.iter().map(String::as_str).filter(|name| !exists(name)).collect()
            }
        }
    }

    /// Why nothing can be captured now: none of the named interfaces exist.
    pub fn blocked(&self) -> Option<String> {
        match &self.wanted {
            Wanted::Named(names) if self.present.is_empty() => {
                Some(format!("none of the interfaces exist yet: {}", names.join(", ")))
            }
            Wanted::Every | Wanted::Named(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn existing(list: &[(u32, &str)]) -> Vec<sys::Interface> {
        list.iter().map(|&(index, name)| sys::Interface { index, name: name.to_owned() }).collect()
    }

    fn named(names: &[&str]) -> Interfaces {
        Interfaces::new(Wanted::Named(names.iter().map(|&name| name.to_owned()).collect()))
    }

    #[test]
    fn only_named_interfaces_count() {
        let mut interfaces = named(&["eth1"]);
        let changes = interfaces.update(existing(&[(1, "lo"), (2, "eth0"), (3, "eth1")]));
        assert_eq!(changes.appeared, existing(&[(3, "eth1")]));
        assert!(interfaces.contains(3) && !interfaces.contains(2));
    }

    #[test]
    fn nothing_is_blocked_while_one_of_the_named_exists() {
        let mut interfaces = named(&["eth0", "eth1"]);
        assert!(interfaces.blocked().is_some());
        interfaces.update(existing(&[(3, "eth1")]));
        assert_eq!(interfaces.blocked(), None);
        assert_eq!(interfaces.missing(), ["eth0"]);
    }

    #[test]
    fn an_interface_made_anew_under_its_name_has_come_and_gone() {
        let mut interfaces = named(&["eth0"]);
        interfaces.update(existing(&[(2, "eth0")]));
        let changes = interfaces.update(existing(&[(9, "eth0")]));
        assert_eq!(changes.disappeared, existing(&[(2, "eth0")]));
        assert_eq!(changes.appeared, existing(&[(9, "eth0")]));
    }

    #[test]
    fn a_rename_counts_by_the_new_name() {
        let mut interfaces = named(&["sip0"]);
        interfaces.update(existing(&[(2, "eth0")]));
        assert!(!interfaces.contains(2));
        interfaces.update(existing(&[(2, "sip0")]));
        assert!(interfaces.contains(2));
    }

    #[test]
    fn any_wants_interfaces_nobody_has_heard_of() {
        let interfaces = Interfaces::new(Wanted::from_names(&["any".to_owned()]));
        assert!(interfaces.contains(77));
        assert_eq!(interfaces.blocked(), None);
    }
}
