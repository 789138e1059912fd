// The figures: tiles of ratios, rates of the last seconds, tables of the rest.

import { ZONE, count, dayAndTime, h, trend } from "./dom.js";

/** Tiles: key of the ratio, its name, what it says. */
const TILES = [
  ["asr_e425", "ASR", "Answer seizure ratio per attempt (ITU-T E.425)"],
  ["ner_e425", "NER", "Network effectiveness ratio per attempt (ITU-T E.425)"],
  ["ser_rfc6076", "SER", "Session establishment ratio per attempt (RFC 6076 §4.6)"],
  ["seer_rfc6076", "SEER", "Session establishment effectiveness ratio per attempt (RFC 6076 §4.7)"],
  ["isa_rfc6076", "ISA", "Ineffective session attempts per attempt (RFC 6076 §4.8)"],
  ["scr_rfc6076", "SCR", "Session completion ratio per attempt (RFC 6076 §4.9)"],
];

const RATIOS = [
  ["asr", "ASR", "asr_e425"],
  ["ner", "NER", "ner_e425"],
  ["ser", "SER", "ser_rfc6076"],
  ["seer", "SEER", "seer_rfc6076"],
  ["isa", "ISA", "isa_rfc6076"],
  ["scr", "SCR", "scr_rfc6076"],
  [null, "IRA", "ira_rfc6076"],
];

const DELAYS = [
  ["pdd", "post-dial delay", "ms"],
  ["srd_seconds", "session request delay", "s"],
  ["answer_delay_seconds", "to the answer", "s"],
  ["ring_seconds", "ringing", "s"],
  ["sdd_seconds", "session disconnect delay", "s"],
  ["sdt_seconds", "session duration", "s"],
  ["rrd_rfc6076_seconds", "registration request delay", "s"],
];

/** Seconds that rates are taken over. */
const WINDOW = 10;

const past = [];
let shownTables = "";
let latest = null;
/** When the newest message came that could not be read, of which that was fetched, and what was. */
let newest = null;
let fetched = null;
let unread = [];

const percent = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

/** Shows the figures of now. */
export function showFigures(now) {
  showState(now);
  const figures = now.figures;
  if (!figures) return;
  past.push({ at: now.time_ms, totals: figures.totals });
  while (past.length > 2 && past[0].at < now.time_ms - WINDOW * 1000) past.shift();
  showRates(now);
  showTiles(figures);
  showTargets(figures);
  latest = figures;
  newest = now.unread;
  showTables();
}

/** Fetches the messages that could not be read, once for each that came since. */
async function fetchUnread() {
  if (newest === fetched) return;
  fetched = newest;
  const reply = await fetch("/api/refused");
  if (!reply.ok) return;
  unread = (await reply.json()).messages;
  showTables();
}

document.getElementById("tables").parentElement.addEventListener("toggle", showTables);

function showState(now) {
  const state = document.getElementById("state");
  const [is, text] = now.blocked
    ? ["bad", "not capturing"]
    : { ebpf: ["good", "capturing"], classic: ["open", "capturing, classic filter"] }[now.capture] || ["open", "not live"];
  state.dataset.is = is;
  state.textContent = text;
  state.title = now.blocked || `ringside ${now.version}`;
}

function rate(name) {
  const [first, last] = [past[0], past[past.length - 1]];
  const seconds = (last.at - first.at) / 1000;
  if (seconds <= 0) return 0;
  return Math.max(0, ((last.totals[name] || 0) - (first.totals[name] || 0)) / seconds);
}

function showRates(now) {
  const totals = now.figures.totals;
  const drops = totals.capture_drops_total || 0;
  const shown = (value) => (value >= 10 || value === 0 ? count(value) : value.toFixed(1));
  const rates = [
    ["attempts /s", shown(rate("session_attempts_total"))],
    ["messages /s", shown(rate("packets_total"))],
    ["drops", count(drops), drops > 0],
  ];
  document
    .getElementById("rates")
    .replaceChildren(...rates.map(([name, value, bad]) => h("div", { "data-is": bad && "bad" }, h("dt", {}, name), h("dd", {}, value))));
}

