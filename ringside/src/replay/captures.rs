//! The capture files of a replay: how far reading is, and what was noticed on the way.

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

/// Lines for the operator: what of the files could not be read, and where else SIP was, if `counted` says that
/// none was on the ports that were looked at.
pub fn remarks(report: &Report, counted: bool) -> Vec<String> {
    let mut remarks = report.problems();
    let others: Vec<String> = report.other_ports().iter().map(u16::to_string).collect();
    if !counted && !others.is_empty() {
        let others = others.join(",");
        remarks.push(format!("no SIP on the ports looked at, but on others: try --ports {others}"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_remarks_is_passed_over_in_silence() {
        assert_eq!(remarks(&Report::default(), false), Vec::<String>::new());
    }

    #[test]
    fn both_styles_are_written_right() {
        drop(Bar::new(&Report::default()));
        style("{wide_bar} {bytes}/{total_bytes} {eta}");
    }
}
