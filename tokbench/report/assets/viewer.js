// Looking at images: side by side, a slider between two, a map of differences; zoom and pan are shared by all panes.
const PANES = 4;

class Viewer {
  constructor(images, notes, state) {
    this.images = images;
    this.state = state;
    this.mode = 'side';
    this.gain = 4;
    this.view = { scale: 1, x: 0, y: 0 };
    this.marks = true;
    this.panes = [];
    this.metrics = [...new Set(images.flatMap((image) => Object.keys(image.values)))];
    this.metric = ['words read', 'face similarity', 'psnr', ...this.metrics, ''].find((name) => this.metrics.includes(name)) || '';
    this.worst = true;
    this.tokenizers = [...new Set(images.flatMap((image) => Object.keys(image.of).map(Number)))];
    this.left = -1;
    this.right = this.preferred();
    this.stage = make('div', { class: 'stage' });
    this.strip = make('div', { class: 'strip', role: 'listbox', 'aria-label': 'Images', 'aria-orientation': 'horizontal' });
    this.caption = make('p', { class: 'caption', 'aria-live': 'polite' });
    this.words = make('div', { class: 'words' });
    this.extremes = make('p', { class: 'muted' });
    this.element = make('div', { class: 'viewer' }, this.controls(), this.strip, this.stage, this.caption, this.words, this.extremes,
      make('ul', { class: 'notes' }, notes.map((note) => make('li', {}, note))));
    this.order();
    new ResizeObserver(() => this.move(this.view)).observe(this.stage);
  }

  preferred() {
    const drawn = this.state.drawn.filter((t) => this.tokenizers.includes(t));
    return drawn[drawn.length - 1] ?? this.tokenizers[0] ?? -1;
  }

  name(t) {
    return t < 0 ? 'original' : data.tokenizers[t].name;
  }

  controls() {
    const sides = [[-1, 'original'], ...this.tokenizers.map((t) => [t, this.name(t)])];
    const one = select('Left', sides, this.left, (t) => { this.left = Number(t); this.paint(); });
    const two = select('Right', sides, this.right, (t) => { this.right = Number(t); this.order(); });
    const gain = select('Gain', [1, 2, 4, 8, 16].map((each) => [each, `×${each}`]), this.gain, (value) => { this.gain = Number(value); this.paint(); });
    gain.hidden = true;
    this.leftField = one;
    one.hidden = true;
    const marked = this.images.some((image) => image.marks.length);
    const zoom = (factor) => () => this.zoom(factor);
    return make('div', { class: 'controls' },
      choice('View', [['side', 'Side by side'], ['slider', 'Slider'], ['difference', 'Difference']], this.mode, (mode) => {
        this.mode = mode;
        gain.hidden = mode !== 'difference';
        one.hidden = mode === 'side';
        this.paint();
      }), one, two, gain,
      this.metrics.length ? select('Ordered by', this.metrics.map((name) => [name, name]), this.metric, (name) => { this.metric = name; this.order(); }) : null,
      this.metrics.length ? choice('Order', [[true, 'worst first'], [false, 'best first']], true, (worst) => { this.worst = worst; this.order(); }) : null,
      make('div', { class: 'choice', role: 'group', 'aria-label': 'Zoom' },
        make('button', { type: 'button', 'aria-label': 'zoom out', onclick: zoom(1 / 1.5) }, '−'),
        make('button', { type: 'button', 'aria-label': 'zoom in', onclick: zoom(1.5) }, '+'),
        make('button', { type: 'button', onclick: () => this.move({ scale: 1, x: 0, y: 0 }) }, 'Fit')),
      marked ? make('label', { class: 'check' }, make('input', { type: 'checkbox', checked: true, onchange: (event) => { this.marks = event.target.checked; this.paint(); } }), 'words and faces') : null);
  }

  direction() {
    if (['words read', 'face similarity'].includes(this.metric)) return true;
    for (const board of data.boards) {
      const metric = board.metrics.find((each) => each.name === this.metric);
      if (metric && board.look === this.images[0].look) return metric.higher;
    }
    return null;
  }

