// The table: lines are made once and reordered. Only the first are laid out until one scrolls to the others, so that
// sorting 200 lines of 40 metrics stays quick.
const FIRST = 50;
const ARROW = { true: '↑', false: '↓', null: '' };

function lineName(line) {
  const name = data.tokenizers[line.t].name;
  return line.view ? `${name} · ${line.view}` : name;
}

function valued(board) {
  return board.metrics.map((_, place) => board.cells.some((cells) => known(cells[place])));
}

function describeCell(board, line, place) {
  const cell = board.cells[line][place];
  const metric = board.metrics[place];
  const lines = [`${lineName(board.lines[line])} · ${metric.name}`];
  if (!cell) return [...lines, 'not part of this run'];
  if (known(cell)) {
    lines.push(`${cell[RELIABLE] ? '' : '~'}${number(cell[VALUE])} ${metric.unit}`.trim());
    if (cell[LOW] !== null) lines.push(`95 % interval ${number(cell[LOW])} to ${number(cell[HIGH])} (${cell[METHOD]})`);
    if (!cell[RELIABLE]) lines.push('shown, never ranked');
  } else lines.push(cell[STATUS]);
  if (known(cell)) lines.push(`on ${cell[COUNT]} images${cell[FAILED] ? `, ${cell[FAILED]} failed` : ''}`);
  if (cell[REASON]) lines.push(data.reasons[cell[REASON]]);
  return lines;
}

class BoardTable {
  constructor(board, onselect) {
    this.board = board;
    this.onselect = onselect;
    this.some = valued(board);
    this.shown = new Set(board.metrics.flatMap((metric, place) => (board.headline.includes(metric.name) && this.some[place] ? [place] : [])));
    this.columns = this.some.flatMap((any, place) => (any ? [place] : []));
    this.clean = board.lines.some((line) => !line.view && board.cells[board.lines.indexOf(line)].some(known));
    this.views = false;
    this.words = '';
    this.kind = '';
    this.sort = { place: -1, sign: 1 };
    this.order = board.lines.map((_, at) => at);
    this.limit = FIRST;
    this.rows = [];
    const primary = board.metrics.findIndex((metric) => metric.name === board.primary);
    this.build();
    if (primary >= 0 && this.some[primary]) this.by(primary);
  }

