// Calls whose every field tries to be markup or script: the page shows them as they were written, and obeys none.
//
// usage: hostile.mjs URL CALLS

import assert from "node:assert/strict";
import { browser, eventually, open } from "./page.mjs";

const [url, calls] = [process.argv[2], Number(process.argv[3])];
const chromium = await browser();
const page = await open(chromium, url);
await eventually("every call", async () => (await page.locator("a.row").count()) === calls);
const names = await page.locator("a.row").evaluateAll((rows) => rows.map((row) => row.dataset.call));
for (const name of names) {
  const row = page.locator("a.row").nth(names.indexOf(name));
  assert.equal(await row.getAttribute("href"), `/calls/${encodeURIComponent(name)}`);
  await row.click();
  await eventually(`the call ${name}`, async () => (await page.locator(".call .id").count()) && (await page.locator(".call .id").textContent()) === name);
  for (const rung of await page.locator(".rung").all()) await rung.click();
  const text = await page.locator(".call").textContent();
  assert.ok(text.includes("<script>window.hacked"), text);
  await page.keyboard.press("m");
  await eventually("Mermaid", async () => (await page.evaluate(() => navigator.clipboard.readText())).startsWith("sequenceDiagram"));
  const mermaid = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(!/[<>]\w/.test(mermaid.replaceAll("->>", "")), mermaid);
  // Its own link shows the same call.
  await page.reload();
  await eventually("the same call by its link", async () => (await page.locator(".call .id").count()) && (await page.locator(".call .id").textContent()) === name);
  await eventually("the list again", async () => (await page.locator("a.row").count()) === calls);
}
await page.locator(".more summary").click();
await page.locator(".tables table").first().waitFor();
const scripts = await page.locator("script").evaluateAll((scripts) => scripts.map((script) => script.getAttribute("src")));
assert.deepEqual(scripts, ["/page/theme.js", "/page/main.js"]);
assert.equal(await page.locator("img, iframe, object, embed, form[action], [onerror], [onload], base, meta[http-equiv]").count(), 0);
assert.equal(await page.evaluate(() => window.hacked), undefined);
assert.deepEqual(await page.wrong(), []);
console.log(`${names.length} calls: obeyed none`);
await chromium.close();
