//! What can be asked, and what is answered.

use serde::{Deserialize, Serialize};

use crate::config::{Mode, State};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// How the daemon and the steering are.
    Status {},
    /// Services and their backends.
    Services {},
    /// Decisions as they are made, an object a line until the connection ends.
    Watch {},
    /// What is known of a dialog.
    Dialog {
        /// Its Call-ID, of which as many bytes count as the kernel looks at.
        call_id: String,
    },
    /// Changes the mode.
    Mode {
        /// To this.
        mode: Mode,
        /// Whatever it breaks.
        #[serde(default)]
        force: bool,
    },
    /// Has a backend take what is said.
    State {
        /// `service/backend`.
        backend: String,
        /// What it takes.
        state: State,
    },
    /// Has a backend weigh something else.
    Weight {
        /// `service/backend`.
        backend: String,
        /// 0 to 1000.
        weight: u32,
    },
    /// Takes everything out of the kernel, and ends the daemon.
    Detach {
        /// Whatever it breaks.
        #[serde(default)]
        force: bool,
    },
}

impl Request {
    /// It shows something and changes nothing.
    pub fn only_shows(&self) -> bool {
        matches!(self, Self::Status {} | Self::Services {} | Self::Watch {} | Self::Dialog { .. })
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// It was not done, for this reason.
    Error {
        /// What is wrong and what to do.
        error: String,
    },
    /// It was done: what is shown, or what came of it.
    Done(serde_json::Value),
}

impl Reply {
    /// That it was not done.
    pub fn error(text: impl Into<String>) -> Self {
        Self::Error { error: text.into() }
    }

    /// A line, with its end.
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("text and numbers can be written as JSON");
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn requests_are_written_as_the_documentation_says() {
        assert_eq!(read(r#"{ "command": "status" }"#), Ok(Request::Status {}));
        assert_eq!(
            read(r#"{ "command": "mode", "mode": "active" }"#),
            Ok(Request::Mode { mode: Mode::Active, force: false })
        );
        let drain = Request::State { backend: "sbc-core/sbc-0".to_owned(), state: State::Drain };
        assert_eq!(read(r#"{ "command": "state", "backend": "sbc-core/sbc-0", "state": "drain" }"#), Ok(drain.clone()));
        assert_eq!(read(&serde_json::to_string(&drain).expect("it is plain")), Ok(drain.clone()));
        assert!(Request::Watch {}.only_shows() && !drain.only_shows());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{ "command": "format" }"#,
            r#"{ "command": "mode", "mode": "passive" }"#,
            r#"{ "command": "status", "also": 1 }"#,
            r#"{ "command": "weight", "backend": "a/b", "weight": -1 }"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
