//! What an operator commands: the mode, and what a backend takes.

use super::Director;
use crate::config::{MOST_WEIGHT, Mode, State};

/// Why a command is not carried out. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What became of the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// It is in force, or was.
    Now,
    /// It waits until enough dialogs are known.
    Waits,
}

impl Director {
    /// Changes the mode. Active waits until 99 % of the requests within dialogs of the last minute were known, and observe is
    /// refused while dialogs are up; both not if `force`.
    pub fn switch(&mut self, mode: Mode, force: bool) -> Result<Switched, Refusal> {
        if mode == self.mode {
            self.waiting = false;
            return Ok(Switched::Now);
        }
        match mode {
            Mode::Active if !force => {
                self.waiting = true;
                return Ok(Switched::Waits);
            }
            Mode::Observe if !force => self.may_break()?,
            _ => {}
        }
        (self.mode, self.waiting) = (mode, false);
        self.overrides.say_mode(mode, self.settings.mode);
        Ok(Switched::Now)
    }

    /// Whether steering may end without breaking calls; refused with the likely loss otherwise.
    pub fn may_break(&self) -> Result<(), Refusal> {
        let loss = self.likely_loss();
        let dialogs: u64 = self.census.dialogs.values().sum();
        match self.mode {
            Mode::Active if dialogs > 0 => Err(Refusal(format!(
                "{dialogs} dialogs are up, of which about {loss} would break; --force does it all the same"
            ))),
            _ => Ok(()),
        }
    }

    /// Dialogs that would break if nothing were steered any more: of N backends the standard path hits the right one once.
    pub fn likely_loss(&self) -> u64 {
        let of = |service: &super::members::Service| {
            let dialogs = |number: &u16| self.census.dialogs.get(number).copied().unwrap_or(0);
            let sum: u64 = service.members.iter().map(|member| dialogs(&member.number)).sum();
            let backends = service.members.iter().filter(|member| member.gone.is_none()).count().max(1) as u64;
            sum * (backends - 1) / backends
        };
        self.services.values().map(of).sum()
    }

    /// Has a backend, `service/backend`, take what is said, until the configuration changes that.
    pub fn set_state(&mut self, name: &str, state: State) -> Result<(), Refusal> {
        let (service, backend) = self.find(name)?;
        let configured = self.member(&service, &backend).state;
        self.overrides.say_state(&service, &backend, state, configured);
        Ok(())
    }

    /// Has a backend weigh this much, 0 to 1000, until the configuration changes that.
    pub fn set_weight(&mut self, name: &str, weight: u32) -> Result<(), Refusal> {
        let (service, backend) = self.find(name)?;
        if weight > MOST_WEIGHT {
            return Err(Refusal(format!("{weight} is not between 0 and {MOST_WEIGHT}")));
        }
        let configured = self.member(&service, &backend).weight;
        self.overrides.say_weight(&service, &backend, weight, configured);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<(String, String), Refusal> {
        let (service, backend) = name
            .split_once('/')
            .ok_or_else(|| Refusal("write SERVICE/BACKEND, as `services` shows them".to_owned()))?;
        let known = self.services.get(service);
        let known = known.and_then(|service| service.members.iter().find(|member| member.name == backend));
        match known {
            Some(member) if member.gone.is_none() => Ok((service.to_owned(), backend.to_owned())),
            Some(_) => {
                Err(Refusal("it is gone and drains: neither steer.toml nor a discovery file names it".to_owned()))
            }
            None => Err(Refusal("there is no such backend; `services` shows those there are".to_owned())),
        }
    }

    fn member(&self, service: &str, backend: &str) -> &super::Member {
        let mut members = self.services[service].members.iter();
        members.find(|member| member.name == backend).expect("it was found")
    }

    /// Takes the outcome of a probe.
    pub fn probed(&mut self, service: &str, backend: &str, answered: bool) {
        let rule = self.settings.services.iter().find(|one| one.name == service).and_then(|one| one.probe);
        if let (Some(probe), Some(service)) = (rule, self.services.get_mut(service))
            && service.members.iter().any(|member| member.name == backend)
        {
            service.health.probed(backend, answered, probe.rule);
        }
    }
}
