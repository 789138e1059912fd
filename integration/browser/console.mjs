// The console with real calls: list, filters, ladder, copies, keys, a call followed live, both widths, both themes.
//
// usage: console.mjs URL; calls go on while it looks.

import assert from "node:assert/strict";
import { browser, eventually, faint, open } from "./page.mjs";

const url = process.argv[2];
const chromium = await browser();

const chips = (page) => page.locator("a.row .chip").allTextContents();

async function filters(page) {
  await eventually("calls of each kind", async () => {
    const shown = await chips(page);
    return ["answered", "busy 486", "cancelled 487", "ineffective 503"].every((text) => shown.includes(text));
  });
  await page.selectOption("select[name=outcome]", "busy");
  await eventually("busy calls alone", async () => (await chips(page)).every((text) => text === "busy 486"));
  await page.selectOption("select[name=outcome]", "failed");
  await eventually("failed calls alone", async () => {
    const shown = await chips(page);
    return shown.length > 0 && shown.every((text) => text === "ineffective 503");
  });
  await page.selectOption("select[name=outcome]", "");
  await page.selectOption("select[name=state]", "ended");
  await eventually("ended calls alone", async () => !(await chips(page)).some((text) => ["calling", "ringing", "talking"].includes(text)));
  await page.selectOption("select[name=state]", "");
  await page.fill("input[name=number]", "2003");
  await eventually("calls to a number", async () => {
    const who = await page.locator("a.row .who").allTextContents();
    return who.length > 0 && who.every((text) => text.endsWith("2003"));
  });
  await page.fill("input[name=number]", "");
  const callId = await page.locator("a.row").last().getAttribute("data-call");
  await page.fill("input[name=call_id]", callId.slice(0, -3).toUpperCase());
  await eventually("the call with that Call-ID", async () => {
    const rows = await page.locator("a.row").evaluateAll((rows) => rows.map((row) => row.dataset.call));
    return rows.length > 0 && rows.length < 12 && rows.includes(callId);
  });
  await page.selectOption("select[name=carrier]", "alpha");
  await page.fill("input[name=call_id]", "no such call");
  await page.getByText("No call matches.").waitFor();
  const top = async (selector) => (await page.locator(selector).boundingBox()).y;
  assert.ok((await top("#list-note")) - (await top(".row.head")) < 60, "it stands where the calls would");
  await page.locator("body").click({ position: { x: 640, y: 20 } });
  await page.keyboard.press("Escape");
  await eventually("all calls again", async () => (await chips(page)).length > 10);
}

/** Anything else, in the address too, where a mistake is said. */
async function language(page) {
  await page.fill("input[name=filter]", 'status == 486 and to == "2003"');
  await eventually("the calls that fit", async () => {
    const shown = await chips(page);
    return shown.length > 0 && shown.every((text) => text === "busy 486");
  });
  await eventually("the filter in the address", () => new URL(page.url()).searchParams.get("filter") === 'status == 486 and to == "2003"');
  const other = await open(chromium, page.url());
  await eventually("the same in another page", async () => {
    const shown = await chips(other);
    return shown.length > 0 && shown.every((text) => text === "busy 486");
  });
  assert.equal(await other.inputValue("input[name=filter]"), 'status == 486 and to == "2003"');
  assert.match(await other.title(), /^\S.* · ringside$/);
  await other.context().close();
  const mistaken = await open(chromium, `${url}?filter=setup+%3E+3`);
  await mistaken.getByText('character 9: "3" is no duration').waitFor();
  await eventually("all calls beside the mistake", async () => (await chips(mistaken)).length > 10);
  assert.deepEqual(await mistaken.wrong(), []);
  await mistaken.context().close();
  await page.fill("input[name=filter]", "setup > 3");
  await page.getByText('character 9: "3" is no duration').waitFor();
  await page.fill("input[name=filter]", "");
  await eventually("all calls again", async () => (await chips(page)).length > 10);
  assert.equal(new URL(page.url()).search, "");
}

/** The list stands still under the pointer, and says how many came. */
async function held(page) {
  await page.locator("a.row").first().hover();
  const came = async () => Number(/^(\d+) new$/.exec(await page.locator("#fresh:not([hidden])").textContent({ timeout: 500 }).catch(() => ""))?.[1] ?? 0);
  const top = () => page.locator("a.row").first().getAttribute("data-call");
  await eventually("some that came", async () => (await came()) > 0);
  const first = await top();
  await eventually("more of them", async () => (await came()) > 2);
  assert.equal(await top(), first);
  await page.mouse.move(640, 20);
  await eventually("what came", async () => (await top()) !== first);
  assert.ok(!(await page.locator("#fresh").isVisible()));
}

