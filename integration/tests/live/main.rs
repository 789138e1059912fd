//! Live proof, end to end: real peers or raw frames in network namespaces, the real eBPF program, `/metrics`.
//!
//! Each test has namespaces of its own, so that they run beside each other; those that load the machine run alone.

mod bad_days;
mod balanced;
mod calls;
mod console;
mod dashboards;
mod frames;
mod kamailio;
mod media;
mod privileges;
mod probes;
mod prometheus;
mod pushing;
mod queues;
mod registrations;
mod reload;
mod soak;
mod stage;

mod tcp;
mod tls;
mod voices;
mod websocket;
mod wrappings;
