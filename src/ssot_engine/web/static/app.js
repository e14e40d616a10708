// Composition: who talks to whom. The only module that knows all others.
import { Chat } from './chat.js';
import { Dashboard, remember } from './dashboard.js';
import { $, el, fill, say, sentence, set } from './dom.js';
import { Frame } from './frame.js';
import { Link, Refusal, newId } from './link.js';
import { Memory } from './memory.js';
import { Menus } from './menus.js';
import * as server from './server.js';
import { SignIn } from './signin.js';
import { Store } from './store.js';
import { Timeline } from './timeline.js';

const POLL_MS = 2000;
const SETTLE_MS = 250;          // after a run began or ended its engine opens or closes
const TICK_MS = 100;
const MOST_TRIES = 3;           // by itself; then a question that met a limit waits for the person
const VIEWS = ['chat', 'timeline', 'dashboard'];
const TEAM = ['supervisor', 'triage', 'data', 'optimize', 'report'];
const TEAM_CAN = {
  hint: 'Ask about your LLM spend', lead: 'The team reads a usage log, prices it and looks for savings. It only reads; nothing is changed.',
  asks: ['Where does my LLM spend go?', 'How can I optimize my LLM costs?', 'Which model is slowest?', 'What do errors and retries cost?'],
};

const store = new Store();
const { state } = store;
let link = null;
let memory = null;
let loading = 0;

const act = {
  ask, askAgain, cancel, select, signOut,
  retryNow: () => link.retryNow(),
  threads: () => server.threads().then((found) => found.threads, () => null),
  newThread: () => (newThread = newId('thread')),
  go(thread) { location.hash = `#${document.body.dataset.view === 'dashboard' ? 'chat' : document.body.dataset.view}/${encodeURIComponent(thread)}`; },
  draft: (text) => memory.set('draft', text),
  reload: () => load(state.thread),
  hash: (view) => `#${view}/${encodeURIComponent(state.thread ?? '')}`,
  show(item) {
    select(item);
    if (document.body.dataset.view === 'chat') location.hash = act.hash('timeline');
    requestAnimationFrame(() => timeline.reveal(item));
  },
};
const chat = new Chat(store, act);
const timeline = new Timeline(store, act);
const dashboard = new Dashboard(store);
const signin = new SignIn({ enter: async (token) => { await server.signIn(token); await enter(await server.session()); }, again: () => begin() });
const menus = new Menus(store, act);
for (const part of [chat, timeline, dashboard, new Frame(store, act)]) store.subscribe((now) => part.view(now));

// ---- a session: sign in → load the thread → stream → (expired → sign in again, and go on) ---------------------------------

async function begin(reason = null) {
  try {
    const session = await server.session();
    if (session.user) await enter(session);
    else signin.show(session.sign_in, reason);
  } catch (problem) {
    unreached(problem);
  }
}

/** The server cannot say who we are: the same words as for any error, and another try. */
function unreached(problem) {
  document.body.dataset.stage = 'signin';
  fill($('signin'), problem, () => el('div.signin-card', { role: 'alert' }, el('h2', { id: 'signin-h' }, problem.title), el('p', {}, sentence(problem.detail)),
    el('p.state-do', {}, el('button.btn', { type: 'button', onclick: () => begin() }, 'Try again'), el('code', {}, `${problem.status || 'no answer'} ${problem.code ?? ''}`))));
}

async function enter({ user, sign_in: way }) {
  const isSame = state.user?.user_id === user.user_id && link;
  if (state.user && !isSame) return location.reload();          // another user: nothing of this page may stay
  document.body.dataset.stage = 'in';
  if (isSame) return link.retryNow();
  memory = new Memory(user.user_id);
  store.put({ user });
  menus.account(user, way);
  $('question').value = memory.get('draft') ?? '';
  link = new Link({ url: server.socketUrl(), told });
  link.start();
  views();
  agents();
  poll();
  if (matchMedia('(hover: hover)').matches) $('question').focus();
  return undefined;
}

async function agents() {
  const found = await server.agents().then((body) => body.agents, () => []);
  const names = found.map((one) => one.name);
  const isTeam = TEAM.every((name) => names.includes(name));
  const asked = memory.get('agent');
  const chosen = [asked, 'supervisor', names[0]].find((name) => names.includes(name));
  $('agent').replaceChildren(...found.map((one) => el('option', { value: one.name, title: one.description, selected: one.name === chosen }, one.name)));
  $('agent').onchange = () => memory.set('agent', $('agent').value);
  if (isTeam) { chat.suggestions = TEAM_CAN; $('question').placeholder = TEAM_CAN.hint; chat.stage = null; }
  store.put({ agents: found });
}

