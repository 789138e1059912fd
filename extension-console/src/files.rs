//! The page itself: its files as they were when the program was built.

/// A file of the page.
pub struct File {
    /// Its media type.
    pub content_type: &'static str,
    /// What is in it.
    pub text: &'static str,
}

/// The file at a path; a link to a call is the page too.
pub fn find(path: &str) -> Option<File> {
    let (content_type, text) = match path {
        "/" => (HTML, include_str!("../page/index.html")),
        path if path.strip_prefix("/calls/").is_some_and(|call_id| !call_id.is_empty()) => {
            (HTML, include_str!("../page/index.html"))
        }
        "/page/console.css" => ("text/css; charset=utf-8", include_str!("../page/console.css")),
        "/page/icon.svg" => ("image/svg+xml", include_str!("../page/icon.svg")),
        "/page/main.js" => (SCRIPT, include_str!("../page/js/main.js")),
        "/page/list.js" => (SCRIPT, include_str!("../page/js/list.js")),
        "/page/call.js" => (SCRIPT, include_str!("../page/js/call.js")),
        "/page/ladder.js" => (SCRIPT, include_str!("../page/js/ladder.js")),
        "/page/media.js" => (SCRIPT, include_str!("../page/js/media.js")),
        "/page/figures.js" => (SCRIPT, include_str!("../page/js/figures.js")),
        "/page/dom.js" => (SCRIPT, include_str!("../page/js/dom.js")),
        "/page/theme.js" => (SCRIPT, include_str!("../page/js/theme.js")),
        _ => return None,
    };
    Some(File { content_type, text })
}

/// The media type of a page.
pub const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
