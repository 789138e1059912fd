//! The console: the same calls with it off, on while nobody looks, and with ten pages open, each following a call.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;

use integration::ringside::Ringside;
use testnet::Namespace;

use crate::pipeline::Traces;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// There is none.
    Off,
    /// It runs, and nobody looks.
    Unseen,
    /// Ten pages are open.
    Seen,
}

/// All of them, the cheapest first.
pub const ALL: [Console; 3] = [Console::Off, Console::Unseen, Console::Seen];

/// Pages that are open.
const PAGES: usize = 10;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2113);

impl Console {
    /// For the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Unseen => "on, nobody looks",
            Self::Seen => "on, ten pages open",
        }
    }

    /// The file, with a receiver and its table.
    pub fn toml(self, receiver: &str, table: &str) -> String {
        let metrics = Traces::Off.toml(receiver, table);
        match self {
            Self::Off => metrics,
            Self::Unseen | Self::Seen => {
                format!("{metrics}[extensions.console]\n[service]\nextensions = [\"console\"]\n")
            }
        }
    }

    /// Opens the pages, where there are any: each takes what it is told, which is thrown away. They close with ringside.
    pub fn open(self, namespace: &Namespace) {
        if self != Self::Seen {
            return;
        }
        for page in 0..PAGES {
            let mut stream = namespace.run(|| TcpStream::connect(ADDRESS)).expect("the console listens");
            // As the page asks: its list, and a call, here one of the first.
            let call = format!("/api/events?limit=200&call=00{page:08}-66710-192.0.2.10");
            write!(stream, "GET {call} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
            thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).for_each(drop));
        }
    }

    /// What has to stand at 0, and the pages that have to be open.
    pub fn wrong(self, ringside: &Ringside<'_>) -> Option<String> {
        let told = |name| ringside.internal(name).unwrap_or(0.0);
        let pages = if self == Self::Seen { PAGES as f64 } else { 0.0 };
        let all = [
            ("otelcol_extension_pages", pages),
            ("otelcol_extension_slow_clients", 0.0),
            ("otelcol_extension_calls_refused", 0.0),
        ];
        let wrong = all.into_iter().find(|(name, expected)| told(name) != *expected);
        wrong.map(|(name, expected)| format!("{name} is {}, not {expected}", told(name)))
    }
}
