//! Live SIP off the wire: eBPF socket filter, TPACKET_V3 ring.
