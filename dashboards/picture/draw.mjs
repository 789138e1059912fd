// Draws every dashboard as a PNG: asks Prometheus what its panels ask, then has Chromium show the answers with
// Grafana's own components (panels.jsx). No network but loopback.
//
//     node draw.mjs START END SCRAPE FOLDER       (seconds since 1970, seconds since 1970, such as 2s, where to)

import { readFile, readdir, writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const PROMETHEUS = 'http://127.0.0.1:9090/api/v1';
const SOURCE = new URL('../grafana/', import.meta.url);
const WIDTH = 1600;

const [start, end, scrape, folder] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node draw.mjs START END SCRAPE FOLDER');
  process.exit(2);
}
const scrapeSeconds = Number(scrape.replace(/s$/, ''));

// A query with the variables and macros that Grafana replaces; everything is chosen.
function interpolated(expression) {
  const values = {
    instance: '.*', carrier: '.*', ua_type: '.*', window: '1m',
    __rate_interval: `${4 * scrapeSeconds}s`, __interval: scrape, __range: `${end - start}s`,
  };
  return expression.replace(/\$(\w+)/g, (whole, name) => values[name] ?? whole);
}

async function ask(path, parameters) {
  const answer = await fetch(`${PROMETHEUS}/${path}?${new URLSearchParams(parameters)}`);
  const { status, data, error } = await answer.json();
  if (status !== 'success') throw new Error(`${parameters.query}: ${error}`);
  return data;
}

// What one query of a panel comes to.
async function answer(target) {
  const query = interpolated(target.expr);
  const range = { query, start, end, step: scrape };
  const { result } = target.instant ? await ask('query', { query, time: end }) : await ask('query_range', range);
  const exemplars = target.exemplar ? await ask('query_exemplars', { query, start, end }) : [];
  const { refId, legendFormat, format } = target;
  return { refId, legendFormat, format, result, exemplars };
}

// Grafana's ES modules import packages that have no ES form; its CommonJS form finds them.
const asCommonJs = {
  name: 'CommonJS',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^@grafana\// }, ({ path, resolveDir, kind }) =>
      kind === 'require-call' ? undefined : resolve(path, { kind: 'require-call', resolveDir }));
  },
};

const work = await mkdtemp(join(tmpdir(), 'dashboards-'));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  await build({
    entryPoints: [new URL('panels.jsx', import.meta.url).pathname],
    bundle: true, format: 'iife', outfile: join(work, 'panels.js'), logLevel: 'error', plugins: [asCommonJs],
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.svg': 'text', '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'empty' },
  });
  for (const file of (await readdir(SOURCE)).filter((name) => name.endsWith('.json')).sort()) {
    const dashboard = JSON.parse(await readFile(new URL(file, SOURCE)));
    const answers = {};
    for (const panel of dashboard.panels) answers[panel.id] = await Promise.all((panel.targets ?? []).map(answer));
    const data = JSON.stringify({ dashboard, answers, from: start * 1000, to: end * 1000 }).replaceAll('<', '\\u003c');
    const page = join(work, 'page.html');
    await writeFile(page, `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="panels.css"><body><script>window.PICTURE = ${data}</script><script src="panels.js"></script>`);
    const tab = await browser.newPage({ viewport: { width: WIDTH, height: 1000 } });
    const errors = [];
    tab.on('pageerror', (error) => errors.push(error));
    await tab.goto(pathToFileURL(page).href);
    await tab.waitForSelector('#drawn', { state: 'attached', timeout: 60_000 }).catch((error) => {
      throw errors[0] ?? error;
    });
    if (errors.length > 0) throw errors[0];
    const picture = join(folder, `dashboard-${file.replace('.json', '.png')}`);
    await tab.screenshot({ path: picture, fullPage: true });
    if (file === 'overview.json') {
      // For a first look: down to the first heat maps.
      const bottom = await tab.getByRole('heading', { name: 'Set-up delays', exact: true }).evaluate((row) => row.getBoundingClientRect().bottom);
      await tab.screenshot({ path: join(folder, 'dashboard.png'), clip: { x: 0, y: 0, width: WIDTH, height: bottom + 312 }, fullPage: true });
    }
    await tab.close();
    console.log(picture);
  }
} finally {
  await browser.close();
  await rm(work, { recursive: true });
}
