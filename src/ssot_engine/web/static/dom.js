// Making elements, writing times and numbers. Nothing here knows of runs or events.

export const $ = (id) => document.getElementById(id);

const given = (kids) => kids.flat(Infinity).filter((kid) => kid != null && kid !== false);

/** el('button.btn', {type: 'button', onclick}, 'Send'). Text is always text, never HTML. */
export function el(spec, props = {}, ...kids) {
  const [tag, ...classes] = spec.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  set(node, props);
  node.append(...given(kids));
  return node;
}

/** Attributes, `on…` handlers, and `--names` as CSS variables (CSSOM, which style-src 'self' allows). What is so already is left alone. */
export function set(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) node[name] = value;
    else if (name.startsWith('--')) style(node, name, String(value));
    else if (value === false || value == null) node.removeAttribute(name);
    else attribute(node, name, value === true ? '' : String(value));
  }
  return node;
}
function style(node, name, value) {
  if (node.style.getPropertyValue(name) !== value) node.style.setProperty(name, value);
}
function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Write text only where it is another. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const keys = new WeakMap();

/** Replace what is in a node only when `key` changed: cheap, and focus and selection stay where they are. */
export function fill(node, key, make) {
  if (keys.get(node) === key) return false;
  keys.set(node, key);
  node.replaceChildren(...given([make()]));
  return true;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, ...kids) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...kids);
  return node;
}

const SHAPES = {
  completed: 'M3 8.5 6.5 12 13 4.5', failed: 'M4 4l8 8M12 4l-8 8', cancelled: 'M4 8h8', timed_out: 'M8 4v4.5l3 2',
  lost: 'M5.5 5.5A2.6 2.6 0 1 1 8 8.6V10M8 12.6v.1', running: 'M8 2a6 6 0 1 1-6 6', new: 'M8 3v10M3 8h10',
};
export const STATUS = { running: 'running', completed: 'completed', failed: 'failed', cancelled: 'cancelled', timed_out: 'timed out', lost: 'lost' };

export function icon(status) {
  return svg('svg', { viewBox: '0 0 16 16', class: `icon ${status}`, 'aria-hidden': 'true' }, svg('path', { d: SHAPES[status] ?? SHAPES.running }));
}

// ---- times and numbers -------------------------------------------------------------------------------------------------

export function seconds(ms) {
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  return age(ms);
}
/** Whole seconds, minutes, hours: for what is only looked at, not compared. */
export function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}
export const tenths = (ms) => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
export const number = (n) => n.toLocaleString('en-US');
export const plural = (n, word) => `${number(n)} ${word}${n === 1 ? '' : 's'}`;
/** The detail of a problem as a sentence. */
export const sentence = (words) => `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? '' : '.'}`;
export const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB');
export function when(ms) {
  const day = new Date(ms);
  return day.toDateString() === new Date().toDateString() ? clock(ms).slice(0, 5) : day.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
}

/** JSON on one line with air in it. Its line breaks are only those of its layout: within strings they are escaped. */
export function json(value) {
  return JSON.stringify(value, null, 1).replace(/([[{])\n\s*/g, '$1').replace(/\n\s*([\]}])/g, '$1').replace(/\n\s*/g, ' ');
}
const text = (value) => (typeof value === 'string' ? value : json(value));

/** A JSON value as label and value pairs: reads better than braces, wraps on a phone. */
export function pairs(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return el('p.plain', {}, text(value ?? null));
  const rows = Object.entries(value);
  if (!rows.length) return el('p.plain', {}, '{ }');
  return el('dl.pairs', {}, rows.map(([name, one]) => el('div', {}, el('dt', {}, name), el('dd', {}, text(one)))));
}

// ---- behaviour -----------------------------------------------------------------------------------------------------------

/** Keep a scroll box at its end while things arrive, until the reader scrolls up. Resizes do not count as scrolling. */
export function follower(box, told) {
  const was = { top: 0, view: 0, all: 0 };
  const self = {
    on: true,
    toEnd() {
      const { on } = self;
      self.on = true;
      box.scrollTop = box.scrollHeight;
      if (!on) told(true);
    },
    letGo() { if (self.on) { self.on = false; told(false); } },
  };
  box.addEventListener('scroll', () => {
    const { scrollTop: top, clientHeight: view, scrollHeight: all } = box;
    const before = self.on;
    if (all - top - view < 24) self.on = true;
    else if (top < was.top - 1 && view === was.view && all >= was.all) self.on = false;
    Object.assign(was, { top, view, all });
    if (self.on !== before) told(self.on);
  }, { passive: true });
  return self;
}

/** Tell screen readers. What is urgent interrupts them: failures only. */
export function say(words, isUrgent = false) { $(isUrgent ? 'alert' : 'say').textContent = words; }
