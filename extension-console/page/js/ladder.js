// The ladder: a column for each endpoint, a rung for each message, what it said on a click; a double line where a stream
// of media begins, and where it ends.

import { ZONE, copy, dayAndTime, h, isPoor, seconds, timeOfDay, zone } from "./dom.js";

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

/** The host of an address with a port. */
const hostOf = (address) => address.slice(0, address.lastIndexOf(":"));

/** The columns: who speaks SIP, then hosts that have media alone, such as a relay. */
export function columnsOf(call) {
  const columns = [...call.endpoints];
  for (const { src, dst } of call.media?.streams ?? []) {
    for (const host of [hostOf(src), hostOf(dst)]) {
      if (!columns.some((column) => column === host || hostOf(column) === host)) columns.push(host);
    }
  }
  return columns;
}

/** Start and end of each stream between its columns. Of several with one address the caller's is the first, the callee's the last. */
function streamsOf(call, columns) {
  const is = (host) => (column) => column === host || hostOf(column) === host;
  const column = (address, isCaller) => (isCaller ? columns.findIndex(is(hostOf(address))) : columns.findLastIndex(is(hostOf(address))));
  return (call.media?.streams ?? []).flatMap((stream) => {
    const isCaller = stream.direction === "caller";
    const between = { source: column(stream.src, isCaller), destination: column(stream.dst, !isCaller) };
    const heard = `${stream.loss_pct.toFixed(1)} % lost, MOS ${stream.mos_cq.toFixed(2)}`;
    return [
      { ...between, time: stream.first, text: `RTP ${stream.codec}`, is: "plain" },
      {
        ...between,
        time: stream.last,
        text: `${stream.codec} ${heard}`,
        title: `${stream.codec}: ${stream.received} packets, ${heard}, ${stream.jitter_ms.toFixed(1)} ms jitter`,
        is: isPoor(stream.mos_cq) ? "failure" : "success",
      },
    ];
  });
}

/** Draws a ladder; `open` is the set of messages whose words are shown. */
export function drawLadder(call, open) {
  const columns = columnsOf(call);
  const rungs = h("div", { class: "rungs", "--columns": Math.max(1, columns.length), role: "list" });
  rungs.append(
    head(columns),
    h(
      "div",
      { class: "lifelines", "aria-hidden": "true" },
      columns.map((_, at) => h("i", { "--at": at })),
    ),
  );
  const begin = Date.parse(call.ladder[0].time) / 1000 - call.ladder[0].offset_seconds;
  const offset = (time) => Date.parse(time) / 1000 - begin;
  const lines = [
    ...call.ladder.map((message, index) => ({ message, index, at: message.offset_seconds })),
    ...streamsOf(call, columns).map((stream) => ({ stream, at: offset(stream.time) })),
  ].sort((a, b) => a.at - b.at);
  let before = null;
  for (const { message, stream, index, at } of lines) {
    const delta = before === null ? null : at - before;
    rungs.append(...(message ? rung(call, message, delta, index, open) : streamRung(columns, stream, delta)));
    before = at;
  }
  return rungs;
}

function streamRung(columns, { source, destination, time, text, title, is }, delta) {
  const where = { "--low": Math.min(source, destination), "--span": Math.abs(source - destination) };
  const self = source === destination;
  const shape = `shaft stream ${self ? "self" : destination > source ? "right" : "left"}`;
  return [
    h(
      "div",
      {
        role: "listitem",
        class: delta >= SILENCE ? "rung media gap" : "rung media",
        title: title ?? text,
        "aria-label": `${timeOfDay(time, true)} ${columns[source]} to ${columns[destination]}: ${title ?? text}`,
      },
      clockOf(time, delta),
      h(
        "span",
        { class: "lane" },
        h("span", { class: is }, h("span", { class: shape, ...where }), h("span", { class: self ? "what self" : "what", ...where }, h("span", {}, text))),
      ),
    ),
  ];
}

function clockOf(time, delta) {
  return h(
    "span",
    { class: "clock" },
    h("span", { class: "time" }, timeOfDay(time, true)),
    h("span", { class: "delta" }, delta === null ? "" : `+${seconds(Math.max(0, delta))}`),
  );
}

