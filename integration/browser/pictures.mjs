// The console as readers of the documentation see it: list and ladder, both themes, both widths.
//
// usage: pictures.mjs URL FOLDER NUMBER; NUMBER is the caller whose call is shown.

import { browser, eventually, open } from "./page.mjs";

const [url, folder, number] = process.argv.slice(2);
const chromium = await browser();

// Once calls of every kind have come, and the one that is shown is over.
const first = await open(chromium, url);
await eventually("a call that is over", async () => {
  const rows = await first.locator("a.row").evaluateAll((rows, number) => rows.filter((row) => row.textContent.includes(number) && row.textContent.includes("answered")).length, number);
  return rows >= 2;
}, 60);
const callId = await first.locator("a.row", { hasText: number }).filter({ hasText: "answered" }).first().getAttribute("data-call");
await first.context().close();

for (const theme of ["light", "dark"]) {
  const wide = await open(chromium, `${url}calls/${encodeURIComponent(callId)}`, { width: 1280, height: 860, theme });
  await wide.locator(".rung").first().waitFor();
  await wide.locator("a.row").first().waitFor();
  await wide.waitForTimeout(2500);
  await wide.screenshot({ path: `${folder}/console-${theme}.png` });
  await wide.context().close();

  const list = await open(chromium, url, { width: 400, height: 860, theme, deviceScaleFactor: 2 });
  await list.locator("a.row").first().waitFor();
  await list.waitForTimeout(2500);
  await list.screenshot({ path: `${folder}/console-list-narrow-${theme}.png` });
  await list.context().close();

  const call = await open(chromium, `${url}calls/${encodeURIComponent(callId)}`, { width: 400, height: 860, theme, deviceScaleFactor: 2 });
  await call.locator(".rung").first().waitFor();
  await call.waitForTimeout(1500);
  await call.screenshot({ path: `${folder}/console-ladder-narrow-${theme}.png`, fullPage: true });
  for (const wrong of await call.wrong()) throw new Error(wrong);
  await call.context().close();
}
await chromium.close();
