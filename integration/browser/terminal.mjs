// What a terminal showed, as a picture.
//
// usage: terminal.mjs FILE FOLDER COMMAND; FILE holds the output with its colours (SGR sequences).

import { readFileSync } from "node:fs";
import { browser } from "./page.mjs";

const [file, folder, command] = process.argv.slice(2);
const COLOURS = { 1: "font-weight:700", 2: "opacity:.6", 31: "color:#f28b82", 32: "color:#6cc48b", 33: "color:#dcae58" };
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const text = readFileSync(file, "utf8").replaceAll("\r", "").trimEnd();
const spans = text.split(/(\x1b\[[0-9;]*m)/).map((piece) => {
  const code = /^\x1b\[([0-9;]*)m$/.exec(piece)?.[1];
  if (code === undefined) return escaped(piece);
  return code === "0" || code === "" ? "</span>" : `<span style="${COLOURS[code] || ""}">`;
});
const chromium = await browser();
const page = await chromium.newPage({ deviceScaleFactor: 2 });
await page.setContent(`<!doctype html><meta charset="utf-8"><body style="margin:0;width:max-content;background:#14171a">
<pre style="margin:0;padding:18px 22px;color:#e4e7ea;font:13px/1.25 'DejaVu Sans Mono',monospace"><span style="opacity:.6">$ </span>${escaped(command)}\n\n${spans.join("")}</pre>`);
await page.locator("pre").screenshot({ path: `${folder}/ladder-terminal.png` });
await chromium.close();
