// The timeline of a run on a canvas: zoom, pan, a tip on every block, and one stage picked out.
const ROW = 20, HEAD = 22, GAP = 10, AXIS = 26, COLOURS = 8;
const NAME = 0, START = 1, LENGTH = 2, DEPTH = 3, IMAGES = 4, FIELDS = 5;
const data = JSON.parse(document.getElementById('data').textContent);
const view = { from: 0, to: data.wall };
let picked = null;

const kindOf = (name) => name.split('/')[0];
const kinds = [...new Set(data.names.map(kindOf))].filter((kind) => kind !== 'wait');
const colourOf = (kind) => (kind === 'wait' ? '--line-strong' : `--s${Math.min(kinds.indexOf(kind), COLOURS - 1)}`);

function time(microseconds) {
  if (microseconds >= 1e6) return `${Number((microseconds / 1e6).toPrecision(4))} s`;
  if (microseconds >= 1e3) return `${Number((microseconds / 1e3).toPrecision(4))} ms`;
  return `${Math.round(microseconds)} µs`;
}

const canvas = make('canvas', { class: 'tracks', tabindex: '0', role: 'img', 'aria-label': 'Timeline of the run; the tables below say the same in numbers. Plus and minus zoom, arrows move, 0 shows all.' });
let top = AXIS;
const bands = data.lanes.map((lane) => {
  let deepest = 0;
  for (let at = DEPTH; at < lane.blocks.length; at += FIELDS) deepest = Math.max(deepest, lane.blocks[at]);
  const band = { ...lane, top, rows: deepest + 1 };
  top += HEAD + band.rows * ROW + GAP;
  return band;
});
const height = top;

const wide = () => canvas.clientWidth || 1;
const across = (moment) => ((moment - view.from) / (view.to - view.from)) * wide();
const moment = (x) => view.from + (x / wide()) * (view.to - view.from);

function show() {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(wide() * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.setProperty('height', `${height}px`);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.font = '12px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  for (const tick of ticks(view.from, view.to, Math.max(2, wide() / 120))) {
    pen.fillStyle = colour('--line');
    pen.fillRect(across(tick), AXIS - 6, 1, height);
    pen.fillStyle = colour('--muted');
    const text = tick ? time(tick) : '0';
    if (across(tick) + 3 + pen.measureText(text).width <= wide()) pen.fillText(text, across(tick) + 3, 8);
  }
  const palette = data.names.map((name) => colour(colourOf(kindOf(name))));
  for (const band of bands) {
    pen.fillStyle = colour('--ink');
    pen.fillText(`${band.name} · ${band.process} · ${band.busy} busy`, 2, band.top + HEAD / 2);
    const drawn = new Array(band.rows).fill(-1);
    for (let at = 0; at < band.blocks.length; at += FIELDS) block(pen, band, at, palette, drawn, colour('--card'));
  }
}

function block(pen, band, at, palette, drawn, ink) {
  const { blocks } = band;
  const depth = blocks[at + DEPTH];
  const left = Math.max(0, across(blocks[at + START]));
  const right = Math.min(wide(), across(blocks[at + START] + blocks[at + LENGTH]));
  // What ends within the last half pixel that was drawn would not be seen.
  if (right < 0 || left > wide() || right < drawn[depth] + 0.5) return;
  drawn[depth] = right;
  const width = Math.max(0.6, right - left - (right - left > 4 ? 1 : 0));
  const y = band.top + HEAD + depth * ROW;
  const name = blocks[at + NAME];
  pen.globalAlpha = picked === null || picked === name ? 1 : 0.15;
  pen.fillStyle = palette[name];
  pen.fillRect(left, y, width, ROW - 2);
  if (width > 34) {
    pen.fillStyle = ink;
    const room = Math.floor((width - 8) / 6.4);
    const text = data.names[name];
    pen.fillText(text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text, left + 4, y + ROW / 2 - 1, width - 6);
  }
  pen.globalAlpha = 1;
}

function look(from, to) {
  const least = Math.min(data.wall, 20);
  const length = Math.min(data.wall, Math.max(least, to - from));
  view.from = Math.min(Math.max(0, from), data.wall - length);
  view.to = view.from + length;
  hideTip();
  requestAnimationFrame(show);
}

