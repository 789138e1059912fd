// The list of calls, newest first: filters in, rows out, followed as the server tells what changed.

import { ZONE, clock, count, dayAndTime, h, isPoor, linkOf, nameOf, result, span, timeOfDay, zone } from "./dom.js";

const OUTCOMES = [
  ["", "outcome"],
  ["failed", "failed"],
  ["in_progress", "in progress"],
  ["answered", "answered"],
  ["busy", "busy"],
  ["no_answer", "no answer"],
  ["declined", "declined"],
  ["cancelled", "cancelled"],
  ["redirected", "redirected"],
  ["client_error", "client error"],
  ["server_error", "server error"],
  ["global_error", "global error"],
  ["ineffective", "ineffective"],
  ["timeout", "timeout"],
  ["no_final", "no final"],
  ["unseen", "unseen"],
  ["challenge_abandoned", "challenge abandoned"],
];

/** Why a number may not be found. */
const NUMBERS = {
  drop: 'Numbers are not on record (privacy.numbers is "drop").',
  mask: "Numbers are masked on record: look for the first four digits, or for the whole number.",
  hmac: "Numbers are hashed on record: look for the whole number, as the phone wrote it.",
};

const FIELDS = ["call_id", "number", "outcome", "carrier", "state", "media", "filter"];
/** Calls that are listed, unless more are asked for. */
const PAGE = 200;

