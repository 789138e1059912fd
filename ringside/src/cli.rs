//! The command line: what can be typed, and nothing of what it does.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use call_filter::{Field, Filter};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pipeline::Build;
use pipeline::settings::duration;
use receiver_sip_probe::Endpoint;
use wire::Timestamp;

/// What `--version` says after the name.
pub fn version(build: &Build) -> String {
    format!("{} (commit {}, rustc {})", build.version, build.revision, build.rustversion)
}

/// Watches SIP and counts what RFC 6076 measures; sends nothing to it but the probes it is told to.
#[derive(Debug, Parser)]
#[command(name = "ringside", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: Start,
}

impl CommandLine {
    /// What is to be done; without a subcommand, `run`.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.start))
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector (also without a subcommand)
    Run(Start),
    /// Show every error of a configuration, each with file, line and column
    Validate(Run),
    /// Print the effective configuration, secrets hidden
    PrintConfig(Run),
    /// Print the JSON schema of the configuration, by which editors complete and check it
    PrintSchema,
    /// List the components compiled in, or the metrics
    Components(Components),
    /// Can it capture here, and does it see SIP? Each finding with what to do about it
    Doctor(Run),
    /// Print the metrics of capture files as they are at the last packet
    Replay(Replay),
    /// List the calls of capture files: outcome, delays, duration, carrier
    Calls(Calls),
    /// Draw the calls of capture files, message by message
    Ladder(Ladder),
    /// Cut the packets of calls out of capture files, as they were
    Extract(Extract),
    /// Show calls on the terminal as they come, live or of capture files, message by message
    Watch(Watch),
    /// Say which calls of capture files a balancer breaks, and what helps
    Advise(Advise),
    /// Ask a SIP server with OPTIONS, in the manner of ping
    Probe(Probe),
    /// Print the token that stands for a number where privacy.numbers is "hmac"
    Hash(Hash),
    /// Turn the configuration of sip-exporter into a pipeline.toml
    Migrate(Migrate),
    /// Print what makes a shell complete this command line
    Completions(Completions),
    /// Print the manual page, or write all of them
    Man(Man),
}

/// Which configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct Configured {
    /// Configuration file; may be repeated, later ones are merged over earlier ones
    /// [default: ./pipeline.toml, /etc/ringside/pipeline.toml, built-in]
    #[arg(long = "config", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// No file was named and none was found: it is the built-in one, whatever is found later.
    #[arg(skip)]
    pub built_in: bool,
}

/// Which configuration, and what is put over it.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    #[command(flatten)]
    pub configured: Configured,
    /// Set one key of the configuration, for instance exporters.prometheus.endpoint=127.0.0.1:2113
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// How the collector runs.
#[derive(Clone, Debug, Default, Args)]
pub struct Start {
    #[command(flatten)]
    pub run: Run,
    /// Reload, as after SIGHUP, when a configuration file has other content than before; looked at every 5 s
    #[arg(long)]
    pub watch_config: bool,
}

/// Which numbers, and whose key.
#[derive(Debug, Args)]
pub struct Hash {
    /// Numbers as they are dialled: +49301234, 0049301234 and 49301234 have one token
    #[arg(required = true, value_name = "NUMBER")]
    pub numbers: Vec<String>,
    #[command(flatten)]
    pub run: Run,
}

/// A port of `--ports`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Whichever has SIP on it.
    Any,
    /// This one.
    Number(u16),
}

/// Which captures, and how to read them.
#[derive(Clone, Debug, Default, Args)]
pub struct Captures {
    /// Capture files: pcap, pcapng, gzip or zstd of either; - is standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub paths: Vec<PathBuf>,
    /// Ports SIP is spoken on, for instance 5060,5080; any: look first which these are [default: those of the configuration]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = port)]
    pub ports: Vec<Port>,
    #[command(flatten)]
    pub run: Run,
}

/// Which captures, and how their metrics are shown.
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    pub captures: Captures,
    /// How the metrics are printed
    #[arg(long, value_enum, default_value_t = Format::Prometheus)]
    pub format: Format,
    /// Also write one JSON object for each call
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
    /// Of these only calls that FILTER wants
    #[arg(long, value_name = "FILTER", value_parser = filter, requires = "calls")]
    pub filter: Option<Filter>,
    /// Also push to the OTLP exporters of the configuration; ends when all has arrived or was given up
    #[arg(long)]
    pub export: bool,
}

