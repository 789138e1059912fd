//! SIP OPTIONS probes (`sip-metrics.md` 6.1): the one component that sends anything to the SIP network.

pub mod exchange;
