//! Connection tracking in `doctor`: how long this host remembers a silent UDP flow, and what that means for calls.

use std::path::Path;
use std::time::Duration;

use super::line;

/// Where the kernel says so; not there while nothing tracks connections.
const FOLDER: &str = "/proc/sys/net/netfilter";

/// Shorter than this, calls are forgotten between re-INVITEs: a usual session timer refreshes every 15 minutes (RFC 4028 §4).
const REFRESH: Duration = Duration::from_secs(900);

/// What there is to say; nothing on a host that tracks no connections.
pub fn findings() -> Option<String> {
    findings_in(Path::new(FOLDER))
}

fn findings_in(folder: &Path) -> Option<String> {
    let seconds = |file: &str| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    let stream = seconds("nf_conntrack_udp_timeout_stream")?;
    let first = seconds("nf_conntrack_udp_timeout")?;
    let what = format!(
        "a UDP flow is forgotten {first} s after its first packets, {stream} s after later ones: a client that is silent for \
         longer within a call may then be sent to another backend"
    );
    if Duration::from_secs(stream) >= REFRESH {
        return Some(line("ok", "conntrack", &what, ""));
    }
    let help = "matters only where this host balances SIP: `ringside advise` on a capture says so; then set \
                net.netfilter.nf_conntrack_udp_timeout_stream = 1000, and processors.affinity.conntrack_timeout";
    Some(line("warn", "conntrack", &what, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_shorter_than_a_session_refresh_are_pointed_at() {
        let folder = std::env::temp_dir().join(format!("ringside-conntrack-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        assert_eq!(findings_in(&folder), None);
        let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).expect("a file");
        write("nf_conntrack_udp_timeout", "30\n");
        write("nf_conntrack_udp_timeout_stream", "120\n");
        let short = findings_in(&folder).expect("there are times");
        assert!(
            short.starts_with("warn   conntrack: a UDP flow is forgotten 30 s after its first packets, 120 s"),
            "{short}"
        );
        write("nf_conntrack_udp_timeout_stream", "1000\n");
        assert!(findings_in(&folder).expect("there are times").starts_with("ok     conntrack: "));
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