/// How `replay` prints metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The text of a scrape
    Prometheus,
    /// An array with an object for each series
    Json,
}

/// What is listed.
#[derive(Debug, Args)]
pub struct Components {
    /// List the metrics: type, unit, labels, and the most series under one value of the labels of the configuration
    #[arg(long)]
    pub metrics: bool,
}

/// Which calls of which captures, and how they are listed.
#[derive(Debug, Args)]
pub struct Calls {
    /// Capture files: pcap, pcapng, gzip or zstd of either; - is standard input
    #[arg(required_unless_present = "live", value_name = "CAPTURE")]
    pub paths: Vec<PathBuf>,
    /// Instead of files off the wire, with the rights of `run`: a line for each call as it ends
    #[arg(long, conflicts_with_all = ["paths", "all", "ports", "sort", "columns"])]
    pub live: bool,
    /// Ports SIP is spoken on, for instance 5060,5080; any: look first which these are [default: those of the configuration]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = port)]
    pub ports: Vec<Port>,
    #[command(flatten)]
    pub run: Run,
    /// Also what is no call: each registration attempt and other exchange, keep-alives of one device in one line
    #[arg(long)]
    pub all: bool,
    /// Instead of calls the newest messages that could not be read (parse_errors_total), with their first lines
    #[arg(long, conflicts_with_all = ["live", "all", "failed", "poor", "number", "filter", "since", "until", "columns", "sort"])]
    pub refused: bool,
    /// Only calls that failed: those that are errors in a trace, and those whose BYE was not answered, or not well
    #[arg(long)]
    pub failed: bool,
    /// Only calls with a fault in their media, or an interval of it that sounded poor (MOS below 3.5)
    #[arg(long)]
    pub poor: bool,
    /// Only calls with a number that ends in these digits, in From, To, P-Asserted-Identity or Request-URI
    #[arg(long, value_name = "N", value_parser = NonEmptyStringValueParser::new())]
    pub number: Option<String>,
    /// Only calls that FILTER wants, for instance 'outcome == busy and setup > 3s'; docs/calls.md has the fields
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub filter: Option<Filter>,
    #[command(flatten)]
    pub period: Period,
    /// Columns of a table, or of CSV, instead of the usual ones: fields of the filter, for instance
    /// start,from,to,status,header:X-Account-ID
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', value_parser = Field::parse)]
    pub columns: Vec<Field>,
    /// Sort by a field of the filter; -FIELD begins with the greatest [default: start]
    #[arg(long, value_name = "FIELD", value_parser = sort, allow_hyphen_values = true)]
    pub sort: Option<Sort>,
    /// Times in UTC instead of the zone of this machine, or of TZ; JSON and CSV have UTC always
    #[arg(long)]
    pub utc: bool,
    /// How the calls are printed
    #[arg(long, value_enum, default_value_t = CallsFormat::Table)]
    pub format: CallsFormat,
}

/// How `calls` prints calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CallsFormat {
    /// A line for each, as wide as the terminal
    Table,
    /// An object in a line for each
    Json,
    /// Comma-separated values (RFC 4180), with a line of titles
    Csv,
}

/// From when to when.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Period {
    /// Only what began then or later: 2026-01-31T12:00:00Z, 2026-01-31, or so long ago: 3d, 90m
    #[arg(long, value_name = "TIME", value_parser = point)]
    pub since: Option<Timestamp>,
    /// Only what began before
    #[arg(long, value_name = "TIME", value_parser = point)]
    pub until: Option<Timestamp>,
}

