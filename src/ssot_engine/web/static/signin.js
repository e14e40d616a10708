// Signing in: by picking a dev user (offered on loopback only), by a token, or at the host application.
import { $, el, fill, sentence } from './dom.js';

/** A little tape of ticks, another for each user: a log of their own. */
const tape = (id) => el('span.tape', { 'aria-hidden': 'true' }, Array.from({ length: 18 }, (_, i) => el('i', { '--h': i % (id.length || 1) ? 6 : 13 })));

const LEAD = {
  users: 'Each user has engines, threads and events of their own. Sign in as two users in two windows to see it.',
  token: 'Paste the token your identity provider gave you. The page keeps it in a cookie that scripts cannot read.',
  host: 'This page belongs to another application. Sign in there, then come back.',
};

export class SignIn {
  /** `enter(token)` signs in: gives the session, or throws a problem. `again()` asks whether the host knows us now. */
  constructor({ enter, again }) { Object.assign(this, { enter, again }); }

  show({ kind, users = [] }, reason) {
    document.body.dataset.stage = 'signin';
    const body = { users: () => this.#users(users), token: () => this.#token(), host: () => this.#host() }[kind];
    this.problem = el('p.notice', { role: 'alert', hidden: !reason }, reason);
    fill($('signin'), Symbol(kind), () => el('div.signin-card', {}, this.problem, el('h2', { id: 'signin-h' }, kind === 'host' ? 'Not signed in' : 'Who is asking?'),
      el('p', {}, LEAD[kind]), body()));
    $('signin').querySelector('button, input')?.focus();
  }

  #users(users) {
    return [el('ul.people', {}, users.map((id) => el('li', {}, el('button', { type: 'button', onclick: () => this.#try(id) }, el('b', {}, id), tape(id))))),
      el('p.fine', {}, 'Dev users work on this machine only. ', el('code', {}, 'serve --dev-users alice,bob'), ' refuses any other address.')];
  }

  #token() {
    const input = el('input', { type: 'password', name: 'token', autocomplete: 'off', spellcheck: 'false', required: true });
    const submit = (event) => { event.preventDefault(); const token = input.value.trim(); input.value = ''; this.#try(token); };
    return el('form.token', { onsubmit: submit }, el('label', {}, el('span', {}, 'Token'), input), el('button.btn.primary', { type: 'submit' }, 'Sign in'));
  }

  #host() { return el('p.state-do', {}, el('button.btn', { type: 'button', onclick: this.again }, 'Try again')); }

  async #try(token) {
    if (this.isTrying) return;
    this.isTrying = true;
    try {
      await this.enter(token);
    } catch (problem) {
      this.problem.textContent = sentence(problem.detail);
      this.problem.hidden = false;
    } finally {
      this.isTrying = false;
    }
  }
}
