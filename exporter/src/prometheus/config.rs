//! Settings of the endpoint: the table in, an address to listen on out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use endpoint::{BasicAuth, TlsServerConfig, address};
use metrics::{Choice, Undefined};
use pipeline::settings::Problems;
use serde::{Deserialize, Serialize};

use super::choice::choice;

/// `[exporters.prometheus]`.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Address and port to listen on. Default `0.0.0.0:2112`. A change needs a restart only where
    /// both addresses cannot be listened on at a time: the same port, and every address on one of the two sides.
    pub endpoint: String,
    /// How a ratio with nothing in its denominator is shown: `nan`, `absent` or `zero`. Default `nan`.
    pub undefined_ratio: Undefined,
    /// Which metrics are shown, by their names without prefix: `*` and `?` stand for other characters, `!` leaves out, the
    /// last that fits decides. Default `["*"]`.
    pub families: Vec<String>,
    /// Whether each method and each common status has a metric of its own too (`invite_total`, `486_total`), beside the
    /// labels of `requests_total` and `responses_total`. Default true.
    pub names_per_code: bool,
    /// Of a histogram, by its name without prefix: the bounds that are shown, among those it has, in its unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<String, Vec<f64>>,
    /// Whether scrapers that ask for protobuf get native histograms beside the classic ones. Default false. A change needs a
    /// restart: a histogram must have all of its samples.
    pub native_histograms: bool,
    /// Certificate and key, and who else has to have one, by the keys of exporter-toolkit. Default: no TLS.
    pub tls_server_config: TlsServerConfig,
    /// Who may ask: names with the bcrypt hashes of their passwords. Never shown. Default: everybody.
    #[serde(skip_serializing)]
    pub basic_auth_users: BTreeMap<String, String>,
    /// The names under which the endpoint may be asked for; addresses always are. Default: any.
    pub hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "0.0.0.0:2112".to_owned(),
            undefined_ratio: Undefined::Nan,
            families: vec!["*".to_owned()],
            names_per_code: true,
            buckets: BTreeMap::new(),
            native_histograms: false,
            tls_server_config: TlsServerConfig::default(),
            basic_auth_users: BTreeMap::new(),
            hosts: Vec::new(),
        }
    }
}

/// A [`Config`] that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where to listen.
    pub endpoint: SocketAddr,
    /// How an undefined ratio is shown.
    pub undefined_ratio: Undefined,
    /// What is shown.
    pub choice: Arc<Choice>,
    /// Whether native histograms are kept.
    pub native_histograms: bool,
    /// Certificate and key.
    pub tls: TlsServerConfig,
    /// Who may ask.
    pub users: BTreeMap<String, String>,
    /// The names it may be asked for by, in lower case; any where there are none.
    pub hosts: Vec<String>,
}

/// How a scrape is to look, and who may see it.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) undefined: Undefined,
    pub(super) choice: Arc<Choice>,
    pub(super) auth: Arc<BasicAuth>,
    pub(super) hosts: Arc<[String]>,
}

impl Settings {
    /// `before` is what is shown now: who was known stays known.
    pub(super) fn look(&self, before: Option<&Look>) -> Look {
        let known = before.map(|before| &before.auth).filter(|auth| auth.is_of(&self.users));
        let auth = known.cloned();
        Look {
            undefined: self.undefined_ratio,
            choice: Arc::clone(&self.choice),
            auth: auth.unwrap_or_else(|| Arc::new(BasicAuth::new(&self.users).expect("hashes were checked"))),
            hosts: self.hosts.as_slice().into(),
        }
    }

    /// `None` when something is wrong, all of which is then in `problems`.
    pub fn check(config: Config, problems: &mut Problems) -> Option<Self> {
        let Some(endpoint) = address(&config.endpoint) else {
            problems.error(
                "endpoint",
                format!("{:?} is no address with a port", config.endpoint),
                "write it as \"0.0.0.0:2112\" (every IPv4 address), \"[::]:2112\" (every address) or \"localhost:2112\"",
            );
            return None;
        };
        if let Err(wrong) = config.tls_server_config.check() {
            problems.error(format!("tls_server_config.{}", wrong.key), wrong.what(), "see docs/configuration.md");
            return None;
        }
        let is_name = |name: &str| !name.is_empty() && !name.contains([':', '/', '*', ' ']);
        if let Some(name) = config.hosts.iter().find(|name| !is_name(name)) {
            let help = "write the name alone, without port and wildcards, such as \"sbc1.example.com\"";
            problems.error("hosts", format!("{name:?} is no name of a host"), help);
            return None;
        }
        if let Err(wrong) = BasicAuth::new(&config.basic_auth_users) {
            for name in wrong {
                let what = "is no bcrypt hash".to_owned();
                problems.error(
                    format!("basic_auth_users.{name}"),
                    what,
                    "make one with `htpasswd -nBC 10 NAME`, of a cost of 14 at most",
                );
            }
            return None;
        }
        let Config { undefined_ratio, families, names_per_code, buckets, native_histograms, .. } = config;
        let choice = choice(&families, names_per_code, &buckets, problems)?.into();
        let (tls, users) = (config.tls_server_config, config.basic_auth_users);
        let hosts = config.hosts.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        Some(Self { endpoint, undefined_ratio, choice, native_histograms, tls, users, hosts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str) -> Result<SocketAddr, String> {
        let mut problems = Problems::default();
        let config = Config { endpoint: endpoint.to_owned(), ..Config::default() };
        Settings::check(config, &mut problems).map(|settings| settings.endpoint).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn addresses_of_both_families_and_localhost_are_understood() {
        for (endpoint, address) in [
            (Config::default().endpoint.as_str(), "0.0.0.0:2112"),
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            ("[::]:2112", "[::]:2112"),
            ("localhost:2112", "127.0.0.1:2112"),
        ] {
            assert_eq!(check(endpoint), Ok(address.parse().expect("an address")));
        }
    }

    #[test]
    fn anything_else_is_refused_with_examples() {
        for endpoint in ["", "2112", ":2112", "0.0.0.0", "0.0.0.0:70000", "localhost", "http://0.0.0.0:2112", "::2112"]
        {
            let message = check(endpoint).expect_err(endpoint);
            assert!(message.contains("endpoint: ") && message.contains("\"0.0.0.0:2112\""), "{message}");
        }
    }
}
