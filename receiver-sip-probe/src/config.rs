//! `[receivers.sip_probe]`: the table in, targets with everything said about each out. Opens nothing.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use pipeline::settings::{Problems, duration};
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, Scheme};
use crate::exchange::{Carrier, Form};

/// `[receivers.sip_probe]`.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Who is asked.
    pub targets: Vec<TargetConfig>,
    /// How often each target is asked, with a tenth more or less by chance. At least 1 s. Default 60 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub collection_interval: Duration,
    /// How long an answer may take. At most 32 s. Default 5 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub timeout: Duration,
    /// Address of this host that probes leave from. Default: what the system chooses.
    pub bind: String,
    /// User-Agent. Default: the name and version of the program.
    pub user_agent: String,
    /// URI of From. Default: `sip:ringside@` and the address the probe leaves from.
    pub from: String,
    /// Request-URI, and the URI of To. Default: the target's host.
    pub request_uri: String,
    /// Max-Forwards. Default 70.
    pub max_forwards: u8,
    /// Each address a name stands for is asked, not one of them. Default false.
    pub all_addresses: bool,
    /// User, where a target asks for one (401, 407). Default: a challenge is an answer.
    pub username: String,
    /// File with the password, in its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Trust and identity over TLS.
    pub tls: Tls,
    /// Name servers, with or without a port. Default: those of the system.
    pub nameservers: Vec<String>,
}

/// One of `targets`. What is left out is as the receiver's table says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct TargetConfig {
    /// `udp://`, `tcp://` or `tls://`, host and perhaps a port; `sip://` and `sips://` leave the transport to DNS.
    pub endpoint: String,
    /// Label `target`. Default: the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The carrier of `processors.enrich` it belongs to, for alerts that hold probes against calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// See the receiver's.
    #[serde(with = "duration::option", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<pipeline::settings::duration::Written>")]
    pub collection_interval: Option<Duration>,
    /// See the receiver's.
    #[serde(with = "duration::option", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<pipeline::settings::duration::Written>")]
    pub timeout: Option<Duration>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri: Option<String>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_forwards: Option<u8>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_addresses: Option<bool>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// See the receiver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// In place of the receiver's, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// `tls`, with the Collector's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Tls {
    /// PEM file of the authorities to trust. Default: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the own certificate, for targets that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The name the target's certificate must have. Default: the host of the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name_override: Option<String>,
    /// Any certificate will do. Default false.
    pub insecure_skip_verify: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            collection_interval: Duration::from_secs(60),
            timeout: Duration::from_secs(5),
            bind: String::new(),
            user_agent: concat!("ringside/", env!("CARGO_PKG_VERSION")).to_owned(),
            from: String::new(),
            request_uri: String::new(),
            max_forwards: 70,
            all_addresses: false,
            username: String::new(),
            password_file: None,
            tls: Tls::default(),
            nameservers: Vec::new(),
        }
    }
}

/// A [`Config`] that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Who is asked.
    pub targets: Vec<Target>,
    /// Name servers; none are those of the system.
    pub nameservers: Vec<SocketAddr>,
}

/// One target with everything said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Label `target`.
    pub name: String,
    /// Empty for none.
    pub carrier: String,
    /// Where.
    pub endpoint: Endpoint,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Where from.
    pub bind: Option<IpAddr>,
    /// What is said.
    pub form: Form,
    /// Each address, or one of them.
    pub all_addresses: bool,
    /// User, and the file of the password; `None` where a challenge is an answer.
    pub credentials: Option<(String, PathBuf)>,
    /// Trust and identity.
    pub tls: Tls,
}

/// Most targets.
pub const MAX_TARGETS: usize = 10_000;
/// Shortest interval: more often is no politeness (6.1).
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for an answer: Timer F.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(32);
/// The port of name servers.
const DNS_PORT: u16 = 53;

