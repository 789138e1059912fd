// A page of the console in Debian's chromium, with everything noted that should not happen on it.

import { chromium } from "playwright-core";

/** Starts the browser. */
export function browser() {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** Opens a page; `page.wrong()` is what went wrong on it: errors, dialogs, requests elsewhere, breaches of its policy. */
export async function open(browser, url, { width = 1280, height = 800, theme = "light", ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, ...more });
  const origin = new URL(url).origin;
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) wrong.push(`request: ${request.url()}`);
  });
  await context.addInitScript(() => {
    window.breaches = [];
    document.addEventListener("securitypolicyviolation", (event) => window.breaches.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  page.wrong = async () => [...wrong, ...(await page.evaluate(() => window.breaches.map((breach) => `policy: ${breach}`)))];
  return page;
}

/** Texts that are seen and have less contrast to what is behind them than AA of WCAG 2.1 asks (1.4.3): ratio, class, text. */
export function faint(page) {
  return page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const paint = (colours) => {
      canvas.clearRect(0, 0, 1, 1);
      for (const colour of colours) {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
      }
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => {
      const [red, green, blue] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const [text, element] = [walker.currentNode.data.trim(), walker.currentNode.parentElement];
      if (!text || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
      const grounds = ["white"];
      for (let behind = element; behind; behind = behind.parentElement) grounds.splice(1, 0, getComputedStyle(behind).backgroundColor);
      const { color, fontSize, fontWeight } = getComputedStyle(element);
      const [low, high] = [luminance(paint(grounds)), luminance(paint([...grounds, color]))].sort((a, b) => a - b);
      const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${text}`);
    }
    return found;
  });
}

/** Waits until `probe` gives something true. */
export async function eventually(what, probe, seconds = 20) {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > until) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