function head(columns) {
  const ends = columns.map((address, at) =>
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
    h("span", { class: "clock" }, ZONE, h("span", { class: "delta" }, "+ s")),
    h("span", { class: "lane" }, ends),
  );
}

/** An address that may be broken before its port. */
function breakable(address) {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon), document.createElement("wbr"), address.slice(colon)];
}

function rung(call, message, delta, index, open) {
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
    clockOf(message.time, delta),
    h("span", { class: "lane" }, h("span", { class: is }, h("span", { class: shape.join(" "), ...where }), what)),
  );
  const said = h("div", { class: "said", id, hidden: !open.has(key) });
  if (open.has(key)) said.append(...details(call, message));
  const show = (opens) => {
    if (opens) open.add(key);
    else open.delete(key);
    button.setAttribute("aria-expanded", String(opens));
    said.hidden = !opens;
    said.replaceChildren(...(opens ? details(call, message) : []));
  };
  button.addEventListener("expand", ({ detail: opens }) => show(opens));
  button.addEventListener("click", () => {
    const opens = !open.has(key);
    // One at a time: what was read before gives way.
    for (const other of button.closest(".rungs").querySelectorAll('.rung[aria-expanded="true"]')) {
      if (other !== button) other.dispatchEvent(new CustomEvent("expand", { detail: false }));
    }
    show(opens);
    if (opens) button.scrollIntoView({ block: "nearest" });
  });
  return [h("div", { role: "listitem" }, button, said)];
}

/** A medium of a session description in a line. */
function wordsOf({ kind, address, port, private: hidden, direction, encrypted, codecs }) {
  const where = address === null ? `port ${port}` : address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const marks = [hidden && "private address", port === 0 && "refused", direction !== "sendrecv" && direction, encrypted && "encrypted"];
  return [`${kind} ${where}`, ...codecs, ...marks.filter(Boolean).map((mark) => `(${mark})`)].join(" ");
}

/** What is new in a message beside the one it repeats. */
function difference(call, { message, way, removed, added }) {
  const why = { hop: "passed on", credentials: "sent again with credentials", retry: "sent again" }[way];
  const line = (mark, is) => (text) => h("span", { class: is }, `${mark} ${text}\n`);
  const first = call.ladder[message];
  return [
    h("p", {}, `Message ${message + 1} (${timeOfDay(first.time, true)}), ${why}${removed.length + added.length ? ":" : ", the same."}`),
    removed.length + added.length > 0 && h("pre", { class: "difference" }, removed.map(line("−", "gone")), added.map(line("+", "new"))),
  ].filter(Boolean);
}

/** What a message said, as far as it is on record. */
function details(call, message) {
  const again = message.retransmissions ? `, sent ${message.retransmissions + 1} times` : "";
  const facts = [
    ["from", call.endpoints[message.source]],
    ["to", call.endpoints[message.destination]],
    ["time", `${dayAndTime(message.time)} ${zone(message.time)}, ${seconds(message.offset_seconds)} s after the first`],
    ["of", `${message.method} ${message.cseq}, ${message.bytes} bytes${again}`],
  ];
  const list = (pairs, name) =>
    h(
      "dl",
      { class: name },
      pairs.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]),
    );
  const others = (message.again || []).map((at) => `+${seconds(at - message.offset_seconds)} s`);
  if (others.length > 0) facts.push(["sent again", others.join(", ")]);
  for (const medium of message.media || []) facts.push(["media", wordsOf(medium)]);
  const parts = [list(facts, "")];
  if (message.repeats) parts.push(...difference(call, message.repeats));
  if (message.raw) {
    const text = h("pre", {}, message.raw);
    parts.push(text, h("button", { type: "button", class: "quiet", onclick: () => copy(message.raw, "Message") }, "Copy message"));
    return parts;
  }
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
        ? "Credentials are not kept, and bodies only where processors.dialog.calls.raw says so."
        : "Fields that say who calls whom are not kept (privacy.numbers), nor are credentials and bodies.",
    ),
  );
  return parts;
}
