// The operator's view: engines against limits, the queue, how runs ended, lag and rate, and this page's own stream.
import { $, STATUS, age, el, fill, icon, number, plural, set, svg, write } from './dom.js';

const ENDS = ['running', 'completed', 'failed', 'cancelled', 'timed_out', 'lost'];
const LINK = { lost: 'offline' };
const OLD_MS = 4000;
const MOST_ENGINES = 100;
const MOST_PIPS = 40;
const KEPT = 40;

const millis = (ms) => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

/** Remember the newest figures, for the curves. */
export function remember(series, stats, before, seconds) {
  const rate = before?.deliveries && stats.deliveries ? (stats.deliveries.events - before.deliveries.events) / seconds : null;
  for (const [name, value] of [['lag', stats.lag.p50_ms], ['rate', rate]]) if (value != null) series[name] = [...series[name], Math.max(0, value)].slice(-KEPT);
}

export class Dashboard {
  constructor(store) {
    this.store = store;
    for (const [name, title] of [['engines', 'Engines per user'], ['queue', 'Waiting'], ['runs', 'Runs'], ['lag', 'Event lag'], ['rate', 'Events per second'], ['stream', 'This page’s stream']]) {
      this[name] = el('div.card-body');
      this[`${name}Title`] = el('h3', {}, title);
      $('cards').append(el(`section.tile.${name}`, { 'aria-label': title }, this[`${name}Title`], this[name]));
    }
  }

  view(state) {
    if (state.user == null) return;
    this.#stream(state);
    const { stats } = state;
    if (!stats) return this.#none(state);
    this.#age(state);
    if (this.drawn === stats && this.runsSeen === state.items.length) return undefined;
    this.drawn = stats;
    this.runsSeen = state.items.length;
    this.#engines(stats, state);
    this.#queue(stats);
    this.#runs(stats, state);
    this.#spark(this.lag, state.series.lag, millis(stats.lag.p50_ms), `p50 · p99 ${millis(stats.lag.p99_ms)}`);
    return this.#rate(stats, state);
  }