impl Config {
    /// `None` when something is wrong, all of which is then in `problems`.
    pub fn check(self, problems: &mut Problems) -> Option<Settings> {
        let before = problems.iter().count();
        if self.targets.is_empty() {
            problems.error("targets", "nobody is asked", "add { endpoint = \"udp://sip.example.net\" }");
        }
        if self.targets.len() > MAX_TARGETS {
            problems.error("targets", format!("{} are more than {MAX_TARGETS}", self.targets.len()), "divide them");
        }
        let nameservers = self.nameservers.iter().enumerate().filter_map(|(index, text)| {
            let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT)));
            if address.is_err() {
                let what = format!("{text:?} is no address");
                problems.error(format!("nameservers[{index}]"), what, "write it as \"192.0.2.53\"");
            }
            address.ok()
        });
        let nameservers = nameservers.collect();
        // What stands in the receiver's own table is told once, not for each target.
        self.checked(&TargetConfig { endpoint: "udp://localhost".to_owned(), ..TargetConfig::default() }, "", problems);
        let mut names = HashSet::new();
        let mut targets = Vec::new();
        let shared_fine = problems.iter().count() == before;
        for (index, target) in self.targets.iter().enumerate() {
            let path = format!("targets[{index}]");
            let Some(checked) = self.own(target).checked(target, &format!("{path}."), problems) else { continue };
            // The same name over another transport is another row.
            if !names.insert((checked.name.clone(), checked.endpoint.carrier())) {
                let what = format!("{:?} is the name of another target too", checked.name);
                problems.error(format!("{path}.name"), what, "give each its own name");
            }
            targets.push(checked);
        }
        (shared_fine && problems.iter().count() == before).then_some(Settings { targets, nameservers })
    }

    /// The table with what one target says put over it; what it does not say is left as good as unsaid, so that it is
    /// not told again.
    fn own(&self, target: &TargetConfig) -> Self {
        let mut own = self.clone();
        macro_rules! over {
            ($($key:ident)+) => { $(if let Some(value) = &target.$key { own.$key = value.clone(); })+ };
        }
        over!(collection_interval timeout bind user_agent from request_uri max_forwards all_addresses username tls);
        own.password_file = target.password_file.clone().or(own.password_file);
        own
    }

    /// What is asked of a target when this table is its own. Problems of keys that only the receiver's table has are
    /// told where `prefix` is empty.
    fn checked(&self, target: &TargetConfig, prefix: &str, problems: &mut Problems) -> Option<Target> {
        let mut wrong = false;
        let is_told = |said: bool| prefix.is_empty() || said;
        let mut error = |said: bool, key: &str, what: String, help: &str| {
            wrong = true;
            if is_told(said) {
                problems.error(format!("{prefix}{key}"), what, help);
            }
        };
        let endpoint = Endpoint::parse(&target.endpoint);
        if endpoint.is_none() {
            let what = format!("{:?} is no place of a SIP server", target.endpoint);
            error(
                true,
                "endpoint",
                what,
                "write it as \"udp://sip.example.net:5060\", \"tcp://…\", \"tls://…\" or \"sip://…\"",
            );
        }
        if self.collection_interval < SHORTEST_INTERVAL {
            let what = format!("{} is too often", duration::format(self.collection_interval));
            error(
                target.collection_interval.is_some(),
                "collection_interval",
                what,
                "1s is the least; once a minute is polite",
            );
        }
        if self.timeout.is_zero() || self.timeout > LONGEST_TIMEOUT {
            let what = format!("{} is not above 0 and at most 32s", duration::format(self.timeout));
            error(target.timeout.is_some(), "timeout", what, "5s is right for most");
        }
        let bind = (!self.bind.is_empty()).then(|| self.bind.parse::<IpAddr>());
        if matches!(bind, Some(Err(_))) {
            error(
                target.bind.is_some(),
                "bind",
                format!("{:?} is no address", self.bind),
                "write one of this host, without a port",
            );
        }
        if self.user_agent.is_empty() || self.user_agent.chars().any(char::is_control) {
            error(target.user_agent.is_some(), "user_agent", "it is no line of text".to_owned(), "say who asks");
        }
        for (key, said, uri) in [
            ("from", target.from.is_some(), &self.from),
            ("request_uri", target.request_uri.is_some(), &self.request_uri),
        ] {
            if !uri.is_empty() && !is_uri(uri) {
                error(said, key, format!("{uri:?} is no SIP URI"), "write it as \"sip:user@example.net\"");
            }
        }
        let credentials = match (&self.username, &self.password_file) {
            (user, None) if user.is_empty() => None,
            (user, Some(file)) if !user.is_empty() && !user.chars().any(char::is_control) => {
                Some((user.clone(), file.clone()))
            }
            (user, file) => {
                let said = target.username.is_some() || target.password_file.is_some();
                let key = if file.is_none() { "username" } else { "password_file" };
                let what = if user.is_empty() { "a password without a user" } else { "a user without a password" };
                error(said, key, what.to_owned(), "give both `username` and `password_file`");
                None
            }
        };
        let said = target.tls.is_some();
        if self.tls.cert_file.is_some() != self.tls.key_file.is_some() {
            error(
                said,
                "tls",
                "a certificate and its key belong together".to_owned(),
                "give both `cert_file` and `key_file`",
            );
        }
        if let Some(name) = &self.tls.server_name_override
            && rustls::pki_types::ServerName::try_from(name.as_str()).is_err()
        {
            error(
                said,
                "tls.server_name_override",
                format!("{name:?} is no host name"),
                "write it as it stands in the certificate",
            );
        }
        let name = target.name.clone().or_else(|| Some(endpoint.as_ref()?.host.in_uri())).unwrap_or_default();
        if endpoint.is_some() && !is_label(&name) {
            let what = format!("{name:?} is no name of a target");
            error(true, "name", what, "up to 64 letters, digits and any of `.-_:[]@`");
        }
        let carrier = target.carrier.clone().unwrap_or_default();
        if carrier.chars().any(char::is_control) {
            error(
                true,
                "carrier",
                format!("{carrier:?} is no name of a carrier"),
                "write it as in `processors.enrich`",
            );
        }
        let endpoint = endpoint.filter(|_| !wrong)?;
        let request_uri = if self.request_uri.is_empty() { endpoint.uri() } else { self.request_uri.clone() };
        let form = Form {
            request_uri,
            from: self.from.clone(),
            user_agent: self.user_agent.clone(),
            max_forwards: self.max_forwards,
        };
        Some(Target {
            name,
            carrier,
            endpoint,
            interval: self.collection_interval,
            timeout: self.timeout,
            bind: bind.and_then(Result::ok),
            form,
            all_addresses: self.all_addresses,
            credentials,
            tls: self.tls.clone(),
        })
    }
}

