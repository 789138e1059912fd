//! `watch` in a real terminal: what it shows, that it takes what comes, and that the terminal is whole afterwards.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{EPOCH, Folder, Running, command, outcome};

/// A call that is over, and one that goes on.
const CALLS: &str = "
     0.000  alice -> bob  INVITE sdp call=done from=sip:+493023125001@example.org to=sip:2002@example.org
     0.500  alice <- bob  180 call=done
     4.000  alice <- bob  200 sdp call=done
     4.010  alice -> bob  ACK call=done
    64.000  alice -> bob  BYE call=done
    64.020  alice <- bob  200 call=done
    99.000  carol -> bob  INVITE call=up from=sip:1001@example.org to=sip:2006@example.org
    99.100  carol <- bob  180 call=up
";

/// What comes later.
const LATER: &str = "
   100.000  carol <- bob  200 call=up
   100.100  carol -> bob  ACK call=up
   101.000  carol -> bob  INVITE call=late from=sip:1001@example.org to=sip:2007@example.org
";

/// A terminal of its own with a shell in it; gone when it is dropped.
struct Terminal {
    folder: Folder,
    socket: String,
}

impl Terminal {
    /// `None` where there is no tmux.
    fn new(test: &str) -> Option<Self> {
        let is_there =
            Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        if !is_there {
            testnet::skipped(test, "tmux is not installed");
            return None;
        }
        let folder = Folder::new();
        let socket = folder.path().join("tmux").display().to_string();
        let terminal = Self { folder, socket };
        let shell = "exec env -i HOME=/ PATH=/bin:/usr/bin TERM=screen LC_ALL=C.UTF-8 NO_COLOR=1 PS1='ready> ' sh";
        let folder = terminal.folder.path().display().to_string();
        terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "24", "-c", &folder, shell]);
        terminal.until("ready>");
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.args(["-f", "/dev/null", "-S", &self.socket]).args(arguments).stdin(Stdio::null());
        let outcome = outcome(tmux);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{arguments:?}");
        outcome.stdout
    }

    /// Types a line for the shell that starts `watch`.
    fn watch(&self, arguments: &str) {
        let line = format!("{} watch {arguments}", env!("CARGO_BIN_EXE_ringside"));
        self.tmux(&["send-keys", "-l", &line]);
        self.press(&["Enter"]);
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The screen, once `text` is on it.
    #[track_caller]
    fn until(&self, text: &str) -> String {
        self.once(text, |screen| screen.contains(text))
    }

    /// The same where the terminal may have broken a line in the midst of it.
    #[track_caller]
    fn until_said(&self, text: &str) {
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        self.once(text, |screen| bare(screen).contains(&bare(text)));
    }

    #[track_caller]
    fn once(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.screen();
            if fits(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {what:?} on\n{screen}");
        }
    }

    /// The process that the shell runs.
    fn child(&self) -> i32 {
        let shell: i32 = self.tmux(&["display-message", "-p", "#{pane_pid}"]).trim().parse().expect("a number");
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("it has some");
        children.split_whitespace().next().expect("it runs").parse().expect("a number")
    }

    /// The shell is back on a screen of its own, and echoes what is typed.
    fn is_whole(&self) {
        self.once("the shell", |screen| screen.trim_end().ends_with("ready>") && !screen.contains("F1Help"));
        self.tmux(&["send-keys", "-l", "echo who''le"]);
        self.press(&["Enter"]);
        let screen = self.until("\nwhole");
        assert!(screen.contains("ready> echo who''le"), "{screen}");
        assert_eq!(self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut tmux = Command::new("tmux");
        let _ = tmux.args(["-S", &self.socket, "kill-server"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn capture(flow: &str) -> Vec<u8> {
    ladder::pcap::write(&ladder::play(flow), EPOCH)
}

#[test]
fn the_list_the_ladder_and_a_message_are_shown() {
    let Some(terminal) = Terminal::new("watch: the list, the ladder and a message") else { return };
    terminal.folder.write("calls.pcap", capture(CALLS));
    terminal.watch("calls.pcap");
    // The last line is drawn last.
    let list = terminal.once("the list", |screen| screen.contains("2006") && screen.contains("\nF1Help"));
    let rows: Vec<&str> = list.lines().collect();
    assert_eq!(rows[0], "ringside  calls.pcap  2 rows");
    assert_eq!(rows[3], " 00:00:00 +4930231250… 2002         INVITE     200 answered       0.500    1:00");
    assert!(rows[4].starts_with(" 00:01:39 1001         2006         INVITE         ringing"), "{list}");
    assert!(rows[23].starts_with("F1Help F2Save"), "{list}");
    terminal.press(&["Enter"]);
    let ladder = terminal.until("RetMessage");
    assert!(ladder.contains("│─── INVITE (SDP) ───>│"), "{ladder}");
    terminal.press(&["Down", "Enter"]);
    // It also stands below the ladder.
    terminal.once("the message alone", |screen| {
        screen.starts_with("2 of 6  00:00:00.500") && screen.contains("\nSIP/2.0 180 Ringing\n")
    });
    // What it is drawn in changes while it is drawn.
    terminal.tmux(&["resize-window", "-x", "132", "-y", "30"]);
    terminal.press(&["q"]);
    let wide = terminal.once("the message beside the ladder", |screen| {
        let is = |row: usize, text: &str| screen.lines().nth(row).is_some_and(|line| line.contains(text));
        is(2, "│2 of 6  00:00:00.500") && is(29, "F1Help")
    });
    assert!(wide.lines().nth(2).is_some_and(|line| line.starts_with("               192.0.2.10:5060")), "{wide}");
    terminal.press(&["q"]);
    terminal.until("2 rows");
    terminal.press(&["q"]);
    terminal.is_whole();
}

#[test]
fn a_capture_that_grows_is_followed() {
    let Some(terminal) = Terminal::new("watch: a capture that grows") else { return };
    let path = terminal.folder.write("calls.pcap", capture(CALLS));
    terminal.watch("calls.pcap");
    terminal.until("ringing");
    let whole = capture(&format!("{CALLS}{LATER}"));
    let rest = &whole[capture(CALLS).len()..];
    OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(rest)).expect("it can be written");
    terminal.once("what came later", |screen| ["talking", "calling", "2007"].iter().all(|text| screen.contains(text)));
    terminal.press(&["C-c"]);
    terminal.is_whole();
}

#[test]
fn a_pipe_is_read_and_keys_come_from_the_terminal() {
    let Some(terminal) = Terminal::new("watch: a pipe") else { return };
    terminal.folder.write("calls.pcap", capture(CALLS));
    let line = format!("(cat calls.pcap; cat fifo) | {} watch -", env!("CARGO_BIN_EXE_ringside"));
    terminal.tmux(&["send-keys", "-l", &format!("mkfifo fifo; {line}")]);
    terminal.press(&["Enter"]);
    terminal.until("ringing");
    terminal.press(&["F7"]);
    terminal.tmux(&["send-keys", "-l", "to == 2006"]);
    terminal.press(&["Enter"]);
    terminal.once("one row", |screen| screen.contains("1 of 2 rows") && !screen.contains("2002"));
    let fifo = terminal.folder.path().join("fifo");
    terminal.press(&["Escape"]);
    terminal.until("2 rows");
    terminal.press(&["q"]);
    // The other end of the pipe waits for somebody who writes.
    drop(OpenOptions::new().write(true).open(fifo));
    terminal.is_whole();
}

#[test]
fn it_ends_with_its_terminal() {
    let Some(terminal) = Terminal::new("watch: a terminal that goes away") else { return };
    terminal.folder.write("calls.pcap", capture(CALLS));
    terminal.watch("calls.pcap");
    terminal.until("2 rows");
    let child = terminal.child();
    terminal.tmux(&["kill-server"]);
    let deadline = Instant::now() + Duration::from_secs(30);
    // Nobody may be left to wait for it: what is over is then a zombie.
    let is_there = || {
        let status = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        status.contains("(ringside)") && !status.contains("(ringside) Z")
    };
    while is_there() {
        assert!(Instant::now() < deadline, "it goes on without a terminal");
    }
}

#[test]
fn a_signal_leaves_the_terminal_whole() {
    let Some(terminal) = Terminal::new("watch: a signal") else { return };
    terminal.folder.write("calls.pcap", capture(CALLS));
    terminal.watch("calls.pcap");
    terminal.until("2 rows");
    let child = terminal.child();
    // SAFETY: kill takes numbers only; the child is the one this test started.
    assert_eq!(unsafe { libc::kill(child, libc::SIGTERM) }, 0);
    terminal.is_whole();
}

#[test]
fn without_a_terminal_it_says_so() {
    let folder = Folder::new();
    folder.write("calls.pcap", capture(CALLS));
    let outcome = outcome(command(folder.path(), &["watch", "calls.pcap"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    assert!(outcome.stderr.contains("needs a terminal"), "{}", outcome.stderr);
}

#[test]
fn a_file_that_is_no_capture_leaves_the_terminal_whole_and_says_why() {
    let Some(terminal) = Terminal::new("watch: a file that is no capture") else { return };
    terminal.folder.write("calls.pcap", "no capture at all");
    terminal.watch("calls.pcap");
    terminal.until_said("ringside: calls.pcap: it is neither pcap nor pcapng");
    terminal.is_whole();
}

/// A ringside with a console that has read [`CALLS`], and the address of that.
fn console(folder: &Folder) -> (Running, String) {
    folder.write("calls.pcap", capture(CALLS));
    let config = "[receivers.pcap]\nfiles = ['calls.pcap']\n[processors.dialog]\n[processors.enrich]\n\
                  [processors.dialog.calls]\nraw = 'full'\nprivacy.numbers = 'plain'\n\
                  [exporters.prometheus]\nendpoint = '127.0.0.1:0'\n\
                  [extensions.console]\nendpoint = '127.0.0.1:0'\ntoken = 'a-long-enough-token'\n\
                  [service]\nextensions = ['console']\n[service.pipelines.metrics]\nreceivers = ['pcap']\n\
                  processors = ['dialog', 'enrich']\nexporters = ['prometheus']\n";
    folder.write("run.toml", config);
    let (running, announced) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let address = announced.lines().find_map(|line| line.strip_prefix("console  ")).expect("it is announced");
    let address = address.split_whitespace().next().expect("an address").trim_end_matches('/').to_owned();
    (running, address)
}

#[test]
fn a_running_ringside_is_watched_by_its_console() {
    let Some(terminal) = Terminal::new("watch: by a console") else { return };
    let (running, address) = console(&terminal.folder);
    terminal.watch(&format!("--from {address} --token wrong"));
    terminal.until_said("its token is right (--token)");
    terminal.tmux(&["send-keys", "-l", "clear; RINGSIDE_CONSOLE_TOKEN=a-long-enough-token "]);
    terminal.watch(&format!("--from {address}"));
    let list = terminal.once("the list", |screen| screen.contains("2 rows") && screen.contains("\nF1Help"));
    assert!(list.lines().next().is_some_and(|line| line.starts_with("ringside  http://127.0.0.1:")), "{list}");
    assert!(list.contains("2002         INVITE     200 answered       0.500    1:00"), "{list}");
    assert!(list.contains("ringing"), "{list}");
    terminal.press(&["Enter"]);
    let ladder = terminal.until("CSeq: 1 INVITE");
    assert!(ladder.contains("INVITE sip:bob@198.51.100.20:5060 SIP/2.0"), "{ladder}");
    terminal.press(&["q", "End", "Enter"]);
    terminal.until("INVITE sip:bob@198.51.100.20:5060 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.30");
    running.signal(libc::SIGTERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
    terminal.press(&["q"]);
    // What was shown stays, and the first line says that nothing more comes.
    terminal.once("what is wrong", |screen| {
        screen.contains("2002") && screen.contains("2 rows") || screen.contains("see whether")
    });
    terminal.press(&["q"]);
    terminal.is_whole();
}

#[test]
fn only_a_console_that_can_be_asked_is_watched() {
    let Some(terminal) = Terminal::new("watch: a console that cannot be asked") else { return };
    terminal.watch("--from https://127.0.0.1:1");
    terminal.until_said("a console speaks HTTP");
    terminal.watch("--from http://127.0.0.1:1");
    terminal.until_said("see whether ringside runs there with a console");
    terminal.is_whole();
}
