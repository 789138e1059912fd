//! The rules that kube-proxy writes for many services, of which one is ours: its modes iptables and nftables.

use std::fmt::Write;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use testnet::Namespace;

/// Whose rules a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// kube-proxy's mode iptables, by the legacy program: the kernel compares less for it.
    Iptables,
    /// Its mode nftables.
    Nftables,
}

/// Gives a node the rules for so many services besides ours, in place of those it has.
pub fn write(node: &Namespace, proxy: Proxy, services: usize, ours: SocketAddr, backends: &[SocketAddr]) {
    clear(node);
    match proxy {
        Proxy::Iptables => run(node, &["iptables-legacy-restore"], &iptables(services, ours, backends)),
        Proxy::Nftables => run(node, &["nft", "-f", "-"], &nftables(services, ours, backends)),
    }
}

fn clear(node: &Namespace) {
    let empty = "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n\
                 *filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n";
    run(node, &["iptables-legacy-restore"], empty);
    run(node, &["nft", "-f", "-"], "table ip kube-proxy {}\ndelete table ip kube-proxy\n");
}

fn run(node: &Namespace, command: &[&str], input: &str) {
    let mut child = node.command(command[0]);
    child.args(&command[1..]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap_or_else(|error| panic!("{}: {error}", command[0]));
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Address, port and endpoints of a service that nobody asks.
fn other(number: usize) -> (SocketAddr, Vec<SocketAddr>) {
    let at = |net: usize, port: u16| {
        SocketAddr::from(([10, net as u8, (number / 250) as u8, (1 + number % 250) as u8], port))
    };
    let endpoints = (0..[1, 2, 3, 3, 5][number % 5]).map(|pod| at(100 + pod, 8080)).collect();
    (at(96, 80), endpoints)
}

/// Ours in the middle.
fn all(count: usize, ours: SocketAddr, backends: &[SocketAddr]) -> Vec<(SocketAddr, &'static str, Vec<SocketAddr>)> {
    let mut all: Vec<_> = (250..250 + count)
        .map(|number| {
            let (address, endpoints) = other(number);
            (address, if number % 4 == 0 { "udp" } else { "tcp" }, endpoints)
        })
        .collect();
    all.insert(count / 2, (ours, "udp", backends.to_vec()));
    all
}

const WRITTEN: &str = "writing into a String cannot fail";

fn iptables(count: usize, ours: SocketAddr, backends: &[SocketAddr]) -> String {
    let (mut chains, mut services, mut rules) = (String::new(), String::new(), String::new());
    for (number, (address, protocol, endpoints)) in all(count, ours, backends).iter().enumerate() {
        let (ip, port, service) = (address.ip(), address.port(), format!("KUBE-SVC-{number:016}"));
        writeln!(chains, ":{service} - [0:0]").expect(WRITTEN);
        writeln!(services, "-A KUBE-SERVICES -d {ip}/32 -p {protocol} -m comment --comment \"default/s-{number} cluster IP\" -m {protocol} --dport {port} -j {service}").expect(WRITTEN);
        for (place, endpoint) in endpoints.iter().enumerate() {
            let name = format!("KUBE-SEP-{number:08}-{place:07}");
            let left = endpoints.len() - place;
            let chance = if left == 1 {
                String::new()
            } else {
                format!("-m statistic --mode random --probability {:.10} ", 1.0 / left as f64)
            };
            writeln!(chains, ":{name} - [0:0]").expect(WRITTEN);
            writeln!(rules, "-A {service} -m comment --comment \"default/s-{number}\" {chance}-j {name}")
                .expect(WRITTEN);
            writeln!(
                rules,
                "-A {name} -s {}/32 -m comment --comment \"default/s-{number}\" -j KUBE-MARK-MASQ",
                endpoint.ip()
            )
            .expect(WRITTEN);
            writeln!(rules, "-A {name} -p {protocol} -m comment --comment \"default/s-{number}\" -m {protocol} -j DNAT --to-destination {endpoint}").expect(WRITTEN);
        }
    }
    format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
         :KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n{chains}\
         -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING\n\
         -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n\
         -A KUBE-POSTROUTING -j MASQUERADE --random-fully\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n{services}\
         -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n{rules}COMMIT\n\
         *filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUBE-FORWARD - [0:0]\n\
         :KUBE-SERVICES - [0:0]\n:KUBE-EXTERNAL-SERVICES - [0:0]\n:KUBE-PROXY-FIREWALL - [0:0]\n\
         -A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL\n-A FORWARD -j KUBE-FORWARD\n\
         -A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES\n-A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES\n\
         -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\n\
         -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
    )
}

fn nftables(count: usize, ours: SocketAddr, backends: &[SocketAddr]) -> String {
    let mut rules = "table ip kube-proxy {\n chain mark-for-masquerade { meta mark set mark or 0x4000; }\n".to_owned();
    let mut elements = Vec::new();
    for (number, (address, protocol, endpoints)) in all(count, ours, backends).iter().enumerate() {
        let (ip, port) = (address.ip(), address.port());
        for (place, endpoint) in endpoints.iter().enumerate() {
            writeln!(rules, " chain ep-{number}-{place} {{ ip saddr {} jump mark-for-masquerade; meta l4proto {protocol} dnat to {endpoint}; }}", endpoint.ip()).expect(WRITTEN);
        }
        let choice: Vec<String> =
            (0..endpoints.len()).map(|place| format!("{place} : goto ep-{number}-{place}")).collect();
        writeln!(
            rules,
            " chain svc-{number} {{ numgen random mod {} vmap {{ {} }}; }}",
            endpoints.len(),
            choice.join(", ")
        )
        .expect(WRITTEN);
        elements.push(format!("{ip} . {protocol} . {port} : goto svc-{number}"));
    }
    rules
        + &format!(
            " map service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; elements = {{ {} }}; }}\n \
             chain services {{ ip daddr . meta l4proto . th dport vmap @service-ips; }}\n \
             chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}\n \
             chain nat-output {{ type nat hook output priority -100; jump services; }}\n \
             chain nat-postrouting {{ type nat hook postrouting priority srcnat; meta mark & 0x4000 != 0 masquerade; }}\n}}\n",
            elements.join(", ")
        )
}