function zoom(factor, x) {
  const centre = moment(x);
  look(centre - (centre - view.from) / factor, centre + (view.to - centre) / factor);
}

function under(event) {
  const box = canvas.getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  const band = bands.find((each) => y >= each.top + HEAD && y < each.top + HEAD + each.rows * ROW);
  if (!band) return null;
  const depth = Math.floor((y - band.top - HEAD) / ROW), when = moment(x), slack = moment(1) - moment(0);
  for (let at = 0; at < band.blocks.length; at += FIELDS) {
    const start = band.blocks[at + START];
    if (band.blocks[at + DEPTH] === depth && start <= when && when <= start + Math.max(slack, band.blocks[at + LENGTH])) return { band, at };
  }
  return null;
}

function hover(event) {
  const found = under(event);
  if (!found) { hideTip(); return; }
  const { blocks, name } = found.band;
  const images = blocks[found.at + IMAGES];
  showTip({ getBoundingClientRect: () => new DOMRect(event.clientX, event.clientY, 0, 12) }, [
    data.names[blocks[found.at + NAME]],
    time(blocks[found.at + LENGTH]) + (images ? `, ${images} image${images > 1 ? 's' : ''}` : ''),
    `in ${name}, ${time(blocks[found.at + START])} after the start`,
  ]);
}

function pick(place) {
  picked = picked === place ? null : place;
  for (const each of document.querySelectorAll('#stages .open')) {
    each.setAttribute('aria-pressed', String(picked !== null && Number(each.dataset.stage) === picked));
  }
  show();
}

canvas.addEventListener('wheel', (event) => {
  if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 200), event.offsetX);
}, { passive: false });
canvas.addEventListener('pointerdown', (event) => canvas.setPointerCapture(event.pointerId));
canvas.addEventListener('pointermove', (event) => {
  if (!canvas.hasPointerCapture(event.pointerId)) { hover(event); return; }
  const by = (event.movementX / wide()) * (view.to - view.from);
  look(view.from - by, view.to - by);
});
canvas.addEventListener('pointerleave', hideTip);
canvas.addEventListener('dblclick', (event) => {
  const found = under(event);
  if (!found) return;
  const start = found.band.blocks[found.at + START], length = found.band.blocks[found.at + LENGTH];
  look(start - length * 0.1, start + length * 1.1);
});
canvas.addEventListener('keydown', (event) => {
  const step = (view.to - view.from) / 5;
  if (event.key === 'ArrowLeft') look(view.from - step, view.to - step);
  else if (event.key === 'ArrowRight') look(view.from + step, view.to + step);
  else if (event.key === '+' || event.key === '=') zoom(1.6, wide() / 2);
  else if (event.key === '-') zoom(1 / 1.6, wide() / 2);
  else if (event.key === '0') look(0, data.wall);
  else return;
  event.preventDefault();
});

const button = (text, label, act) => make('button', { type: 'button', 'aria-label': label, title: label, onclick: act }, text);
const legend = make('ul', { class: 'legend' }, [...kinds, 'wait'].map((kind) =>
  make('li', {}, make('i', { style: { background: `var(${colourOf(kind)})` } }), kind === 'wait' ? 'waiting' : kind)));
document.getElementById('timeline').append(
  make('div', { class: 'controls' },
    button('−', 'Zoom out', () => zoom(1 / 2, wide() / 2)),
    button('+', 'Zoom in', () => zoom(2, wide() / 2)),
    button('All', 'Show the whole run', () => look(0, data.wall)),
    make('span', { class: 'count' }, 'Drag to move, Ctrl and wheel to zoom, double click to fill the width with a block.')),
  legend, canvas,
  make('p', { class: 'count', hidden: !data.left_out }, `${data.left_out} of the shortest blocks are not drawn; the tables count them.`));
for (const each of document.querySelectorAll('#stages .open')) {
  each.addEventListener('click', () => pick(Number(each.dataset.stage)));
}
for (const cell of document.querySelectorAll('td[data-share]')) {
  cell.classList.add('span');
  cell.style.setProperty('--x', '0');
  cell.style.setProperty('--w', `${cell.dataset.share}%`);
}

document.body.append(tip);
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hideTip(); });
theme();
document.getElementById('theme').addEventListener('click', show);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
new ResizeObserver(show).observe(canvas);
show();
