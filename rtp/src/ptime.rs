//! How much speech a packet holds: the most frequent step of time stamps between packets that follow one another (5.3).

/// The most frequent steps, in units of the clock. A step that is rarer than the three kept may push the rarest out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steps {
    steps: [u16; 3],
    counts: [u16; 3],
}

impl Steps {
    /// Takes a step; one longer than 65,535 units is silence.
    pub fn take(&mut self, step: u32) {
        let Some(step) = u16::try_from(step).ok().filter(|step| *step > 0) else { return };
        let known = (0..3).find(|place| self.counts[*place] > 0 && self.steps[*place] == step);
        let place = known.or_else(|| (0..3).find(|place| self.counts[*place] == 0));
        match place {
            Some(place) => {
                self.steps[place] = step;
                self.counts[place] += 1;
                if self.counts[place] == u16::MAX {
                    self.counts = self.counts.map(|count| count / 2);
                }
            }
            // Each of a new kind outweighs one of the rarest.
            None => {
                let rarest = (0..3).min_by_key(|place| self.counts[*place]).unwrap_or(0);
                self.counts[rarest] -= 1;
            }
        }
    }

    /// The most frequent one, of those as frequent the first; `None` until two were seen.
    pub fn most_frequent(&self) -> Option<u16> {
        let seen: u32 = self.counts.iter().map(|count| u32::from(*count)).sum();
        let most = *self.counts.iter().max()?;
        let place = self.counts.iter().position(|count| *count == most)?;
        (seen >= 2).then_some(self.steps[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(steps: &[u32]) -> Option<u16> {
        let mut taken = Steps::default();
        steps.iter().for_each(|step| taken.take(*step));
        taken.most_frequent()
    }

    #[test]
    fn two_steps_have_to_be_seen() {
        assert_eq!(steps(&[]), None);
        assert_eq!(steps(&[160]), None);
        assert_eq!(steps(&[160, 160]), Some(160));
    }

    #[test]
    fn the_most_frequent_step_counts_whatever_else_is_seen() {
        assert_eq!(steps(&[80, 160, 160, 32_000, 240, 160, 320, 160]), Some(160));
        assert_eq!(steps(&[0, 70_000, 320, 320]), Some(320));
        let many: Vec<u32> = (0..200_000).map(|number| if number % 3 == 0 { number % 1000 + 1 } else { 160 }).collect();
        assert_eq!(steps(&many), Some(160));
    }
}
