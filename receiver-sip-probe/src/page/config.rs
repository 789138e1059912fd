//! `[extensions.probe_endpoint]`: the table in, who may be asked and how out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use pipeline::settings::{Problems, duration, network};
use serde::{Deserialize, Serialize};

use crate::config::{Target, TargetConfig, Tls};
use crate::endpoint::{Endpoint, Host};
use crate::exchange::Carrier;

/// `[extensions.probe_endpoint]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// How it is asked, by the `module` of a request; one without it means `default`.
    pub modules: BTreeMap<String, ModuleConfig>,
    /// Who may be asked. Nobody else is.
    pub allow: Allow,
}

/// `allow`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Allow {
    /// Networks of targets that are named by their address.
    pub cidrs: Vec<String>,
    /// Names of targets, `*.` for all below one.
    pub names: Vec<String>,
}

/// One of `modules`. What is left out is as `receivers.sip_probe` has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct ModuleConfig {
    /// `udp`, `tcp` or `tls`. Default: what the target says, or DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// How long an answer may take; less where the client has less patience.
    #[serde(with = "duration::option", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<pipeline::settings::duration::Written>")]
    pub timeout: Option<Duration>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri: Option<String>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_forwards: Option<u8>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// See `receivers.sip_probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// What a module asks over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection with TLS.
    Tls,
}

/// A [`Config`] that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    modules: BTreeMap<String, ModuleConfig>,
    cidrs: Vec<IpNet>,
    names: Vec<String>,
}

/// Why nobody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such module.
    #[error("there is no such module")]
    Module,
    /// The target cannot be read.
    #[error("the target is no host, host:port or udp://host:port")]
    Target,
    /// The target is not on the list.
    #[error("the target is not among those that may be probed")]
    NotAllowed,
}

impl Config {
    /// `None` when something is wrong, all of which is then in `problems`.
    pub fn check(self, problems: &mut Problems) -> Option<Settings> {
        if self.modules.is_empty() {
            problems.error("modules", "there is none", "write at least `modules.default = {}`");
        }
        let Allow { cidrs, names } = &self.allow;
        if cidrs.is_empty() && names.is_empty() {
            let help =
                "list targets in `allow.cidrs` or `allow.names`: whoever reaches this endpoint could probe anybody";
            problems.error("allow", "nobody may be probed", help);
        }
        let networks = cidrs.iter().enumerate().filter_map(|(index, text)| {
            let network = network::parse(text);
            network.map_err(|(what, help)| problems.error(format!("allow.cidrs[{index}]"), what, help)).ok()
        });
        let networks: Vec<IpNet> = networks.collect();
        for (index, name) in names.iter().enumerate() {
            let plain = name.strip_prefix("*.").unwrap_or(name);
            if !matches!(Endpoint::parse(plain), Some(Endpoint { host: Host::Name(_), port: None, .. })) {
                let what = format!("{name:?} is no name");
                problems.error(
                    format!("allow.names[{index}]"),
                    what,
                    "write it as \"sip.example.net\" or \"*.example.net\"",
                );
            }
        }
        for (name, module) in &self.modules {
            module.asked("udp://localhost").check(&format!("modules.{name}."), problems);
        }
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        (!problems.has_errors()).then_some(Settings { modules: self.modules, cidrs: networks, names })
    }
}

impl ModuleConfig {
    /// As one of the targets of a receiver would be written.
    fn asked(&self, endpoint: &str) -> TargetConfig {
        let Self { timeout, bind, user_agent, from, request_uri, max_forwards, username, password_file, tls, .. } =
            self.clone();
        let endpoint = endpoint.to_owned();
        let (name, carrier, collection_interval, all_addresses) = (Some("probe".to_owned()), None, None, None);
        TargetConfig {
            endpoint,
            name,
            carrier,
            collection_interval,
            timeout,
            bind,
            user_agent,
            from,
            request_uri,
            max_forwards,
            all_addresses,
            username,
            password_file,
            tls,
        }
    }
}

