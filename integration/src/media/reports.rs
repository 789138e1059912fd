//! What receivers report of what they hear: RTCP between the two ends of a call, and a telephone's report of voice quality.

/// A sender's report (RFC 3550 §6.4.1) whose NTP time has this middle.
pub fn sender(ssrc: u32, ntp: u32) -> Vec<u8> {
    packet(0, 200, &[ssrc, ntp >> 16, ntp << 16, 0, 10, 1600])
}

/// A receiver's report (RFC 3550 §6.4.2) about a stream: lost in 1/256, jitter in units of 8 kHz, and the middle of the
/// report it quotes, which came at once.
pub fn receiver(ssrc: u32, about: u32, lost: u8, jitter: u32, quoted: u32) -> Vec<u8> {
    packet(1, 201, &[ssrc, about, u32::from(lost) << 24, 0, jitter, quoted, 0])
}

/// VoIP metrics about a stream (RFC 3611 §4.7): a tenth lost, MOS 4.1.
pub fn voip_metrics(ssrc: u32, about: u32) -> Vec<u8> {
    packet(0, 207, &[ssrc, 0x0700_0008, about, 0x1A00_0000, 0, 0x0064_0028, 0x7F7F_7F10, 0x5D7F_297F, 0, 0])
}

fn packet(count: u8, kind: u8, words: &[u32]) -> Vec<u8> {
    let length = u16::try_from(words.len()).expect("short").to_be_bytes();
    let words = words.iter().flat_map(|word| word.to_be_bytes());
    [0x80 | count, kind].into_iter().chain(length).chain(words).collect()
}

/// What a telephone reports of a call at its end (RFC 6035).
pub fn of_telephone(call_id: &str) -> String {
    let metrics = "PacketLoss:NLR=5.0 JDR=2.0\r\nDelay:RTD=180 ESD=20 IAJ=7\r\nQualityEst:MOSLQ=3.9 MOSCQ=3.8\r\n";
    format!("VQSessionReport: CallTerm\r\nCallID: {call_id}\r\nLocalMetrics:\r\n{metrics}RemoteMetrics:\r\n{metrics}")
}
