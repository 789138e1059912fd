//! What people write: one TOML file per dashboard, and `common.toml` with abbreviations and variables.
//!
//! Abbreviations are expanded here, so that what follows sees whole queries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why a dashboard cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file that cannot be read or written.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A file that is no TOML, or has an unknown key.
    #[error("{}: {}", .0.display(), .1)]
    Toml(PathBuf, toml::de::Error),
    /// `@name` without such a macro, or with too few arguments.
    #[error("{}: the query `{query}` of \"{panel}\" has no meaning for @{name}", .file.display())]
    Macro {
        /// The dashboard.
        file: PathBuf,
        /// Title of the panel.
        panel: String,
        /// The query as written.
        query: String,
        /// The macro.
        name: String,
    },
}

/// `common.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    macros: BTreeMap<String, String>,
    /// The choices at the top of every dashboard.
    pub variables: Vec<Variable>,
}

/// One choice of the reader.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// As queries call it: `$name`.
    pub name: String,
    /// As the reader sees it.
    pub label: String,
    /// Where its values come from; several may be chosen, and all at first.
    pub query: Option<String>,
    /// Its values, the first being the default; one is chosen.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// One dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Part of its address; stays when the title changes.
    pub uid: String,
    /// Title.
    pub title: String,
    /// What it answers.
    pub description: String,
    /// Choices at its top besides those that all have.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// Panels under one heading.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The heading.
    pub title: String,
    /// The row is made once per word here, which replaces `@each` in every text of it.
    #[serde(default)]
    each: Vec<String>,
    /// From left to right, then down.
    pub panels: Vec<Panel>,
}

/// One picture.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// Title, unique in its dashboard.
    pub title: String,
    /// How it is drawn.
    pub kind: Kind,
    /// Grafana's name of the unit of its values.
    #[serde(default)]
    pub unit: String,
    /// Of 24 columns.
    pub width: u32,
    /// What it means, in Markdown: behind the `i` of the panel, or the whole of a text panel.
    #[serde(default)]
    pub text: String,
    /// Whether series are drawn on top of each other.
    #[serde(default)]
    pub stack: bool,
    /// Whether single calls are shown as points that lead to their traces.
    #[serde(default)]
    pub exemplars: bool,
    /// The panel is made by Grafana for each value of this variable.
    pub repeat: Option<String>,
    /// Values above are red.
    pub alarm_above: Option<f64>,
    /// What is drawn.
    #[serde(default)]
    pub queries: Vec<Query>,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The value now, large.
    Stat,
    /// The values now, as bars.
    Bars,
    /// Lines over time.
    Timeseries,
    /// Buckets of a histogram over time.
    Heatmap,
    /// One line per label value, one column per query.
    Table,
    /// Markdown.
    Text,
}

/// One question to Prometheus.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// PromQL, with the abbreviations of `common.toml` until [`Dashboard::read`] expands them.
    pub expr: String,
    /// Name of a series; `{{label}}` stands for its value.
    #[serde(default)]
    pub legend: String,
    /// Unit of a column of a table.
    #[serde(default)]
    pub unit: String,
}

impl Common {
    /// Reads `common.toml`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        read(path)
    }

    /// `text` with every `@name` and `@name(argument, ...)` replaced, again and again; the name of a macro nobody
    /// knows otherwise.
    fn expand(&self, text: &str) -> Result<String, String> {
        let Some(at) = text.find('@') else { return Ok(text.to_owned()) };
        let (before, rest) = (&text[..at], &text[at + 1..]);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, mut rest) = rest.split_at(end);
        let unknown = || name.to_owned();
        let mut meaning = self.macros.get(name).ok_or_else(unknown)?.clone();
        if meaning.contains("#1") {
            let (arguments, after) =
                rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or_else(unknown)?;
            for (number, argument) in (1..).zip(arguments.split(',')) {
                meaning = meaning.replace(&format!("#{number}"), argument.trim());
            }
            rest = after;
        }
        if meaning.contains('#') {
            return Err(unknown());
        }
        self.expand(&format!("{before}{meaning}{rest}"))
    }
}

impl Dashboard {
    /// Reads one dashboard, its queries expanded and its repeated rows repeated.
    ///
    /// # Errors
    /// When it cannot be read, or a query uses a macro that is not there.
    pub fn read(path: &Path, common: &Common) -> Result<Self, SourceError> {
        let mut dashboard: Self = read(path)?;
        dashboard.rows = dashboard.rows.iter().flat_map(Row::repeated).collect();
        for panel in dashboard.rows.iter_mut().flat_map(|row| &mut row.panels) {
            for query in &mut panel.queries {
                query.expr = common.expand(&query.expr).map_err(|name| SourceError::Macro {
                    file: path.to_owned(),
                    panel: panel.title.clone(),
                    query: query.expr.clone(),
                    name,
                })?;
            }
        }
        Ok(dashboard)
    }
}

impl Dashboard {
    /// The choices at its top: of those that all have, the ones a query of it asks for, then its own.
    pub fn choices<'a>(&'a self, common: &'a Common) -> impl Iterator<Item = &'a Variable> {
        let panels = || self.rows.iter().flat_map(|row| &row.panels);
        let asks = move |text: &str| panels().flat_map(|panel| &panel.queries).any(|query| query.expr.contains(text));
        let shared = common.variables.iter().filter(move |variable| asks(&format!("${}", variable.name)));
        shared.chain(&self.variables)
    }
}

impl Row {
    fn repeated(&self) -> Vec<Self> {
        if self.each.is_empty() {
            return vec![self.clone()];
        }
        self.each.iter().map(|word| self.with(word)).collect()
    }

    fn with(&self, word: &str) -> Self {
        let mut row = self.clone();
        let replace = |text: &mut String| *text = text.replace("@each", word);
        replace(&mut row.title);
        for panel in &mut row.panels {
            replace(&mut panel.title);
            for query in &mut panel.queries {
                replace(&mut query.expr);
                replace(&mut query.legend);
            }
        }
        row
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, SourceError> {
    let text = fs::read_to_string(path).map_err(|error| SourceError::File(path.to_owned(), error))?;
    toml::from_str(&text).map_err(|error| SourceError::Toml(path.to_owned(), error))
}
