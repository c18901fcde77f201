// Plots: SVG drawn anew for the width there is.
const PAD = { left: 56, right: 16, top: 28, bottom: 44 };

// A place for a plot that is drawn again when its width changes.
function plot(height, label, paint) {
  const holder = make('div', { class: 'plot', role: 'group', 'aria-label': label });
  let width = 0;
  holder.redraw = () => {
    width = Math.round(holder.clientWidth) || 640;
    hideTip();
    const svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': false });
    paint(svg, width, height);
    holder.replaceChildren(svg);
  };
  new ResizeObserver(() => { if (Math.round(holder.clientWidth) !== width) holder.redraw(); }).observe(holder);
  return holder;
}

function scale(low, high, from, to, log) {
  const by = log ? Math.log10 : (value) => value;
  const span = by(high) - by(low) || 1;
  return (value) => from + ((by(value) - by(low)) / span) * (to - from);
}

// Axes with gentle grid lines; returns the two scales.
function axes(svg, width, height, x, y) {
  const right = width - PAD.right, bottom = height - PAD.bottom;
  const toX = scale(x.low, x.high, PAD.left, right, x.log);
  const toY = scale(y.low, y.high, bottom, PAD.top, false);
  const group = draw('g', { class: 'axes' });
  for (const tick of ticks(y.low, y.high, Math.max(3, Math.floor(height / 60)))) {
    group.append(draw('line', { x1: PAD.left, x2: right, y1: toY(tick), y2: toY(tick) }));
    group.append(draw('text', { x: PAD.left - 8, y: toY(tick) + 4, 'text-anchor': 'end' }, short(tick)));
  }
  if (x.names) {
    x.names.forEach((name, place) => group.append(draw('text', { x: toX(place), y: bottom + 18, 'text-anchor': 'middle' }, name)));
  } else {
    let last = -Infinity;
    for (const tick of x.log ? logTicks(x.low, x.high) : ticks(x.low, x.high, Math.max(3, Math.floor(width / 110)))) {
      const at = toX(tick);
      group.append(draw('line', { x1: at, x2: at, y1: bottom, y2: bottom + 4, class: 'tick' }));
      if (at - last < 34) continue;
      last = at;
      group.append(draw('text', { x: at, y: bottom + 18, 'text-anchor': 'middle' }, short(tick)));
    }
  }
  group.append(draw('line', { x1: PAD.left, x2: right, y1: bottom, y2: bottom, class: 'base' }));
  group.append(draw('text', { x: right, y: bottom + 37, 'text-anchor': 'end', class: 'title' }, x.title));
  if (y.title) group.append(draw('text', { x: 4, y: 13, class: 'title' }, y.title));
  svg.append(group);
  return { toX, toY };
}

function padded(values, share = 0.06) {
  const low = Math.min(...values), high = Math.max(...values);
  const room = (high - low) * share || Math.abs(high) * share || 1;
  return { low: low - room, high: high + room };
}

