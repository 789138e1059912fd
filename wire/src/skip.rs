//! Why a packet carries no datagram and no segment.

/// Why a packet is of no use. [`Skip::reason`] is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// What keeps a network going and carries nothing: ARP, LLDP, EAPOL, PTP, slow protocols, loopback tests.
    NotIp,
    /// IP, but neither UDP nor TCP, nor anything that carries them.
    OtherProtocol,
    /// Headers that contradict themselves or end too early.
    Malformed,
    /// The capture cut it within the headers, or cut a fragment.
    Cut,
    /// A fragment that no packet can be made of: overlap, beyond the end, empty.
    Fragment,
    /// Neither IP nor [`Self::NotIp`], or a version of GRE that is not read: its inside is not looked at.
    Ethertype,
    /// ESP (RFC 4303), with NULL encryption too.
    Esp,
    /// L2TP.
    L2tp,
    /// SCTP.
    Sctp,
    /// A tunnel within two others.
    Nested,
}

impl Skip {
    /// Every reason, each at the position `skip as usize`.
    pub const ALL: [Self; 10] = [
        Self::NotIp,
        Self::OtherProtocol,
        Self::Malformed,
        Self::Cut,
        Self::Fragment,
        Self::Ethertype,
        Self::Esp,
        Self::L2tp,
        Self::Sctp,
        Self::Nested,
    ];

    /// The reason as a label value.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::OtherProtocol => "other_protocol",
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::Fragment => "fragment",
            Self::Ethertype => "ethertype",
            Self::Esp => "esp",
            Self::L2tp => "l2tp",
            Self::Sctp => "sctp",
            Self::Nested => "nested",
        }
    }
}
