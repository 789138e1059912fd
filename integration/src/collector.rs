//! A real OpenTelemetry Collector: built once by its own builder, then started and stopped as a test likes.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use testnet::{Namespace, skipped};

use crate::exposition::Exposition;
use crate::http;
use crate::scratch::Folder;
use crate::wait::{DEADLINE, eventually, within};

/// The version that is built; its manifest names it too.
const VERSION: &str = "v0.139.0";
const MANIFEST: &str = include_str!("collector/builder.yaml");
const CONFIG: &str = include_str!("collector/collector.yaml");
/// Where it shows the metrics it was sent.
const SCRAPE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8889);

/// The program, built below the target folder where it is not there yet.
///
/// # Errors
/// Why there is none, for people to read.
pub fn program() -> Result<&'static Path, String> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_deref().map_err(Clone::clone)
}

fn build() -> Result<PathBuf, String> {
    let test = std::env::current_exe().expect("a running program has a path");
    let target = test.ancestors().find(|path| path.join("deps").is_dir()).and_then(Path::parent);
    let kept = target.expect("a cargo target folder").join(format!("otelcol-{VERSION}"));
    let program = kept.join("otelcol");
    if program.exists() && fs::read_to_string(kept.join("builder.yaml")).is_ok_and(|text| text == MANIFEST) {
        return Ok(program);
    }
    match Command::new("go").arg("version").output() {
        Err(error) => return Err(format!("Go is missing: {error}")),
        Ok(output) => succeeded("go version", &output)?,
    }
    let folder = Folder::new("builder");
    let package = format!("go.opentelemetry.io/collector/cmd/builder@{VERSION}");
    let installed = Command::new("go").args(["install", &package]).env("GOBIN", folder.path()).output();
    succeeded("go install", &installed.map_err(|error| error.to_string())?)?;
    fs::write(folder.join("builder.yaml"), MANIFEST).expect("a manifest");
    let built = Command::new(folder.join("builder")).arg("--config=builder.yaml").current_dir(folder.path()).output();
    succeeded("the Collector's builder", &built.map_err(|error| error.to_string())?)?;
    fs::create_dir_all(&kept).expect("the target folder can be written");
    fs::copy(folder.join("sources/otelcol"), &program).expect("the builder has built it");
    fs::write(kept.join("builder.yaml"), MANIFEST).expect("the target folder can be written");
    Ok(program)
}

fn succeeded(what: &str, output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what} fails: {}", said.trim().lines().last().unwrap_or("it does not say why")))
}

/// A namespace and a collector, or a word why there is none.
pub fn place(what: &str) -> Option<(Namespace, &'static Path)> {
    let test = format!("{what} to a collector");
    let obstacle = match (Namespace::new(), program()) {
        (Ok(namespace), Ok(program)) => return Some((namespace, program)),
        (Err(error), _) => format!("network namespaces are refused: {error}"),
        (_, Err(why)) => why,
    };
    skipped(&test, &obstacle);
    None
}

/// A place for collectors, one after the other: what they write is kept from one to the next.
#[derive(Debug)]
pub struct Site<'a> {
    namespace: &'a Namespace,
    program: &'static Path,
    folder: Folder,
    /// Where it listens.
    ports: Vec<u16>,
}

/// One that runs; killed when dropped.
#[derive(Debug)]
pub struct Collector<'a> {
    child: Child,
    site: &'a Site<'a>,
}

impl<'a> Site<'a> {
    /// A place in a folder of its own.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn new(namespace: &'a Namespace, program: &'static Path) -> Self {
        Self::with(namespace, program, CONFIG, &[4317, 4318, SCRAPE.port()])
    }

    /// The same for collectors of another configuration, which listen at `ports`.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn with(namespace: &'a Namespace, program: &'static Path, config: &str, ports: &[u16]) -> Self {
        let folder = Folder::new("collector");
        fs::write(folder.join("collector.yaml"), config).expect("a configuration");
        Self { namespace, program, folder, ports: ports.to_vec() }
    }

    /// Starts one and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn start(&'a self) -> Collector<'a> {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut command = self.namespace.command(self.program);
        let child = command
            .arg("--config=collector.yaml")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the collector starts");
        let collector = Collector { child, site: self };
        eventually("the collector listens", || {
            self.ports.iter().all(|port| self.namespace.hears_tcp(*port)).then_some(())
        });
        collector
    }

    /// Every span that arrived, once, although it may have been sent twice: names by trace and span id.
    ///
    /// # Panics
    /// When they are not written as OTLP.
    pub fn spans(&self) -> Vec<Span> {
        let text = fs::read_to_string(self.folder.join("traces.json")).unwrap_or_default();
        let mut spans: Vec<Span> = text.lines().flat_map(Span::all).collect();
        spans.sort();
        spans.dedup();
        spans
    }
}

impl Site<'_> {
    /// Log records as they were written.
    pub fn logs(&self) -> String {
        fs::read_to_string(self.folder.join("logs.json")).unwrap_or_default()
    }
}

impl Collector<'_> {
    /// What it shows of the metrics it was sent.
    pub fn scrape(&self) -> Option<Exposition> {
        let answer = self.site.namespace.run(|| http::get(SCRAPE, "/metrics"));
        answer.ok().filter(|(status, _)| *status == 200).map(|(_, body)| Exposition::parse(&body))
    }

    /// Asks it to end, and waits until it has written everything it took.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn stop(mut self) {
        let id = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: no pointers; the child has not been waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0, "kill: {}", io::Error::last_os_error());
        let ended = within(DEADLINE, || self.child.try_wait().expect("our own child"));
        assert!(ended.is_some(), "the collector does not end");
    }
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A span as the collector wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// 32 hex digits.
    pub trace: String,
    /// 16 hex digits.
    pub id: String,
    /// Likewise, of the span above it; empty at the root.
    pub parent: String,
    /// Its operation.
    pub name: String,
    /// `network.transport`; a session has none.
    pub transport: Option<String>,
    /// `sip.call.outcome`; only the root of a call has it.
    pub outcome: Option<String>,
}

impl Span {
    /// Those of one line of the file.
    fn all(line: &str) -> Vec<Self> {
        // What a killed collector had half written stands before what the next one wrote; nobody was told that it arrived.
        let whole = line.rfind("{\"resourceSpans\"").map_or(line, |at| &line[at..]);
        let request: serde_json::Value = match serde_json::from_str(whole) {
            Ok(request) => request,
            Err(error) => {
                assert!(error.is_eof(), "a line of the file is JSON: {error}");
                return Vec::new();
            }
        };
        let list = |value: &serde_json::Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let scopes = list(&request, "resourceSpans").into_iter().flat_map(|resource| list(&resource, "scopeSpans"));
        let read = |span: serde_json::Value| {
            let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
            let attributes = list(&span, "attributes");
            let attribute = |key: &str| {
                let found = attributes.iter().find(|one| one["key"] == key);
                found.and_then(|one| one["value"]["stringValue"].as_str().map(str::to_owned))
            };
            Self {
                trace: text("traceId"),
                id: text("spanId"),
                parent: text("parentSpanId"),
                name: text("name"),
                transport: attribute("network.transport"),
                outcome: attribute("sip.call.outcome"),
            }
        };
        scopes.flat_map(|scope| list(&scope, "spans")).map(read).collect()
    }
}
