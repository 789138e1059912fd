//! Why a packet carries no datagram and no segment.

/// Why a packet is of no use. [`Skip::reason`] is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// ARP, LLDP, spanning tree and the like.
    NotIp,
    /// IP, but neither UDP nor TCP, nor a tunnel of a kind and depth that is followed.
    OtherProtocol,
    /// Headers that contradict themselves or end too early.
    Malformed,
    /// The capture cut it within the headers, or cut a fragment.
    Cut,
    /// A fragment that no packet can be made of: overlap, beyond the end, empty.
    Fragment,
}

impl Skip {
    /// Every reason, each at the position `skip as usize`.
    pub const ALL: [Self; 5] = [Self::NotIp, Self::OtherProtocol, Self::Malformed, Self::Cut, Self::Fragment];

    /// The reason as a label value.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::OtherProtocol => "other_protocol",
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::Fragment => "fragment",
        }
    }
}
