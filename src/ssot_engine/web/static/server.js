// The HTTP side of the server: JSON in, JSON out, problems (RFC 9457) thrown as they are. All addresses are relative.

/** What went wrong when nobody answered. */
const UNREACHED = { status: 0, code: 'unreachable', title: 'The server does not answer', detail: 'It may be restarting, or the network is gone. Nothing was lost: the log is kept by the server.' };

async function call(path, { method = 'GET', body } = {}) {
  const answer = await fetch(`api/${path}`, {
    method, credentials: 'same-origin', cache: 'no-store',
    headers: { accept: 'application/json', ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  }).catch(() => { throw UNREACHED; });
  const data = await answer.json().catch(() => null);
  if (answer.ok) return data;
  throw { status: answer.status, title: answer.statusText || `Answer ${answer.status}`, detail: 'The server gave no reason.', ...data };
}

export const session = () => call('session');
export const signIn = (token) => call('session', { method: 'POST', body: { token } });
export const signOut = () => call('session', { method: 'DELETE' });
export const agents = () => call('agents');
export const threads = () => call('threads');
export const engines = () => call('engines');

/** Pages of a thread's events from the beginning of what is kept, oldest first. */
export async function* history(thread, { limit = 1000 } = {}) {
  let after = null;
  for (;;) {
    const query = new URLSearchParams({ limit: String(limit), ...(after ? { after } : {}) });
    const page = await call(`threads/${encodeURIComponent(thread)}/events?${query}`);
    yield page;
    const last = page.events.at(-1)?.seq ?? page.floor;
    if (last >= page.head || !page.next || page.next === after) return;
    after = page.next;
  }
}

/** Where the socket is: beside the page, by the page's own scheme. */
export function socketUrl() {
  const url = new URL('ws', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = url.search = '';
  return url.href;
}