  build() {
    const { board } = this;
    const tops = board.metrics.map((metric, place) => best(board.cells.map((cells) => cells[place]), metric.higher));
    const spans = board.metrics.map((_, place) => {
      const ends = board.cells.map((cells) => cells[place]).filter((cell) => known(cell) && Number.isFinite(cell[VALUE]))
        .flatMap((cell) => [cell[VALUE], cell[LOW], cell[HIGH]]).filter(Number.isFinite);
      return [Math.min(...ends), Math.max(...ends)];
    });
    this.headers = this.columns.map((place) => this.header(board.metrics[place], place));
    this.nameHeader = make('th', { scope: 'col', class: 'name', 'aria-sort': 'none' },
      make('button', { type: 'button', onclick: () => this.by(-1) }, 'tokenizer'));
    const head = make('tr', {}, this.nameHeader, this.headers, make('th', { scope: 'col', class: 'cover' }, 'coverage'));
    this.rows = board.lines.map((line, number_) => this.row(line, number_, tops, spans));
    this.body = make('tbody', {}, this.rows);
    this.table = make('table', {}, make('thead', {}, head), this.body);
    this.body.addEventListener('pointerover', (event) => this.hover(event.target.closest('td[data-place]')));
    this.body.addEventListener('pointerleave', hideTip);
    this.more = make('button', { type: 'button', class: 'more', onclick: () => this.reveal(Infinity) });
    new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting)) this.reveal(FIRST); }).observe(this.more);
    window.addEventListener('beforeprint', () => this.reveal(Infinity));
    this.count = make('p', { class: 'count', 'aria-live': 'polite' });
    this.detail = make('div', { class: 'detail', role: 'region', 'aria-label': 'All numbers of one tokenizer', hidden: true });
    this.element = make('div', {}, this.controls(),
      make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of results' }, this.table, this.more),
      this.count, this.detail, this.footnotes());
    this.columnsChanged();
    this.filter();
  }

  header(metric, place) {
    const about = [metric.title, metric.about].filter(Boolean).join('. ');
    const name = metric.name.split('_').flatMap((part, at) => (at ? ['_', make('wbr'), part] : [part]));
    return make('th', { scope: 'col', 'aria-sort': 'none', 'data-place': place, title: about },
      make('button', { type: 'button', onclick: () => this.by(place) }, make('span', {}, name),
        make('small', {}, [metric.unit, ARROW[metric.higher]].filter(Boolean).join(' ') || ' ')));
  }

  row(line, at, tops, spans) {
    const { board } = this;
    const cells = board.cells[at];
    const tokenizer = data.tokenizers[line.t];
    const look = data.looks[board.look];
    const seen = tokenizer.trained_on.includes(look.dataset);
    const box = make('input', { type: 'checkbox', 'aria-label': `draw ${tokenizer.name}`, 'data-t': line.t, onchange: (event) => this.onselect(line.t, event.target.checked) });
    const name = make('th', { scope: 'row', class: 'name' },
      make('span', { class: 'who' }, line.view ? make('span', { class: 'nobox' }) : make('label', { class: 'swatch', 'data-swatch': line.t }, box),
        make('button', { type: 'button', class: 'open', onclick: () => this.open(at) }, line.view ? make('span', { class: 'view' }, `${tokenizer.name} · ${line.view}`) : tokenizer.name),
        seen ? make('span', { class: 'flag', title: 'fitted on this image set' }, 'seen') : null));
    const tds = this.columns.map((place) => {
      const cell = cells[place];
      const text = cellParts(cell);
      const td = make('td', { 'data-place': place }, text.value, text.half ? make('small', {}, ` ${text.half}`) : null);
      if (tops[place].has(at)) td.classList.add('best');
      if (!known(cell)) td.classList.add('blank');
      else if (!cell[RELIABLE]) td.classList.add('loose');
      const [low, high] = spans[place];
      if (known(cell) && cell[RELIABLE] && board.metrics[place].higher !== null && Number.isFinite(cell[VALUE]) && high > low) {
        const from = cell[LOW] === null ? cell[VALUE] : cell[LOW], to = cell[HIGH] === null ? cell[VALUE] : cell[HIGH];
        const width = Math.max(0.035, (to - from) / (high - low));
        const start = Math.min(1 - width, Math.max(0, (from - low) / (high - low)));
        td.style.setProperty('--w', `${(100 * width).toFixed(1)}%`);
        td.style.setProperty('--x', `${(100 * start / Math.max(1e-6, 1 - width)).toFixed(1)}%`);
        td.classList.add('span');
      }
      return td;
    });
    const there = cells.filter(known).length;
    const counts = cells.filter(known).map((cell) => cell[COUNT]);
    const failed = Math.max(0, ...cells.filter(Boolean).map((cell) => cell[FAILED]));
    const cover = make('td', { class: 'cover' }, `${there}/${board.metrics.length} metrics`,
      make('small', {}, ` · ${counts.length ? Math.max(...counts) : 0} images`),
      failed ? make('span', { class: 'flag' }, `${failed} failed`) : null);
    const row = make('tr', { 'data-line': at }, name, tds, cover);
    if (line.view) row.classList.add('viewed');
    return row;
  }

  controls() {
    const { board } = this;
    const kinds = [...new Set(board.lines.map((line) => data.tokenizers[line.t].kind))].filter(Boolean);
    const search = make('input', { type: 'search', placeholder: 'Filter tokenizers', 'aria-label': 'Filter tokenizers', oninput: () => { this.words = search.value.toLowerCase(); this.filter(); } });
    const parts = [search];
    if (kinds.length > 1) parts.push(select('Kind', [['', 'all'], ...kinds.map((kind) => [kind, kind])], '', (kind) => { this.kind = kind; this.filter(); }));
    if (this.clean && board.lines.some((line) => line.view)) {
      parts.push(make('label', { class: 'check' }, make('input', { type: 'checkbox', onchange: (event) => { this.views = event.target.checked; this.filter(); } }), 'changed codes too'));
    }
    const list = make('div', { class: 'columns' }, this.columns.map((place) => make('label', { class: 'check', title: board.metrics[place].about },
      make('input', { type: 'checkbox', checked: this.shown.has(place), 'data-column': place, onchange: (event) => { this.shown[event.target.checked ? 'add' : 'delete'](place); this.columnsChanged(); } }), board.metrics[place].name)));
    const all = (on) => {
      this.shown = new Set(on ? this.columns : []);
      for (const box of list.querySelectorAll('input')) box.checked = on;
      this.columnsChanged();
    };
    parts.push(make('details', { class: 'chooser' }, make('summary', {}, 'Columns'), make('div', { class: 'sheet' },
      make('p', {}, make('button', { type: 'button', onclick: () => all(true) }, 'all'), ' ', make('button', { type: 'button', onclick: () => all(false) }, 'none')), list)));
    return make('div', { class: 'controls' }, parts);
  }

  footnotes() {
    const { board } = this;
    const loose = new Map(), blank = new Map();
    const note = (into, key, value) => into.set(key, (into.get(key) || new Set()).add(value));
    board.metrics.forEach((metric, place) => {
      for (const cells of board.cells) {
        const cell = cells[place];
        if (!cell || !cell[REASON]) continue;
        if (known(cell) && !cell[RELIABLE]) note(loose, metric.name, cell[REASON]);
        else if (!known(cell) && !this.some[place]) note(blank, cell[REASON], metric.name);
      }
    });
    const loosely = [...loose].map(([name, reasons]) => make('li', {}, make('b', {}, `~ ${name}`),
      ` — ${data.reasons[[...reasons][0]]}${reasons.size > 1 ? `, and ${reasons.size - 1} reasons like it` : ''}; shown, never ranked`));
    const blanks = [...blank].map(([reason, names]) => make('li', {}, make('b', {}, `not measured: ${[...names].join(', ')}`), ` — ${data.reasons[reason]}`));
    return make('ul', { class: 'notes' },
      make('li', {}, '± is half the 95 % interval; the line under a number places its interval between the ends of the column. Press a name for everything that is known of it.'),
      loosely, blanks);
  }

  hover(td) {
    if (td) showTip(td, describeCell(this.board, Number(td.parentElement.dataset.line), Number(td.dataset.place)));
    else hideTip();
  }

  open(at) {
    const { board } = this;
    const line = board.lines[at];
    const tokenizer = data.tokenizers[line.t];
    const facts = [tokenizer.kind, tokenizer.tokens && `${tokenizer.tokens} tokens`, tokenizer.vocab && `${tokenizer.codebooks > 1 ? `${tokenizer.codebooks} × ` : ''}${tokenizer.vocab} entries`, tokenizer.license,
      tokenizer.trained_on.length ? `fitted on ${tokenizer.trained_on.join(', ')}` : ''].filter(Boolean).join(' · ');
    const rows = board.metrics.map((metric, place) => {
      const cell = board.cells[at][place];
      const [, ...lines] = describeCell(board, at, place);
      return make('tr', {}, make('th', { scope: 'row', title: metric.about }, metric.name), make('td', { class: known(cell) ? '' : 'blank' }, lines.join(' · ')));
    });
    const close = make('button', { type: 'button', onclick: () => { this.detail.hidden = true; this.rows[at].querySelector('.open').focus(); } }, 'Close');
    this.detail.replaceChildren(make('div', { class: 'detail-head' }, make('h3', { tabindex: '-1' }, lineName(line)), close), make('p', {}, tokenizer.description), make('p', { class: 'muted' }, facts), make('table', {}, make('tbody', {}, rows)));
    this.detail.hidden = false;
    this.detail.querySelector('h3').focus();
    this.detail.scrollIntoView({ block: 'nearest' });
  }

  by(place) {
    const metric = this.board.metrics[place];
    const first = place < 0 ? 1 : metric.higher ? -1 : 1;
    this.sort = { place, sign: this.sort.place === place ? -this.sort.sign : first };
    const { sign } = this.sort;
    this.order = place < 0 ? sortedNames(this.board.lines.map(lineName), sign) : sortedLines(this.board.cells.map((cells) => cells[place]), sign);
    this.limit = FIRST;
    this.filter();
    this.body.append(...this.order.map((line) => this.rows[line]));
    for (const header of [this.nameHeader, ...this.headers]) {
      const mine = header === this.nameHeader ? place < 0 : Number(header.dataset.place) === place;
      header.setAttribute('aria-sort', mine ? (sign > 0 ? 'ascending' : 'descending') : 'none');
    }
  }

  reveal(more) {
    if (this.more.hidden) return;
    this.limit += more;
    this.filter();
  }

  fits(at) {
    const line = this.board.lines[at];
    const tokenizer = data.tokenizers[line.t];
    return (!line.view || this.views || !this.clean) && (!this.kind || tokenizer.kind === this.kind)
      && `${lineName(line)} ${tokenizer.kind}`.toLowerCase().includes(this.words)
      && (!line.view || this.board.cells[at].some(known));
  }

  filter() {
    let fitting = 0;
    for (const at of this.order) {
      const fits = this.fits(at);
      fitting += fits ? 1 : 0;
      this.rows[at].hidden = !fits || fitting > this.limit;
    }
    this.more.hidden = fitting <= this.limit;
    this.more.textContent = `Show all ${fitting} lines`;
    this.count.textContent = `${fitting} of ${this.board.lines.length} lines`;
  }

  columnsChanged() {
    this.columns.forEach((place, at) => {
      const hidden = !this.shown.has(place);
      if (this.headers[at].hidden === hidden) return;
      this.headers[at].hidden = hidden;
      for (const row of this.rows) row.children[at + 1].hidden = hidden;
    });
  }

  mark(colours) {
    for (const label of this.table.querySelectorAll('[data-swatch]')) {
      const colour = colours.get(Number(label.dataset.swatch));
      label.style.setProperty('--c', colour || 'transparent');
      label.firstChild.checked = colour !== undefined;
    }
  }
}