impl Settings {
    /// Who is asked and how, if that is allowed.
    pub fn target(&self, module: &str, target: &str) -> Result<Target, Refusal> {
        let module = self.modules.get(module).ok_or(Refusal::Module)?;
        let endpoint = Endpoint::parse(target).ok_or(Refusal::Target)?;
        if !self.allows(&endpoint.host) {
            return Err(Refusal::NotAllowed);
        }
        let mut target = module.asked(target).check("", &mut Problems::default()).ok_or(Refusal::Target)?;
        if let Some(transport) = module.transport {
            target.endpoint = target.endpoint.over(match transport {
                Transport::Udp => Carrier::Udp,
                Transport::Tcp => Carrier::Tcp,
                Transport::Tls => Carrier::Tls,
            });
        }
        Ok(target)
    }

    fn allows(&self, host: &Host) -> bool {
        match host {
            Host::Address(address) => self.holds(*address),
            Host::Name(name) => {
                let name = name.trim_end_matches('.');
                self.names.iter().any(|allowed| match allowed.strip_prefix("*.") {
                    Some(parent) => name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
                    None => name == allowed.trim_end_matches('.'),
                })
            }
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|network| network.contains(&address.to_canonical()) || network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let allow = Allow {
            cidrs: vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()],
            names: vec!["sip.example.net".to_owned(), "*.Example.org".to_owned()],
        };
        let tls = ModuleConfig { transport: Some(Transport::Tls), ..ModuleConfig::default() };
        let modules = [("default".to_owned(), ModuleConfig::default()), ("secure".to_owned(), tls)].into();
        Config { modules, allow }.check(&mut Problems::default()).expect("it is right")
    }

    #[test]
    fn nobody_is_asked_who_is_not_on_the_list() {
        let settings = settings();
        for (target, allowed) in [
            ("192.0.2.7", Ok(())),
            ("udp://192.0.2.7:5070", Ok(())),
            ("[2001:db8::1]:5060", Ok(())),
            ("[::ffff:192.0.2.7]", Ok(())),
            ("SIP.example.net", Ok(())),
            ("sip.example.net.:5060", Ok(())),
            ("a.b.example.org", Ok(())),
            ("192.0.3.7", Err(Refusal::NotAllowed)),
            ("[::1]", Err(Refusal::NotAllowed)),
            ("127.0.0.1", Err(Refusal::NotAllowed)),
            ("example.org", Err(Refusal::NotAllowed)),
            ("badexample.org", Err(Refusal::NotAllowed)),
            ("sip.example.net.evil.test", Err(Refusal::NotAllowed)),
            ("evil.test", Err(Refusal::NotAllowed)),
            ("http://192.0.2.7", Err(Refusal::Target)),
            ("", Err(Refusal::Target)),
        ] {
            assert_eq!(settings.target("default", target).map(drop), allowed, "{target}");
        }
        assert_eq!(settings.target("other", "192.0.2.7").map(drop), Err(Refusal::Module));
        let target = settings.target("secure", "192.0.2.7").expect("it is allowed");
        assert_eq!(target.endpoint.carrier(), Carrier::Tls);
    }

    #[test]
    fn without_a_list_or_a_module_it_does_not_start() {
        let problems = |config: Config| {
            let mut problems = Problems::default();
            assert_eq!(config.check(&mut problems), None);
            problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(problems(Config::default()), ["modules", "allow"]);
        let allow = Allow { cidrs: vec!["192.0.2.0".to_owned()], names: vec!["*".to_owned(), "192.0.2.1".to_owned()] };
        let wrong =
            ModuleConfig { timeout: Some(Duration::ZERO), from: Some("x".to_owned()), ..ModuleConfig::default() };
        assert_eq!(
            problems(Config { modules: [("a".to_owned(), wrong)].into(), allow }),
            ["allow.cidrs[0]", "allow.names[0]", "allow.names[1]", "modules.a.timeout", "modules.a.from"]
        );
    }
}
