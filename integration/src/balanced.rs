//! A balanced service in network namespaces: clients, a node that translates by real iptables or nftables rules, three backends.
//!
//! Everything is sent one message at a time, and who received it is known before the next: that is the truth which captures
//! of the node are held against. One service address for each family.

pub mod capture;
pub mod cases;
mod rules;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use testnet::{Family, Namespace};

pub use rules::Rules;

/// How many backends there are.
pub const PODS: usize = 3;

/// The network.
pub struct Lab {
    /// Of the service address.
    pub family: Family,
    /// Who translates.
    pub rules: Rules,
    /// Translates, and is captured on.
    pub node: Namespace,
    clients: Namespace,
    pods: Vec<Namespace>,
    /// A socket at each backend.
    sockets: Vec<UdpSocket>,
}

impl Lab {
    /// All three backends take calls. Needs root; `None` with the reason where that, or a program, is missing.
    ///
    /// # Errors
    /// When namespaces cannot be made.
    ///
    /// # Panics
    /// When a command that configures them fails.
    pub fn new(family: Family, rules: Rules) -> io::Result<Self> {
        Self::with_pods(family, rules, PODS)
    }

    /// Likewise with so many backends, at most 9.
    ///
    /// # Errors
    /// When namespaces cannot be made.
    ///
    /// # Panics
    /// When a command that configures them fails.
    pub fn with_pods(family: Family, rules: Rules, pods: usize) -> io::Result<Self> {
        let (node, clients) = (Namespace::new()?, Namespace::new()?);
        for setting in [
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
        ] {
            run(&node, "sysctl", &["-qw", setting], "");
        }
        node.ip(&format!(
            "link add c0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns {}",
            clients.path()
        ));
        node.ip("link set c0 up");
        clients.ip("link set eth0 up");
        node.ip("addr add 192.0.2.1/24 dev c0");
        node.ip("addr add 2001:db8:1::1/64 dev c0 nodad");
        for host in 10..=20 {
            clients.ip(&format!("addr add 192.0.2.{host}/24 dev eth0"));
            clients.ip(&format!("addr add 2001:db8:1::{host}/64 dev eth0 nodad"));
            // Nothing waits for a neighbour to be found.
            for address in [format!("192.0.2.{host}"), format!("2001:db8:1::{host}")] {
                node.ip(&format!("neigh replace {address} lladdr 02:00:00:00:00:02 nud permanent dev c0"));
            }
        }
        for address in ["192.0.2.1", "2001:db8:1::1"] {
            clients.ip(&format!("neigh replace {address} lladdr 02:00:00:00:00:01 nud permanent dev eth0"));
        }
        clients.ip("route add default via 192.0.2.1");
        clients.ip("route add default via 2001:db8:1::1");
        let mut lab = Self { family, rules, node, clients, pods: Vec::new(), sockets: Vec::new() };
        for pod in 0..pods {
            lab.add_pod(pod)?;
        }
        lab.set_backends(&(0..pods).collect::<Vec<_>>());
        Ok(lab)
    }

