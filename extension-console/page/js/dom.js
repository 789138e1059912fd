// Elements and texts. Whatever came from the wire becomes a text node or an attribute's value, never markup.

/** An element with attributes and children; texts are texts. `null` children are left out. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("--")) element.style.setProperty(key, String(value));
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A small line through numbers that are equally far apart, from 0 at the bottom to the highest at the top. */
export function trend(values) {
  const make = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const most = Math.max(1, ...values);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map((value, index) => `${(index * step).toFixed(1)},${(30 - (28 * value) / most).toFixed(1)}`);
  const svg = make("svg", { class: "trend", viewBox: "0 0 100 31", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(make("polyline", { points: points.join(" "), fill: "none", "vector-effect": "non-scaling-stroke" }));
  return svg;
}

/** Seconds with three decimals, cut off as the terminal's ladder does: 64.010. */
export function seconds(value) {
  return (Math.floor(value * 1000 + 1e-6) / 1000).toFixed(3);
}

/** A delay people read: 0.4 ms, 40 ms, 1.24 s, 3:05, 1:02:03. */
export function span(value) {
  if (value === null || value === undefined) return "";
  if (value > 0 && value < 0.01) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(2)} s`;
  if (value < 60) return `${value.toFixed(1)} s`;
  return clock(value);
}

/** Lengths that stand below each other, in one unit: 0.4 ms and 12.0 ms, or 0.37 s and 64.01 s. */
export function alike(values) {
  const shown = values.filter((value) => value > 0);
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  if (most < 1) return values.map((value) => `${(value * 1000).toFixed(least < 0.01 ? 1 : 0)} ms`);
  return values.map((value) => `${value.toFixed(least < 0.01 ? 4 : 2)} s`);
}

/** A length of time: 0:07, 1:04, 1:02:03. */
export function clock(value) {
  const all = Math.max(0, Math.floor(value));
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const named = new Intl.DateTimeFormat("en", { timeZoneName: "short" });

/** The zone of whoever looks, as it is called at a time: UTC, GMT+1. */
export function zone(time) {
  return named.formatToParts(new Date(time)).find(({ type }) => type === "timeZoneName").value;
}

/** The same now. */
export const ZONE = zone(Date.now());

const two = (number) => String(number).padStart(2, "0");

/** The time of day of an RFC 3339 time of UTC on the clock of whoever looks: 00:00:00, or with milliseconds. */
export function timeOfDay(time, milliseconds = false) {
  const date = new Date(time);
  const day = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return milliseconds ? `${day}.${time.slice(20, 23)}` : day;
}

/** The same with its day: 2026-01-31 00:00:00.000. */
export function dayAndTime(time) {
  const date = new Date(time);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${timeOfDay(time, true)}`;
}

/** A whole number with thin spaces: 12 345. */
export function count(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

let hiding;

/** Says something for a moment. */
export function toast(text) {
  const element = document.getElementById("toast");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (element.hidden = true), 1800);
}

/** Copies a text, also where the browser has no clipboard for pages that came without TLS. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { readonly: true, "aria-hidden": "true" });
    area.value = text;
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) return toast(`${what} could not be copied`);
  }
  toast(`${what} copied`);
}

/** How an outcome is to be seen: its kind and its words. */
export function result(call) {
  if (call.state === "live") return { is: "live", text: call.phase };
  const text = call.outcome.replaceAll("_", " ");
  if (call.failed) return { is: "bad", text };
  if (call.outcome === "answered") return { is: "good", text };
  if (["busy", "declined", "no_answer", "cancelled", "redirected", "client_error"].includes(call.outcome)) {
    return { is: "open", text };
  }
  return { is: "plain", text };
}

/** Whether an opinion is one that people complain of. */
export function isPoor(mos) {
  return mos !== null && mos < 3.5;
}

/** The name of a call among calls: when it began, and its Call-ID. */
export function nameOf(call) {
  return `${call.start} ${call.call_id}`;
}

/** The own address of a call. */
export function linkOf(callId) {
  return `/calls/${encodeURIComponent(callId)}`;
}
