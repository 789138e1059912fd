//! `[receivers.ebpf_sip.tls]` of pipeline.toml.

use pipeline::settings::Problems;
use serde::{Deserialize, Serialize};

use super::selection::{FORM, Selection};

/// Whether, and where, TLS is read in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct TlsConfig {
    /// Read what processes read and write over TLS on SIP ports. Default `false`.
    pub enabled: bool,
    /// Processes that are looked into: names, paths of programs, `cgroup:/...`. Default: every one.
    pub processes: Vec<String>,
}

impl TlsConfig {
    /// Adds what is wrong.
    pub fn check(&self, problems: &mut Problems) {
        for (index, entry) in self.processes.iter().enumerate() {
            if Selection::parse(std::slice::from_ref(entry)).is_err() {
                problems.error(format!("tls.processes[{index}]"), "this can be no process", FORM);
            }
        }
    }

    /// Ready to be asked.
    pub(super) fn selection(&self) -> Selection {
        Selection::parse(&self.processes).expect("the configuration has been checked")
    }
}
