//! `/probe?target=…&module=…` beside `/metrics`, as users of blackbox_exporter know it: one scrape, one exchange.
//!
//! It asks nobody who is not on its list, and so many at a time at most: whoever reaches the endpoint of an exporter
//! could otherwise have anybody asked.

mod config;

use std::any::Any;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pipeline::pages::{Asked, Page, Shown};
use pipeline::{Extension, ExtensionError};
use tokio::sync::Semaphore;

pub use config::{Allow, Config, ModuleConfig, Refusal, Settings, Transport};

use crate::config::Target;
use crate::dns::Dns;
use crate::exchange::Response;
use crate::path::{End, Phases, Report};
use crate::session::{Ready, Session};

/// Probes at a time; more are refused.
const AT_A_TIME: usize = 64;
/// So much of its patience a client keeps for the way: what blackbox_exporter takes.
const FOR_THE_WAY: Duration = Duration::from_millis(500);
/// Shortest wait for an answer, however little patience a client has.
const SHORTEST: Duration = Duration::from_millis(100);
/// The module of a request that names none.
const DEFAULT_MODULE: &str = "default";

/// `[extensions.probe_endpoint]`.
pub struct ProbeEndpoint {
    page: Arc<ProbePage>,
}

impl ProbeEndpoint {
    /// Asks nobody by itself.
    pub fn new(settings: Settings) -> Self {
        let free = Arc::new(Semaphore::new(AT_A_TIME));
        Self { page: Arc::new(ProbePage { settings: Mutex::new(settings), free }) }
    }
}

impl Extension for ProbeEndpoint {
    fn start(&mut self) -> Result<(), ExtensionError> {
        Ok(())
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = *settings.downcast::<Settings>().expect("settings come from the check of the same type");
        *self.page.settings.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Vec::new()
    }

    fn page(&self) -> Option<Arc<dyn Page>> {
        Some(Arc::clone(&self.page) as _)
    }

    fn addresses(&self) -> Vec<String> {
        vec!["probe    /probe?target=HOST beside /metrics".to_owned()]
    }

    fn stop(&mut self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {})
    }
}

/// The page.
struct ProbePage {
    settings: Mutex<Settings>,
    free: Arc<Semaphore>,
}

impl Page for ProbePage {
    fn path(&self) -> &'static str {
        "/probe"
    }

    fn answer(&self, asked: Asked) -> Pin<Box<dyn Future<Output = Shown> + Send>> {
        let refused = |status, text: String| Shown { status, text: format!("{text}\n") };
        let Some(target) = parameter(&asked.query, "target").filter(|target| !target.is_empty()) else {
            let text = "Name a target: /probe?target=sip.example.net&module=default";
            return Box::pin(async move { refused(400, text.to_owned()) });
        };
        let module = parameter(&asked.query, "module").unwrap_or_else(|| DEFAULT_MODULE.to_owned());
        let found = self.settings.lock().unwrap_or_else(PoisonError::into_inner).target(&module, &target);
        let mut target = match found {
            Ok(target) => target,
            Err(refusal) => {
                let status = if refusal == Refusal::NotAllowed { 403 } else { 400 };
                return Box::pin(async move { refused(status, refusal.to_string()) });
            }
        };
        if let Some(patience) = asked.patience {
            target.timeout = target.timeout.min(patience.saturating_sub(FOR_THE_WAY)).max(SHORTEST);
        }
        let Ok(place) = Arc::clone(&self.free).try_acquire_owned() else {
            return Box::pin(async move { refused(503, "Too many probes are under way.".to_owned()) });
        };
        Box::pin(async move {
            let shown = match probe(target).await {
                Ok((report, took)) => Shown { status: 200, text: series(&report, took) },
                Err(error) => refused(500, error),
            };
            drop(place);
            shown
        })
    }
}

/// Asks once, on a connection of its own. An error says that nobody could be asked for a reason here.
async fn probe(target: Target) -> Result<(Report, Duration), String> {
    let begun = Instant::now();
    // Files are read, and the system's authorities.
    let ready = tokio::task::spawn_blocking(move || Ready::read(target)).await.map_err(|error| error.to_string())?;
    let ready = ready.map_err(|error| error.to_string())?;
    let dns = Dns::new(&[]).map_err(|error| error.to_string())?;
    let session = Session::new(Arc::new(ready), Arc::new(dns), None);
    let mut reports = session.probe().await;
    let report = reports.pop().ok_or("a bug: a probe without a report")?;
    Ok((report, begun.elapsed()))
}

/// A parameter of a query.
fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(named, _)| named == name).map(|(_, value)| value.into_owned())
}

