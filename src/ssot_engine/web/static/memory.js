// What one tab keeps over a reload: the draft, the chosen agent, the thread, and how far it was read. Never a token.
// Of one user only: another user who signs in here finds nothing.

const PREFIX = `ssot-engine ${location.pathname} `;

export class Memory {
  /** Forget what other users left. */
  constructor(user) {
    this.prefix = `${PREFIX}${user} `;
    for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX) && !name.startsWith(this.prefix)) sessionStorage.removeItem(name);
  }

  get(name) {
    try {
      return JSON.parse(sessionStorage.getItem(this.prefix + name));
    } catch {
      return null;                                      // not ours, or half written
    }
  }

  set(name, value) {
    try {
      if (value == null || value === '') sessionStorage.removeItem(this.prefix + name);
      else sessionStorage.setItem(this.prefix + name, JSON.stringify(value));
    } catch {
      // The browser refuses storage: the page works without it, only not over a reload.
    }
  }

  clear() {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
  }
}
