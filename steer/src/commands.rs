//! What each command does.

use std::path::{Path, PathBuf};

use serde_json::Value;
use steer::config::{self, Loaded, Mode as SteerMode, Path as SteerPath, State};
use steer::control::{Reply, Request, client};
use steer::daemon::{Daemon, Ended, RunError, now, run as live, warn_of};
use steer::kernel::{Kernel, Steering};
use steer::node::Node;
use steer::policies::{Policies, Watch};
use steer::state::StateDir;

use crate::cli::{Asking, Backend, Command, CommandLine, Configured, Mode};
use crate::failure::Failure;
use crate::shown::{print, say};
use crate::{check, explain, logs, privileges, shown};

/// Carries out a command.
pub fn carry_out(line: CommandLine) -> Result<(), Failure> {
    match line.command {
        Command::Run(configured) => run(configured),
        Command::Check(configured) => check::check(&configured),
        Command::Status(asking) => show(&asking, &Request::Status {}, shown::status),
        Command::Services(asking) => show(&asking, &Request::Services {}, shown::services),
        Command::Watch(asking) => watch(&asking),
        Command::Dialog { call_id, asking } => show(&asking, &Request::Dialog { call_id }, shown::dialog),
        Command::Mode { mode, force, asking } => switch(mode, force, &asking),
        Command::Drain(backend) => set_state(backend, State::Drain),
        Command::Up(backend) => set_state(backend, State::Up),
        Command::Down(backend) => set_state(backend, State::Down),
        Command::Weight { backend, weight, asking } => {
            let text = format!("{backend} weighs {weight}\n");
            show(&asking, &Request::Weight { backend, weight }, move |_| text.clone())
        }
        Command::Detach { force, asking } => detach(force, &asking),
        Command::Explain { capture, configured } => explain::explain(&capture, &configured),
    }
}

/// Reads the configuration; what is wrong with it is bad usage.
pub fn load(configured: &Configured) -> Result<Loaded, Failure> {
    config::load(&configured.files, &|name| std::env::var(name).ok())
        .map_err(|problems| Failure::Usage(config::refused(&problems)))
}

fn run(configured: Configured) -> Result<(), Failure> {
    let Loaded { settings, files, warnings } = load(&configured)?;
    logs::open(&settings.logs);
    warn_of(&warnings);
    let state = StateDir::open(&settings.state_dir).map_err(RunError::from)?;
    let node = Node::open().map_err(|error| Failure::Failed(format!("rtnetlink cannot be asked: {error}")))?;
    let mut policies = (settings.path == SteerPath::Direct).then(watch_policies).transpose()?;
    let seen = policies.as_mut().map(Watch::wait);
    if let Some(told) = seen.as_ref().and_then(Policies::told).filter(|_| !settings.allow_policy_bypass) {
        let help = "take path = \"stack\", or allow_policy_bypass = true if calls may go past that";
        return Err(Failure::Failed(format!("path = \"direct\" is refused, for {told}; {help}")));
    }
    let steering = Steering::open(Some(&settings.pin_dir), &settings.capacity)?;
    let files = files.into_iter().map(PathBuf::from).collect();
    let mut daemon = Daemon::new(steering, settings, files, state, node)?;
    if let Some(seen) = seen {
        daemon.policed(seen, now());
    }
    daemon.begin(now())?;
    // Without links of tcx each attachment is a question to the kernel that takes this right.
    let kept = if check::has_tcx() { &[][..] } else { &[caps::Capability::CAP_NET_ADMIN][..] };
    privileges::give_up_all_but(kept).map_err(Failure::Failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("the runtime could not be set up: {error}")))?;
    let ready = || tracing::info!(version = env!("CARGO_PKG_VERSION"), "steering");
    match runtime.block_on(live(daemon, policies, ready))? {
        Ended::Signal => Ok(()),
        Ended::Detached => {
            tracing::info!("nothing is left in the kernel");
            Ok(())
        }
    }
}

/// Looks at policies on a thread that keeps the rights for that, and the programs it runs have them too.
fn watch_policies() -> Result<Watch, Failure> {
    let started = Watch::start(|| privileges::keep_for_programs(&privileges::TO_LOOK));
    started.map_err(|error| Failure::Failed(format!("a thread cannot be started: {error}")))
}

/// Where the daemon is asked.
fn socket(asking: &Asking) -> PathBuf {
    // A configuration that is not right, or may not be read, is no reason not to ask.
    let configured = || load(&asking.configured).ok().map(|loaded| loaded.settings.control);
    asking.control.clone().or_else(configured).unwrap_or_else(|| config::Steer::default().control)
}

fn ask(socket: &Path, request: &Request) -> Result<Value, Failure> {
    match client::ask(socket, request).map_err(|error| Failure::Failed(error.to_string()))? {
        Reply::Done(value) => Ok(value),
        Reply::Error { error } => Err(Failure::Failed(error)),
    }
}

fn show(asking: &Asking, request: &Request, shown: impl Fn(&Value) -> String) -> Result<(), Failure> {
    let value = ask(&socket(asking), request)?;
    // A reader that has seen enough is no failure.
    print(&if asking.json { format!("{value}\n") } else { shown(&value) });
    Ok(())
}

fn watch(asking: &Asking) -> Result<(), Failure> {
    let line = |line: &str| match (asking.json, serde_json::from_str::<Value>(line)) {
        (false, Ok(value)) => print(&shown::decision(&value)),
        _ => print(line),
    };
    client::follow(&socket(asking), &Request::Watch {}, line).map_err(|error| Failure::Failed(error.to_string()))
}

fn switch(mode: Mode, force: bool, asking: &Asking) -> Result<(), Failure> {
    let mode = match mode {
        Mode::Observe => SteerMode::Observe,
        Mode::Active => SteerMode::Active,
    };
    show(asking, &Request::Mode { mode, force }, |answer| match answer["waits"] == true {
        true => "active once 99 % of the requests within dialogs of a minute are of known ones; `status` shows when\n"
            .to_owned(),
        false => format!("mode {}\n", mode.as_str()),
    })
}

fn set_state(backend: Backend, state: State) -> Result<(), Failure> {
    let Backend { backend, asking } = backend;
    let text = format!("{backend} {}\n", state.as_str());
    show(&asking, &Request::State { backend, state }, move |_| text.clone())
}

/// By the daemon; where none runs, here.
fn detach(force: bool, asking: &Asking) -> Result<(), Failure> {
    let socket = socket(asking);
    if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        return show(asking, &Request::Detach { force }, |_| "nothing is left in the kernel\n".to_owned());
    }
    let settings = match load(&asking.configured) {
        Ok(loaded) => loaded.settings,
        // Whoever wants everything out gets it out, whatever the file says.
        Err(failure) if force => {
            say(&format!("{failure}\nringside-steer: taken as if nothing were configured\n"));
            config::unconfigured()
        }
        Err(failure) => return Err(failure),
    };
    let _state = StateDir::open(&settings.state_dir).map_err(RunError::from)?;
    let mut steering = Steering::open(Some(&settings.pin_dir), &settings.capacity)?;
    let dialogs: u64 = steering.sweep(now())?.dialogs.values().sum();
    if dialogs > 0 && !force {
        let text = format!("{dialogs} dialogs are known, and calls among them may break; --force does it all the same");
        return Err(Failure::Failed(text));
    }
    steering.detach_all()?;
    say("no daemon runs; what it left was taken out\n");
    print("nothing is left in the kernel\n");
    Ok(())
}