export class CallList {
  /** `opened(callId)` is called when a row is chosen, `changed()` when other calls are wanted. */
  constructor(opened, changed) {
    this.opened = opened;
    this.form = document.getElementById("filters");
    this.list = document.getElementById("list");
    this.note = document.getElementById("list-note");
    this.calls = new Map();
    this.rows = new Map();
    this.limit = PAGE;
    this.current = null;
    this.skew = 0;
    this.numbers = null;
    this.wrong = document.getElementById("filter-note");
    /** The filter that cannot be read, if one stands there: nothing is asked for with it. */
    this.unreadable = null;
    this.fresh = document.getElementById("fresh");
    /** Calls that came while the pointer was on the list, which does not move under it. */
    this.held = new Set();
    document.getElementById("zone").textContent = ZONE;
    const outcomes = OUTCOMES.map(([value, text]) => h("option", { value }, text));
    this.form.elements.outcome.replaceChildren(...outcomes);
    let waiting;
    const change = async () => {
      this.mark();
      this.limit = PAGE;
      if (await this.isRight()) changed();
    };
    /** Where the mouse is; `null` where it is not on the page, or there is none. */
    this.pointer = null;
    const moved = (pointer) => {
      this.pointer = pointer;
      if (this.held.size > 0 && !this.isHeld()) this.release();
    };
    document.addEventListener("mousemove", ({ clientX, clientY }) => moved([clientX, clientY]));
    // It also "leaves" where a row below it is drawn anew, but then it is still within.
    document.documentElement.addEventListener("mouseleave", ({ clientX, clientY }) => {
      if (clientX <= 0 || clientY <= 0 || clientX >= innerWidth - 1 || clientY >= innerHeight - 1) moved(null);
    });
    this.form.addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(change, event.target instanceof HTMLSelectElement ? 0 : 250);
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.focus(0);
    });
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("a.row");
      if (!row || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      this.opened(row.dataset.call);
    });
    this.more = h("button", { type: "button", class: "quiet", onclick: () => ((this.limit += 400), changed()) }, "show more");
  }

  /** The filters as a query. */
  query() {
    const query = new URLSearchParams();
    for (const name of FIELDS) {
      const value = this.form.elements[name].value.trim();
      if (value && !(name === "filter" && value === this.unreadable)) query.set(name, value);
    }
    query.set("limit", this.limit);
    return query;
  }

  /** The filters as they stand in the address: `?outcome=failed`, or nothing. */
  address() {
    const query = this.query();
    query.delete("limit");
    const text = query.toString();
    return text && `?${text}`;
  }

  /** Takes the filters from an address. */
  take(search) {
    const query = new URLSearchParams(search);
    for (const name of FIELDS) {
      const field = this.form.elements[name];
      const value = query.get(name) ?? "";
      if (value && field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value))
        field.append(h("option", { value }, value));
      field.value = value;
    }
    this.mark();
  }

  /** Whether the filter can be read; what is wrong with it is said. */
  async isRight() {
    const filter = this.form.elements.filter.value.trim();
    let wrong = "";
    if (filter) {
      const reply = await fetch(`/api/filter?${new URLSearchParams({ filter })}`).catch(() => null);
      if (reply?.ok) wrong = (await reply.json()).error ?? "";
      // It was changed meanwhile.
      if (filter !== this.form.elements.filter.value.trim()) return false;
    }
    this.unreadable = wrong ? filter : null;
    this.wrong.textContent = wrong;
    this.wrong.hidden = !wrong;
    this.form.elements.filter.setAttribute("aria-invalid", String(Boolean(wrong)));
    return !wrong;
  }

  /** Whether the mouse is on the list. Not by `:hover`: that is lost for a moment where a row is drawn anew below it. */
  isHeld() {
    return this.pointer !== null && this.list.contains(document.elementFromPoint(...this.pointer));
  }

  /** Shows what was held back. */
  release() {
    if (this.held.size === 0) return;
    const held = this.held;
    this.held = new Set();
    this.fresh.hidden = true;
    this.draw(held, true);
  }

  mark() {
    for (const name of FIELDS) this.form.elements[name].classList.toggle("is-set", this.form.elements[name].value !== "");
  }

  isFiltered() {
    return FIELDS.some((name) => this.form.elements[name].value !== "");
  }

  clear() {
    this.form.reset();
    this.wrong.hidden = true;
    this.form.elements.filter.removeAttribute("aria-invalid");
    this.mark();
  }

  /** The carriers there are. */
  carriers(names) {
    const select = this.form.elements.carrier;
    const chosen = select.value;
    if (select.options.length === names.length + 1 && names.every((name, at) => select.options[at + 1].value === name)) return;
    const all = chosen && !names.includes(chosen) ? [chosen, ...names] : names;
    select.replaceChildren(h("option", { value: "" }, "carrier"), ...all.map((name) => h("option", { value: name }, name)));
    select.value = chosen;
  }

  /** What changed: `{ reset, calls, gone, numbers }`; `numbers` is how they are shown, if one is looked for. */
  change({ reset, calls, gone, numbers }) {
    this.numbers = numbers;
    if (reset) this.calls.clear();
    for (const name of gone) this.calls.delete(name);
    for (const call of calls) this.calls.set(nameOf(call), call);
    const changed = new Set(calls.map(nameOf));
    const moves = calls.some((call) => !this.rows.has(nameOf(call))) || gone.length > 0;
    if (!reset && (this.held.size > 0 || (moves && this.isHeld()))) return this.hold(changed);
    this.held.forEach((name) => changed.add(name));
    this.held.clear();
    this.fresh.hidden = true;
    this.draw(changed, !reset);
  }

  /** Rows that are there change in their place; those that came wait until the pointer leaves. */
  hold(changed) {
    changed.forEach((name) => this.held.add(name));
    for (const name of changed) {
      const item = this.rows.get(name);
      const call = this.calls.get(name);
      if (item && call) item.replaceChildren(this.row(call));
    }
    this.select(this.current);
    const came = [...this.held].filter((name) => !this.rows.has(name) && this.calls.has(name)).length;
    this.fresh.textContent = `${count(came)} new`;
    this.fresh.hidden = came === 0;
  }

  draw(changed, animate) {
    const order = [...this.calls].sort(([, a], [, b]) => (a.start < b.start ? 1 : a.start > b.start ? -1 : a.call_id < b.call_id ? -1 : 1));
    const rows = new Map();
    const items = order.map(([name, call]) => {
      let item = this.rows.get(name);
      if (!item || changed.has(name)) {
        const row = this.row(call);
        if (!item) {
          item = h("li", {}, row);
          if (animate) row.classList.add("is-new");
        } else {
          const focused = item.contains(document.activeElement);
          item.replaceChildren(row);
          if (focused) row.focus({ preventScroll: true });
        }
      }
      rows.set(name, item);
      return item;
    });
    this.rows = rows;
    // What nobody listens to has neither a column nor a filter.
    const listened = this.form.elements.media.value !== "" || order.some(([, call]) => call.mos !== null || call.faults);
    this.list.parentElement.toggleAttribute("data-heard", listened);
    this.form.elements.media.hidden = !listened;
    // Only what stands elsewhere is moved, so that the one in focus stays.
    items.forEach((item, at) => {
      if (this.list.children[at] !== item) this.list.insertBefore(item, this.list.children[at] || null);
    });
    while (this.list.children.length > items.length) this.list.lastChild.remove();
    this.select(this.current);
    this.note.replaceChildren();
    if (items.length === 0) this.note.append(this.isFiltered() ? `No call matches. ${NUMBERS[this.numbers] || ""}` : "No calls yet.");
    else if (items.length >= this.limit) this.note.append(`the newest ${count(items.length)} `, this.more);
    this.note.hidden = this.note.childNodes.length === 0;
  }

  row(call) {
    const { is, text } = result(call);
    const party = (number, address) => number || address;
    const failed = call.status && call.state !== "live" && call.outcome !== "answered" ? ` ${call.status}` : "";
    return h(
      "a",
      {
        class: "row",
        href: linkOf(call.call_id),
        "data-call": call.call_id,
        title: `${call.call_id}\n${call.source} → ${call.destination}`,
      },
      h("span", { class: "time", title: `${dayAndTime(call.start)} ${zone(call.start)}` }, timeOfDay(call.start)),
      h(
        "span",
        { class: "who" },
        party(call.caller, call.source),
        h("span", { class: "arrow-to" }, "→"),
        party(call.callee, call.destination),
      ),
      h("span", { class: "carrier" }, call.carrier),
      h("span", { class: "result" }, h("span", { class: "chip", "data-is": is }, text + failed)),
      h("span", { class: "number setup" }, span(call.setup_seconds)),
      h("span", { class: "number mos", "data-is": (call.faults || isPoor(call.mos)) && "bad", title: call.faults?.join(", ") }, heard(call)),
      h("span", { class: "number talk" }, talk(call, this.skew)),
    );
  }

  /** Lengths of calls that are up go on. */
  tick(skew) {
    this.skew = skew;
    for (const [name, call] of this.calls) {
      if (call.state !== "live") continue;
      const cell = this.rows.get(name)?.querySelector(".talk");
      if (cell) cell.textContent = talk(call, skew);
    }
  }

  /** Marks the call that is shown. */
  select(callId) {
    this.current = callId;
    for (const row of this.list.querySelectorAll("a.row")) {
      if (row.dataset.call === callId) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  /** Moves the focus by rows; `by` 0 is the first. */
  focus(by) {
    const rows = [...this.list.querySelectorAll("a.row")];
    let at = rows.indexOf(document.activeElement);
    if (at < 0) at = rows.findIndex((row) => row.dataset.call === this.current);
    const next = by === 0 ? 0 : at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by));
    rows[next]?.focus();
    rows[next]?.scrollIntoView({ block: "nearest" });
    return rows[next]?.dataset.call;
  }
}

/** The worst MOS of an interval, and a mark for faults. */
function heard(call) {
  const mark = call.faults ? "!" : "";
  return call.mos === null ? mark : call.mos.toFixed(2) + mark;
}

/** How long it was talked, or is. */
function talk(call, skew) {
  if (call.duration_seconds !== null) {
    // A second that was not full is told apart from no talk at all.
    return call.duration_seconds < 1 ? `${call.duration_seconds.toFixed(1)} s` : clock(call.duration_seconds);
  }
  if (call.state !== "live" || call.answered_seconds === null) return "";
  return clock(livedFor(call, skew) - call.answered_seconds);
}

/** Seconds since the begin of a call that is up. What is read from a file is not going on: by its last message. */
export function livedFor(call, skew) {
  const since = (Date.now() + skew - Date.parse(call.start)) / 1000;
  return since > 0 && since < 2 * 86400 ? since : call.until_seconds;
}
