// What was heard of calls: the column of the list and its filter, the streams of a call, its ladder, at both widths.
//
// usage: media.mjs URL CLEAR POOR ONE_WAY: the Call-IDs of three calls that ended.

import assert from "node:assert/strict";
import { browser, eventually, open } from "./page.mjs";

const [url, clear, poor, oneWay] = process.argv.slice(2);
const chromium = await browser();

const listed = (page) => page.locator("a.row").evaluateAll((rows) => rows.map((row) => row.dataset.call).sort());
const mos = (page, callId) => page.locator(`a.row[data-call="${callId}"] .mos`).textContent();
const is = (page, wanted) => async () => JSON.stringify(await listed(page)) === JSON.stringify([...wanted].sort());

async function list(page) {
  await eventually("all calls", is(page, [clear, poor, oneWay]));
  await eventually("opinions of them", async () => (await mos(page, clear)) !== "" && (await mos(page, poor)) !== "");
  assert.ok(Number(await mos(page, clear)) > 3.5, await mos(page, clear));
  assert.ok(Number(await mos(page, poor)) < 3.5, await mos(page, poor));
  assert.ok((await mos(page, oneWay)).endsWith("!"), await mos(page, oneWay));
  await page.selectOption("select[name=media]", "fault");
  await eventually("calls with a fault", is(page, [oneWay]));
  await page.selectOption("select[name=media]", "poor");
  await eventually("calls that were poor", is(page, [poor, oneWay]));
  await page.selectOption("select[name=media]", "");
  await eventually("all calls again", is(page, [clear, poor, oneWay]));
}

async function call(page, callId) {
  await page.locator(`a.row[data-call="${callId}"]`).click();
  await eventually("its page", async () => (await page.locator(".call .id").allTextContents()).includes(callId));
}

const streams = (page) => page.locator(".heard tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));

async function streamsOf(page) {
  await call(page, clear);
  await eventually("what its telephone reported", async () => (await page.locator(".heard p").textContent()).includes("MOS-LQ 3.9, MOS-CQ 3.8, 5 % lost"));
  const both = await streams(page);
  assert.deepEqual(both.map((cells) => cells.slice(0, 3)).sort(), [["calleePCMU", "300", "0.0 %"], ["callerPCMU", "300", "0.0 %"]]);
  assert.match(await page.locator(".heard p").textContent(), /^round trip \d+ ms · from here to the caller \d+ ms/);
  assert.equal(await page.locator(".rung.media").count(), 4, "two streams begin and end");
  assert.equal(await page.locator(".lifelines i").count(), 2, "media go between the columns that are there");
  assert.equal(await page.locator(".call header .chip").count(), 1);
  await page.keyboard.press("Escape");

  await call(page, poor);
  const lossy = (await streams(page)).find(([side]) => side === "calleePCMU");
  assert.match(lossy[2], /^33\.\d %$/);
  assert.equal(await page.locator(".heard td[data-is=bad]").count(), 2, "the whole and its worst interval");
  assert.match((await page.locator(".rung.media .failure .what").textContent()), /^PCMU 33\.\d % lost, MOS [12]\.\d\d$/);
  await page.keyboard.press("Escape");

  await call(page, oneWay);
  assert.deepEqual(await page.locator(".call header .chip").allTextContents(), ["answered", "one way callee only"]);
  assert.equal((await streams(page)).length, 1);
  await page.keyboard.press("Escape");
}

/** Nothing is wider than the page. */
async function fits(page) {
  const [width, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= shown, `${width} pixels of ${shown}`);
}

for (const width of [1280, 400]) {
  const page = await open(chromium, url, { width, height: 800 });
  await list(page);
  await fits(page);
  await streamsOf(page);
  await call(page, poor);
  await fits(page);
  assert.deepEqual(await page.wrong(), []);
  await page.context().close();
}
await chromium.close();
