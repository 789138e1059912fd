//! Two nodes with an overlay of VXLAN: clients and two backends on one, which alone has the daemon, two backends on the other.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use integration::gate::{self, Pass};
use integration::wait::eventually;
use serde_json::Value;
use testnet::{Namespace, skipped};

use crate::calls::{Backends, Generator, Outcome, Plan};

/// Both nodes, the client's pod, the backends' pods, the daemon.
struct Nodes {
    nodes: [Namespace; 2],
    client: Namespace,
    pods: Vec<Namespace>,
    folder: tempfile::TempDir,
    pins: PathBuf,
    daemon: Option<Child>,
    _pass: Pass,
}

/// Backends: two on each node.
const PODS: [&str; 4] = ["10.244.1.11:5060", "10.244.1.12:5060", "10.244.2.11:5060", "10.244.2.12:5060"];

const SERVICE: &str = "10.96.0.60:5060";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn succeed(namespace: &Namespace, program: &str, arguments: &str) {
    let output = namespace.command(program).args(arguments.split(' ')).output().expect("it is installed");
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Nodes {
    /// `None` where that cannot be, which is said.
    fn new(test: &str, path: &str) -> Option<Self> {
        let pass = gate::alone(test)?;
        let pins = PathBuf::from(format!("/sys/fs/bpf/ringside-steer-nodes-{path}-{}", std::process::id()));
        if let Err(error) = fs::create_dir(&pins) {
            skipped(test, &format!("{}: {error}", pins.display()));
            return None;
        }
        let space = || Namespace::new().expect("the gate has tried");
        let nodes = [space(), space()];
        nodes[0].ip(&format!("link add eth0 type veth peer name eth0 netns {}", nodes[1].path()));
        for (node, number) in nodes.iter().zip(1..) {
            Self::set_up(node, number);
        }
        let mut lab = Self {
            client: pod(&nodes[0], 1, 10),
            pods: vec![pod(&nodes[0], 1, 11), pod(&nodes[0], 1, 12), pod(&nodes[1], 2, 11), pod(&nodes[1], 2, 12)],
            nodes,
            folder: tempfile::tempdir().expect("a folder"),
            pins,
            daemon: None,
            _pass: pass,
        };
        lab.start(path);
        Some(lab)
    }

    /// Bridge, overlay, and what the other node has.
    fn set_up(node: &Namespace, number: u8) {
        let other = 3 - number;
        for setting in ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"] {
            succeed(node, "sysctl", &format!("-qw {setting}"));
        }
        node.ip("link add cni0 type bridge");
        node.ip(&format!("addr add 10.244.{number}.1/24 dev cni0"));
        node.ip("link set cni0 mtu 1450 up");
        node.ip(&format!("addr add 172.31.0.{number}/24 dev eth0"));
        node.ip("link set eth0 up");
        node.ip(&format!(
            "link add flannel.1 address 02:00:00:00:ff:0{number} mtu 1450 type vxlan id 1 dev eth0 local 172.31.0.{number} \
             dstport 8472 nolearning"
        ));
        node.ip(&format!("addr add 10.244.{number}.0/32 dev flannel.1"));
        node.ip("link set flannel.1 up");
        node.ip(&format!("route add 10.244.{other}.0/24 via 10.244.{other}.0 dev flannel.1 onlink"));
        let mac = format!("02:00:00:00:ff:0{other}");
        node.ip(&format!("neigh add 10.244.{other}.0 lladdr {mac} dev flannel.1 nud permanent"));
        succeed(node, "bridge", &format!("fdb append {mac} dev flannel.1 dst 172.31.0.{other}"));
    }

    fn program(&self) -> Command {
        self.nodes[0].command(env!("CARGO_BIN_EXE_ringside-steer"))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("steer.toml")
    }

    /// The daemon of the first node, active.
    fn start(&mut self, path: &str) {
        let (shown, pins) = (self.folder.path().display(), self.pins.display());
        let backend =
            |(number, address): (usize, &&str)| format!("{{ name = \"pod{number}\", addresses = [\"{address}\"] }}");
        let backends: Vec<String> = PODS.iter().enumerate().map(backend).collect();
        let text = format!(
            "[steer]\npath = \"{path}\"\ninterfaces = [\"v*\", \"flannel.1\"]\nallowed_backends = [\"10.244.0.0/16\"]\n\
             state_dir = \"{shown}/state\"\ncontrol = \"{shown}/control\"\npin_dir = \"{pins}\"\n\
             max_dialogs = 20000\nmax_flows = 20000\nmax_fragments = 2000\nmax_buckets = 64\n\
             [[service]]\nname = \"sbc\"\naddresses = [\"{SERVICE}\"]\nbackend = [{}]\n",
            backends.join(", ")
        );
        fs::write(self.file(), text).expect("a file");
        let log = fs::File::create(self.folder.path().join("log")).expect("a file");
        let mut command = self.program();
        command.args(["run", "--config"]).arg(self.file()).stdin(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().expect("it is built"));
        eventually("the daemon answers", || self.ask(&["status"]));
        self.ask(&["mode", "active", "--force"]).expect("it is commanded");
    }

    fn ask(&self, command: &[&str]) -> Option<Value> {
        let mut program = self.program();
        let output =
            program.args(command).arg("--json").arg("--config").arg(self.file()).output().expect("it is built");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("it prints JSON"))
    }

    /// Answered calls whose BYE comes from another port.
    fn calls(&self, calls: usize, padding: usize) -> Outcome {
        let socket = |pod: usize| self.pods[pod].run(|| UdpSocket::bind(at(PODS[pod]))).expect("the port is free");
        let backends = Backends::at((0..PODS.len()).map(socket).collect(), Duration::ZERO);
        let client = |number: usize| {
            let address = SocketAddr::from(([10, 244, 1, 10], 10_000 + number as u16));
            self.client.run(|| UdpSocket::bind(address)).expect("the port is free")
        };
        let plan = Plan { calls, flows: 40, hop: true, padding, ..Plan::default() };
        let outcome = Generator::from(client, at(SERVICE), &plan).run();
        backends.finish();
        outcome
    }

    /// The node has heard all of its own pods, and the daemon found where they are.
    fn wait_for_direct(&self) {
        let socket = self.nodes[0].run(|| UdpSocket::bind("0.0.0.0:0")).expect("a port");
        for pod in PODS {
            socket.send_to(b"\r\n\r\n", at(pod)).expect("there is a route");
        }
        eventually("devices of all backends are found", || {
            let services = self.ask(&["services"])?.to_string();
            (!services.contains("\"direct\":false")).then_some(())
        });
    }
}

