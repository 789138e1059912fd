//! `[receivers.ebpf_sip]` of pipeline.toml.

use intake::{SIP_PORTS, VXLAN_PORTS, check_list, check_ports};
use pipeline::settings::Problems;
use serde::{Deserialize, Serialize};

use crate::tls::TlsConfig;

/// Settings of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Names of interfaces, or `any` alone. Those that appear later are picked up. Default `["any"]`.
    pub interfaces: Vec<String>,
    /// Ports SIP is spoken on, as source or as destination. Default `[5060, 5061]`.
    pub ports: Vec<u16>,
    /// Ports SIP is spoken on over WebSocket, as source or as destination. Default none.
    pub ws_ports: Vec<u16>,
    /// UDP ports that VXLAN goes to. Default `[4789, 8472]`.
    pub vxlan_ports: Vec<u16>,
    /// UDP ports that media is looked for on whatever SIP says, such as a relay's: the first packets of a stream are not
    /// missed then. Of use only with a processor of media in the pipeline. Default none.
    pub media_ports: Vec<u16>,
    /// What carries SIP on `ports`. Default, and all there is, `["udp", "tcp"]`.
    pub transports: Vec<Transport>,
    /// Also packets that are not addressed to this host. Default `false`.
    pub promiscuous: bool,
    /// SIP over TLS, read in the clear inside processes. Off by default.
    pub tls: TlsConfig,
}

/// The transports that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One message per datagram.
    Udp,
    /// Messages in a stream.
    Tcp,
}

impl Transport {
    /// Its bit in the settings of the kernel side (`TRANSPORT_UDP`, `TRANSPORT_TCP`).
    pub const fn bit(self) -> u64 {
        match self {
            Self::Udp => 1,
            Self::Tcp => 2,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interfaces: vec!["any".into()],
            ports: SIP_PORTS.into(),
            ws_ports: Vec::new(),
            vxlan_ports: VXLAN_PORTS.into(),
            media_ports: Vec::new(),
            transports: vec![Transport::Udp, Transport::Tcp],
            promiscuous: false,
            tls: TlsConfig::default(),
        }
    }
}

impl Config {
    /// Checks the values; `None` after an error, all of which are in `problems`. An interface that does not
    /// exist is no error: it may come.
    pub fn checked(self, problems: &mut Problems) -> Option<Self> {
        let mut wrong = Problems::default();
        if self.interfaces.is_empty() {
            wrong.error("interfaces", "no interface is named", "write [\"any\"] for all of them");
        }
        for (index, name) in self.interfaces.iter().enumerate() {
            let path = format!("interfaces[{index}]");
            if name == EVERY && self.interfaces.len() > 1 {
                wrong.error(path, "`any` stands beside other names", "write [\"any\"], or only names");
            } else if !is_interface_name(name) {
                wrong.error(path, "this cannot be the name of an interface", "`ip -brief link` lists them");
            }
        }
        check_ports(&self.ports, &self.ws_ports, &self.vxlan_ports, &mut wrong);
        check_list("media_ports", &self.media_ports, &mut wrong);
        if self.transports.is_empty() {
            wrong.error("transports", "no transport is given", "write [\"udp\", \"tcp\"]");
        }
        self.tls.check(&mut wrong);
        let ok = !wrong.has_errors();
        problems.append(wrong);
        ok.then_some(self)
    }
}

/// Every interface.
pub const EVERY: &str = "any";

/// As the kernel sees it: 1 to 15 bytes, no slash, colon or white space, not a relative path.
fn is_interface_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() < libc::IFNAMSIZ
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
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
    fn an_interface_that_may_come_is_good() {
        assert!(problems(Config { interfaces: vec!["wg-sip.100".into()], ..Config::default() }).is_empty());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let config = Config {
            interfaces: ["any", "eth0", "eth 0", "sixteen_bytes_ab"].map(String::from).into(),
            ports: vec![5060, 0],
            ws_ports: vec![8080, 0],
            vxlan_ports: vec![0],
            media_ports: vec![0],
            transports: Vec::new(),
            tls: TlsConfig { enabled: false, processes: vec!["kamailio".into(), "a/b".into()] },
            ..Config::default()
        };
        let expected = [
            "interfaces[0]",
            "interfaces[2]",
            "interfaces[3]",
            "ports[1]",
            "ws_ports[1]",
            "vxlan_ports[0]",
            "media_ports[0]",
            "transports",
            "tls.processes[1]",
        ];
        assert_eq!(problems(config), expected);
    }

    #[test]
    fn empty_lists_are_errors() {
        let config = Config { interfaces: Vec::new(), ports: Vec::new(), ..Config::default() };
        assert_eq!(problems(config), ["interfaces", "ports"]);
    }

    #[test]
    fn a_transport_that_is_not_built_in_is_unknown() {
        let error = toml::from_str::<Config>("transports = [\"udp\", \"sctp\"]").expect_err("sctp is not built in");
        assert!(error.message().contains("unknown variant `sctp`"), "{error}");
    }
}
