// One call: what became of it, its delays as bars, what was heard, its ladder; copied as text, as Mermaid, as a link.

import { alike, copy, dayAndTime, h, linkOf, result, toast, zone } from "./dom.js";
import { columnsOf, drawLadder, letter } from "./ladder.js";
import { livedFor } from "./list.js";
import { faultsOf, heard } from "./media.js";

/** What a bar of full width is at least, in seconds: one of a fraction of a millisecond is short. */
const SHORTEST_SCALE = 1;

export class CallView {
  /** `closed()` is called when the list is wanted again. */
  constructor(closed) {
    this.closed = closed;
    this.element = document.getElementById("call");
    this.hint = this.element.firstElementChild;
    this.callId = null;
    this.call = null;
    this.open = new Set();
    this.skew = 0;
  }

  /** Shows a call, or none; what is said of it comes by [show]. */
  choose(callId) {
    if (callId === this.callId) return;
    this.callId = callId;
    this.call = null;
    this.open.clear();
    document.body.dataset.view = callId === null ? "list" : "call";
    const host = document.getElementById("host").textContent;
    document.title = [callId, host, "ringside"].filter(Boolean).join(" · ");
    this.element.replaceChildren(callId === null ? this.hint : h("p", { class: "note" }, "…"));
    this.element.scrollTop = 0;
    if (callId !== null) window.scrollTo(0, 0);
  }

  /** What the server says of the call that is shown. */
  show(call) {
    if (call.call_id !== this.callId) return;
    if (call.unknown) {
      // One that was shown stays, though it is no longer kept.
      if (!this.call)
        this.element.replaceChildren(
          h(
            "div",
            {},
            this.back(),
            h("p", { class: "note" }, "This call is not among those that are up or kept: ", h("span", { class: "mono" }, call.call_id)),
          ),
        );
      return;
    }
    this.call = call;
    const focused = this.element.contains(document.activeElement) && document.activeElement.getAttribute("aria-controls");
    const scroll = this.element.querySelector(".ladder")?.scrollLeft || 0;
    this.bars = h("dl", { class: "bars" });
    this.element.replaceChildren(h("div", {}, this.header(call), this.actions(call), this.facts(call), this.bars, heard(call), ...this.ladder(call)));
    this.tick(this.skew);
    this.element.querySelector(".ladder")?.scrollTo(scroll, 0);
    if (focused) this.element.querySelector(`[aria-controls="${focused}"]`)?.focus({ preventScroll: true });
  }

  back() {
    return h("a", { class: "quiet back", href: "/", onclick: (event) => (event.preventDefault(), this.closed()) }, "← calls");
  }

  header(call) {
    const { is, text } = result(call);
    const party = (number, address) => number || address;
    return h(
      "div",
      {},
      h(
        "header",
        {},
        this.back(),
        h("h2", {}, party(call.caller, call.source), h("span", { class: "arrow-to" }, "→"), party(call.callee, call.destination)),
        h(
          "span",
          { class: "chip", "data-is": is },
          call.status && call.state !== "live" && call.outcome !== "answered" ? `${text} ${call.status}` : text,
        ),
        call.end && call.end !== "bye" && h("span", { class: "chip", "data-is": "open" }, `ended: ${call.end.replaceAll("_", " ")}`),
        faultsOf(call).map((text) => h("span", { class: "chip", "data-is": "bad" }, text)),
      ),
      h("p", { class: "id mono" }, call.call_id),
    );
  }

  actions(call) {
    const button = (name, key, action) => h("button", { type: "button", class: "quiet", title: `${name} (${key})`, onclick: action }, name);
    return h(
      "div",
      { class: "actions" },
      button("Copy text", "c", () => this.copyAs("text")),
      button("Copy Mermaid", "m", () => this.copyAs("mermaid")),
      button("Copy link", "l", () => this.copyLink()),
      call.ladder.length > 0 && button("Expand all", "e", () => this.expand()),
      call.trace_link && h("a", { class: "quiet", href: call.trace_link, target: "_blank", rel: "noopener noreferrer" }, "Trace ↗"),
      call.ladder.some((message) => message.raw) &&
        h("a", { class: "quiet", href: `/api/calls/${encodeURIComponent(call.call_id)}/pcap`, download: "call.pcap" }, "pcap"),
      h("a", { class: "quiet", href: `/api/calls/${encodeURIComponent(call.call_id)}`, target: "_blank", rel: "noopener" }, "JSON"),
    );
  }

