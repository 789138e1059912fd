//! Which packets were missing together: runs, bursts and gaps (RFC 3611 §4.7.2, ITU-T G.107; 5.3), of packets taken one
//! after the other in the order of their numbers. Missing is lost or discarded.

/// So many good packets between two missing ones divide bursts (Gmin, RFC 3611 §4.7.2).
const G_MIN: u8 = 16;

/// Runs of missing packets: what the burst ratio needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Runs {
    /// Runs of packets missing one after the other.
    pub runs: u32,
    /// Missing packets.
    pub missing: u32,
    /// Those of them that came and were discarded.
    pub discarded: u32,
    /// The last packet was missing.
    in_run: bool,
}

impl Runs {
    pub fn good(&mut self) {
        self.in_run = false;
    }

    pub fn miss(&mut self, count: u32, discarded: bool) {
        self.runs += u32::from(!self.in_run);
        self.in_run = true;
        self.missing += count;
        self.discarded += if discarded { count } else { 0 };
    }

    /// Mean length of runs by what it would be by chance (G.107 §3.5), at least 1; `share` of all packets is missing.
    pub fn ratio(&self, share: f64) -> f64 {
        if self.runs == 0 {
            return 1.0;
        }
        (f64::from(self.missing) / f64::from(self.runs) * (1.0 - share)).max(1.0)
    }
}

/// Bursts and gaps so far, with the group of missing packets that is open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Groups {
    pub runs: u32,
    /// From the first to the last missing packet of the open group; 0 when none is open.
    span: u32,
    /// Missing packets of it.
    missing: u32,
    /// Packets of the gap in front of it.
    gap: u32,
    gaps: u32,
    gap_packets: u32,
    gap_missing: u32,
    bursts: u32,
    burst_packets: u32,
    burst_missing: u32,
    /// Good packets since the last missing one of the open group.
    after: u8,
}

/// Bursts and gaps of a stream. Before its first packet and after its last one enough good ones are assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bursts {
    /// Share of missing packets within bursts.
    pub burst_density: f64,
    /// Share of missing packets within gaps.
    pub gap_density: f64,
    /// Mean length of bursts, in packets.
    pub burst_packets: f64,
    /// Mean length of gaps, in packets.
    pub gap_packets: f64,
}

impl Groups {
    #[inline]
    pub fn good(&mut self) {
        if self.span == 0 {
            self.gap += 1;
            return;
        }
        self.after += 1;
        if self.after >= G_MIN {
            self.close();
        }
    }

    /// So many missing packets, one after the other.
    pub fn miss(&mut self, count: u32) {
        self.runs += u32::from(self.span == 0 || self.after > 0);
        self.span += u32::from(self.after) + count;
        self.missing += count;
        self.after = 0;
    }

    /// The open group is whole: several missing packets are a burst, one alone belongs to the gap around it.
    fn close(&mut self) {
        let after = u32::from(self.after);
        if self.missing >= 2 {
            self.end_gap();
            self.bursts += 1;
            self.burst_packets += self.span;
            self.burst_missing += self.missing;
            self.gap = after;
        } else {
            self.gap += self.span + after;
            self.gap_missing += self.missing;
        }
        (self.span, self.missing, self.after) = (0, 0, 0);
    }

    fn end_gap(&mut self) {
        self.gaps += u32::from(self.gap > 0);
        self.gap_packets += self.gap;
        self.gap = 0;
    }

    /// How often packets were missing, those of the open group too.
    pub fn total_missing(&self) -> u32 {
        self.gap_missing + self.burst_missing + self.missing
    }

    /// What it comes to if nothing follows.
    pub fn finish(mut self) -> Bursts {
        self.close();
        self.end_gap();
        let share = |part: u32, whole: u32| if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) };
        Bursts {
            burst_density: share(self.burst_missing, self.burst_packets),
            gap_density: share(self.gap_missing, self.gap_packets),
            burst_packets: share(self.burst_packets, self.bursts),
            gap_packets: share(self.gap_packets, self.gaps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(packets: u32, missing: &[u32]) -> Groups {
        let mut groups = Groups::default();
        for number in 1..=packets {
            if missing.contains(&number) { groups.miss(1) } else { groups.good() }
        }
        groups
    }

    /// The example of RFC 3611 §4.7.2, with the mean of its two gaps.
    #[test]
    fn the_64_packets_of_the_rfc_give_its_numbers() {
        let bursts = groups(64, &[5, 24, 28, 30, 35, 54]).finish();
        assert_eq!((bursts.burst_packets, bursts.gap_packets), (12.0, 26.0));
        assert!((bursts.burst_density - 0.33).abs() < 0.005 && (bursts.gap_density - 0.04).abs() < 0.002, "{bursts:?}");
    }

    #[test]
    fn missing_packets_at_either_end_and_nothing_at_all() {
        assert_eq!(groups(0, &[]).finish(), Bursts::default());
        let clean = groups(10, &[]).finish();
        assert_eq!((clean.burst_packets, clean.gap_packets, clean.gap_density), (0.0, 10.0, 0.0));
        let all = groups(4, &[1, 2, 3, 4]).finish();
        assert_eq!((all.burst_packets, all.burst_density, all.gap_packets), (4.0, 1.0, 0.0));
        let ends = groups(40, &[1, 2, 40]).finish();
        assert_eq!((ends.burst_packets, ends.gap_packets), (2.0, 38.0));
        let alone = groups(1, &[1]).finish();
        assert_eq!((alone.gap_packets, alone.gap_density, alone.burst_packets), (1.0, 1.0, 0.0));
    }

    #[test]
    fn sixteen_good_packets_divide_bursts_and_fifteen_do_not() {
        assert_eq!(groups(100, &[10, 26, 42]).finish().burst_packets, 33.0);
        assert_eq!(groups(100, &[10, 27, 44]).finish().burst_packets, 0.0);
    }

    #[test]
    fn the_burst_ratio_is_1_by_chance_and_more_for_runs() {
        let mut runs = Runs::default();
        assert_eq!(runs.ratio(0.0), 1.0);
        for _ in 0..3 {
            runs.miss(1, false);
            runs.good();
        }
        assert_eq!(runs.ratio(3.0 / 500.0), 1.0);
        runs.miss(2, true);
        runs.miss(1, false);
        assert!((runs.ratio(6.0 / 500.0) - 1.482).abs() < 1e-9);
        assert_eq!((runs.runs, runs.missing, runs.discarded), (4, 6, 2));
    }
}
