// The page: one stream of events from the server, the address of what is shown, keys.

import { toast } from "./dom.js";
import { CallView } from "./call.js";
import { showFigures } from "./figures.js";
import { CallList } from "./list.js";

const view = new CallView(() => open(null));
const list = new CallList((callId) => open(callId), () => {
  history.replaceState(null, "", location.pathname + list.address());
  follow();
});
let events = null;
let again;
let skew = 0;

/** The call that an address names. */
function addressed() {
  const match = /^\/calls\/(.+)$/.exec(location.pathname);
  if (!match) return null;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return null;
  }
}

/** Shows a call, or the list alone. */
function open(callId) {
  if (callId === view.callId) return;
  const address = callId === null ? "/" : `/calls/${encodeURIComponent(callId)}`;
  history.pushState(null, "", address + list.address());
  show(callId);
}

function show(callId) {
  view.choose(callId);
  list.select(callId);
  follow();
}

/** Follows what is shown. A page that nobody sees holds no connection. */
function follow() {
  clearTimeout(again);
  events?.close();
  events = null;
  if (document.hidden) return;
  const query = list.query();
  if (view.callId !== null) query.set("call", view.callId);
  events = new EventSource(`/api/events?${query}`);
  events.addEventListener("now", (event) => {
    delete document.body.dataset.lost;
    const now = JSON.parse(event.data);
    skew = now.time_ms - Date.now();
    showFigures(now);
    showHost(now.host);
    list.carriers(now.carriers);
  });
  events.addEventListener("calls", (event) => list.change(JSON.parse(event.data)));
  events.addEventListener("call", (event) => view.show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    lost("no connection");
    // Refused rather than lost: the browser does not try again by itself.
    if (events?.readyState === EventSource.CLOSED) refused();
  });
}

/** Whose console it is: several are open side by side, all by the name localhost. */
function showHost(host) {
  document.getElementById("host").textContent = host;
  document.title = [view.callId, host, "ringside"].filter(Boolean).join(" · ");
}

/** What is shown is old, and why. */
function lost(why) {
  const state = document.getElementById("state");
  state.dataset.is = "bad";
  state.textContent = why;
  state.title = "";
  document.body.dataset.lost = "";
}

/** Finds out why, and tries again. */
async function refused() {
  clearTimeout(again);
  again = setTimeout(follow, 5000);
  const reply = await fetch("/api/now").catch(() => null);
  if (events?.readyState !== EventSource.CLOSED) return;
  if (reply?.status === 401) location.reload();
  else if (reply?.ok) lost("too many pages are open");
}

setInterval(() => {
  if ("lost" in document.body.dataset) return;
  list.tick(skew);
  view.tick(skew);
}, 1000);

document.addEventListener("visibilitychange", follow);
window.addEventListener("popstate", () => {
  list.take(location.search);
  list.isRight().then(() => (view.callId === addressed() ? follow() : show(addressed())));
});
window.addEventListener("pagehide", () => events?.close());
window.addEventListener("pageshow", (event) => event.persisted && follow());

document.getElementById("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(null);
});
document.getElementById("theme").addEventListener("click", () => window.ringsideTheme.next());
const help = document.getElementById("help");
document.getElementById("help-button").addEventListener("click", () => help.showModal());

const fields = document.getElementById("filters").elements;
/** Moves by rows; a call that is shown goes with it. */
function move(by) {
  const callId = list.focus(by);
  if (view.callId !== null && callId !== undefined) open(callId);
}
const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  f: () => fields.filter.select(),
  "/": () => fields.call_id.select(),
  n: () => fields.number.select(),
  c: () => view.copyAs("text"),
  m: () => view.copyAs("mermaid"),
  l: () => view.copyLink(),
  e: () => view.expand(),
  t: () => window.ringsideTheme.next(),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (help.open || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (view.callId !== null) {
      open(null);
      list.focus(0);
    } else if (list.isFiltered()) {
      list.clear();
      history.replaceState(null, "", location.pathname);
      follow();
    }
    return;
  }
  if (typing || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});

window.addEventListener("error", () => toast("Something is wrong with this page; reload it"));

window.ringsideTheme.show();
list.take(location.search);
list.isRight().then(() => show(addressed()));
