//! baresip, a real phone: SIP, RTP and RTCP, G.711 and Opus, plain or encrypted by keys in the SDP.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use testnet::Namespace;

use crate::scratch::Folder;
use crate::sipp::await_udp;
use crate::wait::within;

/// Where Debian has its modules.
const MODULES: &str = "/usr/lib/baresip/modules";

/// What a phone speaks.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// As its accounts write it: `PCMU/8000/1`, `opus/48000/2`.
    pub codec: &'static str,
    /// Media is encrypted (SDES, RFC 4568).
    pub encrypted: bool,
    /// First of its hundred ports of media.
    pub ports: u16,
}

/// A phone that is on; it is switched off when dropped.
#[derive(Debug)]
pub struct Phone {
    child: Child,
    folder: Folder,
}

impl Phone {
    /// One that answers.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn answering(namespace: &Namespace, address: SocketAddr, line: Line) -> Self {
        let phone = Self::start(namespace, address, line, &[]);
        await_udp(namespace, address.port());
        phone
    }

    /// One that calls `whom`, until it is to hang up.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn calling(namespace: &Namespace, address: SocketAddr, line: Line, whom: &str) -> Self {
        Self::start(namespace, address, line, &["-e", &format!("/dial {whom}")])
    }

    fn start(namespace: &Namespace, address: SocketAddr, line: Line, arguments: &[&str]) -> Self {
        let folder = Folder::new("baresip");
        let path = folder.path().display();
        let Line { codec, encrypted, ports } = line;
        let config = format!(
            "poll_method epoll\nsip_listen {address}\naudio_player aufile,{path}/heard.wav\naudio_source ausine,440\n\
             audio_alert aufile,{path}/alert.wav\nausrc_srate 48000\nauplay_srate 48000\nausrc_channels 2\n\
             auplay_channels 2\nrtp_ports {ports}-{}\nmodule_path {MODULES}\nmodule g711.so\nmodule opus.so\n\
             module srtp.so\nmodule ausine.so\nmodule aufile.so\nmodule_app account.so\nmodule_app menu.so\n",
            ports + 99
        );
        let keys = if encrypted { ";mediaenc=srtp-mand" } else { "" };
        let account =
            format!("<sip:phone@{address};transport=udp>;regint=0;answermode=auto;audio_codecs={codec}{keys}\n");
        for (name, text) in [("config", config), ("accounts", account), ("contacts", String::new())] {
            fs::write(folder.join(name), text).expect("the folder is ours");
        }
        let log = File::create(folder.join("log")).expect("a log");
        let child = namespace
            .command("baresip")
            .arg("-f")
            .arg(folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("baresip starts");
        Self { child, folder }
    }

    /// Hangs up, and waits until it has ended.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn hang_up(mut self) {
        let id = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: no pointers; the child has not been waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0, "kill: {}", io::Error::last_os_error());
        let ended = within(Duration::from_secs(40), || self.child.try_wait().expect("our own child"));
        assert!(ended.is_some(), "baresip does not end: {}", self.log());
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