async function expired() {
  const session = await server.session().catch(() => null);
  if (session?.user?.user_id === state.user.user_id && !expired.isFresh) {
    expired.isFresh = true;                                       // once: the server may only have missed our hello
    setTimeout(() => { expired.isFresh = false; }, 60000);
    return link.retryNow();
  }
  if (!session) return link.retryNow();
  const reason = 'Your session ended. Sign in again; a run that was started goes on, and nothing is lost.';
  return signin.show(session.sign_in, reason);
}

async function signOut() {
  link.stop();
  memory.clear();
  await server.signOut().catch(() => null);
  history.replaceState(null, '', location.pathname);
  location.reload();
}

// ---- a thread: its history over HTTP, then the socket from there -----------------------------------------------------------

function openThread(thread, { isNew = false } = {}) {
  if (state.thread === thread) return;
  keepCursor();
  if (state.thread) link.leave(state.thread);
  loading += 1;
  store.open(thread);
  memory.set('thread', thread);
  if (!isNew) load(thread);
  else {
    store.put({ phase: 'ready' });
    link.follow(thread);
  }
}

async function load(thread) {
  const mine = (loading += 1);
  store.open(thread);
  try {
    await read(thread, () => mine === loading);
  } catch (problem) {
    if (mine !== loading) return;
    if (problem.status === 401) expired();
    store.put({ phase: 'error', problem: problem.detail ? problem : { status: 0, detail: String(problem.message) } });
    say('The conversation cannot be shown now.', true);
    return;
  }
  if (mine !== loading) return;
  store.put({ phase: 'ready' });
  link.follow(thread, state.seq ? { epoch: state.epoch, seq: state.seq } : null);
}

/** All of a thread that is kept. What came while the page was away is told as after a lost connection. */
async function read(thread, isWanted) {
  const before = memory.get(`cursor ${thread}`);
  for await (const page of server.history(thread)) {
    if (!isWanted()) return;
    if (page.status !== 'ok') store.reset({ epoch: page.epoch, seq: page.floor, snapshot: page.snapshot ?? [], thread }, { isFirst: true });
    for (const event of page.events) {
      if (event.seq !== state.seq + 1) throw new Error(`event #${state.seq + 1} is missing`);
      store.event(event, { isOld: true, isReplayed: before?.epoch === event.epoch && event.seq > before.seq });
    }
  }
  if (!before || !state.seq) return;
  if (before.epoch !== state.epoch) store.put({ resetInfo: { before: before.seq, seq: state.seq, epoch: state.epoch, reason: 'epoch_changed' } });
  else if (state.seq > before.seq) store.resumed({ thread, count: state.seq - before.seq, from: before.seq + 1, to: state.seq, away: Date.now() - before.at, isReload: true });
}

function keepCursor() {
  const cursor = link && state.thread && link.cursor(state.thread);
  if (cursor) memory.set(`cursor ${state.thread}`, { ...cursor, at: Date.now() });
}

const told = {
  state(info) {
    store.link(info);
    if (info.state === 'expired') expired();
    if (info.state === 'live') poll();
  },
  welcome(frame) {
    if (frame.user !== state.user.user_id) return location.reload();   // signed in as somebody else in another tab
    const mine = frame.threads.find((one) => one.thread === state.thread);
    return store.put({ skew: frame.now * 1000 - Date.now(), ...(mine ? { head: mine.head, epoch: state.epoch ?? mine.epoch } : {}) });
  },
  events(thread, events, { replayed }) {
    if (thread !== state.thread) return;
    for (const event of events) store.event(event, { isReplayed: replayed });
    if (events.some((event) => event.type === 'agent_started' || event.type === 'agent_completed')) pollIn(SETTLE_MS);
  },
  reset(frame) { if (frame.thread === state.thread) store.reset(frame, { isFirst: state.seq === 0 }); },
  resumed(info) { if (info.thread === state.thread) store.resumed(info); },
  counted: (what) => store.count(what),
};

// ---- what a person does ------------------------------------------------------------------------------------------------------

async function ask(agent, message, tries = 0) {
  const { thread } = state;
  const asking = { message, at: Date.now(), runId: null };
  store.put({ asking, refused: null, failed: null });
  try {
    const accepted = await link.run({ thread, message, ...(agent ? { agent } : {}) });
    if (!$('question').value.trim()) memory.set('draft', '');
    asking.runId = accepted.run_id;
    if (state.byId.has(accepted.run_id) && state.asking === asking) store.put({ asking: null });
  } catch (error) {
    if (state.thread !== thread) return;
    store.put({ asking: null });
    chat.putBack(message);
    if (error instanceof Refusal) refused(error.problem, { agent, message, tries });
  }
}

function refused(problem, asked) {
  if (problem.status !== 429) {
    store.put({ failed: problem });
    say(`${problem.title}. ${problem.detail}`, true);
    return;
  }
  const waits = Math.max(1, problem.retry_after_s ?? 5) * 1000;
  store.put({ refused: { ...asked, problem: { ...problem, title: 'A limit is reached' }, waits, until: asked.tries < MOST_TRIES ? Date.now() + waits : null } });
}

