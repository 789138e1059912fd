//! A session with one target: names looked up, a path to each address, probes over them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pipeline::probes::{ProbeRow, ProbeTarget, Probes};
use tokio::time::timeout;

use crate::config::Target;
use crate::dns::{Dns, DnsError, Place};
use crate::exchange::{Carrier, Credentials};
use crate::path::{Fault, Path, Phases, Report};
use crate::tls::{TlsError, Trust};

/// Why a target cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// A file of its `tls`, or what is in it.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its `password_file`.
    #[error("password_file: {path:?} cannot be read: {error}")]
    Password {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A target whose files have been read.
#[derive(Debug, PartialEq)]
pub struct Ready {
    /// As it was configured.
    pub target: Target,
    /// Where it asks for them.
    pub credentials: Option<Credentials>,
    /// Over TLS.
    pub trust: Option<Trust>,
}

impl Ready {
    /// Reads the files of a target.
    pub fn read(target: Target) -> Result<Self, NotReady> {
        let credentials = target.credentials.clone().map(|(username, path)| {
            let text = fs::read_to_string(&path).map_err(|error| NotReady::Password { path, error })?;
            let password = text.lines().next().unwrap_or_default().to_owned();
            Ok::<_, NotReady>(Credentials { username, password })
        });
        let credentials = credentials.transpose()?;
        let trust = target.may_use(Carrier::Tls).then(|| Trust::read(&target.tls, &target.endpoint.host));
        let trust = match trust.transpose() {
            // DNS may name TLS, or may not: that there is nobody to trust shows when it does.
            Err(TlsError::NoAuthorities) if target.may_use(Carrier::Udp) => None,
            trust => trust?,
        };
        Ok(Self { target, credentials, trust })
    }
}

/// Probes of one target. Cheap to clone: all clones share the paths.
#[derive(Clone)]
pub struct Session {
    ready: Arc<Ready>,
    dns: Arc<Dns>,
    /// Where to count; `None` for who counts for himself.
    probes: Option<Arc<Probes>>,
    paths: Arc<Mutex<HashMap<Place, Path>>>,
}

impl Session {
    /// Sends nothing yet. With `probes` everything is counted there, under the target's name.
    pub fn new(ready: Arc<Ready>, dns: Arc<Dns>, probes: Option<Arc<Probes>>) -> Self {
        Self { ready, dns, probes, paths: Arc::default() }
    }

    /// Whom it asks.
    pub fn ready(&self) -> &Arc<Ready> {
        &self.ready
    }

    /// Asks once: one address, or each where the target says so. One report for each. To be called inside a runtime.
    pub async fn probe(&self) -> Vec<Report> {
        let begun = Instant::now();
        let target = &self.ready.target;
        let found = timeout(target.timeout, self.dns.places(&target.endpoint, target.bind)).await;
        let resolve = Some(begun.elapsed());
        let found = found.unwrap_or_else(|_| Err(DnsError::Late(target.endpoint.host.in_uri())));
        let places = match found {
            Ok(places) => self.chosen(places),
            Err(error) => return vec![self.lost(Fault::Dns(error), resolve)],
        };
        if let Some(missing) =
            places.iter().find(|place| place.carrier == Carrier::Tls).filter(|_| self.ready.trust.is_none())
        {
            let fault = Fault::Tls(io::Error::other(TlsError::NoAuthorities));
            return vec![Report { place: Some(*missing), ..self.lost(fault, resolve) }];
        }
        self.forget_others(&places);
        let mut asked = Vec::new();
        for place in places {
            asked.push(tokio::spawn(self.clone().ask(place, begun, resolve)));
        }
        let mut reports = Vec::new();
        for report in asked {
            reports.extend(report.await);
        }
        reports
    }

    /// The places that are asked now.
    fn chosen(&self, mut places: Vec<Place>) -> Vec<Place> {
        if self.ready.target.all_addresses {
            places.sort_unstable();
            places.dedup();
        } else {
            places.truncate(1);
        }
        places
    }

    async fn ask(self, place: Place, begun: Instant, resolve: Option<std::time::Duration>) -> Report {
        let row = self.row(place.carrier);
        let name = self.name(&place);
        if let Some(row) = &row {
            row.sent();
        }
        let path = {
            let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
            let counted = row.clone().map(|row| (row, name.clone()));
            paths.entry(place).or_insert_with(|| Path::open(Arc::clone(&self.ready), place, counted)).clone()
        };
        let mut report = path.probe(begun + self.ready.target.timeout).await;
        report.phases = Phases { resolve, ..report.phases };
        if let Some(row) = &row {
            row.ended(&name, report.counted(), report.provisional);
        }
        report
    }

    /// A probe that found nobody to ask.
    fn lost(&self, fault: Fault, resolve: Option<std::time::Duration>) -> Report {
        let mut report = Report::failed(None, fault);
        report.phases.resolve = resolve;
        if let Some(row) = self.row(self.ready.target.endpoint.carrier()) {
            row.sent();
            row.ended("", report.counted(), None);
        }
        report
    }

    /// Closes the paths to places that are not there any more.
    fn forget_others(&self, places: &[Place]) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).retain(|place, _| places.contains(place));
        let Some(probes) = &self.probes else { return };
        for carrier in [Carrier::Udp, Carrier::Tcp, Carrier::Tls] {
            if !self.ready.target.may_use(carrier) {
                continue;
            }
            let names: Vec<String> =
                places.iter().filter(|place| place.carrier == carrier).map(|place| self.name(place)).collect();
            if let Some(row) = probes.find(&self.counted(carrier)) {
                row.keep_paths(|path| names.iter().any(|name| name == path));
            }
        }
    }

    /// What the row calls a place: one address after the other is one path, several at a time are each their own.
    fn name(&self, place: &Place) -> String {
        if self.ready.target.all_addresses { place.address.to_string() } else { String::new() }
    }

    fn row(&self, carrier: Carrier) -> Option<Arc<ProbeRow>> {
        Some(self.probes.as_ref()?.row(&self.counted(carrier), &self.ready.target.carrier))
    }

    fn counted(&self, carrier: Carrier) -> ProbeTarget {
        ProbeTarget { name: self.ready.target.name.clone(), transport: carrier.as_str() }
    }
}