async function ladder(page) {
  await page.selectOption("select[name=state]", "ended");
  await page.selectOption("select[name=outcome]", "answered");
  await page.fill("input[name=number]", "2001");
  await eventually("answered calls through the proxy", async () => {
    const who = await page.locator("a.row .who").allTextContents();
    return who.length > 0 && who.every((text) => text.endsWith("2001"));
  });
  await page.locator("a.row").first().click();
  await page.locator(".rung").first().waitFor();
  assert.equal(await page.locator(".lifelines i").count(), 3, "caller, proxy, callee");
  const what = (await page.locator(".rung .what").allTextContents()).map((text) => text.replace("SDP", " (SDP)"));
  assert.equal(what.filter((text) => text === "INVITE (SDP)").length, 2, what.join(", "));
  assert.equal(what.filter((text) => text === "200 OK (SDP)").length, 2);
  assert.deepEqual(await page.locator(".bars dt").allTextContents(), ["set-up", "ringing", "talk time"]);
  const units = (await page.locator(".bars .value").allTextContents()).map((text) => /^\d+(?:\.\d+)? (ms|s)$/.exec(text)?.[1]);
  assert.equal(new Set(units).size, 1, `one unit in a block: ${units}`);
  const names = await page.locator(".facts dt").allTextContents();
  for (const name of ["User-Agent", "path"]) assert.ok(names.includes(name), names.join(", "));

  await page.locator(".rung").first().click();
  const said = await page.locator(".said").first().textContent();
  for (const text of ["Via", "SIP/2.0/UDP 127.0.0.1:5070", "CSeq", "1 INVITE", "+493023125001"]) assert.ok(said.includes(text), said);

  // What is opened closes what was open, but all can be.
  const opened = () => page.locator('.rung[aria-expanded="true"]').count();
  await page.locator("button.rung").nth(2).click();
  assert.equal(await opened(), 1);
  assert.deepEqual(await faint(page), []);
  assert.equal(await page.locator("button.rung").nth(2).getAttribute("aria-expanded"), "true");
  await page.getByRole("button", { name: "Expand all" }).click();
  assert.equal(await opened(), await page.locator("button.rung").count());
  assert.equal(await page.locator(".said:visible").count(), await page.locator("button.rung").count());
  await page.keyboard.press("e");
  assert.equal(await opened(), 0);

  const callId = decodeURIComponent(new URL(page.url()).pathname.slice("/calls/".length));
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy Mermaid" }).click();
  await eventually("Mermaid", async () => (await copied()).startsWith("sequenceDiagram\n    participant E0"));
  await page.keyboard.press("c");
  await eventually("text", async () => (await copied()).startsWith(`Call-ID   ${callId}`));
  await page.keyboard.press("l");
  const { origin, pathname } = new URL(page.url());
  await eventually("its link", async () => (await copied()) === origin + pathname);
  const trace = await page.getByRole("link", { name: "Trace" }).getAttribute("href");
  assert.match(trace, /^http:\/\/traces\.example\/[0-9a-f]{32}$/);

  // The link alone shows the same.
  const other = await open(chromium, page.url());
  await other.locator(".rung").first().waitFor();
  assert.equal(await other.locator(".call .id").textContent(), callId);
  assert.deepEqual(await other.wrong(), []);
  await other.context().close();
}

async function folded(page) {
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.fill("input[name=number]", "2009");
  await eventually("calls with retransmissions", async () => (await page.locator("a.row .who").allTextContents()).every((text) => text.endsWith("2009")));
  await page.locator("a.row").last().click();
  await page.locator(".rung .again").first().waitFor();
  const again = await page.locator(".rung .again").allTextContents();
  assert.ok(again.every((text) => /^×[2-9]$/.test(text)), again.join());
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
}

async function live(page) {
  await page.evaluate(() => (window.unloaded = false));
  await page.selectOption("select[name=state]", "live");
  const row = page.locator("a.row", { has: page.locator(".chip", { hasText: "ringing" }) }).first();
  await row.waitFor({ timeout: 20000 });
  const callId = await row.getAttribute("data-call");
  await page.locator(`a.row[data-call="${callId}"]`).click();
  const chip = page.locator(".call header .chip").first();
  const rungs = () => page.locator(".rung").count();
  await page.locator(".rung").first().waitFor();
  const before = await rungs();
  await eventually("the answer", async () => (await chip.textContent()) === "talking");
  const up = () => page.locator(".tile.now b").textContent();
  await eventually("it is among the calls that are up", async () => Number(await up()) >= 1);
  assert.ok((await page.locator(".tile.now .trend polyline").getAttribute("points")).length > 0);
  const length = () => page.locator(".bars .value").last().textContent();
  const talked = await length();
  await eventually("a bar that grows", async () => (await length()) !== talked);
  await eventually("the end", async () => (await chip.textContent()) === "answered");
  assert.ok((await rungs()) > before);
  await page.mouse.move(640, 20);
  await eventually("it is no longer among those that are up", async () => (await page.locator(`a.row[data-call="${callId}"]`).count()) === 0);
  assert.equal(await page.evaluate(() => window.unloaded), false, "nothing was loaded anew");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
}