  value(image) {
    const found = (image.values[this.metric] || {})[this.right];
    return found === undefined ? null : found;
  }

  order() {
    const sign = (this.direction() === false ? -1 : 1) * (this.worst ? 1 : -1);
    const key = (image) => { const value = this.value(image); return value === null ? Infinity : value * sign; };
    this.sorted = [...this.images].sort((a, b) => (key(a) === key(b) ? 0 : key(a) - key(b)));
    this.strip.replaceChildren(...this.sorted.map((image) => {
      const button = make('button', { type: 'button', role: 'option', 'aria-label': `${image.id}, ${this.metric} ${number(this.value(image))}`, onclick: () => this.choose(image) },
        make('img', { src: image.original, alt: '', loading: 'lazy' }), make('span', {}, this.right < 0 ? '' : number(this.value(image))));
      button.addEventListener('keydown', (event) => {
        const next = { ArrowRight: button.nextSibling, ArrowLeft: button.previousSibling }[event.key];
        if (next) { next.focus(); next.click(); event.preventDefault(); }
      });
      return button;
    }));
    this.showExtremes();
    this.choose(this.sorted[0]);
  }

  showExtremes() {
    const look = data.looks[this.images[0].look];
    const ends = look.ends && look.ends[this.metric] && look.ends[this.metric][this.right];
    const names = (places) => places.map((place) => look.names[place]).join(', ');
    this.extremes.textContent = ends && !ends[0].some((place) => ends[1].includes(place)) ? `Of all ${look.images} images, worst by ${this.metric}: ${names(ends[0])}. Best: ${names(ends[1])}.` : '';
  }

  choose(image) {
    this.image = image;
    this.view = { scale: 1, x: 0, y: 0 };
    this.sorted.forEach((each, place) => {
      const button = this.strip.children[place];
      button.setAttribute('aria-selected', String(each === image));
      button.tabIndex = each === image ? 0 : -1;
    });
    this.paint();
  }

  source(t) {
    return t < 0 ? this.image.original : this.image.of[t];
  }

  paint() {
    this.leftField.hidden = this.mode === 'side';
    this.panes = [];
    const { image } = this;
    const build = { side: () => this.side(), slider: () => this.slider(), difference: () => this.difference() }[this.mode];
    this.stage.dataset.mode = this.mode;
    this.stage.replaceChildren(...build());
    const value = this.value(image);
    this.caption.textContent = [image.id, `${image.width}×${image.height}`, image.why, this.right >= 0 && value !== null ? `${this.name(this.right)}: ${this.metric} ${number(value)}` : '',
      image.lossless ? '' : 'shown as WebP of quality 95, because it is large'].filter(Boolean).join(' · ');
    this.move(this.view);
    this.paintWords();
  }

  // A viewport: a layer that zooms and pans with all others.
  pane(title, ...content) {
    const layer = make('div', { class: 'layer' }, content);
    const port = make('div', { class: 'port', tabindex: '0', role: 'img', 'aria-label': `${title}; plus, minus and arrow keys zoom and pan`,
      style: { 'aspect-ratio': `${this.image.width} / ${this.image.height}` } }, layer);
    this.panes.push({ port, layer });
    this.listen(port);
    return make('figure', { class: 'pane' }, port, make('figcaption', {}, title));
  }

  picture(t) {
    return make('img', { src: this.source(t), alt: '', draggable: 'false', decoding: 'sync' });
  }

