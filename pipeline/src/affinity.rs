//! Which backend of a balanced service took a dialog: what is stated about it, and what is reported.
//!
//! A processor of affinity stands before the one that states facts about calls; what it finds is counted under names of the
//! configuration, goes into records of calls ([`Steered`]), and is told whoever asks ([`Report`]).

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use wire::Timestamp;

use crate::labels::Name;

/// One fact about a service of the configuration, or one of its backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffinityFact {
    /// A backend took the first request of a dialog.
    DialogPlaced(Name),
    /// Another backend than that took a later request of it, for the first time in the dialog.
    DialogMoved(Name, Cause),
    /// Such a request was answered by 481, for the first time in the dialog.
    MovedFailed(Name),
    /// So many more clients, or fewer, have all their calls on one backend.
    PinnedFlows(Name, i32),
    /// A response went to another port than its request came from, for the first time in the transaction.
    OffPortReply(Name),
    /// A response reached the client from another address than the service's, for the first time in the transaction.
    UntranslatedReply(Name),
    /// A request within a dialog was sent straight to a backend.
    Bypassed(Name),
    /// Which backend took a request is not known.
    UnknownBackend(Name),
}

/// Why a dialog moved: the first that fits, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An INVITE was repeated after a challenge.
    AuthRetry,
    /// The first backend sent nothing any more.
    BackendGone,
    /// The client sent from another address or port.
    SourcePort,
    /// The flow was silent for longer than the balancer remembers it.
    Idle,
    /// None of these.
    Other,
}

impl Cause {
    /// All causes, in the order of [`Cause::index`].
    pub const ALL: [Self; 5] = [Self::AuthRetry, Self::BackendGone, Self::SourcePort, Self::Idle, Self::Other];

    /// Its place in [`Cause::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthRetry => "auth_retry",
            Self::BackendGone => "backend_gone",
            Self::SourcePort => "source_port",
            Self::Idle => "idle",
            Self::Other => "other",
        }
    }
}

/// Where a call went, for its record. Names are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steer {
    /// The service its first INVITE was sent to.
    pub service: Arc<str>,
    /// The backend that took it; `None` while that is not known.
    pub backend: Option<Arc<str>>,
    /// Another backend took a later request of it.
    pub moved: bool,
}

/// What became known of a call by one frame of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// Which of [`crate::FrameBatch::frames`]: the call is that of its Call-ID.
    pub frame: usize,
    /// What is known of it now.
    pub steer: Steer,
}

/// What was found of all services. Times are those of the capture, as people see them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Those of the configuration that were seen, then those that were learned, in order.
    pub services: Vec<ServiceReport>,
    /// UDP requests that were seen.
    pub requests: u64,
}

/// What was found of one service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceReport {
    /// Its name; of one that was learned its address.
    pub name: Box<str>,
    /// Its addresses.
    pub addresses: Vec<SocketAddr>,
    /// Nobody listed it.
    pub learned: bool,
    /// The first request sent to it.
    #[serde(skip)]
    pub from: Timestamp,
    /// The last message to or from it.
    #[serde(skip)]
    pub until: Timestamp,
    /// Dialogs that began there.
    pub dialogs: u64,
    /// Its backends, in order.
    pub backends: Vec<BackendReport>,
    /// Requests of which the backend is not known.
    pub unknown_backend: u64,
    /// Clients whose calls were all, or nearly all, on one backend.
    pub pinned_trunks: Vec<PinnedTrunk>,
    /// Dialogs that moved, by cause.
    pub moved: Moved,
    /// Transactions with a response to another port than the request came from.
    pub off_port_replies: u64,
    /// Transactions with a response from another address than the service's.
    pub untranslated_replies: u64,
    /// Requests within dialogs that were sent straight to a backend.
    pub bypass: u64,
    /// What affinity by Call-ID would have made of the same requests.
    pub by_call_id: WhatIf,
}

/// One backend of a service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackendReport {
    /// Its name; of one that was learned its address.
    pub name: Box<str>,
    /// Its addresses.
    pub addresses: Vec<SocketAddr>,
    /// Dialogs whose first request it took.
    pub dialogs: u64,
}

/// A client with nearly all its calls on one backend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PinnedTrunk {
    /// The client.
    pub client: SocketAddr,
    /// Initial INVITEs it sent to the service.
    pub calls: u64,
    /// Of these, those that went to the backend.
    pub to_backend: u64,
    /// Place of the backend in [`ServiceReport::backends`].
    pub backend: usize,
}

/// Dialogs of which another backend than the first took a later request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// All of them.
    pub dialogs: u64,
    /// See [`Cause`].
    pub auth_retry: u64,
    /// See [`Cause`].
    pub backend_gone: u64,
    /// See [`Cause`].
    pub source_port: u64,
    /// See [`Cause`].
    pub idle: u64,
    /// See [`Cause`].
    pub other: u64,
    /// Those in which such a request was answered by 481.
    pub failed: u64,
}

impl Moved {
    /// The number for a cause.
    pub fn by(&mut self, cause: Cause) -> &mut u64 {
        match cause {
            Cause::AuthRetry => &mut self.auth_retry,
            Cause::BackendGone => &mut self.backend_gone,
            Cause::SourcePort => &mut self.source_port,
            Cause::Idle => &mut self.idle,
            Cause::Other => &mut self.other,
        }
    }
}

/// What affinity by Call-ID would have made of the requests that were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WhatIf {
    /// Dialogs of which a later request would have gone to another backend than the first.
    pub moved: u64,
    /// Dialogs for each backend, in the order of [`ServiceReport::backends`].
    pub spread: Vec<u64>,
}

impl Report {
    /// What several that looked found together; `None` where none did.
    pub fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut all), Some(other)) => {
                all.services.extend(other.services);
                all.requests += other.requests;
                Some(all)
            }
            (one, other) => one.or(other),
        }
    }

    /// Shows addresses as `show` makes them. A learned service or backend is then named by what is shown.
    pub fn show_addresses(&mut self, show: impl Fn(SocketAddr) -> SocketAddr) {
        let show_all = |name: &mut Box<str>, addresses: &mut Vec<SocketAddr>| {
            let own = addresses.first().is_some_and(|address| **name == *address.to_string());
            addresses.iter_mut().for_each(|address| *address = show(*address));
            if let Some(address) = addresses.first().filter(|_| own) {
                *name = address.to_string().into();
            }
        };
        for service in &mut self.services {
            show_all(&mut service.name, &mut service.addresses);
            for backend in &mut service.backends {
                show_all(&mut backend.name, &mut backend.addresses);
            }
            service.pinned_trunks.iter_mut().for_each(|trunk| trunk.client = show(trunk.client));
        }
    }
}