async function keys(page) {
  await eventually("calls", async () => (await chips(page)).length > 10);
  const focused = () => page.evaluate(() => document.activeElement.dataset.call);
  await page.keyboard.press("j");
  const first = await focused();
  await page.keyboard.press("j");
  assert.notEqual(await focused(), first);
  await page.keyboard.press("k");
  const chosen = await focused();
  await page.keyboard.press("Enter");
  await eventually("the call", async () => page.url().endsWith(`/calls/${encodeURIComponent(chosen)}`));
  await page.keyboard.press("Escape");
  assert.equal(new URL(page.url()).pathname, "/");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.name), "call_id");
  await page.keyboard.type("jk?");
  assert.equal(await page.inputValue("input[name=call_id]"), "jk?");
  await page.fill("input[name=call_id]", "");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  const theme = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await theme();
  await page.keyboard.press("t");
  await page.keyboard.press("t");
  assert.notEqual(await theme(), light);
  await page.reload();
  assert.notEqual(await theme(), light, "the choice is kept");
  await page.keyboard.press("t");
}

/** At a common width no column is left out, whose rows all have one height, and whose rules and heads end alike. */
async function aligned(page) {
  await eventually("calls", async () => (await chips(page)).length > 10);
  for (const name of ["carrier", "setup"]) assert.ok(await page.locator(`.row.head .${name}`).isVisible(), name);
  const heights = await page.locator("a.row").evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
  assert.deepEqual([...new Set(heights)].map((height) => height % 1), [0], heights.join());
  const end = (selector) => page.locator(selector).first().evaluate((row) => row.lastElementChild.getBoundingClientRect().right);
  assert.equal(await end("a.row"), await end(".row.head"));
}

/** A page that is turned away says why, and comes again by itself. */
async function refused() {
  const page = await open(chromium, url);
  const state = () => page.locator("#state").textContent();
  await eventually("it follows", async () => (await state()) === "capturing");
  await page.route("**/api/events?*", (route) => route.fulfill({ status: 503 }));
  await page.selectOption("select[name=state]", "ended");
  await eventually("why it does not", async () => (await state()) === "too many pages are open");
  await page.unroute("**/api/events?*");
  await eventually("it follows again", async () => (await state()) === "capturing");
  await page.route("**/api/*", (route) => route.fulfill({ status: 401 }));
  const again = page.waitForEvent("load");
  await page.selectOption("select[name=state]", "");
  await again;
  await page.context().close();
}

async function narrow(theme) {
  const page = await open(chromium, url, { width: 400, height: 800, theme });
  await page.locator("a.row").first().waitFor();
  const overflow = () => page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
  assert.equal(await overflow(), 0, "the list fits");
  assert.deepEqual(await faint(page), []);
  await page.selectOption("select[name=state]", "ended");
  await eventually("ended calls", async () => (await page.locator('a.row .chip[data-is="live"]').count()) === 0);
  await page.locator("a.row").first().click();
  await page.locator(".rung").first().waitFor();
  assert.equal(await overflow(), 0, "the call fits");
  await page.locator("button.rung").first().click();
  assert.deepEqual(await faint(page), []);
  assert.ok(!(await page.locator("#list").isVisible()));
  await page.locator(".back").click();
  assert.ok(await page.locator("#list").isVisible());
  await page.locator("a.row").first().click();
  await page.goBack();
  assert.ok(await page.locator("#list").isVisible());
  const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.deepEqual(await page.wrong(), []);
  await page.context().close();
  return colour;
}

const page = await open(chromium, url);
for (const part of [aligned, filters, language, held, ladder, folded, live, keys]) {
  await part(page);
  console.log(`${part.name}: seen`);
}
assert.deepEqual(await page.wrong(), []);
await refused();
console.log("refused: seen");
assert.notEqual(await narrow("light"), await narrow("dark"));
console.log("narrow: seen");
await chromium.close();
