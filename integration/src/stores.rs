//! Servers that keep what they scrape: Prometheus and VictoriaMetrics, inside a namespace, asked over HTTP.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::exposition::Series;
use crate::http;
use crate::scratch::Folder;
use serde_json::Value;
use testnet::Namespace;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keeps exemplars and rules too.
    Prometheus,
    /// The same, which asks for native histograms and keeps them instead of the classic ones.
    NativePrometheus,
    /// Keeps samples.
    VictoriaMetrics,
}

/// A running server, ended when dropped.
#[derive(Debug)]
pub struct Store<'a> {
    /// Which one it is.
    pub kind: Kind,
    namespace: &'a Namespace,
    child: Child,
    folder: Folder,
}

impl<'a> Store<'a> {
    /// Starts one that scrapes as `config`, a Prometheus configuration, says; the `rules` it names lie beside it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(namespace: &'a Namespace, kind: Kind, config: &str, rules: Option<&Path>) -> Self {
        let folder = Folder::new("store");
        fs::write(folder.join("prometheus.yml"), config).expect("a configuration");
        if let Some(rules) = rules {
            fs::copy(rules, folder.join("rules.yml")).expect("the rules");
        }
        let log = fs::File::create(folder.join("log")).expect("a log");
        let address = address(kind);
        let mut command = match kind {
            Kind::Prometheus | Kind::NativePrometheus => {
                let mut command = namespace.command("prometheus");
                command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
                command.args(["--enable-feature=exemplar-storage", &format!("--web.listen-address={address}")]);
                if kind == Kind::NativePrometheus {
                    command.arg("--enable-feature=native-histograms");
                }
                command
            }
            Kind::VictoriaMetrics => {
                let mut command = namespace.command("victoria-metrics");
                command.args(["-promscrape.config=prometheus.yml", "-storageDataPath=data"]);
                // It keeps no rules and refuses a file that names some, unless told not to mind.
                command.args(["-promscrape.config.strictParse=false", &format!("-httpListenAddr={address}")]);
                command.args(["-search.latencyOffset=1ms", "-search.disableCache"]);
                command
            }
        };
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the server starts");
        Self { kind, namespace, child, folder }
    }

    /// `data` of the answer; why not, otherwise.
    ///
    /// # Errors
    /// The status and the body where it is not one, or the reason why nobody answers.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        let path = format!("/api/v1/{path}?{}", parameters.join("&"));
        let answer = self.namespace.run(|| http::get(address(self.kind), &path));
        let (status, body) = answer.map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_str(&body).map_err(|_| format!("{status}: {body}"))?;
        if status != 200 || answer["status"] != "success" {
            return Err(format!("{status}: {body}"));
        }
        Ok(answer["data"].take())
    }

    /// An instant query; `None` while nobody answers.
    pub fn query(&self, expression: &str) -> Option<Vec<Series>> {
        let data = self.ask("query", &[("query", expression)]).ok()?;
        Some(data["result"].as_array()?.iter().map(series).collect())
    }

    /// What it said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Store<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(kind: Kind) -> SocketAddr {
    let port = match kind {
        Kind::Prometheus | Kind::NativePrometheus => 9090,
        Kind::VictoriaMetrics => 8428,
    };
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// One entry of an instant query's result.
fn series(entry: &Value) -> Series {
    let metric = entry["metric"].as_object().expect("labels");
    let labels = metric.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    Series {
        name: metric.get("__name__").and_then(Value::as_str).unwrap_or_default().to_owned(),
        labels: labels.collect(),
        value: entry["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number"),
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
