//! Which capabilities load the programs, and that none is needed afterwards.

use std::collections::HashSet;

use affinity::steer::{Mode, Tables};
use caps::{CapSet, Capability};
use integration::balanced::{Lab, Rules};
use steer::kernel::{Kernel, KernelError, Steering, now};
use testnet::Family;

use crate::node::{capacity, index, lab, tables};

/// The calling thread has these capabilities and no others from now on.
fn keep(capabilities: &[Capability]) {
    let kept: HashSet<Capability> = capabilities.iter().copied().collect();
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).expect("a thread may have less");
    }
}

const ALL: [Capability; 3] = [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_PERFMON];

/// Loads with some capabilities, and does the rest of what a daemon does with none.
fn run(lab: &Lab, tables: &Tables, capabilities: &[Capability], late: u32) -> Result<(), KernelError> {
    lab.node.run(|| {
        keep(capabilities);
        let mut steering = Steering::open(None, &capacity())?;
        keep(&[]);
        steering.apply(tables, now())?;
        steering.beat(now())?;
        if has_tcx() {
            steering.attach(late, &[])?;
            assert_eq!(steering.attached(), [late]);
            steering.detach(late)?;
        }
        steering.sweep(now())?;
        steering.counters()?;
        Ok(())
    })
}

/// Linux 6.6 and later.
fn has_tcx() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("every Linux has it");
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(6))
}

#[test]
fn three_capabilities_load_and_none_do_the_rest() {
    let test = "three_capabilities_load_and_none_do_the_rest";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Nobody) else { return };
    let (tables, late) = (tables(&lab, Mode::Active), index(&lab.node, "c0"));
    if let Err(error) = Steering::open(None, &capacity()) {
        return testnet::skipped(test, &error.to_string());
    }
    run(&lab, &tables, &ALL, late).expect("three are enough");
    for missing in ALL {
        let others: Vec<Capability> = ALL.into_iter().filter(|one| *one != missing).collect();
        let error = run(&lab, &tables, &others, late).expect_err("one is missing");
        println!("without {missing}: {error}");
        assert!(matches!(error, KernelError::Permission { .. } | KernelError::Verifier(_)), "{error:?}");
    }
}
