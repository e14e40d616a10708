// A small, safe part of Markdown to DOM nodes: paragraphs, headings, lists, tables, code, **bold**, `code`, links. Never HTML.
import { el } from './dom.js';

const INLINE = /(\*\*[^*]+\*\*|`[^`\n]+`|\[[^\]\n]+\]\(https?:\/\/[^\s)]+\))/;

function piece(part) {
  if (part.startsWith('**') && part.length > 4) return el('strong', {}, part.slice(2, -2));
  if (part.startsWith('`') && part.length > 2) return el('code', {}, part.slice(1, -1));
  const link = /^\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)$/.exec(part);
  return link ? el('a', { href: link[2], title: link[2], target: '_blank', rel: 'noopener noreferrer' }, link[1]) : part;
}
function inline(text) {
  const isOpen = text.split('**').length % 2 === 0;                    // bold that is still being written
  return (isOpen ? `${text}**` : text).split(INLINE).filter(Boolean).map(piece).filter((one) => one !== '****');
}
const lines = (rows) => rows.flatMap((row, i) => (i ? [el('br'), ...inline(row)] : inline(row)));

const ITEM = /^(\s*)([-*]|\d+[.)])\s+(.*)$/;
const cells = (row) => row.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());

function list(rows) {
  const items = [];
  for (const row of rows) {
    const [, indent, mark, rest] = ITEM.exec(row) ?? [];
    if (mark) items.push({ mark: /\d/.test(mark) ? mark : '–', depth: Math.min(3, indent.length >> 1), rows: [rest] });
    else items.at(-1).rows.push(row.trim());
  }
  return el('ul', {}, items.map(({ mark, depth, rows: [first, ...more] }) => el('li', { 'data-mark': mark, '--depth': depth },
    ...inline(first), more.map((row) => el('span.more', {}, ...inline(row))))));
}
function table(rows) {
  const isRuled = /^[\s|:-]+$/.test(rows[1] ?? '');
  const right = isRuled ? cells(rows[1]).map((cell) => cell.endsWith(':')) : [];
  const width = cells(rows[0]).length;                                // a row still being written gets its empty cells
  const row = (tag) => (source) => {
    const got = cells(source);
    return el('tr', {}, Array.from({ length: width }, (_, i) => el(right[i] ? `${tag}.num` : tag, tag === 'th' ? { scope: 'col' } : {}, ...inline(got[i] ?? ''))));
  };
  return el('div.table', { tabindex: 0, role: 'group', 'aria-label': 'Table' },
    el('table', {}, el('thead', {}, row('th')(rows[0])), el('tbody', {}, rows.slice(isRuled ? 2 : 1).map(row('td')))));
}
const code = (rows) => el('pre', { tabindex: 0 }, el('code', {}, rows.join('\n')));

const DRAW = {
  paragraph: (rows) => el('p', {}, lines(rows)),
  heading: ([row]) => el('h4', {}, ...inline(row.replace(/^#+\s+/, ''))),
  quote: (rows) => el('blockquote', {}, lines(rows.map((row) => row.replace(/^>\s?/, '')))),
  list, table, code: (rows) => code(rows.slice(1)),
};

function kind(row, before) {
  if (row.startsWith('```')) return 'code';
  if (row.startsWith('|')) return 'table';
  if (/^#{1,6}\s/.test(row)) return 'heading';
  if (row.startsWith('>')) return 'quote';
  if (ITEM.test(row) || (before === 'list' && /^\s/.test(row))) return 'list';
  return 'paragraph';
}

/** The blocks of a text: [{kind, rows, end}], `end` being where the text goes on after them. */
function blocks(text) {
  const found = [];
  let open = null;
  let at = 0;
  for (const row of text.split('\n')) {
    at += row.length + 1;
    if (open?.kind === 'code') {
      if (row.startsWith('```')) open = null;
      else open.rows.push(row);
    } else if (!row.trim()) open = null;
    else {
      const its = kind(row, open?.kind);
      if (open?.kind === its && its !== 'heading') open.rows.push(row);
      else found.push((open = { kind: its, rows: [row], end: 0 }));
    }
    if (found.length) found.at(-1).end = Math.min(at, text.length);
  }
  return found;
}

const drawn = new WeakMap();

/** Draw a text that grows into `node`. Only its last block is drawn again: the others keep selection and focus. */
export function draw(node, text) {
  let done = drawn.get(node);
  if (!done || text.length < done.length) {
    node.replaceChildren();
    drawn.set(node, (done = { upto: 0, length: 0, tail: null }));
  }
  done.length = text.length;
  const found = blocks(text.slice(done.upto));
  const tail = done.tail;
  done.tail = null;
  found.forEach((block, i) => {
    const source = block.rows.join('\n');
    const isLast = i === found.length - 1;
    const old = i === 0 ? tail : null;
    const fresh = old?.source === source ? old.node : DRAW[block.kind](block.rows);
    if (!old) node.append(fresh);
    else if (old.node !== fresh) old.node.replaceWith(fresh);
    if (isLast) done.tail = { node: fresh, source };
  });
  if (found.length > 1) done.upto += found.at(-2).end;
}
