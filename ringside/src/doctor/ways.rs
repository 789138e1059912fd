//! Ways in and out in `doctor`: ports that ringside would listen on, certificates it would show, servers it would push to.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use endpoint::{Acceptor, TlsServerConfig};
use exporter::otlp::{self, Reached};
use exporter::prometheus;
use pipeline::ComponentId;
use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, all_processes};

use super::line;
use super::page::{Page, page};
use crate::failure::Failure;
use crate::settings::Loaded;

/// What was found, and whether `run` would fail by it.
#[derive(Debug, PartialEq)]
pub struct Found {
    /// Lines for the operator.
    pub text: String,
    /// The first reason why `run` would not start.
    fatal: Option<String>,
}

/// Looks at everything the configuration names.
pub fn findings(loaded: &Loaded) -> Result<Found, Failure> {
    let mut found = Found { text: String::new(), fatal: None };
    for (id, address, tls) in served(loaded) {
        let path = |kind: &str| format!("{kind}.{id}");
        let subject = if tls.is_some() { path("exporters") } else { path("extensions") };
        found.add(&subject, port(address));
        if let Some(tls) = tls {
            certificate(&tls).into_iter().for_each(|finding| found.add(&subject, finding));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("the runtime could not be set up: {error}")))?;
    for (id, settings) in pushed(loaded) {
        let subject = format!("exporters.{id}");
        for Reached { authority, result } in runtime.block_on(otlp::reach(&settings)) {
            found.add(
                &subject,
                match result {
                    Ok(time) => good(format!("{authority} can be reached, in {:.1} ms", time.as_secs_f64() * 1e3)),
                    Err((what, help)) => worse(format!("{authority}: {what}"), help),
                },
            );
        }
        if let Some(path) = &settings.tls.cert_file {
            expiry(path).into_iter().for_each(|finding| found.add(&subject, finding));
        }
    }
    // A name that is still looked up is nothing to wait for.
    runtime.shutdown_background();
    Ok(found)
}

/// One finding: mark, what, help.
type Finding = (&'static str, String, String);

fn good(what: String) -> Finding {
    ("ok", what, String::new())
}

fn worse(what: String, help: impl Into<String>) -> Finding {
    ("warn", what, help.into())
}

fn fatal(what: String, help: impl Into<String>) -> Finding {
    ("FAIL", what, help.into())
}

impl Found {
    /// A failure where `run` would not start.
    pub fn verdict(self) -> Result<(), Failure> {
        self.fatal.map_or(Ok(()), |reason| Err(Failure::Failed(format!("`run` would not start: {reason}"))))
    }

    fn add(&mut self, subject: &str, (mark, what, help): Finding) {
        self.text += &line(mark, subject, &what, &help);
        if mark == "FAIL" && self.fatal.is_none() {
            self.fatal = Some(format!("{subject}: {what}; {help}"));
        }
    }
}

/// What would be listened on; with the certificates of those that may have one.
fn served(loaded: &Loaded) -> Vec<(ComponentId, SocketAddr, Option<TlsServerConfig>)> {
    let configuration = &loaded.configuration;
    let exporters = configuration.exporters.iter().filter_map(|(id, checked)| {
        let settings = checked.settings().downcast::<prometheus::Settings>().ok()?;
        Some((id.clone(), settings.endpoint, Some(settings.tls)))
    });
    let extensions = configuration.extensions.iter().filter_map(|(id, checked)| {
        let settings = checked.settings().downcast::<extension_console::Settings>().ok()?;
        Some((id.clone(), settings.endpoint, None))
    });
    exporters.chain(extensions).collect()
}

/// Whom would be pushed to.
fn pushed(loaded: &Loaded) -> impl Iterator<Item = (ComponentId, otlp::Settings)> {
    let exporters = loaded.configuration.exporters.iter();
    exporters.filter_map(|(id, checked)| Some((id.clone(), *checked.settings().downcast().ok()?)))
}

/// Whether a port can be listened on; where it is taken, by whom.
fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => good(format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match holder(address) {
            Some((pid, name)) if name.starts_with("ringside") => {
                good(format!("{address} is served by {name} (process {pid})"))
            }
            Some((pid, name)) => {
                fatal(format!("{address} is taken by {name} (process {pid})"), "end it, or set another `endpoint`")
            }
            None if is_ringside(address) => good(format!("{address} is served by a ringside")),
            None => worse(
                format!("{address} is taken; only root can see by whom"),
                "that is as it should be where ringside runs; else end who has it, or set another `endpoint`",
            ),
        },
        Err(error) => {
            let help = match error.kind() {
                ErrorKind::AddrNotAvailable => "write an address of this host, or \"0.0.0.0\" for all of them",
                ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE: set another one",
                _ => "set another `endpoint`",
            };
            fatal(format!("{address} cannot be listened on: {error}"), help)
        }
    }
}

/// The process that listens on an address, as far as this user may see that.
fn holder(address: SocketAddr) -> Option<(i32, String)> {
    let tables = [procfs::net::tcp().unwrap_or_default(), procfs::net::tcp6().unwrap_or_default()].concat();
    let listens = |entry: &&TcpNetEntry| {
        let (ip, port) = (entry.local_address.ip().to_canonical(), entry.local_address.port());
        let meets = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
        entry.state == TcpState::Listen && port == address.port() && meets
    };
    let inodes: Vec<u64> = tables.iter().filter(listens).map(|entry| entry.inode).collect();
    all_processes().ok()?.flatten().find_map(|process| {
        let is_one = |target: FDTarget| matches!(target, FDTarget::Socket(inode) if inodes.contains(&inode));
        let holds = process.fd().ok()?.flatten().any(|descriptor| is_one(descriptor.target));
        Some((process.pid, process.stat().ok()?.comm)).filter(|_| holds)
    })
}

/// Whether what answers there says that it is a ringside.
fn is_ringside(address: SocketAddr) -> bool {
    match page(address, "/health", Duration::from_secs(1), 4096) {
        // It answers 503 where something is wrong.
        Page::Shown(health) | Page::Refused(health) => health.contains("\"capture\":"),
        Page::Nobody | Page::Closed => false,
    }
}

/// Whether a certificate can be read and has the key beside it, and how long it is good.
fn certificate(tls: &TlsServerConfig) -> Option<Finding> {
    if let Err(error) = Acceptor::new(tls) {
        return Some(fatal(format!("tls_server_config.{}: {}", error.key, error.what()), "see to the files"));
    }
    expiry(tls.cert_file.as_ref()?)
}

fn expiry(path: &Path) -> Option<Finding> {
    let end = endpoint::not_after(path)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
    let (shown, days) = (path.display(), (end - now).div_euclid(86_400));
    Some(match end - now {
        ..0 => worse(format!("the certificate {shown} has expired"), "renew it: clients refuse it"),
        left if left < SOON => worse(format!("the certificate {shown} expires in {days} days"), "renew it"),
        _ => good(format!("the certificate {shown} is good for {days} days")),
    })
}

/// Seconds before its end at which a certificate is to be renewed.
const SOON: i64 = 14 * 86_400;
