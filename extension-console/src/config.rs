//! Settings of the console: the table in, an address that is safe to listen on out.

use std::net::SocketAddr;

use pipeline::settings::Problems;
use serde::{Deserialize, Serialize};

/// `[extensions.console]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Address and port to listen on. Default `127.0.0.1:2113`; any address but loopback needs a token.
    pub endpoint: String,
    /// What a visitor must know, 16 characters or more: `Authorization: Bearer`, or once `?token=`. Default none.
    pub token: String,
    /// Calls that are kept after their end, and most that are listed, 1 to 10,000. Default 1,000.
    pub max_calls_shown: usize,
    /// Where the trace of a call is: an address with `{trace_id}` or `{call_id}` in it. Default none.
    pub trace_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "127.0.0.1:2113".to_owned(),
            token: String::new(),
            max_calls_shown: 1_000,
            trace_url: String::new(),
        }
    }
}

/// A [`Config`] that was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub endpoint: SocketAddr,
    /// `None` on loopback alone.
    pub token: Option<Box<str>>,
    /// Calls that are kept after their end, and most that are listed.
    pub max_calls_shown: usize,
    /// Where traces are.
    pub trace_url: Option<Box<str>>,
}

impl Settings {
    /// `None` when something is wrong, all of which is then in `problems`.
    pub fn check(config: Config, problems: &mut Problems) -> Option<Self> {
        let endpoint = endpoint::address(&config.endpoint);
        match endpoint {
            None => problems.error(
                "endpoint",
                format!("{:?} is no address with a port", config.endpoint),
                "write it as \"127.0.0.1:2113\" or \"localhost:2113\" (this host alone), or with a token as \"0.0.0.0:2113\"",
            ),
            // Told where the token is missing: of one that could not be read more has been said.
            Some(endpoint) if !endpoint.ip().to_canonical().is_loopback() && config.token.is_empty() => problems.error(
                "token",
                format!("without one {endpoint} lets others read who called whom"),
                "set a `token`, best as \"${env:NAME}\", or listen on \"127.0.0.1:2113\" and come by `ssh -L`",
            ),
            Some(_) => {}
        }
        if !config.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let help = "use letters, digits and signs, for instance what `openssl rand -hex 16` prints";
            problems.error("token", "it has characters that no header may have", help);
        } else if !config.token.is_empty() && config.token.len() < SHORT_TOKEN {
            let help = "take a longer one, for instance what `openssl rand -hex 16` prints";
            let what = format!("{} characters can be guessed; {SHORT_TOKEN} are the least", config.token.len());
            problems.error("token", what, help);
        }
        if !(1..=MOST_CALLS).contains(&config.max_calls_shown) {
            let what = format!("{} calls cannot be shown", config.max_calls_shown);
            problems.error("max_calls_shown", what, "write 1 to 10000");
        }
        let url = &config.trace_url;
        let is_web = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        let is_template = ["{trace_id}", "{call_id}"].iter().any(|name| url.contains(name));
        if !(url.is_empty() || is_web && is_template) {
            problems.error(
                "trace_url",
                "it is no address with a place for the call",
                "write it as \"https://grafana.example.com/explore?trace={trace_id}\", with {trace_id} or {call_id} in it",
            );
        }
        if problems.has_errors() {
            return None;
        }
        let some = |text: String| (!text.is_empty()).then(|| text.into());
        Some(Self {
            endpoint: endpoint?,
            token: some(config.token),
            max_calls_shown: config.max_calls_shown,
            trace_url: some(config.trace_url),
        })
    }
}

/// Shorter tokens are refused: they can be tried out.
const SHORT_TOKEN: usize = 16;
/// More calls make a page nobody reads, and a list that takes long to make.
const MOST_CALLS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config)) -> (Option<Settings>, String) {
        let mut config = Config::default();
        change(&mut config);
        let mut problems = Problems::default();
        (Settings::check(config, &mut problems), problems.to_string())
    }

    #[test]
    fn loopback_needs_no_token() {
        for endpoint in ["127.0.0.1:2113", "127.9.9.9:1", "[::1]:2113", "localhost:2113", "[::ffff:127.0.0.1]:80"] {
            let (settings, problems) = check(|config| config.endpoint = endpoint.to_owned());
            assert!(settings.is_some_and(|settings| settings.token.is_none()) && problems.is_empty(), "{problems}");
        }
    }

    #[test]
    fn any_other_address_without_a_token_is_refused() {
        for endpoint in ["0.0.0.0:2113", "[::]:2113", "192.0.2.1:2113", "[2001:db8::1]:2113"] {
            let (settings, problems) = check(|config| config.endpoint = endpoint.to_owned());
            let expected = format!("token: without one {endpoint} lets others read who called whom; set a `token`");
            assert!(settings.is_none() && problems.starts_with(&expected), "{problems}");
            let (settings, problems) = check(|config| {
                config.endpoint = endpoint.to_owned();
                config.token = "0123456789abcdef".to_owned();
            });
            assert!(settings.is_some() && problems.is_empty(), "{problems}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_cure() {
        for (change, expected) in [
            ((|config| config.endpoint = "2113".to_owned()) as fn(&mut Config), "endpoint: \"2113\" is no address"),
            (|config| config.token = "two words, long enough".to_owned(), "token: it has characters"),
            (|config| config.max_calls_shown = 0, "max_calls_shown: 0 calls"),
            (|config| config.max_calls_shown = 10_001, "write 1 to 10000"),
            (|config| config.trace_url = "https://tempo.example.com/".to_owned(), "trace_url: it is no address"),
            (|config| config.trace_url = "javascript:alert({call_id})".to_owned(), "trace_url: it is no address"),
        ] {
            let (settings, problems) = check(change);
            assert!(settings.is_none() && problems.contains(expected), "{problems}");
        }
        let (settings, problems) = check(|config| config.token = "fifteen letters".replace(' ', "-"));
        assert!(settings.is_none() && problems.contains("token: 15 characters can be guessed"), "{problems}");
        assert!(!problems.contains("fifteen"), "{problems}");
    }
}