  overlay(t) {
    if (!this.marks || !this.image.marks.length) return null;
    const { width, height, marks } = this.image;
    return draw('svg', { class: 'marks', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none' }, marks.map((mark) => {
      const result = t < 0 ? mark.before : mark.of[t];
      const [x0, y0, x1, y1] = mark.box;
      const state = mark.kind === 'face' ? 'face' : !result ? 'unknown' : result[0] ? 'read' : 'misread';
      return draw('rect', { x: x0, y: y0, width: Math.max(1, x1 - x0), height: Math.max(1, y1 - y0), class: state }, draw('title', {}, this.told(mark, result)));
    }));
  }

  told(mark, result) {
    if (mark.kind === 'face') return result ? `face, similarity ${number(result[1])}` : 'face';
    return `“${mark.text}” ${!result ? 'not scored' : result[0] ? 'read' : `misread, ${Math.round(100 * result[1])} % alike`}`;
  }

  side() {
    const chosen = [this.right, ...this.state.drawn].filter((t, place, all) => t >= 0 && all.indexOf(t) === place && this.source(t)).slice(0, PANES - 1);
    return [-1, ...chosen].map((t) => this.pane(this.name(t), this.picture(t), this.overlay(t)));
  }

  slider() {
    if (!this.source(this.left) || !this.source(this.right)) return [this.missing()];
    const over = make('div', { class: 'over' }, this.picture(this.right), this.overlay(this.right));
    const line = make('div', { class: 'divider', 'aria-hidden': 'true' });
    const range = make('input', { type: 'range', min: 0, max: 100, step: 0.5, value: 50, 'aria-label': `${this.name(this.left)} to the left, ${this.name(this.right)} to the right`, oninput: () => set() });
    const figure = this.pane(`${this.name(this.left)} │ ${this.name(this.right)}`, this.picture(this.left), this.overlay(this.left), over);
    const set = () => {
      const { port } = this.panes[0];
      const size = port.clientWidth || 1;
      const at = (Number(range.value) / 100) * size;
      // The cut stays where it is on the screen while the picture zooms under it.
      over.style.clipPath = `inset(0 0 0 ${Math.max(0, (at - this.view.x) / this.view.scale)}px)`;
      line.style.left = `${range.value}%`;
    };
    this.panes[0].after = set;
    this.panes[0].port.append(line);
    figure.append(range);
    return [figure];
  }

  difference() {
    if (!this.source(this.left) || !this.source(this.right)) return [this.missing()];
    const canvas = make('canvas', { width: this.image.width, height: this.image.height });
    const images = [this.left, this.right].map((t) => this.picture(t));
    const ready = Promise.all(images.map((image) => image.decode())).then(() => {
      const context = canvas.getContext('2d', { willReadFrequently: true });
      const [one, other] = images.map((image) => {
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, canvas.width, canvas.height).data;
      });
      context.putImageData(new ImageData(differences(one, other, this.gain), canvas.width), 0, 0);
      canvas.dataset.ready = 'true';
    });
    ready.catch(() => { this.caption.textContent = 'the difference cannot be drawn here'; });
    return [this.pane(this.name(this.left), this.picture(this.left)), this.pane(this.name(this.right), this.picture(this.right)),
      this.pane(`difference ×${this.gain}`, canvas)];
  }

  missing() {
    return make('p', { class: 'muted' }, 'This tokenizer has no picture of this image; choose another.');
  }

  move(view) {
    const size = this.panes.length ? this.panes[0].port.clientWidth || 1 : 1;
    this.view = clamped(view, size, (size * this.image.height) / this.image.width);
    for (const { layer, after } of this.panes) {
      layer.style.transform = `translate(${this.view.x}px, ${this.view.y}px) scale(${this.view.scale})`;
      layer.style.setProperty('--zoom', this.view.scale);
      layer.classList.toggle('sharp', this.view.scale * size > 1.5 * this.image.width);
      if (after) after();
    }
    this.stage.dataset.scale = this.view.scale.toFixed(2);
  }

  zoom(factor, x, y) {
    const { port } = this.panes[0] || {};
    if (!port) return;
    const size = port.clientWidth;
    const ratio = this.image.height / this.image.width;
    this.move(zoomed(this.view, factor, x === undefined ? size / 2 : x, y === undefined ? (size * ratio) / 2 : y));
  }

  listen(port) {
    const fingers = new Map();
    const place = (event) => { const box = port.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    port.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey && this.view.scale === 1 && event.deltaY > 0) return; // the page scrolls on
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), ...place(event));
    }, { passive: false });
    port.addEventListener('pointerdown', (event) => {
      fingers.set(event.pointerId, place(event));
      port.setPointerCapture(event.pointerId);
    });
    port.addEventListener('pointermove', (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = place(event);
      if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
        this.zoom(far(now, other) / far(before, other), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else this.move({ ...this.view, x: this.view.x + now[0] - before[0], y: this.view.y + now[1] - before[1] });
      fingers.set(event.pointerId, now);
    });
    for (const name of ['pointerup', 'pointercancel']) port.addEventListener(name, (event) => fingers.delete(event.pointerId));
    port.addEventListener('dblclick', (event) => this.zoom(this.view.scale > 1 ? 0 : 3, ...place(event)));
    port.addEventListener('keydown', (event) => {
      const step = port.clientWidth / 8;
      const act = {
        '+': () => this.zoom(1.5), '=': () => this.zoom(1.5), '-': () => this.zoom(1 / 1.5), 0: () => this.zoom(0),
        ArrowLeft: () => this.move({ ...this.view, x: this.view.x + step }), ArrowRight: () => this.move({ ...this.view, x: this.view.x - step }),
        ArrowUp: () => this.move({ ...this.view, y: this.view.y + step }), ArrowDown: () => this.move({ ...this.view, y: this.view.y - step }),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      act();
    });
  }

  // Every annotated word as a crop of the original and of the chosen reconstructions, with what became of it.
  paintWords() {
    const words = this.image.marks.filter((mark) => mark.kind === 'word');
    this.words.replaceChildren();
    if (!words.length || !this.marks) return;
    const chosen = [-1, ...[this.right, ...this.state.drawn].filter((t, place, all) => t >= 0 && all.indexOf(t) === place && this.source(t))].slice(0, PANES);
    const rows = words.map((mark) => make('tr', {}, make('th', { scope: 'row' }, mark.text), chosen.map((t) => {
      const result = t < 0 ? mark.before : mark.of[t];
      return make('td', { class: !result ? '' : result[0] ? 'read' : 'misread' }, this.crop(t, mark.box),
        make('span', {}, !result ? '–' : result[0] ? '✓ read' : `✗ ${Math.round(100 * result[1])} % alike`));
    })));
    this.words.append(make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Words' }, make('table', {},
      make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, 'word'), chosen.map((t) => make('th', { scope: 'col' }, this.name(t))))), make('tbody', {}, rows))));
  }

  crop(t, [x0, y0, x1, y1]) {
    const wide = Math.max(1, Math.ceil(x1 - x0)), high = Math.max(1, Math.ceil(y1 - y0));
    const canvas = make('canvas', { width: wide, height: high, role: 'img', 'aria-label': `crop of ${this.name(t)}`,
      style: { width: `${Math.min(180, wide * Math.min(3, 44 / high))}px` } });
    const image = this.picture(t);
    image.decode().then(() => canvas.getContext('2d').drawImage(image, -Math.floor(x0), -Math.floor(y0))).catch(() => canvas.remove());
    return canvas;
  }
}

function viewerSection(boards, state) {
  const looks = [...new Set(boards.map((board) => board.look))].sort((a, b) => Number(b === state.board.look) - Number(a === state.board.look));
  const of = (list, look) => (list || []).filter((each) => each.look === look);
  const there = looks.filter((look) => of(data.images, look).length || of(data.image_notes, look).length);
  if (!there.length) return null;
  const holder = make('div', {});
  let viewer = null;
  const open = (look) => {
    const notes = of(data.image_notes, look).map((note) => note.text);
    const images = of(data.images, look);
    viewer = images.length ? new Viewer(images, notes, state) : null;
    holder.replaceChildren(viewer ? viewer.element : make('ul', { class: 'notes' }, notes.map((note) => make('li', {}, note))));
  };
  open(there[0]);
  state.redraws.push(() => { if (viewer) viewer.paint(); });
  const protocols = there.length > 1 ? make('div', { class: 'controls' }, select('Pixels as in', there.map((look) => [look, data.looks[look].protocol]), there[0], (look) => open(Number(look)))) : null;
  return section('images', 'Images', 'Drag to pan, turn the wheel or pinch to zoom; all panes move together.', protocols, holder);
}
