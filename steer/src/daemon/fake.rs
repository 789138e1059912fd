//! A kernel side for tests that only remembers what it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use affinity::CallHash;
use affinity::steer::{Counters, Dialog, Tables};

use crate::kernel::{Census, Event, Kernel, KernelError};

/// What the kernel side was told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) tables: Vec<Tables>,
    pub(super) attached: Vec<u32>,
    pub(super) beats: u64,
    pub(super) gone: bool,
    pub(super) watched: bool,
    pub(super) refuse: bool,
    pub(super) foreign: bool,
    pub(super) dialog: Option<(u16, CallHash, Dialog)>,
    pub(super) census: Census,
    pub(super) counters: Counters,
    pub(super) events: VecDeque<Event>,
}

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Told>>);

impl Fake {
    /// What it was told, and may be made to say.
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().expect("no test panics while it holds it")
    }
}

fn refused() -> KernelError {
    KernelError::System { what: "do it", source: std::io::Error::from_raw_os_error(7) }
}

impl Kernel for Fake {
    fn apply(&mut self, tables: &Tables, _: u64) -> Result<(), KernelError> {
        let mut told = self.told();
        if told.refuse {
            return Err(refused());
        }
        told.tables.push(tables.clone());
        Ok(())
    }

    fn beat(&mut self, now: u64) -> Result<(), KernelError> {
        self.told().beats = now;
        Ok(())
    }

    fn last_beat(&self) -> Result<Option<u64>, KernelError> {
        let beats = self.told().beats;
        Ok((beats > 0).then_some(beats))
    }

    fn attach(&mut self, device: u32, _: &[String]) -> Result<(), KernelError> {
        let mut told = self.told();
        if told.foreign {
            return Err(KernelError::Foreign { device, programs: vec!["cil_from_netdev".to_owned()] });
        }
        told.attached.push(device);
        Ok(())
    }

    fn detach(&mut self, device: u32) -> Result<(), KernelError> {
        self.told().attached.retain(|other| *other != device);
        Ok(())
    }

    fn detach_all(&mut self) -> Result<(), KernelError> {
        let mut told = self.told();
        (told.gone, told.attached) = (true, Vec::new());
        Ok(())
    }

    fn attached(&self) -> Vec<u32> {
        self.told().attached.clone()
    }

    fn counters(&self) -> Result<Counters, KernelError> {
        Ok(self.told().counters.clone())
    }

    fn dialog(&self, service: u16, hash: CallHash) -> Result<Option<Dialog>, KernelError> {
        let told = self.told();
        Ok(told.dialog.filter(|(of, known, _)| (*of, *known) == (service, hash)).map(|(.., dialog)| dialog))
    }

    fn sweep(&mut self, _: u64) -> Result<Census, KernelError> {
        Ok(self.told().census.clone())
    }

    fn watch(&mut self, on: bool) -> Result<(), KernelError> {
        self.told().watched = on;
        Ok(())
    }

    fn event(&mut self) -> Option<Event> {
        self.told().events.pop_front()
    }
}