impl Period {
    /// Whether it is anything but all time.
    pub fn is_limited(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// Whether a time lies in it.
    pub fn has(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
    }
}

/// What a list is sorted by.
#[derive(Clone, Debug)]
pub struct Sort {
    /// What is compared.
    pub field: Field,
    /// The greatest comes first.
    pub down: bool,
}

/// Which call of which captures, and how it is drawn.
#[derive(Debug, Args)]
pub struct Ladder {
    #[command(flatten)]
    pub captures: Captures,
    /// Also what is no call: each registration attempt and other exchange
    #[arg(long)]
    pub all: bool,
    /// Only what has this Call-ID, call or not; several are one ladder [default: all calls, the newest last]
    #[arg(long, value_name = "ID")]
    pub call_id: Vec<String>,
    /// Only calls that FILTER wants, as of `calls`
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub filter: Option<Filter>,
    #[command(flatten)]
    pub period: Period,
    /// Below the ladder each message: start line, header fields, what its session description says, what is new in it
    #[arg(long, conflicts_with = "raw")]
    pub headers: bool,
    /// The same with bodies; credentials and keys are blanked
    #[arg(long)]
    pub raw: bool,
    /// Times in UTC instead of the zone of this machine, or of TZ; JSON and CSV have UTC always
    #[arg(long)]
    pub utc: bool,
    /// How the messages are drawn
    #[arg(long, value_enum, default_value_t = LadderFormat::Text)]
    pub format: LadderFormat,
}

/// How `ladder` draws a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LadderFormat {
    /// A column for each endpoint, as wide as the terminal
    Text,
    /// A Mermaid sequence diagram; several are a Markdown document
    Mermaid,
    /// An object in a line for each call
    Json,
}

/// Which calls of which captures, and where their packets go.
#[derive(Debug, Args)]
pub struct Extract {
    #[command(flatten)]
    pub captures: Captures,
    /// Also what is no call: registrations and other requests
    #[arg(long)]
    pub all: bool,
    /// Only what has this Call-ID, call or not; may be repeated
    #[arg(long, value_name = "ID")]
    pub call_id: Vec<String>,
    /// Only calls that FILTER wants, as of `calls`
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub filter: Option<Filter>,
    #[command(flatten)]
    pub period: Period,
    /// With RTP and RTCP
    #[arg(long)]
    pub media: bool,
    /// Without the people: numbers, names, addresses, Call-IDs and the like are replaced, by processors.dialog.calls.privacy.key
    /// of the configuration, or by a key that nobody knows; not with --media, for voices are people
    #[arg(long, conflicts_with = "media")]
    pub anonymize: bool,
    /// File to write, pcapng
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct Watch {
    /// Capture files, which may still grow; - is standard input [default: off the wire, with the rights of `run`]
    #[arg(value_name = "CAPTURE")]
    pub paths: Vec<PathBuf>,
    /// Ports SIP is spoken on, for instance 5060,5080; any: look first which these are [default: those of the configuration]
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "paths", value_parser = port)]
    pub ports: Vec<Port>,
    /// Instead a running ringside, by its console, for instance http://127.0.0.1:2113
    #[arg(long, value_name = "URL", conflicts_with_all = ["paths", "files", "set"])]
    pub from: Option<String>,
    /// The token of that console; better in RINGSIDE_CONSOLE_TOKEN, where no list of processes shows it
    #[arg(long, value_name = "TOKEN", requires = "from")]
    pub token: Option<String>,
    #[command(flatten)]
    pub run: Run,
    /// Times in UTC instead of the zone of this machine, or of TZ
    #[arg(long)]
    pub utc: bool,
    /// Only calls that FILTER wants, as of `calls`; F7 changes it
    #[arg(long, value_name = "FILTER", value_parser = filter_with_text)]
    pub filter: Option<(String, Filter)>,
}

/// Which captures, and how what was found is printed.
#[derive(Debug, Args)]
pub struct Advise {
    #[command(flatten)]
    pub captures: Captures,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = AdviseFormat::Text)]
    pub format: AdviseFormat,
}

/// How `advise` prints what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AdviseFormat {
    /// A block for each service, a line for each finding
    Text,
    /// An object
    Json,
}

/// What is turned into a configuration.
#[derive(Debug, Args)]
pub struct Migrate {
    /// File with the variables of sip-exporter, NAME=value [default: the environment]
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Its carriers.yaml [default: what SIP_EXPORTER_CARRIERS_CONFIG names]
    #[arg(long, value_name = "FILE")]
    pub carriers: Option<PathBuf>,
    /// Its user_agents.yaml [default: what SIP_EXPORTER_USER_AGENTS_CONFIG names]
    #[arg(long, value_name = "FILE")]
    pub user_agents: Option<PathBuf>,
    /// File to write; one that is there is left as it is [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
}

