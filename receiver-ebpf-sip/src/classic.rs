//! The filter for where bpf() is refused: a classic BPF program, made anew for every list of ports.
//!
//! Ports in, instructions out. It keeps too much rather than too little: every tagged packet, every
//! tunnel, every fragment, every IPv6 packet with extension headers. User space drops what is no SIP.
//! It reads relative to the network header, as the eBPF program does. A classic filter needs no capability.

use libc::sock_filter;
use wire::TUNNEL_PORTS;

use Label::*;
use Step::*;

/// Most ports the filter tests itself, of SIP and of tunnels; for more it keeps all of UDP, and of TCP.
const MAX_PORTS: usize = 30;

/// The filter for SIP on `ports`, over UDP and, with `tcp`, over TCP; VXLAN goes to `vxlan_ports`. Bare acknowledgements
/// are kept too. SIP on other ports, and what is counted and not read, it does not know.
pub fn filter(ports: &[u16], vxlan_ports: &[u16], tcp: bool) -> Vec<sock_filter> {
    let tunnels = [vxlan_ports, &TUNNEL_PORTS].concat();
    assemble(&program(ports, &tunnels, tcp))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Loopback,
    Protocol,
    Ipv4,
    Ipv4Ports,
    Ipv6,
    Ipv6Ports,
    Ports,
    Keep,
    Refuse,
}

/// One step of the program; `A` is the accumulator, `X` the index register.
enum Step {
    /// Where a label stands; no instruction.
    Here(Label),
    /// An instruction that does not jump: code, constant.
    Do(u32, u32),
    /// To the label if `A` equals the constant, else on.
    IfEqual(u32, Label),
    /// To the label if `A` has any of these bits, else on.
    IfAny(u32, Label),
    Goto(Label),
}

const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const LOAD_HALF_BEHIND_X: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_IND;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const SHIFT_LEFT: u32 = libc::BPF_ALU | libc::BPF_LSH | libc::BPF_K;
const SET_X: u32 = libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM;
const COPY_A_TO_X: u32 = libc::BPF_MISC | libc::BPF_TAX;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Offsets from here are counted from the network header.
const NETWORK: u32 = libc::SKF_NET_OFF as u32;
const IPV6_HEADER: u32 = 40;
const LOOPBACK_INDEX: u32 = 1;
const WHOLE_PACKET: u32 = u32::MAX;

/// VLAN tags in all their values, VN-tag, E-tag, MPLS, PPPoE.
const TAGS: [i32; 9] = [
    libc::ETH_P_8021Q,
    libc::ETH_P_8021AD,
    0x9100,
    0x9200,
    0x8926,
    0x893f,
    libc::ETH_P_MPLS_UC,
    libc::ETH_P_MPLS_MC,
    libc::ETH_P_PPP_SES,
];
const TUNNELS: [i32; 3] = [libc::IPPROTO_IPIP, libc::IPPROTO_IPV6, libc::IPPROTO_GRE];
const EXTENSION_HEADERS: [i32; 5] =
    [libc::IPPROTO_HOPOPTS, libc::IPPROTO_ROUTING, libc::IPPROTO_FRAGMENT, libc::IPPROTO_AH, libc::IPPROTO_DSTOPTS];

/// Loads what the kernel knows about a packet besides its bytes.
const fn load_about(what: i32) -> Step {
    Do(LOAD_WORD, (libc::SKF_AD_OFF + what) as u32)
}

