// Making elements. Every text goes through a text node, so text of results can never become markup.
const SVG = 'http://www.w3.org/2000/svg';

function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

function section(id, title, lead, ...children) {
  const heading = make('h2', { id: `${id}-title` }, title);
  return make('section', { id, 'aria-labelledby': `${id}-title` }, heading, lead ? make('p', { class: 'lead' }, lead) : null, ...children);
}

function select(label, options, chosen, onchange) {
  const box = make('select', { onchange: () => onchange(box.value) },
    options.map(([value, text]) => make('option', { value }, text)));
  box.value = chosen;
  return make('label', { class: 'field' }, make('span', {}, label), box);
}

// Buttons of which one is pressed.
function choice(label, options, chosen, onchange) {
  const group = make('div', { class: 'choice', role: 'group', 'aria-label': label });
  for (const [value, text] of options) {
    group.append(make('button', {
      type: 'button',
      'aria-pressed': String(value === chosen),
      onclick: (event) => {
        for (const each of group.children) each.setAttribute('aria-pressed', String(each === event.currentTarget));
        onchange(value);
      },
    }, text));
  }
  return group;
}

const tip = make('div', { id: 'tip', role: 'status', hidden: true });

function showTip(target, lines) {
  tip.replaceChildren(...lines.map((line, place) => make(place ? 'div' : 'strong', {}, line)));
  tip.hidden = false;
  const at = target.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - size.width / 2), window.innerWidth - size.width - 8);
  const above = at.top - size.height - 10;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(above > 60 ? above : at.bottom + 10) + window.scrollY}px`;
}

function hideTip() {
  tip.hidden = true;
}

// Show the same lines on hover, on touch and on focus.
function tipped(element, lines) {
  element.setAttribute('aria-label', lines.join(', '));
  element.setAttribute('tabindex', '0');
  element.setAttribute('role', 'img');
  for (const name of ['pointerenter', 'focus']) element.addEventListener(name, () => showTip(element, lines));
  for (const name of ['pointerleave', 'blur']) element.addEventListener(name, hideTip);
  return element;
}

// The button that switches between the system's colours, light and dark.
function theme() {
  const button = document.getElementById('theme');
  const modes = { auto: '◐ Auto', light: '☀ Light', dark: '☾ Dark' };
  let mode = 'auto';
  const apply = () => {
    document.documentElement.dataset.theme = mode;
    button.textContent = modes[mode];
    button.setAttribute('aria-label', `Colour theme: ${mode}`);
  };
  button.addEventListener('click', () => {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const order = dark ? ['auto', 'light', 'dark'] : ['auto', 'dark', 'light'];
    mode = order[(order.indexOf(mode) + 1) % 3];
    apply();
  });
  apply();
}
