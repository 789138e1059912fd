//! How far reading is, on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use receiver_pcap::Report;

/// A bar on standard error, or nothing where that is no terminal.
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// Shows what `report` says once reading has started.
    pub fn new(report: &Report) -> Self {
        let bar = match report.progress().total {
            Some(total) => ProgressBar::new(total).with_style(style("{wide_bar} {bytes}/{total_bytes} {eta}")),
            None => ProgressBar::no_length().with_style(style("{spinner} {bytes}")),
        };
        Self { bar }
    }

    /// Moves it on.
    pub fn update(&self, report: &Report) {
        self.bar.set_position(report.progress().read);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant of this file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_are_written_right() {
        drop(Bar::new(&Report::default()));
        style("{wide_bar} {bytes}/{total_bytes} {eta}");
    }
}
