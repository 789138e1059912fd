// The ladder: a column for each endpoint, a rung for each message, what it said on a click.

import { h, seconds, timeOfDay } from "./dom.js";

/** Silence that is set off, in seconds. */
const SILENCE = 1;

/** A, B, ..., Z, AA: as the terminal's ladder names endpoints. */
export function letter(at) {
  return (at >= 26 ? letter(Math.floor(at / 26) - 1) : "") + String.fromCharCode(65 + (at % 26));
}

/** The class of a message: how it answers. */
function kind(message) {
  if (message.status === null) return "request";
  if (message.status < 200) return "provisional";
  if (message.status < 300) return "success";
  // Challenges are part of the way, not its end.
  return message.status < 400 || message.status === 401 || message.status === 407 ? "redirect" : "failure";
}

function words(message) {
  if (message.status === null) return message.method;
  return message.reason ? `${message.status} ${message.reason}` : String(message.status);
}

/** A message as a screen reader says it. */
function spoken(call, message) {
  const way = `${call.endpoints[message.source]} to ${call.endpoints[message.destination]}`;
  const again = message.retransmissions ? `, sent ${message.retransmissions + 1} times` : "";
  return `${timeOfDay(message.time, true)} ${way}: ${words(message)}${message.sdp ? ", SDP" : ""}${again}`;
}

/** Which message it is, in every drawing of the same call. */
const keyOf = (message) => `${message.time} ${message.source} ${message.destination} ${message.method} ${message.status} ${message.cseq}`;

/** Draws a ladder; `open` is the set of messages whose words are shown. */
export function drawLadder(call, open) {
  const columns = Math.max(1, call.endpoints.length);
  const rungs = h("div", { class: "rungs", "--columns": columns, role: "list" });
  rungs.append(
    head(call),
    h(
      "div",
      { class: "lifelines", "aria-hidden": "true" },
      call.endpoints.map((_, at) => h("i", { "--at": at })),
    ),
  );
  let before = null;
  call.ladder.forEach((message, index) => {
    rungs.append(...rung(call, message, before, index, open));
    before = message;
  });
  return rungs;
}

function head(call) {
  const ends = call.endpoints.map((address, at) =>
    h(
      "span",
      { class: "end", title: address },
      h("span", { class: "letter" }, letter(at)),
      h("span", { class: "address" }, ...breakable(address)),
    ),
  );
  return h(
    "div",
    { class: "ends" },
    h("span", { class: "clock" }, "UTC", h("span", { class: "delta" }, "+ s")),
    h("span", { class: "lane" }, ends),
  );
}

/** An address that may be broken before its port. */
function breakable(address) {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon), document.createElement("wbr"), address.slice(colon)];
}

function rung(call, message, before, index, open) {
  const delta = before ? message.offset_seconds - before.offset_seconds : 0;
  const [low, high] = [Math.min(message.source, message.destination), Math.max(message.source, message.destination)];
  const is = kind(message);
  const where = { "--low": low, "--span": high - low };
  const self = low === high;
  const shape = [
    "shaft",
    message.status === null ? "" : "response",
    self ? "self" : message.destination > message.source ? "right" : "left",
  ];
  const what = h(
    "span",
    { class: self ? "what self" : "what", ...where },
    h("span", {}, words(message)),
    message.sdp && h("small", {}, "SDP"),
    message.retransmissions > 0 && h("small", { class: "again" }, `×${message.retransmissions + 1}`),
  );
  const key = keyOf(message);
  const id = `said-${index}`;
  const button = h(
    "button",
    {
      type: "button",
      class: delta >= SILENCE ? "rung gap" : "rung",
      title: words(message),
      "aria-expanded": String(open.has(key)),
      "aria-controls": id,
      "aria-label": spoken(call, message),
    },
    h(
      "span",
      { class: "clock" },
      h("span", { class: "time" }, timeOfDay(message.time, true)),
      h("span", { class: "delta" }, before ? `+${seconds(delta)}` : ""),
    ),
    h("span", { class: "lane" }, h("span", { class: is }, h("span", { class: shape.join(" "), ...where }), what)),
  );
  const said = h("div", { class: "said", id, hidden: !open.has(key) });
  if (open.has(key)) said.append(...details(call, message));
  button.addEventListener("click", () => {
    const opens = !open.has(key);
    if (opens) open.add(key);
    else open.delete(key);
    button.setAttribute("aria-expanded", String(opens));
    said.hidden = !opens;
    said.replaceChildren(...(opens ? details(call, message) : []));
  });
  return [h("div", { role: "listitem" }, button, said)];
}

/** What a message said, as far as it is on record. */
function details(call, message) {
  const again = message.retransmissions ? `, sent ${message.retransmissions + 1} times` : "";
  const facts = [
    ["from", call.endpoints[message.source]],
    ["to", call.endpoints[message.destination]],
    ["time", `${message.time.replace("T", " ").replace("Z", "")} UTC, ${seconds(message.offset_seconds)} s after the first`],
    ["of", `${message.method} ${message.cseq}, ${message.bytes} bytes${again}`],
  ];
  const list = (pairs, name) =>
    h(
      "dl",
      { class: name },
      pairs.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]),
    );
  const parts = [list(facts, "")];
  const lines = message.headers || [];
  if (lines.length === 0) {
    parts.push(h("p", {}, "Its header fields are not on record."));
    return parts;
  }
  const pairs = lines.map((line) => {
    const colon = line.indexOf(":");
    return colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  parts.push(list(pairs, "headers"));
  const all = pairs.some(([name]) => ["from", "f"].includes(name.toLowerCase()));
  parts.push(
    h(
      "p",
      {},
      all
        ? "Credentials and bodies are not kept."
        : "Fields that say who calls whom are not kept (privacy.numbers), nor are credentials and bodies.",
    ),
  );
  return parts;
}
