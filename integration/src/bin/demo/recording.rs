//! One call of the demonstration message by message: dumpcap records the packets, `ringside ladder` draws them.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

use integration::ringside;
use integration::scratch::Folder;
use serde_json::Value;

/// A capture being written.
pub struct Recording {
    folder: Folder,
    dumpcap: Child,
    /// What it says at its end has to go somewhere.
    _said: Lines<BufReader<ChildStderr>>,
}

impl Recording {
    /// Records UDP on these ports of the loopback interface. Errs with the reason where dumpcap cannot.
    pub fn start(ports: &[u16]) -> Result<Self, String> {
        let folder = Folder::new("demo");
        let filter = ports.iter().map(|port| format!("udp port {port}")).collect::<Vec<_>>().join(" or ");
        let mut command = Command::new("dumpcap");
        command.args(["-q", "-i", "lo", "-f", &filter, "-w"]).arg(folder.join(FILE));
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut dumpcap = started.map_err(|error| format!("dumpcap cannot be started: {error}"))?;
        let said = BufReader::new(dumpcap.stderr.take().expect("it is piped"));
        let mut said = said.lines();
        // It names its file once it captures.
        let captures = said.by_ref().map_while(Result::ok).any(|line| line.starts_with("File: "));
        let recording = Self { folder, dumpcap, _said: said };
        captures.then_some(recording).ok_or_else(|| "dumpcap may not capture here".to_owned())
    }

    /// Ends the capture and prints one ladder out of it: the answered call with the most messages.
    pub fn print_ladder(mut self, ports: &[u16]) -> Result<(), String> {
        let pid = i32::try_from(self.dumpcap.id()).expect("process ids are positive");
        // SAFETY: kill takes numbers only, and the child was not waited for yet, so that its id is its own.
        unsafe { libc::kill(pid, libc::SIGINT) };
        self.dumpcap.wait().map_err(|error| format!("dumpcap does not end: {error}"))?;

        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let listed = ringside::command(&["calls", FILE, "--ports", &ports, "--format", "json"], self.folder.path());
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let calls = listed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let answered = calls.filter(|call| call["outcome"] == "answered" && call["end"] == "bye");
        let longest = answered.max_by_key(|call| call["messages"].as_u64());
        let longest = longest.ok_or_else(|| "no answered call was recorded".to_owned())?;
        let call_id = longest["call_id"].as_str().unwrap_or_default();

        println!("\nringside ladder, one of the calls\n");
        let mut ladder = Command::new(ringside::binary());
        ladder.args(["ladder", FILE, "--ports", &ports, "--call-id", call_id]).current_dir(self.folder.path());
        ladder.status().map(|_| ()).map_err(|error| format!("ringside cannot be started: {error}"))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // It has ended already, unless the demonstration failed.
        let _ = self.dumpcap.kill();
        let _ = self.dumpcap.wait();
    }
}

/// The capture's name in its folder.
const FILE: &str = "demo.pcapng";
