//! Who may ask: the method, the host name, the token.
//!
//! The Host header is checked so that a page from elsewhere cannot read this one under a name of its own (DNS
//! rebinding): addresses cannot be rebound, names of this host are known. The token is compared in constant time.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, COOKIE};
use hyper::{HeaderMap, Method, Request};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Settings;

/// What is decided before a request is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Welcome,
    /// Only GET is.
    Method,
    /// It asks for another host.
    Host,
    /// It does not have the token. `wrong`: it has another one.
    Token {
        /// Somebody may be trying.
        wrong: bool,
    },
    /// It has the token in its address: it is to come again with this cookie, and without that.
    Cookie(String),
}

/// The rules, made from settings.
pub struct Guard {
    address: IpAddr,
    /// This host's own names, in lower case.
    names: Vec<String>,
    token: Option<Token>,
}

struct Token {
    /// SHA-256 of the token.
    digest: [u8; 32],
    /// What the cookie is called: cookies do not know ports.
    cookie: String,
    /// What is in it: it gives entrance, but not the token.
    pass: String,
}

impl Guard {
    /// The rules for `settings`, with the names of this host.
    pub fn new(settings: &Settings, port: u16) -> Self {
        let token = settings.token.as_ref().map(|token| Token {
            digest: Sha256::digest(token.as_bytes()).into(),
            cookie: format!("ringside-console-{port}"),
            pass: hex::encode(Sha256::digest(format!("ringside console\0{token}"))),
        });
        // Without a token only this host's own visitors come, by the names every host has.
        let own = token.as_ref().and_then(|_| host_name());
        let names = ["localhost".to_owned()].into_iter().chain(own).collect();
        Self { address: settings.endpoint.ip().to_canonical(), names, token }
    }

    /// Decides about a request.
    pub fn check<B>(&self, request: &Request<B>) -> Verdict {
        if request.method() != Method::GET {
            return Verdict::Method;
        }
        if !endpoint::host(request).is_some_and(|name| self.is_ours(name)) {
            return Verdict::Host;
        }
        let Some(token) = &self.token else { return Verdict::Welcome };
        // The page that asks for the token is drawn by it, and it says nothing of this host.
        if request.uri().path() == STYLE && request.uri().query().is_none() {
            return Verdict::Welcome;
        }
        let query = request.uri().query().unwrap_or_default();
        if let Some((_, given)) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "token") {
            return match token.is(&given) {
                true => Verdict::Cookie(token.set_cookie(is_secure(request.headers()))),
                false => Verdict::Token { wrong: true },
            };
        }
        token.check(request.headers())
    }

    fn is_ours(&self, name: &str) -> bool {
        if let Ok(address) = name.parse::<IpAddr>() {
            let address = address.to_canonical();
            return match self.token {
                // Any address of this host, or of what forwards to it.
                Some(_) => true,
                None => address.is_loopback() || address == self.address,
            };
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().any(|ours| name == *ours || self.token.is_some() && is_below(&name, ours))
    }
}

