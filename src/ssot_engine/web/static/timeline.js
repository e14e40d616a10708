// The waterfall: a block per run, a row per agent or tool, bars for durations, ticks for events with their seq; and the
// same events as a list. Only what is near the view is in the document, however long the log is.
// Pointing at an event, or moving to it, shows it in the inspector; a click or Enter keeps it there.
import { $, STATUS, clock, el, fill, follower, icon, pairs, plural, seconds, set, write } from './dom.js';
import { KINDS, kindOf } from './store.js';

/** Seconds an axis can show: it grows in steps, so that bars do not crawl. */
const AXES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 6, 8, 10, 12, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600];
const STEPS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600];
const LEAST_AXIS = 4;           // seconds, while a run goes on
const HEAD = 31;
const AXIS = 20;
const GAP = 16;
const OFFLINE = 18;             // room for the word below the rows
const NEAR = 400;
const MOST_MARKS = 200;

export class Timeline {
  constructor(store, act) {
    Object.assign(this, { store, act, off: new Set(), text: '', mode: 'waterfall', seen: 0, blocks: new Map(), version: 0, at: { top: 0, height: 0 } });
    this.box = $('falls');
    this.sheet = el('div.sheet');
    this.none = el('div.state.none');
    this.narrow = matchMedia('(max-width: 759px)');
    this.narrow.onchange = () => this.#again();
    this.follow = follower(this.box, () => { this.seen = store.state.items.length; store.changed(); });
    this.box.addEventListener('scroll', () => { this.at.top = this.box.scrollTop; store.changed(); }, { passive: true });
    new ResizeObserver(() => { this.at.height = this.box.clientHeight; this.isResized = true; store.changed(); }).observe(this.box);
    this.#controls();
    this.#pointing();
  }

  #controls() {
    const { store } = this;
    const toggle = (name, words, isOn, click) => el(`button.${name}`, { type: 'button', 'aria-pressed': String(isOn), onclick: click }, words);
    const modes = [['waterfall', 'Waterfall'], ['list', 'List']].map(([mode, words]) => toggle(mode, words, mode === this.mode, () => {
      this.mode = mode;
      modes.forEach((button) => button.setAttribute('aria-pressed', String(button.classList.contains(mode))));
      this.#again();
    }));
    $('tl-mode').append(...modes);
    this.kinds = KINDS.map((kind) => toggle(kind, kind, true, (event) => {
      if (!this.off.delete(kind)) this.off.add(kind);
      event.currentTarget.setAttribute('aria-pressed', String(!this.off.has(kind)));
      this.#again();
    }));
    for (const button of this.kinds) button.classList.add('kind');
    $('tl-kinds').append(...this.kinds);
    $('tl-find').oninput = (event) => { this.text = event.target.value.trim().toLowerCase(); this.#again(); };
    $('tl-live').onclick = () => { this.follow.toEnd(); this.act.select(null); };
    store.changed();
  }