function path(points, attributes) {
  return draw('path', { fill: 'none', d: points.map(([x, y], place) => `${place ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join(''), ...attributes });
}

function legend(colours, dashes = []) {
  return make('ul', { class: 'legend' },
    [...colours].map(([t, colour]) => make('li', {}, make('i', { style: { background: colour } }), data.tokenizers[t].name)),
    dashes.map((text) => make('li', { class: 'muted' }, text)));
}

// Cells of all boards of one look by metric and line: {metric: {t|view: cell}}.
function byLook(look) {
  const found = new Map(), info = new Map();
  for (const board of data.boards.filter((each) => each.look === look)) {
    board.metrics.forEach((metric, place) => {
      if (!info.has(metric.name)) info.set(metric.name, metric);
      if (!found.has(metric.name)) found.set(metric.name, new Map());
      board.lines.forEach((line, at) => {
        const key = `${line.t}|${line.view}`;
        if (board.cells[at][place] && !found.get(metric.name).has(key)) found.get(metric.name).set(key, board.cells[at][place]);
      });
    });
  }
  return { found, info };
}

function ratePoints(table, rate, quality) {
  const points = [];
  for (const [key, cell] of table.get(quality) || []) {
    const cost = table.get(rate).get(key);
    const bar = key.indexOf('|');
    const view = key.slice(bar + 1);
    if (!known(cell) || !known(cost) || !cell[RELIABLE] || !(cost[VALUE] > 0) || !Number.isFinite(cell[VALUE] + cost[VALUE])) continue;
    if (view && !view.startsWith('k=')) continue;
    const t = Number(key.slice(0, bar));
    points.push({ t, view, rate: cost[VALUE], quality: cell[VALUE], cell });
  }
  return points;
}

function ratePlot(look, state) {
  const { found, info } = byLook(look);
  const rates = ['bpp', 'bpp_entropy'].filter((name) => found.has(name));
  if (!rates.length) return null;
  const qualities = [...info.values()].filter((metric) => metric.higher !== null && !rates.includes(metric.name)
    && ratePoints(found, rates[0], metric.name).length > 1).map((metric) => metric.name);
  if (!qualities.length) return null;
  let rate = rates[0], quality = qualities.includes('psnr') ? 'psnr' : qualities[0], log = true, front = true;
  const holder = plot(400, 'Rate and quality', (svg, width, height) => {
    const metric = info.get(quality);
    const points = ratePoints(found, rate, quality);
    const ends = points.flatMap((point) => [point.cell[LOW], point.cell[HIGH], point.quality]).filter(Number.isFinite);
    const cost = points.map((point) => point.rate);
    const x = log ? { low: Math.min(...cost) / 1.3, high: Math.max(...cost) * 1.3 } : { ...padded(cost), low: 0 };
    const { toX, toY } = axes(svg, width, height, { ...x, log, title: `${rate}, bit per pixel${log ? ' (log)' : ''}` },
      { ...padded(ends), title: `${quality}${metric.unit ? `, ${metric.unit}` : ''} ${metric.higher ? '↑' : '↓'}` });
    if (front) {
      const steps = [];
      for (const point of pareto(points, metric.higher)) {
        if (steps.length) steps.push([toX(point.rate), steps[steps.length - 1][1]]);
        steps.push([toX(point.rate), toY(point.quality)]);
      }
      if (steps.length) steps.push([width - PAD.right, steps[steps.length - 1][1]]);
      svg.append(path(steps, { class: 'front' }));
    }
    const families = new Map();
    const cut = new Set(points.filter((point) => point.view).map((point) => point.t));
    for (const point of points) {
      const family = cut.has(point.t) ? `t${point.t}` : `f${data.tokenizers[point.t].family}`;
      families.set(family, [...(families.get(family) || []), point]);
    }
    for (const group of families.values()) {
      group.sort((a, b) => a.rate - b.rate);
      const colour = state.colours.get(group[group.length - 1].t);
      if (group.length > 1) svg.append(path(group.map((point) => [toX(point.rate), toY(point.quality)]), { class: 'curve', stroke: colour || 'var(--line-strong)' }));
    }
    const placed = [];
    for (const point of [...points].sort((a, b) => Number(state.colours.has(a.t)) - Number(state.colours.has(b.t)))) {
      const colour = state.colours.get(point.t);
      const x1 = toX(point.rate), y1 = toY(point.quality);
      if (point.cell[LOW] !== null) svg.append(draw('line', { class: 'whisker', x1, x2: x1, y1: toY(point.cell[LOW]), y2: toY(point.cell[HIGH]), stroke: colour || 'var(--line-strong)' }));
      const name = data.tokenizers[point.t].name + (point.view ? ` · ${point.view}` : '');
      svg.append(tipped(draw('circle', { cx: x1, cy: y1, r: colour ? 5 : 3.5, fill: colour || 'var(--muted)', class: 'dot' }),
        [name, `${quality} ${number(point.quality)} ${metric.unit}`.trim(), `${rate} ${number(point.rate)}`]));
      const right = x1 + 9 + 6.4 * name.length < width - PAD.right;
      const box = [right ? x1 + 9 : x1 - 9 - 6.4 * name.length, y1 - 15, 6.4 * name.length, 15];
      const free = placed.every(([a, b, c, d]) => box[0] > a + c || box[0] + box[2] < a || box[1] > b + d || box[1] + box[3] < b);
      if (colour && !point.view && free) {
        placed.push(box);
        svg.append(draw('text', { x: right ? x1 + 9 : x1 - 9, y: y1 - 6, class: 'label', 'text-anchor': right ? 'start' : 'end' }, name));
      }
    }
  });
  const redraw = () => holder.redraw();
  return { element: make('div', {}, make('div', { class: 'controls' },
    select('Quality', qualities.map((name) => [name, name]), quality, (name) => { quality = name; redraw(); }),
    rates.length > 1 ? select('Rate', rates.map((name) => [name, name]), rate, (name) => { rate = name; redraw(); }) : null,
    choice('Scale of the rate', [[true, 'log'], [false, 'linear']], log, (value) => { log = value; redraw(); }),
    make('label', { class: 'check' }, make('input', { type: 'checkbox', checked: true, onchange: (event) => { front = event.target.checked; redraw(); } }), 'Pareto front')), holder), redraw };
}

function spreadPlot(look, state) {
  const { hists } = data.looks[look];
  const names = Object.keys(hists || {});
  if (!names.length) return null;
  const info = byLook(look).info;
  let metric = names.includes('psnr') ? 'psnr' : names[0], cumulative = false;
  const holder = plot(320, 'Spread over images', (svg, width, height) => {
    const { low, high, of } = hists[metric];
    const lines = [...state.colours].filter(([t]) => of[t] && of[t][1] > 0).map(([t, colour]) => {
      const raw = unpacked(of[t][0]);
      const counts = cumulative ? raw : merged(raw, Math.max(...Object.values(of).map((each) => each[1])));
      const total = counts.reduce((sum, count) => sum + count, 0) || 1;
      return { t, colour, n: of[t][1], infinite: of[t][2], values: cumulative ? shares(counts) : counts.map((count) => count / total) };
    });
    const unit = info.has(metric) ? info.get(metric).unit : '';
    const { toX, toY } = axes(svg, width, height, { low, high: high > low ? high : low + 1, title: `${metric}${unit ? `, ${unit}` : ''}` },
      { low: 0, high: cumulative ? 1 : Math.max(0.05, ...lines.flatMap((line) => line.values)), title: cumulative ? 'share of images at or below' : 'share of images' });
    for (const line of lines) {
      const bins = cumulative ? line.values.length - 1 : line.values.length;
      const at = (place) => toX(low + ((high > low ? high - low : 1) * place) / bins);
      const points = cumulative ? line.values.map((value, place) => [at(place), toY(value)])
        : line.values.flatMap((value, place) => [[at(place), toY(value)], [at(place + 1), toY(value)]]);
      if (!cumulative) svg.append(path([[at(0), toY(0)], ...points, [at(bins), toY(0)]], { fill: line.colour, class: 'area' }));
      const stroke = path(points, { class: 'curve', stroke: line.colour });
      svg.append(tipped(stroke, [data.tokenizers[line.t].name, `${metric} on ${line.n} images`, ...(line.infinite ? [`${line.infinite} infinite, not drawn`] : [])]));
    }
    if (!lines.length) svg.append(draw('text', { x: width / 2, y: height / 2, 'text-anchor': 'middle' }, 'choose tokenizers in the table'));
  });
  const redraw = () => { holder.redraw(); };
  return { element: make('div', {}, make('div', { class: 'controls' },
    select('Metric', names.map((name) => [name, name]), metric, (name) => { metric = name; redraw(); }),
    choice('Form', [[false, 'histogram'], [true, 'cumulative']], cumulative, (value) => { cumulative = value; redraw(); })), holder), redraw };
}

// Lines over named or numbered places, one a tokenizer: scale bins and sweeps.
function linePlot(label, x, title, series, height = 280) {
  return plot(height, label, (svg, width) => {
    const ends = series.flatMap((line) => line.points).flatMap(([, cell]) => [cell[VALUE], cell[LOW], cell[HIGH]]).filter(Number.isFinite);
    if (!ends.length) { svg.append(draw('text', { x: width / 2, y: height / 2, 'text-anchor': 'middle' }, 'nothing measured for the chosen tokenizers')); return; }
    const { toX, toY } = axes(svg, width, height, x, { ...padded(ends), title });
    for (const line of series) {
      const places = line.points.filter(([, cell]) => Number.isFinite(cell[VALUE]));
      svg.append(path(places.map(([at, cell]) => [toX(at), toY(cell[VALUE])]), { class: 'curve', stroke: line.colour, 'stroke-dasharray': line.dash || null }));
      for (const [at, cell, text] of places) {
        if (cell[LOW] !== null) svg.append(draw('line', { class: 'whisker', x1: toX(at), x2: toX(at), y1: toY(cell[LOW]), y2: toY(cell[HIGH]), stroke: line.colour }));
        svg.append(tipped(draw('circle', { cx: toX(at), cy: toY(cell[VALUE]), r: 4.5, fill: line.colour, class: 'dot' }),
          [line.name, `${text} ${cell[RELIABLE] ? '' : '~'}${number(cell[VALUE])}`, ...(cell[LOW] === null ? [] : [`95 % interval ${number(cell[LOW])} to ${number(cell[HIGH])}`])]));
      }
    }
  });
}

function scalePlots(boards, state) {
  const figures = boards.flatMap((board) => board.scales.map((group) => ({ board, group })))
    .filter(({ board, group }) => group.metrics.some((name) => valued(board)[board.metrics.findIndex((metric) => metric.name === name)]));
  return figures.map(({ board, group }) => {
    const places = group.metrics.map((name) => board.metrics.findIndex((metric) => metric.name === name));
    const series = [...state.colours].flatMap(([t, colour]) => {
      const at = board.lines.findIndex((line) => line.t === t && !line.view);
      if (at < 0) return [];
      const points = places.flatMap((place, bin) => (known(board.cells[at][place]) ? [[bin, board.cells[at][place], group.metrics[bin]]] : []));
      return points.length ? [{ name: data.tokenizers[t].name, colour, points }] : [];
    });
    const { higher } = board.metrics[places[0]];
    return make('figure', {}, make('figcaption', {}, `${group.name} ${ARROW[higher]}`, make('small', {}, ` ${board.task}`)),
      linePlot(`${group.name} by scale`, { low: -0.25, high: 2.25, names: ['small', 'medium', 'large'], title: 'scale in the image' }, '', series, 240));
  });
}

const DASHES = [null, '6 4', '2 3', '10 3 2 3'];

function sweepPlots(boards, state) {
  return boards.filter((board) => board.sweeps.length && board.sweeps[0].along !== 'k').flatMap((board) => board.metrics.map((metric, place) => {
    const series = [...state.colours].flatMap(([t, colour]) => board.sweeps.flatMap((sweep, number_) => {
      const points = sweep.views.flatMap(([at, view]) => {
        const line = board.lines.findIndex((each) => each.t === t && each.view === view);
        return line >= 0 && known(board.cells[line][place]) ? [[at, board.cells[line][place], view]] : [];
      });
      return points.length ? [{ name: `${data.tokenizers[t].name} · ${sweep.rest}`, colour, points, dash: DASHES[number_ % DASHES.length] }] : [];
    }));
    if (!series.length) return null;
    const at = series.flatMap((line) => line.points.map(([x]) => x));
    const { along } = board.sweeps[0];
    return make('figure', {}, make('figcaption', {}, `${metric.name} ${metric.unit} ${ARROW[metric.higher]}`, make('small', {}, ` ${board.task}`)),
      linePlot(`${metric.name} along ${along}`, { ...padded(at), title: along === 'a' ? 'α, share of tokens moved' : along }, '', series, 260));
  }).filter(Boolean));
}

// One row a chosen tokenizer, its value and interval: small multiples over metrics.
function dotPlots(board, names, state) {
  return names.map((name) => {
    const place = board.metrics.findIndex((metric) => metric.name === name);
    const lines = [...state.colours].flatMap(([t, colour]) => {
      const at = board.lines.findIndex((line) => line.t === t && !line.view);
      return at >= 0 && known(board.cells[at][place]) && Number.isFinite(board.cells[at][place][VALUE]) ? [{ t, colour, at, cell: board.cells[at][place] }] : [];
    });
    if (!lines.length) return null;
    const metric = board.metrics[place];
    const height = 34 + 20 * lines.length;
    return make('figure', { class: 'dots' }, make('figcaption', { title: metric.about }, `${name} ${metric.unit} ${ARROW[metric.higher]}`), plot(height, name, (svg, width) => {
      const range = padded(lines.flatMap(({ cell }) => [cell[VALUE], cell[LOW], cell[HIGH]]).filter(Number.isFinite), 0.04);
      const toX = scale(range.low, range.high, 12, width - 14, false);
      for (const tick of ticks(range.low, range.high, 4)) {
        svg.append(draw('line', { class: 'grid', x1: toX(tick), x2: toX(tick), y1: 4, y2: height - 24 }),
          draw('text', { x: toX(tick), y: height - 8, 'text-anchor': 'middle', class: 'small' }, short(tick)));
      }
      lines.forEach(({ t, colour, at, cell }, row) => {
        const y = 16 + 20 * row;
        if (cell[LOW] !== null) svg.append(draw('line', { class: 'whisker wide', x1: toX(cell[LOW]), x2: toX(cell[HIGH]), y1: y, y2: y, stroke: colour }));
        svg.append(tipped(draw('circle', { cx: toX(cell[VALUE]), cy: y, r: 5, fill: cell[RELIABLE] ? colour : 'var(--page)', stroke: colour, class: 'dot' }), describeCell(board, at, place)));
      });
    }));
  }).filter(Boolean);
}