/// What blackbox_exporter's users look for, in the text format.
fn series(report: &Report, took: Duration) -> String {
    let Phases { resolve, connect, tls, transaction } = report.phases;
    let status = if let End::Answered(Response { status, .. }, _) = &report.end { *status } else { 0 };
    let mut text = String::new();
    let mut family = |name: &str, help: &str, series: &[(String, f64)]| {
        write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n").expect("writing to a String cannot fail");
        for (labels, value) in series {
            writeln!(text, "{name}{labels} {value}").expect("writing to a String cannot fail");
        }
    };
    let one = |value: f64| [(String::new(), value)];
    let up = u8::from(report.counted().is_up());
    family("probe_success", "1 when a final response other than 503 came.", &one(up.into()));
    family("probe_duration_seconds", "How long the probe took in all, in seconds.", &one(took.as_secs_f64()));
    let phases = [("resolve", resolve), ("connect", connect), ("tls", tls), ("transaction", transaction)];
    let phases = phases.map(|(phase, took)| (format!("{{phase=\"{phase}\"}}"), took.unwrap_or_default().as_secs_f64()));
    family("probe_sip_duration_seconds", "How long each part of it took, in seconds.", &phases);
    family("probe_sip_status_code", "Status of the final response, 0 without one.", &one(status.into()));
    if let Some(place) = report.place {
        let protocol = if place.address.is_ipv4() { 4.0 } else { 6.0 };
        family("probe_ip_protocol", "4 or 6: the version of IP.", &one(protocol));
    }
    if let Some(end) = report.tls.not_after {
        let help = "When the first certificate of the target expires, in seconds since 1970.";
        // Exact for as long as certificates last.
        family("probe_ssl_earliest_cert_expiry", help, &one(end as f64));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn endpoint() -> ProbeEndpoint {
        let allow = Allow { cidrs: vec!["127.0.0.0/8".to_owned()], names: Vec::new() };
        let modules = [("default".to_owned(), ModuleConfig::default())].into();
        ProbeEndpoint::new(Config { modules, allow }.check(&mut Default::default()).expect("it is right"))
    }

    async fn ask(endpoint: &ProbeEndpoint, query: &str, patience: Option<Duration>) -> Shown {
        let page = endpoint.page().expect("it adds one");
        assert_eq!(page.path(), "/probe");
        page.answer(Asked { query: query.to_owned(), patience }).await
    }

    #[tokio::test]
    async fn one_scrape_makes_one_exchange_and_shows_what_blackbox_shows() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let address = socket.local_addr().expect("it is bound");
        let server = std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            let (len, from) = socket.recv_from(&mut buffer).expect("a request");
            let request = std::str::from_utf8(&buffer[..len]).expect("it is text");
            let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            let lines = request.lines().filter(|line| copied.iter().any(|name| line.starts_with(name)));
            let copied: String = lines.map(|line| format!("{line}\r\n")).collect();
            let reply = format!("SIP/2.0 405 No\r\n{copied}Content-Length: 0\r\n\r\n");
            socket.send_to(reply.as_bytes(), from).expect("loopback takes it");
            socket.set_read_timeout(Some(Duration::from_millis(700))).expect("it is a socket");
            socket.recv_from(&mut buffer).is_err()
        });
        let endpoint = endpoint();
        let shown = ask(&endpoint, &format!("target=udp%3A%2F%2F{address}&module=default"), None).await;
        assert_eq!(shown.status, 200);
        for line in ["probe_success 1", "probe_sip_status_code 405", "probe_ip_protocol 4"] {
            assert!(shown.text.contains(&format!("\n{line}\n")), "{line}\n{}", shown.text);
        }
        for phase in ["resolve", "connect", "tls", "transaction"] {
            assert!(
                shown.text.contains(&format!("\nprobe_sip_duration_seconds{{phase=\"{phase}\"}} ")),
                "{}",
                shown.text
            );
        }
        assert!(!shown.text.contains("probe_ssl"), "there is no certificate");
        assert!(server.join().expect("it does not panic"), "there was one request and no more");
    }

    #[tokio::test]
    async fn the_patience_of_the_client_is_kept_less_half_a_second() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let query = format!("target={}", silent.local_addr().expect("it is bound"));
        let begun = Instant::now();
        let shown = ask(&endpoint(), &query, Some(Duration::from_millis(900))).await;
        assert!(begun.elapsed() < Duration::from_millis(850), "{:?}", begun.elapsed());
        assert!(shown.status == 200 && shown.text.contains("\nprobe_success 0\n"), "{}", shown.text);
        assert!(shown.text.contains("\nprobe_sip_status_code 0\n"), "{}", shown.text);
    }

    #[tokio::test]
    async fn who_may_not_be_asked_is_not() {
        let endpoint = endpoint();
        for (query, status) in [
            ("", 400),
            ("target=", 400),
            ("module=default", 400),
            ("target=127.0.0.1&module=none", 400),
            ("target=http://127.0.0.1", 400),
            ("target=192.0.2.1", 403),
            ("target=localhost", 403),
        ] {
            assert_eq!(ask(&endpoint, query, None).await.status, status, "{query}");
        }
    }

    #[tokio::test]
    async fn more_than_so_many_at_a_time_are_refused() {
        let endpoint = endpoint();
        let all = endpoint.page.free.clone().acquire_many_owned(64).await.expect("it is never closed");
        assert_eq!(ask(&endpoint, "target=127.0.0.1", None).await.status, 503);
        drop(all);
    }
}
