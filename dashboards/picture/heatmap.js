// A heat map of a histogram: time across, one row for each bucket, the darker the emptier.

const AXIS = 64;
const BOTTOM = 24;

// `series` are cumulative buckets by `le`, as Prometheus answers them.
export function heatmap(canvas, series, { from, to, text, theme }) {
  const scale = canvas.width / canvas.clientWidth;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const [width, height] = [canvas.clientWidth - AXIS, canvas.clientHeight - BOTTOM];
  const bound = ({ metric }) => (metric.le === '+Inf' ? Infinity : Number(metric.le));
  const buckets = [...series].sort((a, b) => bound(a) - bound(b));
  const times = [...new Set(buckets.flatMap(({ values }) => values.map(([time]) => time)))].sort((a, b) => a - b);
  const below = buckets.map(({ values }) => new Map(values.map(([time, value]) => [time, Number(value)])));
  const count = (row, time) => Math.max(0, (below[row].get(time) ?? 0) - (row > 0 ? below[row - 1].get(time) ?? 0 : 0));
  // Rows at either end that never hold anything say nothing.
  const used = buckets.map((_, row) => times.some((time) => count(row, time) > 1e-9));
  const [first, last] = [Math.max(used.indexOf(true), 0), Math.max(used.lastIndexOf(true), 0)];
  const most = Math.max(...times.flatMap((time) => buckets.map((_, row) => count(row, time))), 1e-9);
  const rows = last - first + 1;
  const cell = height / rows;
  const step = times.length > 1 ? times[1] - times[0] : 1;
  const x = (time) => AXIS + ((time * 1000 - from) / (to - from)) * width;

  for (const time of times) {
    for (let row = first; row <= last; row += 1) {
      const share = Math.sqrt(count(row, time) / most);
      if (share === 0) continue;
      pen.fillStyle = `hsl(${215 - 20 * share} 85% ${18 + 60 * share}%)`;
      pen.fillRect(x(time - step), height - (row - first + 1) * cell, x(time) - x(time - step) - 0.5, cell - 0.5);
    }
  }
  pen.fillStyle = theme.colors.text.secondary;
  pen.font = `12px ${theme.typography.fontFamily}`;
  pen.textAlign = 'right';
  const every = Math.max(1, Math.ceil(18 / cell));
  for (let row = first; row <= last; row += every) {
    const upper = bound(buckets[row]);
    pen.fillText(upper === Infinity ? '∞' : text(upper), AXIS - 6, height - (row - first + 1) * cell + 4 + Math.min(cell, 12) / 2);
  }
  pen.textAlign = 'center';
  for (let minute = Math.ceil(from / 60000); minute * 60000 < to; minute += 1) {
    pen.fillText(new Date(minute * 60000).toISOString().slice(11, 16), x(minute * 60), height + 16);
  }
}
