//! `make pictures`, the console and the ladder in a terminal: real calls through a real proxy, seen by ringside; the
//! page in both themes and at both widths, and one of the calls as `ringside ladder` draws it.
//!
//! All of it happens in a network namespace of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use integration::proxy::Proxy;
use integration::ringside::{Config, Ringside, binary, command};
use integration::scratch::Folder;
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, Party, exchange, exchange_through};
use integration::wait::eventually;
use integration::{browser, flows, gate};
use testnet::Namespace;

const ENRICH: &str = "carriers = [{ name = \"alpha\", cidrs = [\"127.1.0.0/16\"] }, \
    { name = \"beta\", cidrs = [\"127.2.0.0/16\"] }]\n\
    user_agents = [{ regex = '^Yealink', label = \"yealink\" }, { regex = '^Grandstream', label = \"grandstream\" }]";

const CONSOLE: &str = "[extensions.console]\ntrace_url = \"http://grafana.example/explore?trace={trace_id}\"\n\
    [service]\nextensions = [\"console\"]\n";

/// The call that is shown: challenged, early media, ringing, an ACK that takes its time.
const SHOWN: &str = "
          -> INVITE ua=Yealink-T46U
          <- 100
          <- 407
          -> ACK
          -> INVITE ua=Yealink-T46U
          <- 100
     300  <- 183
     700  <- 180
    2600  <- 200
     700  -> ACK
    6400  -> BYE
          <- 200
";

/// Rings, is talked for a while.
const LONGER: &str = "
          -> INVITE ua=Grandstream
          <- 100
          <- 180
    1800  <- 200
          -> ACK
    7000  -> BYE
          <- 200
";

/// The caller of the call that is shown.
const FEATURED: &str = "+493023125020";

fn main() -> ExitCode {
    let obstacle = gate::obstacle().err().or_else(browser::obstacle);
    if let Some(obstacle) = obstacle {
        eprintln!("console-pictures: {obstacle}");
        return ExitCode::FAILURE;
    }
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: console-pictures FOLDER    (where the pictures go)");
        return ExitCode::FAILURE;
    };
    let folder = fs::canonicalize(folder).expect("a folder for the pictures");
    let folder = folder.to_str().expect("a path that is text");
    let namespace = Namespace::new().expect("a namespace");
    namespace.ip("link set lo up");
    let config = Config::on("lo").dialog("calls.privacy.numbers = \"plain\"").enrich(ENRICH);
    let mut ringside = Ringside::spawn(&namespace, &(config.toml() + CONSOLE), &[]);
    ringside.await_health();
    let recorded = Folder::new("pictures");
    let capture = recorded.join("calls.pcapng");
    let mut dumpcap = namespace.command("dumpcap");
    dumpcap.args(["-q", "-i", "lo", "-f", "udp port 5060 or udp port 5061", "-w"]).arg(&capture);
    let mut dumpcap = dumpcap.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dumpcap starts");
    eventually("a capture", || capture.exists().then_some(()));
    let _proxy = Proxy::start(&namespace);
    thread::scope(|scope| {
        place_calls(&namespace, scope);
        let page = ["http://127.0.0.1:2113/", folder, FEATURED];
        let drawn = browser::script(&namespace, "pictures.mjs", &page).status().expect("node starts");
        let pid = libc::pid_t::try_from(dumpcap.id()).expect("process ids are positive");
        // SAFETY: kill takes numbers only, and the child was not waited for yet, so that its id is its own.
        unsafe { libc::kill(pid, libc::SIGINT) };
        dumpcap.wait().expect("our own child");
        let ladder = drawn.success() && draw_ladder(&namespace, &capture.display().to_string(), folder);
        if ladder { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// Calls of several kinds at once, for about half a minute.
fn place_calls<'scope, 'n: 'scope>(namespace: &'n Namespace, scope: &'scope thread::Scope<'scope, '_>) {
    let hop = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let callee = SocketAddr::from((Ipv4Addr::LOCALHOST, 5080));
    let (alpha, beta) = (Ipv4Addr::new(127, 1, 0, 10), Ipv4Addr::new(127, 2, 0, 20));
    let party = move |address| Party { namespace, address };
    let featured = Scenario::new(SHOWN).between(FEATURED, "+498999998078");
    scope.spawn(move || exchange_through(&featured, party((alpha, 5070).into()), party(callee), hop, load(16)));
    let answered = flows::ANSWERED.replace("INVITE", "INVITE ua=Yealink-T46U").replace("300 ", "2300 ");
    let refused = |status| flows::refused(status);
    let direct = [
        (alpha, Scenario::new(&answered).between("+493023125077", "+442079460018")),
        (beta, Scenario::new(LONGER).between("+33199005300", "+493023125022")),
        (alpha, refused(486).between("+493023125031", "+498999998122")),
        (beta, Scenario::new(flows::CANCELLED).between("+33199005312", "+493023125040")),
        (beta, refused(503).between("+33199005377", "+498999998177")),
        (alpha, refused(404).between("+493023125066", "+498999998100")),
        (beta, Scenario::new(LONGER).between("+33199005390", "+493023125099")),
    ];
    for (place, (caller, scenario)) in direct.into_iter().enumerate() {
        // Each has a callee of its own: one SIPp plays one scenario.
        let callee = SocketAddr::from((Ipv4Addr::new(127, 0, 1, 1 + place as u8), 5061));
        let calls = [22, 20, 5, 4, 3, 2, 16][place];
        let caller = SocketAddr::from((caller, 5071 + place as u16));
        scope.spawn(move || exchange(&scenario, party(caller), party(callee), load(calls)));
    }
}

/// One call a second or so.
fn load(calls: u32) -> Load {
    Load { calls, rate: 1 }
}

/// The call that is shown, as a terminal of 104 columns shows it.
fn draw_ladder(namespace: &Namespace, capture: &str, folder: &str) -> bool {
    let listed = command(&["calls", capture, "--number", FEATURED, "--format", "json"], Path::new("."));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut calls = listed.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let call = calls.find(|call| call["end"] == "bye").expect("the call was recorded");
    let call_id = call["call_id"].as_str().expect("text");
    let ladder = format!("{} ladder {capture} --call-id {call_id} 2>/dev/null", binary().display());
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &ladder, "/dev/null"]);
    terminal.envs([("COLUMNS", "104"), ("LC_ALL", "C.UTF-8"), ("TERM", "xterm-256color")]).env_remove("NO_COLOR");
    let shown = terminal.stdin(Stdio::null()).output().expect("script starts").stdout;
    let text = Folder::new("terminal");
    let file = text.join("ladder.txt");
    fs::write(&file, shown).expect("a file");
    let title = format!("ringside ladder calls.pcapng --call-id {call_id}");
    let file = file.display().to_string();
    let arguments = [file.as_str(), folder, title.as_str()];
    browser::script(namespace, "terminal.mjs", &arguments).status().expect("node starts").success()
}