/** By hand it counts anew; by itself it stops after some tries. */
function askAgain({ isByItself = false } = {}) {
  const { refused: last } = state;
  const text = $('question').value.trim();
  if (!last || !text || state.link.state !== 'live') return;
  $('question').value = '';
  ask($('agent').value, text, isByItself ? last.tries + 1 : 0);
}

function cancel(run) {
  const target = run ?? (state.asking?.runId ? { id: state.asking.runId } : null);
  if (!target || target.isCancelling) return;
  target.isCancelling = true;
  store.changed();
  say('Cancelling');
  link.cancel(target.id).then((receipt) => {
    target.receipt ??= receipt;
    if (state.asking?.runId === target.id) store.put({ asking: null });
  }, (error) => {
    target.isCancelling = false;
    if (error instanceof Refusal) store.put({ failed: error.problem });
  });
}

function select(item, stop = item?.stop) {
  store.put({ selected: item ? { item, span: item.span, stop } : null });
}

// ---- figures -----------------------------------------------------------------------------------------------------------------

const isSeen = () => document.visibilityState === 'visible';
const isDashboardSeen = () => document.body.dataset.view === 'dashboard' || matchMedia('(min-width: 1280px)').matches;

/** Asked for while somebody looks: never two at once, and none while the connection is gone. */
async function poll() {
  if (poll.isBusy) return;
  poll.isBusy = true;
  clearTimeout(poll.timer);
  poll.dueAt = Infinity;
  readRate();
  if (isSeen() && isDashboardSeen() && state.link.state === 'live' && document.body.dataset.stage === 'in') await figures();
  poll.isBusy = false;
  pollIn(POLL_MS);
}
function pollIn(ms) {
  if (Date.now() + ms >= poll.dueAt) return;
  poll.dueAt = Date.now() + ms;
  clearTimeout(poll.timer);
  poll.timer = setTimeout(poll, ms);
}
poll.dueAt = Infinity;

/** How many events a second this page read since it was last asked. */
function readRate() {
  const { health } = state;
  const now = Date.now();
  if (health.ratedAt && now - health.ratedAt < POLL_MS / 2) return;
  if (health.ratedAt) health.times = [...health.times, Math.round((health.received - health.rated) / ((now - health.ratedAt) / 1000))].slice(-40);
  Object.assign(health, { ratedAt: now, rated: health.received });
}
async function figures() {
  try {
    const stats = await server.engines();
    remember(state.series, stats, state.stats, (Date.now() - state.statsAt) / 1000);
    store.put({ stats, statsAt: Date.now(), statsFailed: false });
  } catch (problem) {
    store.put({ statsFailed: true });
    if (problem.status === 401) expired();
  }
}

setInterval(() => {
  if (!isSeen()) return;
  const { refused: last } = state;
  if (last?.until && Date.now() > last.until && state.link.state === 'live') askAgain({ isByItself: true });
  if (store.active() || last || state.asking || state.link.lostAt || state.resumed || Date.now() - state.statsAt > 2 * POLL_MS) store.changed();
}, TICK_MS);

addEventListener('online', () => link?.check());
addEventListener('pagehide', keepCursor);
document.addEventListener('visibilitychange', async () => {
  if (!isSeen()) return keepCursor();
  if (!link || document.body.dataset.stage !== 'in') return undefined;
  link.check();
  poll();
  const session = await server.session().catch(() => null);
  if (session?.user && session.user.user_id !== state.user.user_id) location.reload();
  return undefined;
});

// ---- views: the hash says which part and which thread ------------------------------------------------------------------------

let newThread = null;

/** The hash is the view and the thread, so that Back works and both can be linked to. */
function views() {
  if (!state.user) return;
  const [asked, ...rest] = location.hash.slice(1).split('/');
  const view = VIEWS.includes(asked) ? asked : document.body.dataset.view;
  const named = decoded(rest.join('/'));
  const thread = named || state.thread || memory.get('thread') || (newThread = newId('thread'));
  document.body.dataset.view = view;
  openThread(thread, { isNew: thread === newThread });
  newThread = null;
  const hash = `#${view}/${encodeURIComponent(thread)}`;
  if (location.hash !== hash) history.replaceState(null, '', hash);
  for (const a of $('views').children) {
    a.hash = act.hash(a.dataset.view);
    set(a, { 'aria-current': a.dataset.view === view ? 'page' : null });
  }
  store.changed();
  if (view === 'dashboard') poll();
}
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';                                          // a hash written by hand
  }
}
addEventListener('hashchange', views);
$('skip').onclick = (event) => { event.preventDefault(); document.body.dataset.view = 'chat'; location.hash = act.hash('chat'); $('question').focus(); };

begin();
