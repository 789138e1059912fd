//! Services, backends and rules as they were decided, compiled into the tables that the program in the kernel obeys.
//!
//! "The first rule that fits wins" becomes one look into one table: every kind of message, class of sender and set of marks
//! is asked beforehand. Weights become slots. Whoever changes a thing compiles anew; what did not change is what it was, so
//! that only the rest has to be written.

mod classes;
mod rules;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;

pub use classes::{Classes, TooMany};
pub use rules::{Conditional, is_spared};

use crate::maglev::{Maglev, SLOTS};
use crate::steer::{self, Choice, Hop, RuleTable, Slots, State};

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its number, below [`steer::MAX_SERVICES`].
    pub number: u16,
    /// Where clients send to.
    pub addresses: Vec<SocketAddr>,
    /// What keeps packets together.
    pub affinity: steer::Affinity,
    /// Only known dialogs are steered.
    pub existing_only: bool,
    /// Rules that ask for overload apply.
    pub overload: bool,
    /// Calls for help.
    pub emergency: steer::Emergency,
    /// Who takes dialogs.
    pub backends: Vec<Backend>,
    /// At most [`steer::MAX_RULES`]; the first that fits wins.
    pub rules: Vec<Conditional>,
}

/// A backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Its number, below [`steer::MAX_BACKENDS`].
    pub number: u16,
    /// One address for each family at most.
    pub addresses: Vec<SocketAddr>,
    /// Whether it takes messages.
    pub state: State,
    /// It is on this node.
    pub local: bool,
    /// Where packets that go past the stack are sent.
    pub hop: Option<Hop>,
    /// Its share of new dialogs, to be compared with those of the others.
    pub weight: u32,
}

/// What services are compiled into.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// [`steer::Tables::services`].
    pub services: BTreeMap<u16, steer::Service>,
    /// [`steer::Tables::backends`].
    pub backends: BTreeMap<u16, steer::Backend>,
    /// [`steer::Tables::classes`].
    pub classes: BTreeMap<IpNet, u8>,
}

/// Compiles services, and remembers what it made of them.
#[derive(Debug, Default)]
pub struct Compiler {
    slots: BTreeMap<(u16, Family, Reach), (Shares, Slots)>,
    /// The lists of networks of all rules, and what they came to.
    classes: (Vec<Vec<IpNet>>, Classes),
    /// By the number of the service: what its rules were, and what they came to.
    tables: BTreeMap<u16, (Vec<Conditional>, Classes, RuleTable)>,
}

/// Backends with their number and weight, by their address.
type Shares = Vec<(SocketAddr, u16, u32)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    All,
    Local,
}

impl Compiler {
    /// Compiles all services. Errs where rules name more combinations of networks than there are classes.
    pub fn compile(&mut self, services: &[Service]) -> Result<Compiled, TooMany> {
        let lists = || services.iter().flat_map(|service| &service.rules).map(|rule| &rule.networks);
        if !lists().eq(&self.classes.0) {
            self.classes = (lists().cloned().collect(), Classes::of(lists().map(Vec::as_slice))?);
        }
        let classes = self.classes.1.clone();
        let known = |number: u16| services.iter().any(|service| service.number == number);
        self.slots.retain(|(number, ..), _| known(*number));
        self.tables.retain(|number, _| known(*number));
        let mut compiled = Compiled { classes: classes.networks().clone(), ..Compiled::default() };
        for service in services {
            compiled.services.insert(service.number, self.service(service, &classes));
            compiled.backends.extend(service.backends.iter().map(|backend| {
                let Backend { number, addresses, state, local, hop, .. } = backend.clone();
                (number, steer::Backend { service: service.number, addresses, state, local, hop })
            }));
        }
        Ok(compiled)
    }

    fn service(&mut self, service: &Service, classes: &Classes) -> steer::Service {
        steer::Service {
            addresses: service.addresses.clone(),
            affinity: service.affinity,
            existing_only: service.existing_only,
            overload: service.overload,
            emergency: service.emergency.clone(),
            ipv4: self.choice(service, Family::V4),
            ipv6: self.choice(service, Family::V6),
            rules: service.rules.iter().map(|conditional| conditional.rule).collect(),
            table: self.table(service, classes),
        }
    }

    fn table(&mut self, service: &Service, classes: &Classes) -> RuleTable {
        if let Some((rules, known, table)) = self.tables.get(&service.number)
            && rules == &service.rules
            && known == classes
        {
            return table.clone();
        }
        let table = rules::table(&service.rules, classes);
        self.tables.insert(service.number, (service.rules.clone(), classes.clone(), table.clone()));
        table
    }

    fn choice(&mut self, service: &Service, family: Family) -> Choice {
        Choice { all: self.slots(service, family, Reach::All), local: self.slots(service, family, Reach::Local) }
    }

    fn slots(&mut self, service: &Service, family: Family, reach: Reach) -> Slots {
        let shares: Shares = service
            .backends
            .iter()
            .filter(|backend| {
                backend.state == State::Up && backend.weight > 0 && (reach == Reach::All || backend.local)
            })
            .filter_map(|backend| {
                let address = backend.addresses.iter().find(|address| address.is_ipv4() == (family == Family::V4))?;
                Some((*address, backend.number, backend.weight))
            })
            .collect();
        match self.slots.get(&(service.number, family, reach)) {
            Some((known, slots)) if *known == shares => slots.clone(),
            _ => {
                let slots = slots(&shares);
                self.slots.insert((service.number, family, reach), (shares, slots.clone()));
                slots
            }
        }
    }
}

/// Slots of backends by their addresses, which are the same on every node.
fn slots(shares: &Shares) -> Slots {
    let weighted: Vec<(String, u32)> =
        shares.iter().map(|(address, _, weight)| (address.to_string(), *weight)).collect();
    let table = Maglev::weighted(&weighted);
    let mut slots = [Slots::NONE; SLOTS as usize];
    slots.iter_mut().zip(table.slots()).for_each(|(slot, place)| *slot = shares[usize::from(*place)].1);
    Slots::new(slots)
}

#[cfg(test)]
mod tests;
