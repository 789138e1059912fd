//! Which processes are looked into: entries of `tls.processes` in, an answer for a process out.

use super::process::Process;

/// Entries of the configuration, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// Of the process or of its file.
    Name(String),
    /// Of its file, as the process itself sees it.
    Path(String),
    /// This control group or one below.
    Cgroup(String),
}

/// What an entry may be, for people.
pub const FORM: &str = "write a name (`kamailio`), the path of a program (`/usr/sbin/kamailio`) or a control group (`cgroup:/system.slice/kamailio.service`)";

/// Marks an entry as a control group.
const CGROUP: &str = "cgroup:";

/// The kernel keeps so much of a process's name.
const NAME_SIZE: usize = 15;

impl Selection {
    /// The position of the first entry that is none.
    pub fn parse(entries: &[String]) -> Result<Self, usize> {
        entries
            .iter()
            .enumerate()
            .map(|(index, entry)| Entry::parse(entry).ok_or(index))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Every process is meant.
    pub fn is_every(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `process` is meant.
    pub fn includes(&self, process: &Process) -> bool {
        self.is_every() || self.0.iter().any(|entry| entry.matches(process))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if let Some(group) = text.strip_prefix(CGROUP) {
            let group = group.trim_end_matches('/');
            return group.starts_with('/').then(|| Self::Cgroup(group.to_owned()));
        }
        match text.as_bytes() {
            [] => None,
            [b'/', .., b'/'] | [b'/'] => None,
            [b'/', ..] => Some(Self::Path(text.to_owned())),
            bytes if bytes.contains(&b'/') || bytes.iter().any(u8::is_ascii_control) => None,
            _ => Some(Self::Name(text.to_owned())),
        }
    }

    fn matches(&self, process: &Process) -> bool {
        match self {
            Self::Name(name) => {
                let file = process.program.as_deref().and_then(|path| path.rsplit('/').next());
                let kept = name.as_bytes().get(..NAME_SIZE).unwrap_or(name.as_bytes());
                process.name.as_bytes() == kept || file == Some(name)
            }
            Self::Path(path) => process.program.as_deref() == Some(path),
            Self::Cgroup(group) => process.cgroups.iter().any(|of_process| {
                of_process.strip_prefix(group.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(entry: &str) -> bool {
        let process = Process {
            name: "kamailio-worker".into(),
            program: Some("/usr/sbin/kamailio".into()),
            cgroups: vec!["/system.slice/kamailio.service/workers".into()],
        };
        Selection::parse(&[entry.to_owned()]).expect("an entry").includes(&process)
    }

    #[test]
    fn a_process_is_meant_by_name_by_program_or_by_control_group() {
        for entry in [
            "kamailio",
            "kamailio-worker",
            "kamailio-worker-17",
            "/usr/sbin/kamailio",
            "cgroup:/system.slice/kamailio.service",
            "cgroup:/system.slice/",
        ] {
            assert!(selects(entry), "{entry}");
        }
        for entry in ["kamail", "sbin", "/usr/sbin", "cgroup:/system.slice/kamailio", "cgroup:/kamailio.service"] {
            assert!(!selects(entry), "{entry}");
        }
    }

    #[test]
    fn without_entries_every_process_is_meant() {
        assert!(Selection::parse(&[]).expect("no entries").includes(&Process::default()));
    }

    #[test]
    fn what_can_be_no_entry_is_pointed_at() {
        for entry in ["", "/", "/usr/sbin/", "sbin/kamailio", "cgroup:", "cgroup:kamailio", "a\nb"] {
            assert_eq!(Selection::parse(&["fine".to_owned(), entry.to_owned()]), Err(1), "{entry:?}");
        }
    }
}