/// A pod on the bridge of a node.
fn pod(node: &Namespace, network: u8, host: u8) -> Namespace {
    let pod = Namespace::new().expect("the gate has tried");
    node.ip(&format!("link add v{host} mtu 1450 type veth peer name eth0 netns {}", pod.path()));
    node.ip(&format!("link set v{host} master cni0 up"));
    pod.ip(&format!("addr add 10.244.{network}.{host}/24 dev eth0"));
    pod.ip("link set eth0 mtu 1450 up");
    pod.ip(&format!("route add default via 10.244.{network}.1"));
    pod
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = self.program().args(["detach", "--force", "--config"]).arg(self.file()).output();
        let _ = fs::remove_dir(&self.pins);
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }
}

fn all_are_kept(lab: &Nodes) {
    for padding in [0, 2200] {
        let outcome = lab.calls(400, padding);
        assert_eq!((outcome.good, outcome.broken()), (400, 0), "padding {padding}: {outcome:?}");
        assert!(outcome.shares[..PODS.len()].iter().all(|share| *share > 40), "{:?}", outcome.shares);
    }
}

#[test]
fn backends_on_another_node_need_no_program_there() {
    let Some(lab) = Nodes::new("backends_on_another_node_need_no_program_there", "stack") else { return };
    all_are_kept(&lab);
}

/// The first node sends into the overlay itself, and its answers back to the client's pod; the other node's stack does the rest.
#[test]
fn past_the_stack_answers_of_another_node_have_the_address_of_the_service() {
    let test = "past_the_stack_answers_of_another_node_have_the_address_of_the_service";
    let Some(lab) = Nodes::new(test, "direct") else { return };
    lab.wait_for_direct();
    succeed(&lab.nodes[0], "iptables", "-I FORWARD -p udp --dport 5060 -j DROP");
    all_are_kept(&lab);
}
