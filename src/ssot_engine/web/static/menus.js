// The two menus of the header: the conversations, and who is signed in.
import { $, el, icon, plural, when } from './dom.js';

export class Menus {
  /** `act` knows threads(), go(thread), begin() for a new conversation, and signOut(). */
  constructor(store, act) {
    Object.assign(this, { store, act });
    $('threads').ontoggle = () => { if ($('threads').open) this.#list(); };
    for (const menu of document.querySelectorAll('details.menu')) {
      menu.addEventListener('focusout', (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false; });
      menu.addEventListener('keydown', (event) => { if (event.key === 'Escape') { menu.open = false; menu.firstElementChild.focus(); } });
    }
    addEventListener('pointerdown', (event) => { for (const menu of document.querySelectorAll('details.menu[open]')) if (!menu.contains(event.target)) menu.open = false; });
  }

  account(user, way) {
    const menu = $('account');
    menu.firstElementChild.replaceChildren(el('span.face', { 'aria-hidden': 'true' }, [...user.user_id][0]), el('span.account-name', {}, user.user_id));
    menu.lastElementChild.replaceChildren(el('p.fine', {}, user.is_admin ? 'admin · sees every engine' : `sees only what is ${user.user_id}’s`),
      way.kind === 'host' ? el('p.fine', {}, 'Sign out at the application this page belongs to.') : el('button', { type: 'button', onclick: this.act.signOut }, 'Sign out'));
  }

  async #list() {
    const rows = await this.act.threads();
    const list = rows === null ? [el('p.fine', {}, 'The list cannot be read now.')] : rows.map((one) => this.#thread(one));
    $('threads').lastElementChild.replaceChildren(el('button.new', { type: 'button', onclick: () => this.#go(this.act.newThread()) }, icon('new'), 'New conversation'),
      ...list, el('p.fine', {}, 'This one: ', el('code', {}, this.store.state.thread)));
  }

  #thread(one) {
    const isThis = one.thread_id === this.store.state.thread;
    return el('button.thread', { type: 'button', 'aria-current': isThis ? 'true' : null, onclick: () => this.#go(one.thread_id) },
      icon(one.is_running ? 'running' : 'completed'), el('span.thread-title', {}, one.title || 'No question'), el('span.fine.num', {}, `${plural(one.runs, 'run')} · ${when(one.last_at * 1000)}`));
  }

  #go(thread) {
    $('threads').open = false;
    this.act.go(thread);
    $('question').focus();
  }
}
