//! `[receivers.pcap]` of pipeline.toml.

use std::path::PathBuf;

use intake::{ClockMode, IntakeSettings, PortSet, SIP_PORTS, VXLAN_PORTS, check_ports};
use pipeline::settings::Problems;
use serde::{Deserialize, Serialize};

/// Settings of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Capture files, in any order; `-` is standard input. Default none: `replay` names them on its command line.
    pub files: Vec<PathBuf>,
    /// Ports SIP is spoken on, as source or as destination. Default `[5060, 5061]`.
    pub ports: Vec<u16>,
    /// Ports SIP is spoken on over WebSocket, as source or as destination. Default none.
    pub ws_ports: Vec<u16>,
    /// UDP ports that VXLAN goes to. Default `[4789, 8472]`.
    pub vxlan_ports: Vec<u16>,
    /// The newest file is still being written: its end is not the end. No key.
    #[serde(skip)]
    pub follow: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            ports: SIP_PORTS.into(),
            ws_ports: Vec::new(),
            vxlan_ports: VXLAN_PORTS.into(),
            follow: false,
        }
    }
}

impl Config {
    /// How packets of these captures are taken in.
    pub(crate) fn intake(&self) -> IntakeSettings {
        IntakeSettings {
            ws_ports: PortSet::from(&self.ws_ports[..]),
            vxlan_ports: self.vxlan_ports.clone(),
            ..IntakeSettings::new(ClockMode::File, PortSet::from(&self.ports[..]))
        }
    }

    /// Checks the values; `None` after an error, all of which are in `problems`. Whether files exist is not looked at.
    pub fn checked(self, problems: &mut Problems) -> Option<Self> {
        let mut wrong = Problems::default();
        let is_stdin = |file: &&PathBuf| file.as_os_str() == crate::file::STDIN;
        if self.files.iter().filter(is_stdin).count() > 1 {
            wrong.error("files", "standard input is named twice", "it can be read once: write \"-\" once");
        }
        check_ports(&self.ports, &self.ws_ports, &self.vxlan_ports, &mut wrong);
        let ok = !wrong.has_errors();
        problems.append(wrong);
        ok.then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: Config) -> Vec<String> {
        let mut problems = Problems::default();
        let usable = config.checked(&mut problems).is_some();
        assert_ne!(usable, problems.has_errors());
        problems.iter().map(|problem| problem.path.clone()).collect()
    }

    #[test]
    fn the_default_is_good() {
        assert!(problems(Config::default()).is_empty());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let files = ["-", "a.pcap", "-"].map(PathBuf::from).into();
        let config =
            Config { files, ports: vec![5060, 0], ws_ports: vec![0], vxlan_ports: vec![4789, 0], follow: false };
        assert_eq!(problems(config), ["files", "ports[1]", "ws_ports[0]", "vxlan_ports[1]"]);
        assert_eq!(problems(Config { ports: Vec::new(), ..Config::default() }), ["ports"]);
    }
}
