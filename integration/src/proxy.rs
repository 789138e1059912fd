//! A real proxy: Kamailio, which relays what comes to port 5060, unless a configuration says otherwise.

use std::process::{Child, Stdio};

use testnet::Namespace;

use crate::scratch::Folder;
use crate::sipp::await_udp;

/// What it does unless told otherwise.
const CONFIG: &str = r#"
debug=1
log_stderror=yes
children=2
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {
    if (is_method("INVITE")) { record_route(); }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    $du = "sip:127.0.0.1:5080";
    t_relay();
}
"#;

/// A running Kamailio, ended when dropped.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    _folder: Folder,
}

impl Proxy {
    /// Relays from port 5060 to 5080.
    ///
    /// # Panics
    /// When it cannot be started, or does not listen.
    #[track_caller]
    pub fn start(namespace: &Namespace) -> Self {
        let proxy = Self::run(namespace, CONFIG);
        await_udp(namespace, 5060);
        proxy
    }

    /// Starts it with a configuration; it may not listen yet.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(namespace: &Namespace, configuration: &str) -> Self {
        let folder = Folder::new("kamailio");
        let config = folder.join("kamailio.cfg");
        std::fs::write(&config, configuration).expect("a configuration");
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let child = namespace
            .command("kamailio")
            .args(["-DD", "-E", "-Y"])
            .arg(folder.path())
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("kamailio starts");
        Self { child, _folder: folder }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SIGTERM, so that it takes its children with it.
        let id = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: no pointers; the child has not been waited for, so the id is still its own.
        unsafe { libc::kill(id, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
