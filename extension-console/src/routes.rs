//! Answers: a request and the calls and figures of now in, a response out.

use call_views::{Style, affinity, ladder, packets};
use endpoint::{Load, ResponseGuard};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, HeaderValue, LOCATION, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use hyper::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::time::{Duration, sleep};

use crate::entry::{Entry, Line};
use crate::files;
use crate::guard::Verdict;
use crate::query::Query;
use crate::reply::{self, ReplyBody, events, json, refusal, whole};
use crate::site::{Numbers, Site};
use crate::subscribers::Subscription;

/// `/api/calls`.
#[derive(Serialize)]
struct List {
    calls: Vec<Line>,
    numbers: Numbers,
}

impl endpoint::Site for Site {
    type Body = ReplyBody;

    async fn answer(&self, request: Request<Incoming>, busy: ResponseGuard) -> Response<ReplyBody> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let mut refused = match self.guard().check(&request) {
            Verdict::Welcome => return welcome(self, path, query, busy).await,
            Verdict::Method => {
                let mut response = whole(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Only GET.\n", busy);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
                response
            }
            Verdict::Host => whole(StatusCode::MISDIRECTED_REQUEST, TEXT, NOT_HERE, busy),
            Verdict::Cookie(cookie) => {
                let mut response = whole(StatusCode::SEE_OTHER, TEXT, "", busy);
                let cookie = HeaderValue::from_str(&cookie).expect("a name, hex digits and attributes are ASCII");
                let location = without_token(path, query);
                response.headers_mut().insert(SET_COOKIE, cookie);
                response.headers_mut().insert(LOCATION, location);
                return response;
            }
            Verdict::Token { wrong } => {
                if wrong {
                    sleep(PENALTY).await;
                }
                let mut response = match path.starts_with("/api/") {
                    true => refusal(
                        StatusCode::UNAUTHORIZED,
                        if wrong { "wrong token" } else { "a token is needed: Authorization: Bearer" },
                        busy,
                    ),
                    false => ask_for_token(wrong, busy),
                };
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
        };
        // Who is turned away keeps no place.
        refused.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        refused
    }

    fn load(&self) -> &Load {
        &self.load
    }
}

/// A page with a field for the token, which it sends to the address it was opened by.
fn ask_for_token(wrong: bool, busy: ResponseGuard) -> Response<ReplyBody> {
    let said = if wrong { WRONG_TOKEN } else { "" };
    let go_on = if wrong { "" } else { GO_ON };
    let mut response = whole(
        StatusCode::UNAUTHORIZED,
        files::HTML,
        format!("{TOKEN_HEAD}{said}{TOKEN_FIELD}{go_on}</form></html>\n"),
        busy,
    );
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(TOKEN_POLICY));
    response
}

async fn welcome(site: &Site, path: &str, query: &str, busy: ResponseGuard) -> Response<ReplyBody> {
    match path {
        "/api/now" => json(&site.now(), busy),
        "/api/calls" => answer_calls(site, query, busy).await,
        "/api/refused" => json(&serde_json::json!({ "messages": site.unread() }), busy),
        "/api/filter" => answer_filter(query, busy),
        "/api/affinity" => match site.affinity().await {
            Some(report) => json(&affinity::json(&report), busy),
            None => refusal(StatusCode::NOT_FOUND, NOT_LOOKED, busy),
        },
        "/api/events" => answer_events(site, query, busy),
        _ => match path.strip_prefix("/api/calls/") {
            Some(rest) if !rest.is_empty() => match rest.strip_suffix("/pcap") {
                Some(call_id) if !call_id.is_empty() => answer_pcap(site, call_id, busy).await,
                _ => answer_call(site, rest, query, busy).await,
            },
            _ => match files::find(path) {
                Some(file) => whole(StatusCode::OK, file.content_type, file.text, busy),
                None => whole(StatusCode::NOT_FOUND, TEXT, PATHS, busy),
            },
        },
    }
}

/// Whether a filter can be read, for who types one: `{"error": null}`, or what is wrong with it.
fn answer_filter(query: &str, busy: ResponseGuard) -> Response<ReplyBody> {
    let read = Query::read(query, &[]);
    json(&serde_json::json!({ "error": read.err().map(|error| error.0) }), busy)
}

