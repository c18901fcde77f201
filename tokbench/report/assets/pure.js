// What needs no browser: numbers as text, orders, fronts, ticks. tests/report runs this part alone.
const VALUE = 0, LOW = 1, HIGH = 2, COUNT = 3, FAILED = 4, RELIABLE = 5, REASON = 6, METHOD = 7, STATUS = 8;

function known(cell) {
  return Boolean(cell) && cell[VALUE] !== null;
}

function number(value) {
  if (value === null || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const digits = Math.max(0, Math.min(4, 3 - Math.floor(Math.log10(Math.abs(value)))));
  const text = value.toFixed(digits);
  return minus(Number(text) ? text : value.toExponential(1));
}

function minus(text) {
  return text.replace('-', '−');
}

// The interval decides the digits: one significant digit of it, two when it starts with 1, and the value to match.
function cellParts(cell) {
  if (!known(cell)) return { value: '–', half: '' };
  const mark = cell[RELIABLE] ? '' : '~';
  const half = cell[LOW] === null || cell[HIGH] === null ? NaN : (cell[HIGH] - cell[LOW]) / 2;
  if (!Number.isFinite(half) || !Number.isFinite(cell[VALUE]) || half === 0) {
    return { value: mark + number(cell[VALUE]), half: '' };
  }
  const exponent = Math.floor(Math.log10(half));
  const digits = Math.min(12, Math.max(0, -exponent + (half / 10 ** exponent < 2 ? 1 : 0)));
  return { value: mark + minus(cell[VALUE].toFixed(digits)), half: '±' + half.toFixed(digits) };
}

// Ranked values first, then those that must not be ranked, then blanks; equal ones keep their order.
function tier(cell) {
  if (!known(cell)) return 2;
  return cell[RELIABLE] ? 0 : 1;
}

function sortedLines(cells, sign) {
  return cells
    .map((cell, place) => ({ cell, place, tier: tier(cell) }))
    .sort((a, b) => a.tier - b.tier
      || (a.tier < 2 && a.cell[VALUE] !== b.cell[VALUE] ? (a.cell[VALUE] < b.cell[VALUE] ? -sign : sign) : 0)
      || a.place - b.place)
    .map((each) => each.place);
}

function sortedNames(names, sign) {
  const collator = new Intl.Collator('en', { numeric: true });
  return names.map((_, place) => place).sort((a, b) => sign * collator.compare(names[a], names[b]) || a - b);
}

// The best of a column; none where one value must not be ranked, where there is no better end, or no rival.
function best(cells, higher) {
  const there = cells.filter(known);
  if (higher === null || there.length < 2 || there.some((cell) => !cell[RELIABLE])) return new Set();
  const values = there.map((cell) => cell[VALUE]);
  const top = higher ? Math.max(...values) : Math.min(...values);
  return new Set(cells.flatMap((cell, place) => (known(cell) && cell[VALUE] === top ? [place] : [])));
}

// Points {rate, quality} that no other beats, by ascending rate.
function pareto(points, higher) {
  const sign = higher ? 1 : -1;
  const front = [];
  for (const point of [...points].sort((a, b) => a.rate - b.rate || sign * (b.quality - a.quality))) {
    const last = front[front.length - 1];
    const same = last && last.rate === point.rate && last.quality === point.quality;
    if (!last || same || sign * point.quality > sign * last.quality) front.push(point);
  }
  return front;
}

function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Array.from({ length: bytes.length / 2 }, (_, place) => bytes[2 * place] + 256 * bytes[2 * place + 1]);
}

// Fewer, wider bins where few images would leave most of them empty.
function merged(counts, images) {
  const by = [1, 2, 3, 4, 6].find((each) => counts.length / each <= Math.max(8, 1.5 * Math.sqrt(images))) || 6;
  return Array.from({ length: counts.length / by }, (_, place) => counts.slice(place * by, (place + 1) * by).reduce((a, b) => a + b, 0));
}

// Share of images at or below each edge, from 0 at the lowest.
function shares(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0) || 1;
  let sum = 0;
  return [0, ...counts.map((count) => (sum += count) / total)];
}

function ticks(low, high, wanted) {
  if (!(high > low)) return [low];
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((each) => each * power >= raw) || 10);
  const found = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place += 1) found.push(place * step);
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const digit of [1, 2, 5]) found.push(digit * 10 ** power);
  }
  const inside = found.filter((each) => each >= low / 1.0001 && each <= high * 1.0001);
  return inside.length ? inside : [low];
}

function short(value) {
  if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)) return minus(value.toExponential(0));
  return minus(String(Number(value.toPrecision(4))));
}

// Zoom by a factor around a point of the viewport, which stays where it is.
function zoomed(view, factor, x, y) {
  const scale = Math.min(32, Math.max(1, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio };
}

// The nearest view in which the picture fills its viewport.
function clamped(view, width, height) {
  const bound = (offset, size) => Math.min(0, Math.max(size - size * view.scale, offset));
  return { scale: view.scale, x: bound(view.x, width), y: bound(view.y, height) };
}

// Absolute difference of two RGBA arrays times a gain; opaque.
function differences(one, other, gain) {
  const out = new Uint8ClampedArray(one.length);
  for (let place = 0; place < one.length; place += 4) {
    for (let channel = 0; channel < 3; channel += 1) {
      out[place + channel] = Math.abs(one[place + channel] - other[place + channel]) * gain;
    }
    out[place + 3] = 255;
  }
  return out;
}

if (typeof module !== 'undefined') {
  module.exports = {
    number, cellParts, sortedLines, sortedNames, best, pareto, unpacked, merged, shares, ticks, logTicks, short,
    zoomed, clamped, differences,
  };
}
