// The page: which image set and task, which tokenizers are drawn, light or dark.
const data = JSON.parse(document.getElementById('data').textContent);
const COLOURS = 8;
const SHORT = { table: 'Results', rate: 'Rate', spread: 'Spread', scale: 'Scale', sweep: 'Changed codes', tokens: 'Tokens', numbers: 'Numbers', images: 'Images' };
const state = { set: '', board: null, drawn: [], colours: new Map(), redraws: [] };

function setName(look) {
  const { dataset, images, partial } = data.looks[look];
  return `${dataset} · ${images} images${partial ? ' (part)' : ''}`;
}

function sets() {
  return [...new Set(data.boards.map((board) => setName(board.look)))];
}

function boardsOf(set) {
  return data.boards.filter((board) => setName(board.look) === set);
}

function colour() {
  state.colours = new Map(state.drawn.map((t, place) => [t, `var(--s${place % COLOURS})`]));
}

function chooseDrawn(boards) {
  const there = [...new Set(boards.flatMap((board) => board.lines.map((line) => line.t)))];
  state.drawn = state.drawn.filter((t) => there.includes(t));
  if (!state.drawn.length) {
    // So many that they can be told apart, evenly over the list.
    const step = Math.max(1, there.length / COLOURS);
    state.drawn = Array.from({ length: Math.min(COLOURS, there.length) }, (_, place) => there[Math.floor(place * step)]);
  }
  colour();
}

function toggle(t, on) {
  state.drawn = state.drawn.filter((each) => each !== t);
  if (on) {
    if (state.drawn.length === COLOURS) state.drawn.shift();
    state.drawn.push(t);
  }
  colour();
  state.table.mark(state.colours);
  refresh();
}

// What depends on the chosen tokenizers, drawn anew in its place.
function living(build) {
  const holder = make('div', {});
  const again = () => holder.replaceChildren(...[build()].flat().filter(Boolean));
  again();
  state.redraws.push(again);
  return holder;
}

function refresh() {
  for (const redraw of state.redraws) redraw();
}

function show() {
  const boards = boardsOf(state.set);
  chooseDrawn(boards);
  state.redraws = [];
  const { board } = state;
  const look = data.looks[board.look];
  state.table = new BoardTable(board, toggle);
  state.table.mark(state.colours);
  const lead = [board.title || board.task, `${look.images} images${look.partial ? ', part of the set' : ''}`, `protocol ${look.protocol}`].join(' · ');
  const found = [section('table', 'Results', lead, state.table.element)];
  const key = () => legend(state.colours);
  const rate = ratePlot(board.look, state);
  if (rate) {
    state.redraws.push(rate.redraw);
    found.push(section('rate', 'Rate and quality', 'What each bit buys. Points that nothing beats lie on the dashed front.', rate.element));
  }
  const spread = spreadPlot(board.look, state);
  if (spread) {
    state.redraws.push(spread.redraw);
    found.push(section('spread', 'Spread over images', 'A mean hides the images that break; this is how they are spread.', living(key), spread.element));
  }
  const group = (id, title, text, build) => {
    if (build().length) found.push(section(id, title, text, living(key), living(() => make('div', { class: 'grid' }, build()))));
  };
  group('scale', 'By scale', 'Small words and faces go first. Sizes are relative to the image.', () => scalePlots(boards, state));
  group('sweep', 'Under changed codes', 'How far reconstructions drift when codes are disturbed: the flatter, the more a decoder forgives.', () => sweepPlots(boards, state));
  const tokens = boards.filter((each) => each.task.startsWith('tokens'));
  group('tokens', 'Token statistics', 'Codes as a language: how ids are used, ordered and compressed.', () => tokens.flatMap((each) => dotPlots(each, each.headline, state)));
  if (!board.task.startsWith('tokens')) group('numbers', 'Numbers side by side', 'The headline numbers with their 95 % intervals.', () => dotPlots(board, board.headline, state));
  const viewer = viewerSection(boards, state);
  if (viewer) found.push(viewer);
  document.getElementById('main').replaceChildren(...found);
  document.getElementById('jumps').replaceChildren(...found.map((each) => make('a', { href: `#${each.id}` }, SHORT[each.id])));
}

function pickers() {
  const set = document.getElementById('pick-set'), task = document.getElementById('pick-task');
  const tasks = () => {
    const boards = boardsOf(state.set);
    const twice = (board) => boards.filter((each) => each.task === board.task).length > 1;
    task.replaceChildren(...boards.map((board, place) => make('option', { value: place }, twice(board) ? `${board.task} · ${data.looks[board.look].protocol} · ${place + 1}` : board.task)));
    const kept = boards.findIndex((board) => state.board && board.task === state.board.task);
    state.board = boards[Math.max(0, kept)];
    task.value = String(Math.max(0, kept));
  };
  set.replaceChildren(...sets().map((name) => make('option', { value: name }, name)));
  set.addEventListener('change', () => { state.set = set.value; tasks(); show(); });
  task.addEventListener('change', () => { state.board = boardsOf(state.set)[Number(task.value)]; show(); });
  state.set = set.value;
  tasks();
}

function about() {
  const text = data.runs.map((run) => `${run.folder} (${run.key}${run.created ? `, ${run.created.slice(0, 10)}` : ''})`).join(' · ');
  document.getElementById('about').textContent = `${data.tokenizers.length} tokenizers · ${sets().length} image sets · made ${data.made} by tokbench ${data.tokbench}`;
  const failures = data.runs.flatMap((run) => Object.entries(run.failures).map(([name, reason]) => make('p', { class: 'warn' }, `${name} has no results: ${reason}`)));
  const lost = data.runs.flatMap((run) => Object.entries(run.unreadable).map(([name, count]) => make('p', { class: 'warn' }, `${count} images of ${name} failed; they are counted beside every number`)));
  document.getElementById('foot').replaceChildren(...failures, ...lost, make('p', { class: 'muted' }, `Results: ${text}`));
}

document.body.append(tip);
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hideTip(); });
theme();
about();
if (data.boards.length) {
  pickers();
  show();
} else document.getElementById('main').append(make('p', {}, 'These runs hold no numbers.'));
