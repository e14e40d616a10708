// Above the parts: how the link is, which conversation this is, and the banner by which the link speaks.
import { $, el, fill, plural, say, seconds, set, write } from './dom.js';
import { CLOSED } from './link.js';

const BANNER_MS = 8000;
const LOST_MS = 400;            // a shorter loss is not worth a banner
const LINK = { idle: 'connecting', connecting: 'connecting', live: 'live', lost: 'not connected', expired: 'signed out', replaced: 'taken over', outdated: 'out of date' };

export class Frame {
  constructor(store, act) { Object.assign(this, { store, act }); }

  /** Draw the header and the banner: what the link says. */
  view(now) {
    if (!now.user) return;
    const { link: at } = now;
    const pill = $('link-pill');
    document.body.dataset.link = at.state;
    set(pill, { 'data-state': at.state });
    fill(pill, at.state, () => [LINK[at.state], el('span.num')]);
    write(pill.lastElementChild, at.state === 'live' && now.head ? ` #${now.head}` : '');
    this.#heading(now);
    this.#banner(now);
  }

  #heading(now) {
    const title = now.runs[0]?.message ?? now.asking?.message ?? 'New conversation';
    fill($('threads').firstElementChild, title, () => [el('span', {}, title)]);
    const name = `${title} · ssot-engine`;
    if (document.title !== name) document.title = name;
  }

  #banner(now) {
    const box = $('banner');
    const { link: at, resumed, resetInfo } = now;
    const away = at.lostAt && Date.now() - at.lostAt;
    const isFresh = resumed && Date.now() - resumed.at < BANNER_MS;
    const isHeld = at.state === 'replaced' || at.state === 'outdated';
    box.hidden = !(isHeld || away > LOST_MS || resetInfo || isFresh);
    set(box, { 'data-tone': isHeld || away || resetInfo ? 'warn' : 'calm' });
    if (isHeld) this.#held(box, at);
    else if (away > LOST_MS) this.#lost(box, at);
    else if (resetInfo) this.#afresh(box, resetInfo);
    else if (isFresh) this.#back(box, resumed);
    else fill(box, null, () => []);
  }

  #held(box, at) {
    const isOld = at.state === 'outdated';
    if (fill(box, at.state, () => [el('p', {}, el('b', {}, isOld ? 'This page is older than the server' : 'This page was taken over'), isOld ? ' · load it again to go on' : ' · a newer connection of the same page took its place'),
      el('button.btn', { type: 'button', onclick: () => (isOld ? location.reload() : this.act.retryNow()) }, isOld ? 'Load again' : 'Connect here')])) say(box.textContent);
  }
  #lost(box, at) {
    const why = at.code === CLOSED.RESTART ? 'The server restarts' : at.code === CLOSED.TOO_MANY ? 'Too many connections' : 'Connection lost';
    if (fill(box, `away ${why} ${!!this.store.active()}`, () => [el('p', {}, el('b', {}, why), ' · ', this.store.active() ? 'the run goes on without this page · ' : '', el('span.num.next')), el('button.btn', { type: 'button', onclick: () => this.act.retryNow() }, 'Try now')])) say(`${why}. Trying again.`);
    write(box.querySelector('.next'), at.retryAt ? `trying again in ${Math.max(0, Math.ceil((at.retryAt - Date.now()) / 1000))} s` : 'connecting…');
  }
  #close() {
    return el('button.btn.plain', { type: 'button', onclick: () => this.store.put({ resumed: null, resetInfo: null }) }, 'Close');
  }
  #afresh(box, info) {
    const why = info.reason === 'gap' ? `events up to #${info.seq} are no longer kept` : `the log has another history now, epoch ${info.epoch}`;
    if (fill(box, info, () => [el('p', {}, el('b', {}, 'Started afresh'), ` · the page cannot go on from #${info.before}: ${why}. This is a full snapshot up to #${info.seq}`), this.#close()])) say('The stream was reset. A fresh snapshot is shown.');
  }
  #back(box, info) {
    const words = info.count ? `${plural(info.count, 'event')} replayed, none lost` : 'nothing was missed';
    const first = info.isReload ? 'Loaded again' : 'Reconnected';
    if (fill(box, info, () => [el('p', {}, el('b', {}, first), ` · ${words}`, el('span.fine.num', {}, info.count ? ` #${info.from}–#${info.to}, away ${seconds(info.away)}` : '')),
      el('ol.tape', { 'aria-hidden': 'true' }, Array.from({ length: Math.min(info.count, 40) }, (_, i) => el('li', { '--i': i }))), this.#close()])) say(`${first}. ${words}.`);
  }
}
