//! `make demo`: real SIPp calls of every outcome on the loopback interface, captured by ringside through eBPF, what
//! `/metrics` says about them afterwards, and one of them message by message.
//!
//! Uses ports of its own, so that a SIP server on this host is neither disturbed nor counted. On a terminal it goes on
//! serving until Enter is pressed.

mod recording;
mod summary;

use std::io::{self, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::thread;

use integration::flows::{self, refused};
use integration::gate;
use integration::ringside::{Config, HTTP, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Counts, Load, Party, exchange};
use recording::Recording;
use testnet::Namespace;

/// First UDP port; every kind of call takes two.
const FIRST_PORT: u16 = 15_060;

/// Kinds of calls, each placed at its rate for twenty seconds.
fn programme() -> Vec<(&'static str, Scenario, Load)> {
    let load = |rate| Load { calls: 20 * rate, rate };
    vec![
        ("answered", Scenario::new(flows::ANSWERED), load(6)),
        ("answered after a challenge", Scenario::new(flows::CHALLENGED), load(2)),
        ("callee hangs up", Scenario::new(flows::CALLEE_HANGS_UP), load(1)),
        ("busy (486)", refused(486), load(1)),
        ("no answer (480)", refused(480), load(1)),
        ("cancelled", Scenario::new(flows::CANCELLED), load(1)),
        ("overloaded (503)", refused(503), load(1)),
        ("redirected (302)", Scenario::new(flows::REDIRECTED), load(1)),
        ("registrations", Scenario::new(flows::REGISTERED_AFTER_CHALLENGE), load(2)),
        ("keep-alives (OPTIONS)", Scenario::new(flows::PINGED), load(2)),
    ]
}

fn main() -> ExitCode {
    if let Err(obstacle) = gate::obstacle() {
        eprintln!("demo: {obstacle}; the demonstration needs root");
        return ExitCode::FAILURE;
    }
    let host = Namespace::current().expect("a process is in a namespace");
    let programme = programme();
    let ports: Vec<u16> = (FIRST_PORT..).step_by(2).take(programme.len()).collect();
    let all_ports: Vec<u16> = ports.iter().flat_map(|port| [*port, port + 1]).collect();
    let recording = Recording::start(&all_ports);
    let config = Config { endpoint: endpoint(), ..Config::on("lo").receiver(&format!("ports = {ports:?}")) };
    let ringside = Ringside::start(&host, &config);
    let health = ringside.health().expect("it has just been healthy").1;
    println!(
        "ringside captures on lo ({}) and serves http://{}/metrics",
        health["capture"].as_str().unwrap_or("?"),
        config.endpoint
    );
    println!("calls are placed for 20 s:");
    for (kind, _, load) in &programme {
        println!("  {:4}  {kind}", load.calls);
    }

    let mut counts = Counts::default();
    thread::scope(|scope| {
        let place = |(kind, port): (&(_, Scenario, Load), u16)| {
            let host = &host;
            let party = move |port| Party { namespace: host, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) };
            let (scenario, load) = (kind.1.clone(), kind.2);
            scope.spawn(move || exchange(&scenario, party(port + 1), party(port), load))
        };
        let running: Vec<_> = programme.iter().zip(ports).map(place).collect();
        running.into_iter().for_each(|one| counts.add(one.join().expect("SIPp plays its scenario")));
    });
    let scrape = ringside.settled(counts.packets());
    summary::print(&scrape, &counts);
    if let Err(obstacle) = recording.and_then(|recording| recording.print_ladder(&all_ports)) {
        println!("\nno ladder: {obstacle}");
    }

    println!("\nmetrics  http://{0}/metrics\nhealth   http://{0}/health", config.endpoint);
    if io::stdin().is_terminal() {
        println!("\nStill serving; Enter ends it.");
        let _ = io::stdin().read_line(&mut String::new());
    }
    ExitCode::SUCCESS
}

/// The usual port, or any other where that is taken.
fn endpoint() -> SocketAddr {
    let free = |address: SocketAddr| TcpListener::bind(address).and_then(|listener| listener.local_addr());
    free(HTTP).or_else(|_| free((HTTP.ip(), 0).into())).expect("a free port")
}
