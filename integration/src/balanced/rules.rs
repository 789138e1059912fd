//! The rules of a node, as kube-proxy writes them: one service address, an even choice among backends.

use std::fmt::Write;
use std::net::SocketAddr;

use testnet::Family;

use super::{Lab, backend, run};

/// Who translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// `iptables`, in the manner of kube-proxy's mode of that name.
    Iptables,
    /// `nftables`, likewise.
    Nftables,
    /// Nobody, until a test sees to it: there is no netfilter then.
    Nobody,
}

impl Rules {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
            Self::Nobody => "nobody",
        }
    }

    /// Writes the rules for these backends in place of those before.
    pub fn program(self, lab: &Lab, pods: &[usize]) {
        match self {
            Self::Iptables => restore(lab, &iptables(lab.service(), &addresses(lab, pods))),
            Self::Nftables => run(&lab.node, "nft", &["-f", "-"], &nftables(lab, &addresses(lab, pods))),
            Self::Nobody => {}
        }
    }

    /// What a backend sends is not tracked, and so not translated.
    pub fn pass_untranslated(self, lab: &Lab, pod: SocketAddr) {
        match self {
            Self::Iptables => {
                restore(lab, &format!("*raw\n-A PREROUTING -s {} -p udp --sport 5060 -j NOTRACK\nCOMMIT\n", pod.ip()));
            }
            Self::Nftables => {
                let ip = word(lab.family);
                let rules = format!(
                    "table {ip} untracked {{ chain packets {{ type filter hook prerouting priority raw; \
                     {ip} saddr {} udp sport 5060 notrack; }}; }}\n",
                    pod.ip()
                );
                run(&lab.node, "nft", &["-f", "-"], &rules);
            }
            Self::Nobody => {}
        }
    }

    /// What goes to backends gets the node's address for its sender, and another port.
    pub fn masquerade(self, lab: &Lab) {
        match self {
            Self::Iptables => {
                restore(lab, "*nat\n-A POSTROUTING -p udp --dport 5060 -j MASQUERADE --to-ports 31000-31999\nCOMMIT\n")
            }
            Self::Nftables => {
                let rules = format!(
                    "table {} outgoing {{ chain packets {{ type nat hook postrouting priority srcnat; \
                     udp dport 5060 masquerade to :31000-31999; }}; }}\n",
                    word(lab.family)
                );
                run(&lab.node, "nft", &["-f", "-"], &rules);
            }
            Self::Nobody => {}
        }
    }
}

fn addresses(lab: &Lab, pods: &[usize]) -> Vec<SocketAddr> {
    pods.iter().map(|pod| backend(lab.family, *pod)).collect()
}

fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// Adds rules to those that are there; chains that are named are emptied before.
fn restore(lab: &Lab, rules: &str) {
    let program = match lab.family {
        Family::V4 => "iptables-restore",
        Family::V6 => "ip6tables-restore",
    };
    run(&lab.node, program, &["--noflush"], rules);
}

fn iptables(service: SocketAddr, pods: &[SocketAddr]) -> String {
    let mut rules = "*nat\n:PREROUTING ACCEPT\n:KUBE-SVC-SIP -\n".to_owned();
    for number in 0..pods.len() {
        writeln!(rules, ":KUBE-SEP-{number} -").expect("writing into a String cannot fail");
    }
    let mut add = |rule: String| rules += &format!("-A {rule}\n");
    add(format!("PREROUTING -d {} -p udp --dport {} -j KUBE-SVC-SIP", service.ip(), service.port()));
    for (number, pod) in pods.iter().enumerate() {
        let left = pods.len() - number;
        let chance = match left {
            1 => String::new(),
            _ => format!("-m statistic --mode random --probability {:.10} ", 1.0 / left as f64),
        };
        add(format!("KUBE-SVC-SIP {chance}-j KUBE-SEP-{number}"));
        add(format!("KUBE-SEP-{number} -p udp -j DNAT --to-destination {pod}"));
    }
    rules + "COMMIT\n"
}

fn nftables(lab: &Lab, pods: &[SocketAddr]) -> String {
    let (ip, service) = (word(lab.family), lab.service());
    let mut rules = format!("table {ip} kube-proxy {{}}\ndelete table {ip} kube-proxy\ntable {ip} kube-proxy {{\n");
    for (number, pod) in pods.iter().enumerate() {
        rules += &format!("chain endpoint-{number} {{ meta l4proto udp dnat to {pod}; }}\n");
    }
    let choice: Vec<String> = (0..pods.len()).map(|number| format!("{number} : goto endpoint-{number}")).collect();
    rules
        + &format!(
            "chain service {{ numgen random mod {} vmap {{ {} }}; }}\n\
             chain nat-prerouting {{ type nat hook prerouting priority dstnat; \
             {ip} daddr {} udp dport {} goto service; }}\n}}\n",
            pods.len(),
            choice.join(", "),
            service.ip(),
            service.port()
        )
}