  #none({ statsFailed }) {
    write($('dash-age'), '');
    for (const name of ['engines', 'queue', 'runs', 'lag', 'rate']) fill(this[name], `none ${!!statsFailed}`, () => (statsFailed ? el('p.fine', {}, 'No figures: the server did not give any.') : [60, 85].map((w) => el('span.bone', { '--w': `${w}%` }))));
  }

  #age({ statsAt }) {
    const old = Date.now() - statsAt;
    write($('dash-age'), old > OLD_MS ? `figures are ${age(old)} old` : 'every 2 s');
    set($('dash-age'), { 'data-old': old > OLD_MS });
  }

  #engines(stats, state) {
    const { limits, users } = stats;
    const isAdmin = !!stats.totals;
    const engines = stats.engines.slice(0, MOST_ENGINES);
    const key = JSON.stringify([limits, users, engines.map((one) => [one.engine_id, one.state, one.agents]), stats.engines.length]);
    if (fill(this.engines, key, () => [this.#users(users, limits, state.user.user_id), el('p.fine', {}, isAdmin ? `${number(stats.totals.engines_active)} of ${number(limits.max_engines)} in this process.` : 'Other users’ engines are not shown to you.'),
      engines.length ? this.#table(engines, stats.engines.length) : el('p.fine', {}, 'No engine is open. One opens with the next question.')])) this.ages = [...this.engines.querySelectorAll('td.num')];
    engines.forEach((one, i) => write(this.ages[i], age(one.age_s * 1000)));
  }

  #users(users, limits, own) {
    const most = limits.max_engines_per_user;
    const pips = Math.min(most, MOST_PIPS);
    return el('ul.users', {}, users.map((user) => el(`li${user.engines >= most ? '.full' : ''}`, {}, el('span.name', { title: user.user_id }, user.user_id, user.user_id === own && el('span.fine', {}, ' you')),
      el('span.pips', { 'aria-hidden': 'true' }, Array.from({ length: pips }, (_, i) => el(i < Math.ceil((user.engines / most) * pips) ? 'i.on' : 'i'))), el('span.num', {}, `${user.engines} of ${most}`))));
  }

  #table(engines, all) {
    const head = ['engine', 'user', 'agent', 'state', 'age'].map((name) => el(name === 'age' ? 'th.num' : 'th', { scope: 'col' }, name));
    const rows = engines.map((one) => el(`tr.${one.state}`, {}, el('td', {}, el('code', { title: one.engine_id }, `…${one.engine_id.slice(-6)}`)), el('td', {}, one.user_id), el('td', {}, one.agents.join(', ') || '—'), el('td', {}, one.state), el('td.num')));
    return [el('div.table', { tabindex: 0, role: 'group', 'aria-label': 'Engines' }, el('table', {}, el('thead', {}, el('tr', {}, head)), el('tbody', {}, rows))),
      all > engines.length && el('p.fine', {}, `${number(all - engines.length)} more are not listed.`)];
  }

  #queue({ queue, limits }) {
    fill(this.queue, JSON.stringify([queue, limits.max_waiting]), () => [el('p.figure.num', {}, number(queue.length), el('small', {}, ` of ${number(limits.max_waiting)}`)),
      queue.length > 0 && el('ol.line', { 'aria-label': 'Next to start, first on the left' }, queue.slice(0, 12).map((one) => el('li', {}, one.user_id, el('span.num', {}, `${one.what} ${one.place}`)))),
      el('p.fine', {}, queue.length ? 'Turns go round between users.' : 'Nobody waits.')]);
  }

  /** For an admin how all runs of the process ended; for others, those of this conversation. */
  #runs({ totals, engines }, { runs }) {
    const counts = Object.fromEntries(ENDS.map((end) => [end, totals ? totals[`runs_${end}`] : runs.filter((run) => run.status === end).length]));
    if (totals) counts.running = engines.filter((one) => one.state === 'running').length;
    write(this.runsTitle, totals ? 'Runs since the start' : 'Runs of this conversation');
    fill(this.runs, JSON.stringify(counts), () => {
      const all = ENDS.reduce((sum, end) => sum + counts[end], 0);
      return [el('p.figure.num', {}, number(all), all > 0 && el('small', {}, ` · ${((counts.failed / all) * 100).toFixed(1)}% failed`)),
        el('div.stack', { 'aria-hidden': 'true' }, ENDS.filter((end) => counts[end]).map((end) => el(`i.${end}`, { '--n': counts[end] }))),
        el('dl.legend', {}, ENDS.map((end) => el(`div.${end}`, {}, el('dt', {}, icon(end), STATUS[end]), el('dd.num', {}, number(counts[end])))))];
    });
  }

  #rate(stats, { series, health }) {
    if (stats.deliveries) this.#spark(this.rate, series.rate, series.rate.length ? series.rate.at(-1).toFixed(0) : '—', `to ${plural(Object.values(stats.deliveries.connections).reduce((sum, n) => sum + n, 0), 'reader')}`);
    else this.#spark(this.rate, health.times, String(health.times.at(-1) ?? 0), 'read by this page');
  }

  #spark(box, series, figure, words) {
    const max = Math.max(...series, 0) * 1.15 || 1;
    const points = series.map((value, i) => `${((i / Math.max(1, series.length - 1)) * 100).toFixed(1)},${(30 - (value / max) * 28).toFixed(1)}`).join(' ');
    fill(box, `${points}${figure}${words}`, () => [el('p.figure.num', {}, figure), svg('svg', { class: 'spark', viewBox: '0 0 100 30', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      ...(series.length > 1 ? [svg('polygon', { points: `0,30 ${points} 100,30` }), svg('polyline', { points })] : [])), el('p.fine', {}, words)]);
  }

  #stream(state) {
    const { link, health, head, seq } = state;
    const lags = [...health.lag].sort((a, b) => a - b);
    const rows = [['state', LINK[link.state] ?? link.state], ['read to', `#${seq}`], ['behind', String(Math.max(0, head - seq))], ['lag here', lags.length ? millis(lags[lags.length >> 1]) : '—'],
      ['reconnects', health.reconnects], ['replayed', health.replayed], ['doubles', health.duplicates], ['gaps', health.gaps], ['epoch', state.epoch ?? '—']];
    fill(this.stream, rows.join(), () => el('dl.facts', {}, rows.map(([name, value]) => el('div', { class: name === 'state' ? `is-${link.state}` : null }, el('dt', {}, name), el('dd.num', {}, String(value))))));
  }
}
