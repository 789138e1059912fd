// What was heard of a call: a line for each stream, round trips, what telephones reported, what is wrong.

import { count, h, isPoor } from "./dom.js";

/** What is wrong, in words, each once. */
export function faultsOf(call) {
  const faults = call.media?.faults ?? [];
  const words = faults.map(({ fault, direction }) => `${fault} ${direction === "none" ? "" : direction}`.replaceAll("_", " ").trim());
  return [...new Set(words)];
}

/** A table of the streams, and what else was heard; nothing where nobody listened. */
export function heard(call) {
  const media = call.media;
  if (!media || media.streams.length === 0) return null;
  const head = ["sends", "packets", "lost", "late", "jitter", "MOS", "worst"];
  const rows = media.streams.map((stream) => row(stream, worstOf(media, stream)));
  const rest = [...roundTrips(media.rtt_ms), ...media.vq_reports.flatMap(reported)];
  return h(
    "div",
    { class: "heard" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((name) => h("th", { class: name, scope: "col", title: MEANINGS[name] }, name)),
        ),
      ),
      h("tbody", {}, rows),
    ),
    rest.length > 0 && h("p", {}, rest.join(" · ")),
  );
}

const MEANINGS = {
  sends: "Who sends, and in which codec",
  lost: "Packets that did not come here",
  late: "Packets that came too late to be played",
  jitter: "Between arrivals, at the end",
  MOS: "Conversational quality of the whole stream, 1 to 4.5",
  worst: "The worst interval of 10 s",
};

function row(stream, worst) {
  const share = (part) => (stream.expected > 0 ? `${((100 * part) / stream.expected).toFixed(1)} %` : "");
  const opinion = (mos) => h("td", { "data-is": isPoor(mos) && "bad" }, mos === null ? "" : mos.toFixed(2));
  return h(
    "tr",
    { title: `${stream.src} → ${stream.dst}, SSRC ${stream.ssrc}` },
    h("th", { scope: "row" }, stream.direction, h("small", {}, stream.codec)),
    h("td", { class: "packets" }, count(stream.received)),
    h("td", {}, share(stream.lost)),
    h("td", { class: "late" }, share(stream.discarded)),
    h("td", {}, `${stream.jitter_ms.toFixed(1)} ms`),
    opinion(stream.mos_cq),
    opinion(worst),
  );
}

function worstOf(media, stream) {
  const own = media.intervals.filter(({ ssrc, direction }) => ssrc === stream.ssrc && direction === stream.direction);
  return own.length === 0 ? null : Math.min(...own.map(({ mos_cq }) => mos_cq));
}

function roundTrips({ observer_to_caller, observer_to_callee, total }) {
  const shown = [
    ["round trip", total],
    ["from here to the caller", observer_to_caller],
    ["from here to the callee", observer_to_callee],
  ];
  return shown.filter(([, value]) => value !== null).map(([name, value]) => `${name} ${value.toFixed(0)} ms`);
}

/** What a telephone reported: what it heard itself, and what its peer told it. */
function reported(report) {
  const of = (who, { moslq, moscq, nlr }) => {
    const parts = [moslq !== undefined && `MOS-LQ ${moslq}`, moscq !== undefined && `MOS-CQ ${moscq}`, nlr !== undefined && `${nlr} % lost`];
    const said = parts.filter(Boolean).join(", ");
    return said && `a telephone reports${who}: ${said}`;
  };
  return [of("", report.local), of(" of its peer", report.remote ?? {})].filter(Boolean);
}