fn program(ports: &[u16], tunnels: &[u16], tcp: bool) -> Vec<Step> {
    let any_of = |values: &[i32]| values.iter().map(|&value| IfEqual(value as u32, Keep)).collect::<Vec<_>>();
    let mut steps = vec![
        // On lo a packet is seen going out and coming in: only the second counts.
        load_about(libc::SKF_AD_IFINDEX),
        IfEqual(LOOPBACK_INDEX, Loopback),
        Goto(Protocol),
        Here(Loopback),
        load_about(libc::SKF_AD_PKTTYPE),
        IfEqual(u32::from(libc::PACKET_OUTGOING), Refuse),
        Here(Protocol),
        load_about(libc::SKF_AD_PROTOCOL),
        IfEqual(libc::ETH_P_IP as u32, Ipv4),
        IfEqual(libc::ETH_P_IPV6 as u32, Ipv6),
    ];
    steps.extend(any_of(&TAGS));
    steps.extend([Goto(Refuse), Here(Ipv4), Do(LOAD_BYTE, NETWORK + 9), IfEqual(libc::IPPROTO_UDP as u32, Ipv4Ports)]);
    // The ports of TCP stand where those of UDP do.
    steps.extend(tcp.then_some(IfEqual(libc::IPPROTO_TCP as u32, Ipv4Ports)));
    steps.extend(any_of(&TUNNELS));
    steps.extend([
        Goto(Refuse),
        Here(Ipv4Ports),
        // More fragments, or an offset: a piece of a datagram.
        Do(LOAD_HALF, NETWORK + 6),
        IfAny(0x3fff, Keep),
        Do(LOAD_BYTE, NETWORK),
        Do(AND, 0xf),
        Do(SHIFT_LEFT, 2),
        Do(COPY_A_TO_X, 0),
        Goto(Ports),
        Here(Ipv6),
        Do(LOAD_BYTE, NETWORK + 6),
        IfEqual(libc::IPPROTO_UDP as u32, Ipv6Ports),
    ]);
    steps.extend(tcp.then_some(IfEqual(libc::IPPROTO_TCP as u32, Ipv6Ports)));
    steps.extend(any_of(&TUNNELS));
    steps.extend(any_of(&EXTENSION_HEADERS));
    steps.extend([Goto(Refuse), Here(Ipv6Ports), Do(SET_X, IPV6_HEADER), Here(Ports)]);
    steps.extend(port_test(ports, tunnels));
    steps.extend([Here(Refuse), Do(RETURN, 0), Here(Keep), Do(RETURN, WHOLE_PACKET)]);
    steps
}

/// Source, then destination; `X` is the length of the IP header.
fn port_test(ports: &[u16], tunnels: &[u16]) -> Vec<Step> {
    if ports.len() + tunnels.len() > MAX_PORTS {
        return vec![Goto(Keep)];
    }
    let any_of = |ports: &[u16]| ports.iter().map(|&port| IfEqual(u32::from(port), Keep)).collect::<Vec<_>>();
    let mut steps = vec![Do(LOAD_HALF_BEHIND_X, NETWORK)];
    steps.extend(any_of(ports));
    steps.push(Do(LOAD_HALF_BEHIND_X, NETWORK + 2));
    steps.extend(any_of(ports));
    steps.extend(any_of(tunnels));
    steps
}

/// Turns labels into distances. All jumps go forward and, with [`MAX_PORTS`], no further than 255.
fn assemble(steps: &[Step]) -> Vec<sock_filter> {
    let place = |label: Label| {
        let mut instructions = 0_u32;
        for step in steps {
            match step {
                Here(found) if *found == label => return instructions,
                Here(_) => {}
                Do(..) | IfEqual(..) | IfAny(..) | Goto(_) => instructions += 1,
            }
        }
        unreachable!("every label that is used stands somewhere")
    };
    let mut code: Vec<sock_filter> = Vec::new();
    for step in steps {
        let distance = |label| place(label) - (code.len() as u32 + 1);
        let near = |label| u8::try_from(distance(label)).expect("the program is shorter than 255 instructions");
        let (instruction, jump_true, constant) = match *step {
            Here(_) => continue,
            Do(instruction, constant) => (instruction, 0, constant),
            IfEqual(value, label) => (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, near(label), value),
            IfAny(bits, label) => (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, near(label), bits),
            Goto(label) => (libc::BPF_JMP | libc::BPF_JA, 0, distance(label)),
        };
        code.push(sock_filter { code: instruction as u16, jt: jump_true, jf: 0, k: constant });
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_tested_port_list_still_fits_the_jumps() {
        let ports: Vec<u16> = (1..=(MAX_PORTS - TUNNEL_PORTS.len()) as u16).collect();
        let code = filter(&ports, &[], true);
        assert!(code.len() < 255);
        assert_eq!(code.iter().filter(|one| one.k == 7 && one.code == 0x15).count(), 2, "source and destination");
    }

    #[test]
    fn a_longer_port_list_keeps_all_of_udp() {
        let ports: Vec<u16> = (1..=MAX_PORTS as u16 + 1).collect();
        assert!(filter(&ports, &[], true).len() < filter(&[5060], &[], true).len());
        assert_eq!(filter(&[5060], &ports, true).len(), filter(&ports, &[], true).len());
    }

    #[test]
    fn jumps_never_leave_the_program() {
        for ports in [&[][..], &[5060], &[5060, 5061, 5080]] {
            let code = filter(ports, &[4789], true);
            for (at, one) in code.iter().enumerate() {
                let furthest = if one.code == 0x05 { one.k as usize } else { usize::from(one.jt.max(one.jf)) };
                assert!(at + 1 + furthest < code.len() || one.code == RETURN as u16);
            }
        }
    }
}