impl TargetConfig {
    /// What is asked when nothing but this is said. `prefix` stands before the key of each problem.
    pub(crate) fn check(&self, prefix: &str, problems: &mut Problems) -> Option<Target> {
        Config::default().own(self).checked(self, prefix, problems)
    }
}

impl Target {
    /// Asked at an endpoint as a receiver without any keys would.
    pub fn at(endpoint: Endpoint) -> Self {
        let form = Form { request_uri: endpoint.uri(), ..Self::plain_form() };
        Self {
            name: endpoint.host.in_uri(),
            carrier: String::new(),
            endpoint,
            interval: Config::default().collection_interval,
            timeout: Config::default().timeout,
            bind: None,
            form,
            all_addresses: false,
            credentials: None,
            tls: Tls::default(),
        }
    }

    fn plain_form() -> Form {
        let Config { from, request_uri, user_agent, max_forwards, .. } = Config::default();
        Form { request_uri, from, user_agent, max_forwards }
    }

    /// Whether it may be asked over this transport.
    pub fn may_use(&self, carrier: Carrier) -> bool {
        match self.endpoint.scheme {
            Scheme::Over(only) => only == carrier,
            Scheme::Sip => true,
            Scheme::Sips => carrier == Carrier::Tls,
        }
    }
}

/// A SIP URI that can stand between angle brackets and in a start line.
fn is_uri(text: &str) -> bool {
    let rest = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:"));
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

/// A value of the label `target`.
fn is_label(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str) -> TargetConfig {
        TargetConfig { endpoint: endpoint.to_owned(), ..TargetConfig::default() }
    }

    fn problems(config: Config) -> Vec<String> {
        let mut problems = Problems::default();
        let settings = config.check(&mut problems);
        assert_eq!(settings.is_none(), problems.has_errors());
        problems.iter().map(|problem| problem.path.clone()).collect()
    }

    #[test]
    fn a_target_is_as_the_table_says_unless_it_says_otherwise() {
        let own = TargetConfig {
            name: Some("b".to_owned()),
            timeout: Some(Duration::from_secs(2)),
            request_uri: Some("sip:ping@x".to_owned()),
            all_addresses: Some(true),
            ..target("tls://sip.example.net")
        };
        let config = Config {
            targets: vec![target("udp://192.0.2.1:5070"), own],
            timeout: Duration::from_secs(1),
            bind: "192.0.2.9".to_owned(),
            nameservers: vec!["192.0.2.53".to_owned(), "[::1]:5353".to_owned()],
            ..Config::default()
        };
        let Settings { targets, nameservers } = config.check(&mut Problems::default()).expect("it is right");
        let [first, second] = &targets[..] else { panic!("{targets:?}") };
        assert_eq!((first.name.as_str(), first.form.request_uri.as_str()), ("192.0.2.1", "sip:192.0.2.1:5070"));
        assert_eq!((first.timeout, first.all_addresses), (Duration::from_secs(1), false));
        assert_eq!((second.name.as_str(), second.form.request_uri.as_str()), ("b", "sip:ping@x"));
        assert_eq!((second.timeout, second.all_addresses), (Duration::from_secs(2), true));
        assert_eq!((first.bind, second.bind), ("192.0.2.9".parse().ok(), "192.0.2.9".parse().ok()));
        assert_eq!(nameservers, ["192.0.2.53:53".parse().expect("one"), "[::1]:5353".parse().expect("one")]);
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands_and_once() {
        assert_eq!(problems(Config::default()), ["targets"]);
        let shared = Config {
            targets: vec![target("udp://a"), target("udp://b")],
            collection_interval: Duration::from_millis(999),
            timeout: Duration::from_secs(33),
            bind: "192.0.2.1:5060".to_owned(),
            user_agent: "a\r\nb".to_owned(),
            from: "sip:a>b".to_owned(),
            request_uri: "tel:1".to_owned(),
            username: "u".to_owned(),
            tls: Tls { cert_file: Some("x".into()), server_name_override: Some("a b".to_owned()), ..Tls::default() },
            nameservers: vec!["x".to_owned()],
            ..Config::default()
        };
        let found = problems(shared);
        for key in [
            "nameservers[0]",
            "collection_interval",
            "timeout",
            "bind",
            "user_agent",
            "from",
            "request_uri",
            "username",
            "tls",
            "tls.server_name_override",
        ] {
            assert_eq!(found.iter().filter(|path| *path == key).count(), 1, "{key}: {found:?}");
        }
        assert_eq!(found.len(), 10, "{found:?}");
        let own = TargetConfig {
            timeout: Some(Duration::ZERO),
            name: Some("a b".to_owned()),
            password_file: Some("x".into()),
            carrier: Some("\n".to_owned()),
            ..target("udp://a")
        };
        let twice = [target("udp://x"), target("udp://x:5070"), target("tcp://x"), target("http://x"), own];
        assert_eq!(
            problems(Config { targets: twice.to_vec(), ..Config::default() }),
            [
                "targets[1].name",
                "targets[3].endpoint",
                "targets[4].timeout",
                "targets[4].password_file",
                "targets[4].name",
                "targets[4].carrier"
            ]
        );
    }
}
