//! What SIPp counted itself (`-trace_counts`): the CSV in, messages sent out.

use std::collections::BTreeMap;

/// Messages that left SIPp, of one side or of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent for the first time, by method or status.
    pub sent: BTreeMap<String, u64>,
    /// Sent again, by method or status.
    pub resent: BTreeMap<String, u64>,
}

impl Counts {
    /// The columns `N_INVITE_Sent`, `N_INVITE_Retrans` and so on, last line. Retransmissions of what was received
    /// are the other side's and left out.
    pub(super) fn parse(csv: &str) -> Self {
        let mut lines = csv.lines();
        let header: Vec<_> = lines.next().unwrap_or_default().split(';').collect();
        let values: Vec<_> = lines.next_back().unwrap_or_default().split(';').collect();
        let column = |name: String| {
            let index = header.iter().position(|column| *column == name)?;
            values.get(index)?.parse::<u64>().ok()
        };
        let mut counts = Self::default();
        for name in header.iter().filter_map(|column| column.strip_suffix("_Sent")) {
            let Some((_, message)) = name.split_once('_') else { continue };
            *counts.sent.entry(message.to_owned()).or_default() += column(format!("{name}_Sent")).unwrap_or(0);
            *counts.resent.entry(message.to_owned()).or_default() += column(format!("{name}_Retrans")).unwrap_or(0);
        }
        counts
    }

    /// Adds what the other side sent.
    pub fn add(&mut self, other: Self) {
        for (message, count) in other.sent {
            *self.sent.entry(message).or_default() += count;
        }
        for (message, count) in other.resent {
            *self.resent.entry(message).or_default() += count;
        }
    }

    /// Every datagram that left.
    pub fn packets(&self) -> u64 {
        self.sent.values().chain(self.resent.values()).sum()
    }

    /// What `/metrics` must say about the same traffic seen once, hop by hop: packets, every method, every status,
    /// retransmissions. Selectors for [`crate::exposition::Exposition::assert`].
    pub fn expectations(&self) -> Vec<(String, f64)> {
        let kind = |message: &str| if message.parse::<u16>().is_ok() { "response" } else { "request" };
        let resent = |wanted: &str| {
            let of_kind = self.resent.iter().filter(|(message, _)| kind(message) == wanted);
            of_kind.map(|(_, count)| *count as f64).sum::<f64>()
        };
        let mut expected = vec![
            ("packets_total".to_owned(), self.packets() as f64),
            ("retransmissions_total{kind=\"request\"}".to_owned(), resent("request")),
            ("retransmissions_total{kind=\"response\"}".to_owned(), resent("response")),
        ];
        expected.extend(self.sent.iter().map(|(message, count)| {
            let selector = match kind(message) {
                "response" => format!("responses_total{{code=\"{message}\"}}"),
                _ => format!("requests_total{{method=\"{message}\"}}"),
            };
            (selector, *count as f64)
        }));
        expected
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn messages_sent_are_summed_over_their_places_in_the_scenario() {
        let csv = "CurrentTime;0_INVITE_Sent;0_INVITE_Retrans;1_200_Recv;1_200_Retrans;2_Pause_Sessions;3_INVITE_Sent;3_INVITE_Retrans;\n\
            x;1;0;1;1;1;1;0;\ny;5;2;5;4;5;3;0;\n";
        let counts = Counts::parse(csv);
        assert_eq!(counts.sent.iter().map(|(name, n)| (name.as_str(), *n)).collect::<Vec<_>>(), [("INVITE", 8)]);
        assert_eq!(counts.resent["INVITE"], 2);
        assert_eq!(counts.packets(), 10);
    }
}
