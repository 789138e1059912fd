//! Can TLS be read in the clear here? For `ringside doctor`: loads the programs, looks for libraries, undoes it.

use std::collections::BTreeMap;

use caps::Capability;

use super::TlsError;
use super::config::TlsConfig;
use super::process::{self, Process};
use super::programs::{Programs, Way};
use crate::capabilities::{has, is_refusal, setcap_command_with_tls};
use crate::failure::failure;
use crate::probe::{Check, Finding, Severity};

/// Looks at everything that reading TLS with `config` needs.
pub fn probe(config: &TlsConfig) -> Vec<Finding> {
    if !config.enabled {
        let what = format!("not read (tls.enabled = false); reading it takes {} in one thread", kept_by(Way::Links));
        return vec![finding(Severity::Good, what, "")];
    }
    let programs = match Programs::load(None) {
        Ok(programs) => programs,
        Err(error) => {
            let help = match is_refusal(&error) {
                true => format!("once as root: {}; or set tls.enabled = false", setcap_command_with_tls()),
                false => {
                    "Linux 6.6 or later with type information (BTF) is expected; or set tls.enabled = false".into()
                }
            };
            return vec![finding(Severity::Fatal, format!("cannot be read in the clear: {}", failure(&error)), help)];
        }
    };
    let way = programs.prober.way();
    if let Some(missing) = way.missing() {
        let error = TlsError::Missing(missing);
        let help = "upgrade to Linux 6.6 or later, run as root, or set tls.enabled = false";
        return vec![finding(Severity::Fatal, format!("cannot be read in the clear: {error}"), help)];
    }
    let what = format!("can be read in the clear; one thread keeps {}", kept_by(way));
    let mut findings = vec![finding(Severity::Good, what, "")];
    if !has(Capability::CAP_SYS_PTRACE) {
        let help = format!("once as root: {}", setcap_command_with_tls());
        findings.push(finding(Severity::Degraded, "CAP_SYS_PTRACE is missing: of this user's processes alone", help));
    }
    findings.push(in_use(config));
    findings
}

/// Names of the capabilities.
fn kept_by(way: Way) -> String {
    way.capabilities().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The libraries that processes use which are meant, and by how many each.
fn in_use(config: &TlsConfig) -> Finding {
    let selection = config.selection();
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    let mut replaced = None;
    for id in process::all().unwrap_or_default() {
        if !selection.is_every() && !Process::look(id).is_some_and(|process| selection.includes(&process)) {
            continue;
        }
        for library in process::libraries(id).unwrap_or_default() {
            if library.replaced {
                replaced = Some(id);
            }
            *users.entry(library.path).or_default() += 1;
        }
    }
    let list = users.iter().map(|(path, users)| format!("{path} (processes: {users})")).collect::<Vec<_>>().join(", ");
    match (users.is_empty(), replaced) {
        (true, _) => finding(
            Severity::Degraded,
            "no process that is meant uses a known library now",
            "start what speaks TLS; what has its own copy of a library built in cannot be read",
        ),
        (false, Some(id)) => finding(
            Severity::Degraded,
            format!("in use: {list}; of process {id} the file was replaced on disk"),
            "restart that process",
        ),
        (false, None) => finding(Severity::Good, format!("in use: {list}"), ""),
    }
}

fn finding(severity: Severity, what: impl Into<String>, help: impl Into<String>) -> Finding {
    Finding { check: Check::Tls, severity, what: what.into(), help: help.into() }
}
