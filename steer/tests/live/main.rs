//! The programs on real devices: a node with kube-proxy's rules, four backends and clients in network namespaces; calls whose
//! BYE comes from another port; fragments; switching on; restart; through the node's stack and past it.
//!
//! Needs root, iptables and conntrack.

mod calls;
mod direct;
mod node;
mod observing;
mod privileges;
mod restart;
mod stack;