  facts(call) {
    const facts = [
      ["began", `${dayAndTime(call.start)} ${zone(call.start)}`],
      ["carrier", call.carrier],
      ["trunks", (call.trunk ?? []).map(({ carrier, direction, status }) => `${direction} ${carrier}${status ? ` ${status}` : ""}`).join(", ")],
      ["User-Agent", call.user_agent ? `${call.user_agent} (${call.ua_type})` : call.ua_type],
      ["path", `${call.source} → ${call.destination}, ${call.transport.toUpperCase()}`],
      ["messages", call.retransmissions ? `${call.messages}, ${call.retransmissions} of them retransmissions` : String(call.messages)],
      ["hung up by", call.disconnected_by],
      ["Q.850 cause", call.hangup_cause],
      ["trace", call.trace_id],
    ];
    const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return h(
      "dl",
      { class: "facts" },
      shown.map(([name, value]) =>
        h(
          "div",
          { class: ["path", "trace"].includes(name) && "wide" },
          h("dt", {}, name),
          h("dd", { class: ["path", "trace"].includes(name) && "mono" }, String(value)),
        ),
      ),
    );
  }

  ladder(call) {
    if (call.ladder.length === 0) {
      const why =
        call.ladder_form === "off" ? 'Messages are not kept (processors.dialog.calls.ladder is "off").' : "No messages on record.";
      return [h("p", { class: "note" }, why)];
    }
    const legend = h(
      "p",
      { class: "legend" },
      columnsOf(call).map((address, at) => h("span", {}, `${letter(at)} ${address}`)),
    );
    const cut =
      call.ladder_cut > 0 &&
      h("p", { class: "note" }, `${call.ladder_cut} more ${call.ladder_cut === 1 ? "message is" : "messages are"} not on record.`);
    return [legend, h("div", { class: "ladder" }, drawLadder(call, this.open)), cut].filter(Boolean);
  }

  /** Time went on: bars of a call that is up grow. `skew` is what the server's clock is ahead. */
  tick(skew) {
    this.skew = skew;
    const call = this.call;
    if (!call || !this.bars || (call.state !== "live" && this.bars.childElementCount > 0)) return;
    const phases = phasesOf(call, skew);
    this.bars.hidden = phases.length === 0;
    const total = Math.max(...phases.map((phase) => phase.from + phase.length), SHORTEST_SCALE);
    const lengths = alike(phases.map((phase) => phase.length));
    this.bars.replaceChildren(
      ...phases.flatMap(({ name, is, from, length }, at) => [
        h("dt", {}, name),
        h(
          "dd",
          { class: "track" },
          h("span", { class: "fill", "data-is": is, "--from": Math.min(from / total, 0.99), "--part": length / total }),
        ),
        h("dd", { class: "value" }, lengths[at]),
      ]),
    );
  }

  async copyAs(format) {
    if (!this.call) return;
    const name = format === "text" ? "Text" : "Mermaid";
    const reply = await fetch(`/api/calls/${encodeURIComponent(this.call.call_id)}?format=${format}`);
    if (!reply.ok) return toast(`${name} could not be fetched`);
    await copy(await reply.text(), name);
  }

  /** Shows what every message said, or none if all of it is shown. */
  expand() {
    const rungs = [...this.element.querySelectorAll("button.rung")];
    const opens = rungs.some((rung) => rung.getAttribute("aria-expanded") === "false");
    for (const rung of rungs) rung.dispatchEvent(new CustomEvent("expand", { detail: opens }));
  }

  async copyLink() {
    if (this.call) await copy(location.origin + linkOf(this.call.call_id), "Link");
  }
}

/** Set-up, ringing and talk time: where each begins and how long it is, in seconds since the first INVITE. */
function phasesOf(call, skew) {
  const now = call.state === "live" ? livedFor(call, skew) : call.until_seconds;
  const invite = call.ladder.find((message) => message.method === "INVITE" && message.status === null);
  const at = (message) => message.offset_seconds - (invite ? invite.offset_seconds : 0);
  const phases = [];
  if (call.setup_seconds !== null) phases.push({ name: "set-up", is: "setup", from: 0, length: call.setup_seconds });
  const rang = call.ladder.find((message) => message.method === "INVITE" && message.status === 180);
  if (call.ring_seconds !== null) {
    const from =
      call.answered_seconds !== null ? Math.max(0, call.answered_seconds - call.ring_seconds) : rang ? at(rang) : call.setup_seconds || 0;
    phases.push({ name: "ringing", is: "ring", from, length: call.ring_seconds });
  } else if (call.phase === "ringing" && rang) {
    phases.push({ name: "ringing", is: "ring", from: at(rang), length: Math.max(0, now - at(rang)) });
  }
  if (call.answered_seconds !== null) {
    const length = call.duration_seconds !== null ? call.duration_seconds : Math.max(0, now - call.answered_seconds);
    phases.push({ name: "talk time", is: "talk", from: call.answered_seconds, length });
  }
  return phases;
}
