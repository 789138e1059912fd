//! Settings of the endpoint: the table in, an address to listen on out.

use std::net::SocketAddr;

use endpoint::address;
use metrics::Undefined;
use pipeline::settings::Problems;
use serde::{Deserialize, Serialize};

/// `[exporters.prometheus]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// Address and port to listen on. Default `0.0.0.0:2112`. A change needs a restart only where
    /// both addresses cannot be listened on at a time: the same port, and every address on one of the two sides.
    pub endpoint: String,
    /// How a ratio with nothing in its denominator is shown: `nan`, `absent` or `zero`. Default `nan`.
    pub undefined_ratio: Undefined,
    /// Whether scrapers that ask for protobuf get native histograms beside the classic ones. Default false. A change needs a
    /// restart: a histogram must have all of its samples.
    pub native_histograms: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { endpoint: "0.0.0.0:2112".to_owned(), undefined_ratio: Undefined::Nan, native_histograms: false }
    }
}

/// A [`Config`] that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub endpoint: SocketAddr,
    /// How an undefined ratio is shown.
    pub undefined_ratio: Undefined,
    /// Whether native histograms are kept.
    pub native_histograms: bool,
}

impl Settings {
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
        let Config { undefined_ratio, native_histograms, .. } = config;
        Some(Self { endpoint, undefined_ratio, native_histograms })
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
