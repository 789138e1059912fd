// One dashboard as a page: panels where the file puts them, drawn by the components that Grafana itself is made of.
// What it gets is window.PICTURE: the dashboard, and for each panel the answers to its queries. Only the heat map is
// drawn here, because Grafana publishes none.

import React from 'react';
import { createRoot } from 'react-dom/client';
import { marked } from 'marked';
import {
  createTheme, dateTime, FieldType, formattedValueToString, getDisplayProcessor, sortDataFrame, ThemeContext, toDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, Table, TimeSeries } from '@grafana/ui';
import { heatmap } from './heatmap.js';
import 'uplot/dist/uPlot.min.css';

const { dashboard, answers, from, to } = window.PICTURE;
const theme = createTheme({ colors: { mode: 'dark' } });
const timeRange = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };
// What Grafana uses: 24 columns, rows of 30 pixels, 8 between.
const GAP = 8;
const ROW = 30;
const COLUMN = (document.documentElement.clientWidth - GAP) / 24;

// The name of a series: the legend with its labels put in.
function named(legend, labels) {
  return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '') || JSON.stringify(labels);
}

// The configuration of a field: the panel's defaults, then what is said for this name.
function config(panel, name) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const field = { ...structuredClone(defaults), displayName: name };
  for (const { matcher, properties } of overrides) {
    if (matcher.options !== name) continue;
    for (const { id, value } of properties) {
      const path = id.split('.');
      const last = path.pop();
      const at = path.reduce((node, key) => (node[key] ??= {}), field);
      at[last] = value;
    }
  }
  // What Grafana fills in where a file is silent.
  field.color ??= { mode: ['stat', 'bargauge'].includes(panel.type) ? 'thresholds' : 'palette-classic' };
  field.thresholds ??= { mode: 'absolute', steps: [{ color: 'green', value: -Infinity }] };
  field.thresholds.steps = field.thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity }));
  field.custom = { lineInterpolation: 'linear', showPoints: 'auto', pointSize: 5, axisPlacement: 'auto', ...field.custom };
  return field;
}

