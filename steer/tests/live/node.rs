//! A node of [`integration::balanced`] with steering on its devices, a heartbeat included.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use affinity::Maglev;
use affinity::steer::{
    Backend, Capacity, Choice, Clients, Counters, Device, Hop, Mode, Path as Way, Service, Slots, State, Tables,
};
use integration::balanced::{Lab, Rules, backend, service};
use integration::gate;
use nix::net::if_::if_nametoindex;
use steer::kernel::{Kernel, KernelError, Steering, now, programs_on};
use testnet::{Family, Namespace};

/// Backends.
pub const PODS: usize = 4;

/// The devices of the node: that of the clients, then those of the pods.
pub const DEVICES: [&str; PODS + 1] = ["c0", "p1", "p2", "p3", "p4"];

/// The network, without programs; `None` where it cannot be had, which is said.
pub fn lab(test: &str, family: Family, rules: Rules) -> Option<(gate::Pass, Lab)> {
    let pass = gate::shared(test)?;
    let lab = match Lab::with_pods(family, rules, PODS) {
        Ok(lab) => lab,
        Err(error) => {
            testnet::skipped(test, &error.to_string());
            return None;
        }
    };
    Some((pass, lab))
}

/// The index of a device in a namespace.
pub fn index(namespace: &Namespace, device: &str) -> u32 {
    namespace.run(|| if_nametoindex(device)).expect("it is there")
}

/// That no program is on any device, which a baseline begins with; the kernel may take a moment to take one off.
pub fn assert_no_programs(lab: &Lab) {
    let indexes = DEVICES.map(|device| index(&lab.node, device));
    let until = Instant::now() + Duration::from_secs(2);
    let programs = || lab.node.run(|| indexes.map(|index| programs_on(index).expect("the kernel says"))).concat();
    while !programs().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(programs(), Vec::<String>::new());
}

/// Tables for the service of the lab, all backends up, clients beyond the node.
pub fn tables(lab: &Lab, mode: Mode) -> Tables {
    let mut tables = Tables { mode, capacity: capacity(), ..Tables::default() };
    let names: Vec<String> = (0..PODS).map(|pod| format!("pod{pod}")).collect();
    let table = Maglev::new(&names);
    let slots = Slots::new(std::array::from_fn(|slot| table.at(slot as u16).expect("there are backends")));
    let choice = Choice { all: slots.clone(), local: slots };
    for pod in 0..PODS {
        let addresses: Vec<SocketAddr> = [Family::V4, Family::V6].map(|family| backend(family, pod)).to_vec();
        let hop = Hop::Pod(index(&lab.node, DEVICES[pod + 1]));
        tables
            .backends
            .insert(pod as u16, Backend { service: 0, addresses, state: State::Up, local: true, hop: Some(hop) });
    }
    let addresses = [Family::V4, Family::V6].map(service).to_vec();
    tables.services.insert(0, Service { addresses, ipv4: choice.clone(), ipv6: choice, ..Service::default() });
    for device in DEVICES {
        let is_pod = device != "c0";
        let clients = if is_pod { Clients::Own } else { Clients::Elsewhere };
        tables.devices.insert(index(&lab.node, device), Device { clients, is_pod, controller: None });
    }
    tables
}

/// Small enough to be made in no time.
pub fn capacity() -> Capacity {
    Capacity { dialogs: 20_000, flows: 20_000, fragments: 8192, buckets: 4096 }
}

/// Programs on the devices of a node, alive.
pub struct Steered {
    steering: Arc<Mutex<Steering>>,
    tables: Tables,
    stop: Sender<()>,
    heart: Option<JoinHandle<()>>,
}

impl Steered {
    /// Loads, applies and attaches; `None` where the kernel refuses, which is said.
    pub fn new(test: &str, lab: &Lab, mode: Mode, pins: Option<&Path>) -> Option<Self> {
        Self::with_capacity(test, lab, mode, pins, capacity())
    }

    /// Likewise, with maps so large.
    pub fn with_capacity(test: &str, lab: &Lab, mode: Mode, pins: Option<&Path>, capacity: Capacity) -> Option<Self> {
        match Self::started(lab, mode, pins, capacity) {
            Ok(steered) => Some(steered),
            Err(error) => {
                testnet::skipped(test, &error.to_string());
                None
            }
        }
    }

    fn started(lab: &Lab, mode: Mode, pins: Option<&Path>, capacity: Capacity) -> Result<Self, KernelError> {
        let tables = Tables { capacity, ..tables(lab, mode) };
        let indexes = DEVICES.map(|device| index(&lab.node, device));
        let steering = lab.node.run(|| {
            let mut steering = Steering::open(pins, &capacity)?;
            steering.apply(&tables, now())?;
            steering.beat(now())?;
            for index in indexes {
                steering.attach(index, &[])?;
            }
            Ok::<_, KernelError>(steering)
        })?;
        let steering = Arc::new(Mutex::new(steering));
        let (stop, stopped) = channel();
        let beating = Arc::clone(&steering);
        let heart = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                let mut steering = beating.lock().unwrap_or_else(PoisonError::into_inner);
                steering.beat(now()).expect("a map of our own");
            }
        });
        Ok(Self { steering, tables, stop, heart: Some(heart) })
    }

    /// Sends packets past the stack from now on.
    pub fn go_direct(&mut self) {
        self.apply(|tables| tables.path = Way::Direct);
    }

    /// Asks the kernel side.
    pub fn ask<T>(&self, ask: impl FnOnce(&mut Steering) -> T) -> T {
        ask(&mut self.steering.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the tables.
    pub fn apply(&mut self, change: impl FnOnce(&mut Tables)) {
        change(&mut self.tables);
        let tables = self.tables.clone();
        self.ask(|steering| steering.apply(&tables, now())).expect("maps of our own");
    }

    pub fn counters(&self) -> Counters {
        self.ask(|steering| steering.counters()).expect("maps of our own")
    }
}

impl Drop for Steered {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
    }
}