impl Token {
    fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        self.digest.ct_eq(&given).into()
    }

    fn check(&self, headers: &HeaderMap) -> Verdict {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        if let Some(given) = bearer {
            return if self.is(given) { Verdict::Welcome } else { Verdict::Token { wrong: true } };
        }
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut passes = cookies.flat_map(|value| value.split(';')).filter_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == self.cookie).then_some(value)
        });
        match passes.any(|pass| pass.as_bytes().ct_eq(self.pass.as_bytes()).into()) {
            true => Verdict::Welcome,
            false => Verdict::Token { wrong: false },
        }
    }

    /// `secure`: the visitor came by TLS, so that the cookie is to go by nothing else.
    fn set_cookie(&self, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        let Self { cookie, pass, .. } = self;
        format!("{cookie}={pass}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// Whether a proxy in front says that the visitor came by TLS; the console itself speaks none.
fn is_secure(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// What the page that asks for the token needs.
const STYLE: &str = "/page/console.css";

/// How long a browser keeps the cookie: a week, then the token has to be given again.
const COOKIE_SECONDS: u32 = 7 * 86_400;

/// `sbc1.example.com` is below `sbc1`: the same host with the domain it is known under.
fn is_below(name: &str, ours: &str) -> bool {
    ours != "localhost" && name.strip_prefix(ours).is_some_and(|domain| domain.starts_with('.'))
}

/// The name this host has.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SECRET: &str = "correct-horse-battery";

    fn guard(endpoint: &str, token: &str) -> Guard {
        let config = Config { endpoint: endpoint.to_owned(), token: token.to_owned(), ..Config::default() };
        let settings = Settings::check(config, &mut Default::default()).expect("it is right");
        Guard { names: vec!["localhost".to_owned(), "sbc1".to_owned()], ..Guard::new(&settings, 2113) }
    }

    fn request(headers: &[(&str, &str)], uri: &str) -> Request<()> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request")
    }

    fn verdict(guard: &Guard, host: &str) -> Verdict {
        guard.check(&request(&[("host", host)], "/"))
    }

    #[test]
    fn only_get_is_answered() {
        let mut request = request(&[("host", "localhost")], "/");
        *request.method_mut() = Method::POST;
        assert_eq!(guard("127.0.0.1:2113", "").check(&request), Verdict::Method);
        *request.method_mut() = Method::HEAD;
        assert_eq!(guard("127.0.0.1:2113", "").check(&request), Verdict::Method);
    }

    #[test]
    fn other_names_are_turned_away() {
        let guard = guard("127.0.0.1:2113", "");
        for host in
            ["localhost", "localhost:2113", "LOCALHOST.:8080", "127.0.0.1", "127.0.0.1:9", "[::1]:2113", "[::1]"]
        {
            assert_eq!(verdict(&guard, host), Verdict::Welcome, "{host}");
        }
        let elsewhere = [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:2113",
            "[2001:db8::1]",
            "",
            "127.0.0.1.nip.io",
            ":2113",
            "[",
            "localhost:2113, evil.example",
            "localhost:evil.example",
            "evil@localhost",
            "[::1].evil.example",
        ];
        for host in elsewhere {
            assert_eq!(verdict(&guard, host), Verdict::Host, "{host}");
        }
        assert_eq!(guard.check(&request(&[], "/")), Verdict::Host);
    }

    #[test]
    fn two_hosts_are_none_and_an_address_in_full_says_which_it_is() {
        let guard = guard("127.0.0.1:2113", "");
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(guard.check(&request(&two, "/")), Verdict::Host);
        let host = [("host", "localhost")];
        assert_eq!(guard.check(&request(&host, "http://evil.example/")), Verdict::Host);
        assert_eq!(guard.check(&request(&host, "http://127.0.0.1:2113/")), Verdict::Welcome);
    }

    #[test]
    fn with_a_token_the_host_may_be_called_by_its_own_name() {
        let guard = guard("0.0.0.0:2113", SECRET);
        let bearer = format!("Bearer {SECRET}");
        let asked = |host| guard.check(&request(&[("host", host), ("authorization", &bearer)], "/"));
        for host in ["sbc1:2113", "sbc1.example.com", "192.0.2.1:2113", "localhost:99"] {
            assert_eq!(asked(host), Verdict::Welcome, "{host}");
        }
        for host in ["evil.example", "sbc10.example.com", "localhost.evil.example"] {
            assert_eq!(asked(host), Verdict::Host, "{host}");
        }
    }

    #[test]
    fn a_token_is_taken_as_bearer_or_turned_into_a_cookie() {
        let guard = guard("127.0.0.1:2113", SECRET);
        let ask = |headers: &[(&str, &str)], uri: &str| {
            let headers = [&[("host", "localhost")], headers].concat();
            guard.check(&request(&headers, uri))
        };
        assert_eq!(ask(&[], "/"), Verdict::Token { wrong: false });
        assert_eq!(ask(&[("authorization", &format!("bearer {SECRET}"))], "/api/calls"), Verdict::Welcome);
        for wrong in ["Bearer", "Bearer ", "Bearer correct-horse-batter", "Bearer correct-horse-battery2", "Basic Zm9v"]
        {
            assert_ne!(ask(&[("authorization", wrong)], "/"), Verdict::Welcome, "{wrong}");
        }
        assert_eq!(ask(&[], "/?token=wrong"), Verdict::Token { wrong: true });
        let Verdict::Cookie(cookie) = ask(&[], &format!("/?token={SECRET}")) else { panic!("no cookie") };
        assert!(
            cookie.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict") && !cookie.contains(SECRET),
            "{cookie}"
        );
        let by_tls = ask(&[("x-forwarded-proto", "https")], &format!("/?token={SECRET}"));
        assert_eq!(by_tls, Verdict::Cookie(format!("{cookie}; Secure")));
        let pass = cookie.split(';').next().expect("a first part");
        assert_eq!(ask(&[("cookie", &format!("other=1; {pass}"))], "/"), Verdict::Welcome);
        assert_eq!(ask(&[("cookie", &pass[..pass.len() - 1])], "/"), Verdict::Token { wrong: false });
        assert_eq!(ask(&[("cookie", &pass.replace("2113", "2114"))], "/"), Verdict::Token { wrong: false });
    }
}