function showTiles(figures) {
  const minutes = Math.max(1, Math.round(figures.recent_seconds / 60));
  const tile = (title, name, value, unit, below) =>
    h("div", { class: "tile", title }, h("h3", {}, name), h("b", {}, value, unit && h("small", {}, unit)), h("p", {}, below));
  const ratios = TILES.map(([key, name, title]) => {
    const recent = figures.recent[key];
    const unit = recent === null || recent === undefined ? "" : "%";
    return tile(
      `${title}: the last ${minutes} min, and since the start`,
      name,
      percent(recent),
      unit,
      `overall ${percent(figures.ratios[key])}`,
    );
  });
  const up = figures.up[figures.up.length - 1];
  const span = Math.max(1, Math.round(((figures.up.length - 1) * figures.up_every_seconds) / 60));
  const now = h(
    "div",
    { class: "tile now", title: `Calls that are answered and not over: now, and over the last ${span} min` },
    h("h3", {}, "calls up now"),
    h("b", {}, count(up)),
    trend(figures.up),
    h("p", {}, `peak ${count(Math.max(...figures.up))} in ${span} min`),
  );
  const pdd = figures.means.pdd;
  ratios.push(
    tile(
      "Session attempts since the start (RFC 6076)",
      "attempts",
      count(figures.totals.session_attempts_total || 0),
      "",
      `${count(figures.outcomes.answered || 0)} answered`,
    ),
    tile("Post-dial delay: mean since the start", "PDD", pdd === undefined ? "–" : pdd < 10 ? pdd.toFixed(1) : count(pdd), pdd === undefined ? "" : "ms", "mean"),
  );
  document.getElementById("tiles").replaceChildren(now, ...ratios);
}

/** A row of who is probed, where somebody is. */
function showTargets(figures) {
  const element = document.getElementById("targets");
  element.hidden = figures.targets.length === 0;
  const tile = (target) => {
    const rtt = target.last_rtt_seconds;
    const is = target.up === null ? "–" : target.up ? "up" : "down";
    const lost = target.sent === 0 ? "" : `${percent((100 * target.lost) / target.sent)} % lost`;
    const trip = rtt === null ? "" : `${(rtt * 1000).toFixed(1)} ms`;
    const title = `Probe over ${target.transport}${target.carrier && `, carrier ${target.carrier}`}: newest status, round trip, loss since the start`;
    return h(
      "div",
      { class: "tile", title, "data-is": target.up === false && "bad" },
      h("h3", {}, target.name),
      h("b", {}, is, target.last_status > 0 && h("small", {}, ` ${target.last_status}`)),
      h("p", {}, [trip, lost].filter(Boolean).join(", ")),
    );
  };
  element.replaceChildren(...figures.targets.map(tile));
}

function table(caption, head, rows, texts = 1) {
  const row = (cells) =>
    h(
      "tr",
      {},
      cells.map((cell, at) => h("td", { class: at < texts && "text" }, cell)),
    );
  return h(
    "table",
    {},
    h("caption", {}, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((cell) => h("th", { scope: "col" }, cell)),
      ),
    ),
    h("tbody", {}, rows.map(row)),
  );
}

function showTables() {
  const figures = latest;
  const element = document.getElementById("tables");
  if (!element.parentElement.open || !figures) return;
  fetchUnread();
  const key = JSON.stringify([figures.ratios, figures.recent, figures.outcomes, figures.means, figures.parties, unread]);
  if (key === shownTables) return;
  shownTables = key;
  const minutes = Math.max(1, Math.round(figures.recent_seconds / 60));
  element.replaceChildren(
    table(
      "ratios, %",
      ["", `per attempt, ${minutes} min`, "all", "per INVITE, all"],
      RATIOS.map(([seed, name, strict]) => [
        name,
        percent(figures.recent[strict]),
        percent(figures.ratios[strict]),
        seed ? percent(figures.ratios[seed]) : "",
      ]),
    ),
    table(
      "outcomes",
      ["", "attempts"],
      Object.entries(figures.outcomes)
        .filter(([, number]) => number > 0)
        .sort((a, b) => b[1] - a[1])
        .map(([name, number]) => [name.replaceAll("_", " "), count(number)]),
    ),
    table(
      "delays, means",
      ["", ""],
      DELAYS.filter(([key]) => figures.means[key] !== undefined).map(([key, name, unit]) => [
        name,
        `${unit === "ms" ? count(figures.means[key]) : figures.means[key].toFixed(2)} ${unit}`,
      ]),
    ),
    table(
      "carriers and phones",
      ["carrier", "ua_type", "attempts", "ASR", "SEER", "talking"],
      figures.parties.map((party) => [
        party.carrier,
        party.ua_type,
        count(party.attempts),
        percent(party.asr_e425),
        percent(party.seer_rfc6076),
        count(party.sessions),
      ]),
      2,
    ),
    ...(unread.length === 0 ? [] : [unreadTable()]),
  );
}

function unreadTable() {
  const rows = unread.toReversed().map(({ time, source, reason, why, line }) => [
    dayAndTime(time),
    source,
    h("span", { title: why }, reason),
    h("code", {}, line),
  ]);
  return table("messages that could not be read (parse_errors_total), the newest first", [ZONE, "from", "reason", "first line"], rows, 4);
}