async fn answer_calls(site: &Site, query: &str, busy: ResponseGuard) -> Response<ReplyBody> {
    let query = match Query::read(query, &[]) {
        Ok(query) => query,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.0, busy),
    };
    site.refresh([&query].into_iter()).await;
    let (calls, numbers) = site.list(&query).await;
    json(&List { calls: calls.iter().map(Entry::line).collect(), numbers }, busy)
}

async fn answer_call(site: &Site, call_id: &str, query: &str, busy: ResponseGuard) -> Response<ReplyBody> {
    let call_id = percent_decode_str(call_id).decode_utf8_lossy();
    let format = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "format");
    let format = format.map_or("json".into(), |(_, format)| format);
    if !["json", "text", "mermaid"].contains(&&*format) {
        return refusal(StatusCode::BAD_REQUEST, "format is json, text or mermaid", busy);
    }
    let Some(entry) = site.call(&call_id).await else {
        return refusal(StatusCode::NOT_FOUND, "no such call is up or was kept", busy);
    };
    let style = Style { width: None, unicode: true, colour: false, ..Style::default() };
    match &*format {
        "text" => whole(StatusCode::OK, TEXT, ladder::text(&entry.view(), &style), busy),
        "mermaid" => whole(StatusCode::OK, TEXT, ladder::mermaid(&entry.view(), ""), busy),
        _ => json(&entry.told(site.trace_url().as_deref()), busy),
    }
}

/// A call as a capture file, of the messages that were kept.
async fn answer_pcap(site: &Site, call_id: &str, busy: ResponseGuard) -> Response<ReplyBody> {
    let call_id = percent_decode_str(call_id).decode_utf8_lossy();
    let Some(entry) = site.call(&call_id).await else {
        return refusal(StatusCode::NOT_FOUND, "no such call is up or was kept", busy);
    };
    let Some(file) = packets::pcap(&entry.record) else {
        return refusal(StatusCode::NOT_FOUND, NOT_KEPT, busy);
    };
    let mut response = whole(StatusCode::OK, "application/vnd.tcpdump.pcap", file, busy);
    let name = HeaderValue::from_static("attachment; filename=\"call.pcap\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

fn answer_events(site: &Site, query: &str, busy: ResponseGuard) -> Response<ReplyBody> {
    let call = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "call").map(|(_, call)| call.into());
    match Query::read(query, &["call"]) {
        Ok(query) => {
            let abort = busy.endless();
            match site.pages.open(Subscription { query, call }, abort) {
                Some(receiver) => events(receiver),
                None => reply::full(),
            }
        }
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.0, busy),
    }
}

/// The same address without the token. A path that could be taken for another host becomes the first page.
fn without_token(path: &str, query: &str) -> HeaderValue {
    let rest = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "token");
    let rest = form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
    let path = if path.starts_with("//") || path.starts_with("/\\") { "/" } else { path };
    let location = if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") };
    HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"))
}

const TEXT: &str = "text/plain; charset=utf-8";
const PATHS: &str = "Here are /, /api/calls, /api/calls/{call-id}, /api/calls/{call-id}/pcap, /api/filter, /api/affinity, /api/refused, /api/now and /api/events.\n";
const NOT_KEPT: &str = "no message of this call was kept; set processors.dialog.calls.raw to \"full\" or \"headers\"";
const NOT_LOOKED: &str = "no pipeline has the processor `affinity`; put it before `dialog`";
const NOT_HERE: &str = "This console answers to localhost, to addresses, and with a token to the name of its host.\n";
const TOKEN_HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>ringside</title>\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"stylesheet\" href=\"/page/console.css\">\
    <body><form class=\"token\"><h2>ringside</h2>";
const WRONG_TOKEN: &str = "<p class=\"is-wrong\" role=\"alert\">Wrong token.</p>";
const TOKEN_FIELD: &str = "<label for=\"token\">This console asks for its token.</label>\
    <p><input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus>\
    <button class=\"quiet\">Open</button></p>";
/// A browser that follows a link from elsewhere sends no cookie (SameSite), but does from here.
const GO_ON: &str = "<p>You have been here before and came by a link? <a href=\"\">Go on</a>.</p>";
/// The page's own style, and its form to itself: nothing else, no script.
const TOKEN_POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// Whoever tries tokens waits for each.
const PENALTY: Duration = Duration::from_millis(500);