    fn add_pod(&mut self, pod: usize) -> io::Result<()> {
        let namespace = Namespace::new()?;
        let (node, number) = (&self.node, pod + 1);
        node.ip(&format!(
            "link add p{number} address 02:00:00:00:0{number}:01 type veth peer name eth0 address 02:00:00:00:0{number}:02 \
             netns {}",
            namespace.path()
        ));
        node.ip(&format!("addr add 10.244.1.1/32 dev p{number}"));
        node.ip(&format!("addr add fe80::1/64 dev p{number} nodad"));
        node.ip(&format!("link set p{number} up"));
        namespace.ip(&format!("addr add 10.244.1.1{number}/32 dev eth0"));
        namespace.ip(&format!("addr add 2001:db8:244::1{number}/128 dev eth0 nodad"));
        namespace.ip("addr add fe80::2/64 dev eth0 nodad");
        namespace.ip("link set eth0 up");
        node.ip(&format!("route add 10.244.1.1{number}/32 dev p{number}"));
        node.ip(&format!("route add 2001:db8:244::1{number}/128 via fe80::2 dev p{number}"));
        namespace.ip("route add 10.244.1.1/32 dev eth0");
        namespace.ip("route add default via 10.244.1.1");
        namespace.ip("route add default via fe80::1 dev eth0");
        for address in ["10.244.1.1", "fe80::1"] {
            namespace.ip(&format!("neigh replace {address} lladdr 02:00:00:00:0{number}:01 nud permanent dev eth0"));
        }
        for address in [format!("10.244.1.1{number}"), "fe80::2".to_owned()] {
            node.ip(&format!("neigh replace {address} lladdr 02:00:00:00:0{number}:02 nud permanent dev p{number}"));
        }
        self.sockets.push(namespace.run(|| UdpSocket::bind(backend(self.family, pod)))?);
        self.pods.push(namespace);
        Ok(())
    }

    /// Which backends take new flows from now on.
    pub fn set_backends(&self, pods: &[usize]) {
        self.rules.program(self, pods);
    }

    /// The node forgets all flows.
    pub fn forget_flows(&self) {
        run(&self.node, "conntrack", &["-F"], "");
    }

    /// How long the node remembers a silent flow.
    pub fn remember_flows(&self, seconds: u64) {
        for key in ["udp_timeout", "udp_timeout_stream"] {
            run(&self.node, "sysctl", &["-qw", &format!("net.netfilter.nf_conntrack_{key}={seconds}")], "");
        }
    }

    /// Replies of a backend pass the node untranslated from now on.
    pub fn pass_untranslated(&self, pod: usize) {
        self.rules.pass_untranslated(self, backend(self.family, pod));
    }

    /// What goes to backends gets the node's address for its sender.
    pub fn masquerade(&self) {
        self.rules.masquerade(self);
    }

    /// A second line to the clients, `c1` of the node. It leads to this client from now on, who goes on sending by the first.
    pub fn answer_by_another_line(&self, host: u8) {
        for setting in ["net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"] {
            run(&self.clients, "sysctl", &["-qw", setting], "");
        }
        let clients = self.clients.path();
        self.node.ip(&format!(
            "link add c1 address 02:00:00:00:00:03 type veth peer name eth1 address 02:00:00:00:00:04 netns {clients}"
        ));
        self.node.ip("link set c1 up");
        // The clients' routes stay with the first line.
        self.clients.ip("link set eth1 addrgenmode none");
        self.clients.ip("link set eth1 up");
        for (address, length) in [(format!("192.0.2.{host}"), 32), (format!("2001:db8:1::{host}"), 128)] {
            self.node.ip(&format!("route add {address}/{length} dev c1"));
            self.node.ip(&format!("neigh replace {address} lladdr 02:00:00:00:00:04 nud permanent dev c1"));
            // What is sent by the first line does not arrive.
            self.node.ip(&format!("neigh replace {address} lladdr 02:00:00:00:00:05 nud permanent dev c0"));
        }
    }