function number(text) {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

// One frame for each series of a panel.
function frames(panel) {
  const all = [];
  for (const { legendFormat, result } of answers[panel.id]) {
    for (const { metric, values, value } of result) {
      const samples = values ?? [value];
      const name = named(legendFormat, metric);
      const frame = toDataFrame({
        name,
        fields: [
          { name: 'Time', type: FieldType.time, values: samples.map(([time]) => time * 1000), config: {} },
          { name, type: FieldType.number, values: samples.map(([, text]) => number(text)), config: config(panel, name) },
        ],
      });
      const field = frame.fields[1];
      const numbers = field.values.filter((value) => value !== null);
      const [min, max] = numbers.length > 0 ? [Math.min(...numbers), Math.max(...numbers)] : [0, 1];
      field.state = { seriesIndex: all.length, range: { min, max, delta: max - min } };
      all.push(frame);
    }
  }
  for (const frame of all) for (const field of frame.fields) field.display = getDisplayProcessor({ field, theme });
  return all;
}

// The last number of a series and how it is shown.
function last(frame) {
  const field = frame.fields[1];
  const value = field.values.findLast((one) => one !== null) ?? null;
  return { ...field.display(value), title: field.name };
}

function Stat({ panel, width, height }) {
  const series = frames(panel);
  const { textMode } = panel.options;
  const mode = textMode !== 'auto' ? textMode : series.length > 1 ? 'value_and_name' : 'value';
  const each = width / Math.max(series.length, 1);
  return (
    <div style={{ display: 'flex', gap: 4 }}>
      {series.map((frame, index) => (
        <BigValue
          key={index} theme={theme} width={each - 4} height={height} colorMode="value" justifyMode="auto"
          graphMode={panel.options.graphMode} textMode={mode} value={last(frame)}
          sparkline={frame.length > 1 ? { x: frame.fields[0], y: { ...frame.fields[1], config: { ...frame.fields[1].config, custom: {} } } } : undefined}
        />
      ))}
    </div>
  );
}

function Lines({ panel, width, height }) {
  const legend = { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [], ...panel.options.legend };
  const series = frames(panel);
  if (series.length === 0) return <p>No data</p>;
  return (
    <TimeSeries
      frames={series} structureRev={1} timeRange={timeRange} timeZone="utc" width={width} height={height} legend={legend}
      options={panel.options}
    />
  );
}

function Bars({ panel, width, height }) {
  const series = frames(panel);
  const shown = series.map(last);
  const longest = (texts) => texts.reduce((one, other) => (other.length > one.length ? other : one), '');
  const alignmentFactors = { ...shown[0], title: longest(shown.map(({ title }) => title)), text: longest(shown.map(({ text }) => text)) };
  const highest = Math.max(...shown.map(({ numeric }) => numeric || 0), 1);
  return series.map((frame, index) => {
    const field = { ...frame.fields[1].config, min: 0, max: highest };
    return (
      <BarGauge
        key={index} theme={theme} width={width} height={height / series.length - 4} orientation="horizontal"
        displayMode={panel.options.displayMode} showUnfilled valueDisplayMode="color" value={shown[index]} field={field}
        alignmentFactors={alignmentFactors} text={{ titleSize: 14, valueSize: 18 }} display={frame.fields[1].display}
      />
    );
  });
}

// One row for each set of labels, one column for each query, joined as the panel's transformations join them.
function Rows({ panel, width, height }) {
  const rows = new Map();
  const queries = answers[panel.id];
  queries.forEach(({ result }, column) => {
    for (const { metric, value } of result) {
      const key = JSON.stringify(metric);
      if (!rows.has(key)) rows.set(key, { metric, values: [] });
      rows.get(key).values[column] = number(value[1]);
    }
  });
  const all = [...rows.values()];
  const labels = Object.keys(all[0]?.metric ?? {});
  const data = toDataFrame({
    fields: [
      ...labels.map((label) => ({ name: label, type: FieldType.string, values: all.map((row) => row.metric[label]), config: config(panel, label) })),
      ...queries.map(({ legendFormat }, column) => ({
        name: legendFormat, type: FieldType.number, values: all.map((row) => row.values[column] ?? null), config: config(panel, legendFormat),
      })),
    ],
  });
  for (const field of data.fields) {
    field.display = getDisplayProcessor({ field, theme });
    field.state = {};
  }
  const [by] = panel.options.sortBy ?? [];
  const column = data.fields.findIndex((field) => field.name === by?.displayName);
  return <Table data={column < 0 ? data : sortDataFrame(data, column, by.desc)} width={width} height={height} />;
}

function Heat({ panel, width, height }) {
  const canvas = React.useRef(null);
  const [answer] = answers[panel.id];
  const show = getDisplayProcessor({ field: { type: FieldType.number, config: { unit: panel.fieldConfig.defaults.unit } }, theme });
  React.useEffect(() => heatmap(canvas.current, answer.result, { from, to, text: (value) => formattedValueToString(show(value)), theme }), []);
  return <canvas ref={canvas} width={width * 2} height={height * 2} style={{ width, height }} />;
}

function Text({ panel, width, height }) {
  // The text is the project's own.
  return <div className="markdown-html" style={{ width, height, overflow: 'hidden' }} dangerouslySetInnerHTML={{ __html: marked.parse(panel.options.content) }} />;
}

const KINDS = { stat: Stat, timeseries: Lines, bargauge: Bars, table: Rows, heatmap: Heat, text: Text };

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { position: 'absolute', left: GAP + x * COLUMN, top: y * (ROW + GAP) };
  const [width, height] = [w * COLUMN - GAP, h * (ROW + GAP) - GAP];
  if (panel.type === 'row') return <h4 style={{ ...place, margin: 0, lineHeight: `${ROW}px` }}>{panel.title}</h4>;
  const Kind = KINDS[panel.type];
  if (!Kind) throw new Error(`no way to draw a panel of type ${panel.type}`);
  return (
    <div style={place}>
      <PanelChrome title={panel.title} width={width} height={height}>
        {(innerWidth, innerHeight) => <Kind panel={panel} width={innerWidth} height={innerHeight} />}
      </PanelChrome>
    </div>
  );
}

function Page() {
  React.useEffect(() => {
    // Charts draw themselves after they are laid out.
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => document.body.append(Object.assign(document.createElement('i'), { id: 'drawn' })), 500)));
  }, []);
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles isExtensionSidebarOpen={false} />
      <h3 style={{ margin: 12 }}>{dashboard.title}</h3>
      <div style={{ position: 'relative', height: bottom * (ROW + GAP) }}>
        {dashboard.panels.map((panel) => <Panel key={panel.id} panel={panel} />)}
      </div>
    </ThemeContext.Provider>
  );
}

const root = document.createElement('div');
Object.assign(document.body.style, { background: theme.colors.background.canvas, margin: 0 });
document.body.append(root);
createRoot(root).render(<Page />);