  /** What is asked for changed: everything is drawn afresh. */
  #again() {
    this.version += 1;
    this.#clear();
    this.store.changed();
  }
  #clear() {
    this.blocks.clear();
    this.sheet.replaceChildren();
  }

  // ---- what is shown -----------------------------------------------------------------------------------------------

  get isFiltered() { return this.off.size > 0 || this.text !== ''; }

  #passes(item) {
    const { event } = item;
    if (this.off.has(kindOf(event))) return false;
    if (!this.text) return true;
    item.words ??= `#${event.seq} ${event.type} ${event.agent_name} ${item.span.name} ${JSON.stringify(event.payload)}`.toLowerCase();
    return item.words.includes(this.text);
  }
  #shows(stop) { return !this.isFiltered || stop.items.some((item) => this.#passes(item)); }

  /** The lines of a run: spans in the waterfall, events in the list. Kept until the run or the filter changes. */
  #lines(block) {
    const { run } = block;
    if (block.rev === run.rev) return block.lines;
    block.rev = run.rev;
    if (!this.isFiltered) block.lines = this.mode === 'list' ? run.items : run.spans;
    else if (this.mode === 'list') block.lines = run.items.filter((item) => this.#passes(item));
    else block.lines = run.spans.filter((span) => span.stops.some((stop) => this.#shows(stop)));
    return block.lines;
  }

  view(state) {
    if (state.user == null) return;
    if (this.runs !== state.runs) { this.runs = state.runs; this.#clear(); this.follow.on = true; this.seen = 0; this.held = null; }
    set(this.kinds.at(-1), { hidden: !state.hasCustom });
    const isEmpty = state.phase !== 'ready' || !state.runs.length;
    fill(this.box, isEmpty ? `none ${state.phase}` : 'runs', () => (isEmpty ? this.#nothing(state) : [this.sheet, this.none]));
    if (!isEmpty && this.at.height) this.#draw(state);
    this.#inspect(state);
    this.#live(state);
  }

  #nothing({ phase }) {
    if (phase === 'loading') return [70, 45, 60].map((w) => el('span.bone', { '--w': `${w}%` }));
    return el('div.state', {}, el('p', {}, phase === 'error' ? 'No events: the log could not be read.'
      : 'No events yet. Ask something, and every event of the run appears here with its number, as it happens.'));
  }

  #live(state) {
    if (this.follow.on) this.seen = state.items.length;
    const fresh = state.items.length - this.seen;
    $('tl-live').hidden = this.follow.on || !state.runs.length;
    write($('tl-live'), fresh ? `Jump to live · ${fresh} new` : 'Jump to live');
  }

  // ---- layout: where each run's block lies, without asking the document -----------------------------------------------

  #draw(state) {
    this.unit = this.mode === 'list' ? (this.narrow.matches ? 34 : 28) : (this.narrow.matches ? 46 : 30);
    let top = 0;
    const shown = [];
    for (const run of state.runs) {
      const block = this.blocks.get(run.id) ?? this.#block(run);
      const lines = this.#lines(block);
      const outages = this.mode === 'list' ? [] : this.#outages(run, state);
      let height = HEAD + (this.mode === 'list' ? 29 : AXIS) + lines.length * this.unit + (outages.length ? OFFLINE : 0) + GAP;
      if (this.isFiltered && !lines.length) { if (block.root) this.#hide(block); continue; }
      // At the end of the scroll, the newest run has the view to itself.
      if (run === state.runs.at(-1) && !this.isFiltered) height = Math.max(height - GAP, this.at.height);
      Object.assign(block, { top, height, outages });
      top += height;
      shown.push(block);
    }
    fill(this.none, shown.length > 0, () => (shown.length ? [] : this.#noneFits()));
    this.#size(top);
    const from = this.at.top - NEAR;
    const to = this.at.top + this.at.height + NEAR;
    for (const block of shown) {
      const isNear = (block.top < to && block.top + block.height > from) || block.run === this.held?.run;
      if (isNear) this.#show(block, state, from, to);
      else if (block.root) this.#hide(block);
    }
    this.#stop(state);
  }

  #noneFits() {
    const all = () => {
      this.off.clear();
      this.text = $('tl-find').value = '';
      for (const button of this.kinds) button.setAttribute('aria-pressed', 'true');
      this.#again();
    };
    return [el('p', {}, 'No event of this conversation fits the filter.'), el('p.state-do', {}, el('button.btn', { type: 'button', onclick: all }, 'Show all'))];
  }

  /** The whole height; a reader at the end stays there, without asking the document where that is. */
  #size(height) {
    if (this.height === height && !this.isResized) return;
    this.height = height;
    this.isResized = false;
    set(this.sheet, { '--height': `${height}px` });
    if (this.follow.on) {
      this.at.top = Math.max(0, height - this.at.height);
      this.box.scrollTop = height;
    }
  }

  #block(run) {
    const block = { run, rev: -1, lines: [], root: null };
    this.blocks.set(run.id, block);
    return block;
  }

  #hide(block) {
    block.root.remove();
    Object.assign(block, { root: null });
  }

  #show(block, state, from, to) {
    if (!block.root) {
      this.mode === 'list' ? this.#makeList(block) : this.#makeFall(block);
      this.sheet.append(block.root);
    }
    set(block.root, { '--top': `${block.top}px`, '--tall': `${block.height}px` });
    this.#heading(block);
    const start = block.top + HEAD + (this.mode === 'list' ? 29 : AXIS);
    const first = Math.max(0, Math.floor((from - start) / this.unit));
    const last = Math.min(block.lines.length, Math.ceil((to - start) / this.unit));
    if (this.mode === 'list') this.#list(block, first, last);
    else this.#fall(block, state, first, last);
  }

  #head(block) {
    const { run } = block;
    block.status = el('span.run-status');
    block.range = el('span.range.num');
    return el('header.run-head', {}, block.status, el('strong', {}, run.agent), el('code', {}, run.id), block.range);
  }
  #heading({ run, status, range }) {
    fill(status, run.status, () => [icon(run.status), STATUS[run.status]]);
    write(range, `#${run.firstSeq}–#${run.lastSeq} · ${clock(run.start)} · ${seconds(this.#end(run) - run.start)}`);
  }
  #end(run) { return run.end ?? Math.max(run.last, this.store.seenNow()); }

  #outages(run, { outages, link }) {
    const open = link.lostAt ? [{ from: link.lostAt + this.store.state.skew, to: this.store.now(), isOpen: true }] : [];
    return outages.concat(open).filter((one) => one.to > run.start && (run.end == null || one.from < run.end));
  }

  // ---- waterfall -----------------------------------------------------------------------------------------------------

  #makeFall(block) {
    Object.assign(block, {
      rows: new Map(), axis: el('div.axis', { 'aria-hidden': 'true' }), body: el('div.rows', { role: 'list' }), shade: el('div.shade', { 'aria-hidden': 'true' }), width: null,
    });
    block.body.append(block.shade);
    block.root = el('section.fall', { 'aria-label': `Run of ${block.run.agent}, from event ${block.run.firstSeq}` }, this.#head(block), block.axis, block.body);
  }

  #fall(block, state, first, last) {
    const { run, lines } = block;
    this.#scale(block, run);
    this.#shade(block, run);
    set(block.body, { '--rows': `${lines.length * this.unit + (block.outages.length ? OFFLINE : 0)}px`, '--row': `${this.unit}px` });
    const wanted = lines.slice(first, last);
    const held = this.held?.run === run && lines.includes(this.held) ? this.held : null;      // focus may not fall out of the document
    if (held && !wanted.includes(held)) wanted.push(held);
    for (const [span, row] of block.rows) {
      if (wanted.includes(span)) continue;
      row.root.remove();
      block.rows.delete(span);
    }
    const lit = (state.hovered ?? state.selected)?.span;
    wanted.forEach((span, i) => this.#row(block, span, span === held ? lines.indexOf(span) : first + i, lit, state));
  }

  /** How much time the lane shows. Ticks and bars are in milliseconds; one number per block makes them places. */
  #scale(block, run) {
    const took = (this.#end(run) - run.start) / 1000;
    const want = run.end == null ? Math.max(took * 1.1, LEAST_AXIS) : took * 1.02;
    const width = AXES.find((one) => one >= want) ?? want;
    if (block.width === width) return;
    block.width = width;
    const step = STEPS.find((one) => width / one <= 6) ?? 1200;
    const words = (s) => (width < 1 ? `${+(s * 1000).toFixed(1)} ms` : `${+s.toFixed(2)} s`);
    set(block.root, { '--per': `${100 / (width * 1000)}%`, '--step': `${(step / width) * 100}%` });
    block.axis.replaceChildren(...Array.from({ length: Math.ceil((width * 0.97) / step) }, (_, i) => el('span', { '--x': Math.round(i * step * 1e6) / 1000 }, words(i * step))));
  }

  #shade(block, run) {
    const limit = run.start + block.width * 1000;
    fill(block.shade, block.outages.map((one) => `${one.from} ${one.isOpen ? Math.round(one.to / 50) : one.to} ${block.width}`).join(), () => block.outages.map((one) => {
      const x = Math.max(one.from, run.start) - run.start;
      return el('span', { '--x': x, '--x2': Math.max(x, Math.min(one.to, limit) - run.start) }, el('b', {}, 'offline'));
    }));
  }

  #row(block, span, index, lit, state) {
    const { run } = block;
    let row = block.rows.get(span);
    if (!row) block.rows.set(span, (row = this.#makeRow(block, span, state)));
    const end = span.end ?? this.#end(run);
    set(row.root, { '--at': index, 'aria-posinset': index + 1, 'aria-setsize': block.lines.length });
    set(row.bar, { '--x2': Math.round((end - run.start) * 1000) / 1000 });
    if (row.status !== span.status) {
      row.status = span.status;
      row.root.classList.remove('running', 'completed', 'failed', 'cancelled', 'timed_out', 'lost');
      row.root.classList.add(span.status);
      row.state.replaceChildren(icon(span.status));
    }
    row.root.classList.toggle('lit', span === lit);
    write(row.time, seconds(end - span.start));
    this.#ticks(row, span, run);
    this.#marks(row, span, run);
  }

  #makeRow(block, span) {
    const row = { ticks: [], done: 0, marks: 0, stride: 1, status: null, state: el('span.row-state'), time: el('span.row-time.num'), bar: el('span.span-bar'), comb: el('span.comb', { 'aria-hidden': 'true' }) };
    row.lane = el('div.lane', {}, row.bar, row.comb);
    row.root = el(`div.row.${span.kind}`, { role: 'listitem', '--depth': span.depth }, el('span.row-name', {}, row.state, el('span', { title: span.name }, span.name), el('span.sr', {}, `, ${span.kind}, level ${span.depth + 1}`)), row.lane, row.time);
    row.root.span = span;
    set(row.bar, { '--x': span.start - block.run.start });
    block.body.append(row.root);
    return row;
  }

  /** One button per stop. Only the last can have grown. */
  #ticks(row, span, run) {
    const { stops } = span;
    for (let i = Math.max(0, row.ticks.length - 1); i < stops.length; i += 1) {
      const stop = stops[i];
      if (row.ticks[i] && row.ticks[i].size === stop.items.length) continue;
      row.ticks[i] ??= this.#tick(row, stop, run);
      const tick = row.ticks[i];
      tick.size = stop.items.length;
      set(tick, { '--x2': stop.items.at(-1).at - run.start, 'aria-label': this.#label(stop, run) });
    }
  }
  #tick(row, stop, run) {
    const [{ event, at, replayed }] = stop.items;
    const tick = el(`button.tick.${kindOf(event)}.${event.type}${replayed ? '.replayed' : ''}`, { type: 'button', tabindex: -1, 'data-seq': event.seq, '--x': at - run.start, hidden: !this.#shows(stop) });
    tick.stop = stop;
    row.lane.append(tick);
    return tick;
  }
  #label(stop, run) {
    const first = stop.items[0];
    const after = `${((first.at - run.start) / 1000).toFixed(2)} s`;
    if (stop.items.length > 1) return `#${first.event.seq} to #${stop.items.at(-1).event.seq}, ${plural(stop.items.length, 'event')}, from ${after}`;
    return `#${first.event.seq} ${first.event.type}, ${first.event.agent_name}, at ${after}${first.replayed ? ', replayed' : ''}`;
  }

  /** A mark for each event that shares its stop; where they get too many, each second one goes. */
  #marks(row, span, run) {
    if (this.off.has('text')) return;
    for (; row.done < span.items.length; row.done += 1) {
      const item = span.items[row.done];
      if (item.event.type !== 'message_delta' && item.stop.items[0] === item) continue;
      row.marks += 1;
      if (row.marks % row.stride) continue;
      row.comb.append(el(item.replayed ? 'i.replayed' : 'i', { '--x': item.at - run.start }));
      if (row.comb.childElementCount <= MOST_MARKS) continue;
      row.stride *= 2;
      [...row.comb.children].forEach((mark, i) => { if (i % 2) mark.remove(); });
    }
  }

  // ---- list ----------------------------------------------------------------------------------------------------------

  #makeList(block) {
    const edge = () => el('tr.edge', { 'aria-hidden': 'true' }, el('td', { colspan: 5 }));
    Object.assign(block, { body: el('tbody'), above: edge(), below: edge(), lineOf: new Map() });
    block.body.append(block.above, block.below);
    block.table = el('table.events', {}, el('thead', {}, el('tr', {}, ['seq', 'at', 'type', 'agent', 'payload'].map((name) => el('th', { scope: 'col' }, name)))), block.body);
    block.root = el('section.fall.as-list', { 'aria-label': `Run of ${block.run.agent}, from event ${block.run.firstSeq}` }, this.#head(block), block.table);
  }

  #list(block, first, last) {
    const { lines, lineOf } = block;
    set(block.table, { 'aria-rowcount': lines.length + 1, '--row': `${this.unit}px` });
    const held = this.held?.event && this.held.run === block.run ? this.held : null;
    const wanted = new Set(lines.slice(first, last));
    for (const [item, row] of lineOf) {
      if (wanted.has(item) || item === held) continue;
      row.remove();
      lineOf.delete(item);
    }
    let before = block.above;
    for (let i = first; i < last; i += 1) {
      const row = lineOf.get(lines[i]) ?? this.#line(block, lines[i]);
      if (before.nextSibling !== row) before.after(row);
      set(row, { 'aria-rowindex': i + 2 });
      before = row;
    }
    const isAway = held && lineOf.has(held) && !wanted.has(held) ? 1 : 0;
    set(block.above, { '--rows': Math.max(0, first) });
    set(block.below, { '--rows': Math.max(0, lines.length - last - isAway) });
    if (before.nextSibling !== block.below && !isAway) before.after(block.below);
  }

  #line(block, item) {
    const { event } = item;
    const button = el('button.seq-button', { type: 'button', tabindex: -1, 'data-seq': event.seq, 'aria-label': `#${event.seq} ${event.type}` }, `#${event.seq}`);
    const row = el(`tr.${kindOf(event)}${item.replayed ? '.replayed' : ''}`, {}, el('td', {}, button), el('td.num', {}, `+${((item.at - block.run.start) / 1000).toFixed(2)}`),
      el('td', {}, event.type), el('td', {}, event.agent_name), el('td.payload', {}, JSON.stringify(event.payload).slice(0, 300)));
    row.item = item;
    button.item = item;
    block.lineOf.set(item, row);
    return row;
  }

  // ---- pointer, keyboard -----------------------------------------------------------------------------------------------

  #pointing() {
    const { box, store } = this;
    const at = (node) => node?.closest?.('[data-seq]');
    const hover = (node) => {
      const tick = at(node);
      if (tick) return { span: itemOf(tick).span, item: itemOf(tick), stop: tick.stop };
      const row = node?.closest?.('.row');
      return row ? { span: row.span } : null;
    };
    const put = (found) => {
      const was = store.state.hovered;
      if (was?.span !== found?.span || was?.item !== found?.item) store.put({ hovered: found });
    };
    box.addEventListener('pointerover', (event) => put(hover(event.target)));
    box.addEventListener('pointerleave', () => put(null));
    box.addEventListener('focusin', (event) => {
      const tick = at(event.target);
      this.held = tick ? (tick.item ?? tick.stop.span) : null;
      if (tick) { this.here = itemOf(tick); put(hover(tick)); }
    });
    box.addEventListener('focusout', () => { this.held = null; put(null); });
    box.addEventListener('click', (event) => {
      const tick = at(event.target);
      const item = tick ? itemOf(tick) : event.target.closest('tr')?.item;
      if (item) this.act.select(store.state.selected?.item === item ? null : item, tick?.stop);
    });
    box.addEventListener('keydown', (event) => this.#key(event));
  }

  /** One tab stop. Left and right go by seq, up and down to the nearest event of the next row, wherever it is drawn. */
  #key(event) {
    if (event.key === 'Escape') { this.act.select(null); return; }
    const tick = document.activeElement?.closest?.('[data-seq]');
    if (!tick || !this.box.contains(tick)) return;
    const item = itemOf(tick);
    const to = this.mode === 'list' ? this.#nextItem(item, event.key) : this.#nextStop(tick.stop, event.key);
    if (!to) return;
    event.preventDefault();
    this.reveal(to);
  }

  #walk(all, from, by, fits) {
    for (let i = from; i >= 0 && i < all.length; i += by) if (fits(all[i])) return all[i];
    return null;
  }
  #nextItem(item, key) {
    const { items } = this.store.state;
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
    const fits = (one) => this.#passes(one);
    if (by) return this.#walk(items, item.index + by, by, fits);
    if (key === 'Home') return this.#walk(items, 0, 1, fits);
    return key === 'End' ? this.#walk(items, items.length - 1, -1, fits) : null;
  }
  #nextStop(stop, key) {
    const { stops } = this.store.state;
    const fits = (one) => this.#shows(one);
    const found = {
      ArrowRight: () => this.#walk(stops, stop.index + 1, 1, fits), ArrowLeft: () => this.#walk(stops, stop.index - 1, -1, fits),
      Home: () => this.#walk(stops, 0, 1, fits), End: () => this.#walk(stops, stops.length - 1, -1, fits),
      ArrowDown: () => this.#nearby(stop, 1), ArrowUp: () => this.#nearby(stop, -1),
    }[key]?.();
    return found?.items.at(-1);
  }
  #nearby(stop, by) {
    const item = stop.items[0];
    const lines = this.blocks.get(item.run.id)?.lines ?? [];
    const span = this.#walk(lines, lines.indexOf(item.span) + by, by, (one) => one.stops.some((other) => this.#shows(other)));
    const far = (one) => Math.abs(one.items[0].at - item.at);
    return span?.stops.filter((one) => this.#shows(one)).reduce((best, one) => (far(one) < far(best) ? one : best));
  }

  /** Bring an event into view and go to it. */
  reveal(item) {
    const block = this.blocks.get(item.run.id);
    const index = block ? this.#lines(block).indexOf(this.mode === 'list' ? item : item.span) : -1;
    if (index < 0) return;
    this.#draw(this.store.state);
    const top = block.top + HEAD + (this.mode === 'list' ? 29 : AXIS) + index * this.unit;
    const from = this.at.top + HEAD + AXIS;
    const to = this.at.top + this.at.height - this.unit;
    if (top < from || top > to) {
      this.follow.letGo();
      this.at.top = Math.max(0, top < from ? top - HEAD - AXIS : top - this.at.height + this.unit * 2);
      this.box.scrollTop = this.at.top;
      this.#draw(this.store.state);
    }
    const tick = this.mode === 'list' ? block.lineOf.get(item)?.querySelector('[data-seq]') : block.rows.get(item.span)?.ticks.find((one) => one.stop === item.stop);
    tick?.focus({ preventScroll: true });
  }

  /** Exactly one event can be tabbed to: where the reader was, else the kept one, else the first in view. */
  #stop(state) {
    const kept = state.selected?.item ?? null;
    if (this.stop?.isConnected && this.stopFor === this.here && this.keptFor === kept) return;
    Object.assign(this, { stopFor: this.here, keptFor: kept });
    const ticks = [...this.sheet.querySelectorAll('[data-seq]:not([hidden])')];
    const of = (item) => item && ticks.find((tick) => tick.item === item || tick.stop === item.stop);
    const pressed = of(kept);
    const chosen = of(this.here) ?? pressed ?? ticks[0];
    if (this.stop !== chosen) this.stop?.setAttribute('tabindex', -1);
    chosen?.setAttribute('tabindex', 0);
    this.stop = chosen;
    if (this.pressed !== pressed) this.pressed?.removeAttribute('aria-pressed');
    pressed?.setAttribute('aria-pressed', 'true');
    this.pressed = pressed;
  }

  // ---- inspector -------------------------------------------------------------------------------------------------------

  #inspect(state) {
    const { latest } = state;
    const from = state.hovered?.item ? state.hovered : state.selected ?? (latest && { item: latest });
    const item = from?.item;
    const isKept = item && item === state.selected?.item;
    $('inspector').hidden = !item;
    const key = item ? `${item.event.epoch} ${item.event.seq} ${from.stop?.items.length} ${isKept} ${from.item === latest && !isKept && !state.hovered?.item}` : '';
    fill($('inspector'), key, () => (item ? this.#payload(item, from.stop, isKept, item === latest && !isKept && !state.hovered?.item) : []));
  }

  #payload(item, stop, isKept, isLatest) {
    const { event } = item;
    const isText = stop?.items.length > 1 && stop.items[0].event.type === 'message_delta';
    const shared = isText ? { text: stop.items.map((one) => one.event.payload.text ?? '').join('').slice(-2000) } : event.payload;
    return [el('p.what', {}, el('b.num', {}, isText ? `#${stop.items[0].event.seq}–#${stop.items.at(-1).event.seq}` : `#${event.seq}`), el('code', {}, event.type),
      el('span', {}, item.span.kind === 'tool' ? `${event.agent_name} › ${item.span.name}` : event.agent_name), el('span.num', {}, `+${((item.at - item.run.start) / 1000).toFixed(3)} s`),
      item.replayed && el('span.tag', {}, 'replayed'), isKept && el('span.tag', {}, 'kept · Esc lets go'), isLatest && el('span.fine.how', {}, 'latest · point, or use the arrow keys, to read another')), pairs(shared)];
  }
}

const itemOf = (tick) => tick.item ?? tick.stop.items.at(-1);