    /// A client: 10 to 20.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn client(&self, host: u8, port: u16) -> UdpSocket {
        let ip: IpAddr = match self.family {
            Family::V4 => [192, 0, 2, host].into(),
            Family::V6 => format!("2001:db8:1::{host}").parse().expect("an address"),
        };
        self.clients.run(|| UdpSocket::bind((ip, port))).expect("the port is free")
    }

    /// The socket of a backend once more: whoever takes from it, the lab's own functions do not.
    ///
    /// # Panics
    /// When there are no descriptors left.
    pub fn socket(&self, pod: usize) -> UdpSocket {
        self.sockets[pod].try_clone().expect("a descriptor")
    }

    /// The namespace of a backend.
    pub fn pod(&self, pod: usize) -> &Namespace {
        &self.pods[pod]
    }

    /// The service's address.
    pub fn service(&self) -> SocketAddr {
        service(self.family)
    }

    /// Sends a message and waits until a backend has it: which, and whom it is from.
    ///
    /// # Panics
    /// When none has it within two seconds.
    pub fn send(&self, client: &UdpSocket, to: SocketAddr, message: &str) -> (usize, SocketAddr) {
        self.try_send(client, to, message, PATIENCE).unwrap_or_else(|| panic!("no backend received {message}"))
    }

    /// The same, for as long as that; `None` when none has it.
    pub fn try_send(
        &self,
        client: &UdpSocket,
        to: SocketAddr,
        message: &str,
        patience: Duration,
    ) -> Option<(usize, SocketAddr)> {
        client.send_to(message.as_bytes(), to).expect("there is a route");
        let sockets: Vec<&UdpSocket> = self.sockets.iter().collect();
        let pod = first_of(&sockets, patience)?;
        Some((pod, receive(self.sockets.get(pod).expect("there are as many")).0))
    }

    /// What a backend received that nobody waited for: whom it is from; `None` where nothing comes within that time.
    ///
    /// # Panics
    /// When the socket fails.
    pub fn receive(&self, pod: usize, patience: Duration) -> Option<SocketAddr> {
        let socket = &self.sockets[pod];
        first_of(&[socket], patience).map(|_| receive(socket).0)
    }

    /// The node drops what it forwards from or to SIP ports (`-I`), or no longer (`-D`).
    pub fn drop_forwarded(&self, action: &str) {
        let program = if self.family == Family::V4 { "iptables" } else { "ip6tables" };
        for port in ["--dport", "--sport"] {
            run(&self.node, program, &[action, "FORWARD", "-p", "udp", port, "5060", "-j", "DROP"], "");
        }
    }

    /// A backend sends a message, and `client`, where given, waits until it has it: whom it is from.
    ///
    /// # Panics
    /// When it does not come within two seconds.
    pub fn answer(&self, pod: usize, to: SocketAddr, message: &str, client: &UdpSocket) -> SocketAddr {
        self.sockets[pod].send_to(message.as_bytes(), to).expect("there is a route");
        first_of(&[client], PATIENCE).unwrap_or_else(|| panic!("the client did not receive {message}"));
        receive(client).0
    }
}

/// The address of the service.
pub fn service(family: Family) -> SocketAddr {
    match family {
        Family::V4 => ([10, 96, 0, 60], 5060).into(),
        Family::V6 => "[2001:db8:96::60]:5060".parse().expect("an address"),
    }
}

/// The address of a backend, counted from 0.
pub fn backend(family: Family, pod: usize) -> SocketAddr {
    match family {
        // At most nine.
        Family::V4 => ([10, 244, 1, 11 + pod as u8], 5060).into(),
        Family::V6 => format!("[2001:db8:244::1{}]:5060", pod + 1).parse().expect("an address"),
    }
}

/// Runs a program in a namespace with this input.
///
/// # Panics
/// When it fails, with what it said.
fn run(namespace: &Namespace, program: &str, arguments: &[&str], input: &str) {
    use std::io::Write;
    use std::process::Stdio;
    let mut command = namespace.command(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}\n{input}");
}

/// The first of some sockets that has something to read; `None` when none has within that time.
fn first_of(sockets: &[&UdpSocket], patience: Duration) -> Option<usize> {
    let mut polled: Vec<libc::pollfd> = sockets
        .iter()
        .map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    // SAFETY: the list outlives the call, and its length is given.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, patience.as_millis() as i32) };
    (ready > 0).then(|| polled.iter().position(|socket| socket.revents != 0)).flatten()
}

fn receive(socket: &UdpSocket) -> (SocketAddr, Vec<u8>) {
    let mut bytes = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut bytes).expect("there is something");
    bytes.truncate(len);
    (from, bytes)
}

const PATIENCE: Duration = Duration::from_secs(2);