/// For which shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Which manual pages, and where they go.
#[derive(Debug, Args)]
pub struct Man {
    /// Page of one subcommand [default: that of the whole]
    #[arg(value_name = "SUBCOMMAND")]
    pub subcommand: Option<String>,
    /// Folder to write all pages to, one for each subcommand
    #[arg(short, long, value_name = "FOLDER", conflicts_with = "subcommand")]
    pub output: Option<PathBuf>,
}

/// Whom to ask, and how often.
#[derive(Debug, Args)]
pub struct Probe {
    /// Host or host:port, perhaps with udp://, tcp://, tls://, sip:// or sips:// before it
    #[arg(value_name = "TARGET", value_parser = endpoint)]
    pub target: Endpoint,
    /// Stop after so many [default: at Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Time from one to the next, for instance 500ms; 200ms at least
    #[arg(long, value_name = "D", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// How long an answer may take
    #[arg(long, value_name = "D", default_value = "5s", value_parser = above_zero)]
    pub timeout: Duration,
    /// What to ask over [default: that of TARGET, or what DNS says]
    #[arg(long, value_enum, value_name = "T")]
    pub transport: Option<Transport>,
    /// Over TLS: any certificate will do
    #[arg(long)]
    pub insecure_skip_verify: bool,
    /// How answers are printed
    #[arg(long, value_enum, default_value_t = ProbeFormat::Text)]
    pub format: ProbeFormat,
}

/// What a probe goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// How `probe` prints answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeFormat {
    /// A line for each, and a summary
    Text,
    /// An object in a line for each, and one for the summary
    Json,
}

fn filter(text: &str) -> Result<Filter, String> {
    Filter::parse(text).map_err(|error| format!("\n{}", error.pointed(text)))
}

fn filter_with_text(text: &str) -> Result<(String, Filter), String> {
    Ok((text.to_owned(), filter(text)?))
}

fn port(text: &str) -> Result<Port, &'static str> {
    match text {
        "any" => Ok(Port::Any),
        _ => text.parse().map(Port::Number).map_err(|_| "write ports from 1 to 65535, or any"),
    }
}

fn sort(text: &str) -> Result<Sort, String> {
    let name = text.strip_prefix('-');
    Ok(Sort { field: Field::parse(name.unwrap_or(text))?, down: name.is_some() })
}

/// A time, or how long ago it was.
fn point(text: &str) -> Result<Timestamp, &'static str> {
    let ago = || {
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
        let ago = days.map(|days| Duration::from_secs(86_400) * days).or_else(|| duration::parse(text))?;
        SystemTime::now().checked_sub(ago)?.duration_since(UNIX_EPOCH).ok()
    };
    let since_epoch = |ago: Duration| u64::try_from(ago.as_nanos()).ok().map(Timestamp::from_nanos);
    let point = call_filter::time(text).or_else(|| ago().and_then(since_epoch));
    point.ok_or("write a time such as 2026-01-31T12:00:00Z or 2026-01-31, or how long ago: 3d, 90m")
}

fn endpoint(text: &str) -> Result<Endpoint, &'static str> {
    Endpoint::parse(text).ok_or("write a host, host:port, or udp://host:port")
}

fn above_zero(text: &str) -> Result<Duration, &'static str> {
    duration::parse(text).filter(|time| !time.is_zero()).ok_or("write a duration such as 5s")
}

fn interval(text: &str) -> Result<Duration, &'static str> {
    /// As often as ping lets people.
    const SHORTEST: Duration = Duration::from_millis(200);
    duration::parse(text).filter(|time| *time >= SHORTEST).ok_or("write a duration such as 1s, 200ms at least")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <CommandLine as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_it_runs() {
        let line = CommandLine::parse_from(["ringside", "--config", "a.toml", "--set", "x.y=1"]);
        let Command::Run(Start { run, watch_config: false }) = line.command() else { panic!("`run` is the default") };
        assert_eq!((run.configured.files, run.set), (vec![PathBuf::from("a.toml")], vec!["x.y=1".to_owned()]));
    }

    #[test]
    fn what_is_not_built_yet_is_unknown() {
        for line in [&["ringside", "calls", "x", "--export"], &["ringside", "ladder", "x", "--failed"]] {
            assert!(CommandLine::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
