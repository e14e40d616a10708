// The reference client of the socket: one cursor per thread, resume, gap check, dedupe, back-off. No DOM; runs in Node.
//
//   const link = new Link({ url, told: { events: (thread, events) => … } });
//   link.follow('thread-1'); link.start();
//   const { run_id } = await link.run({ thread: 'thread-1', message: '…' });
//
// What is told was checked: each event once, in order, without a hole. `told` may have any of
//   state(info)                      {state, code, retryAt, lostAt}; state is one of STATES
//   welcome(frame)                   who the server takes us for; `now` is its clock
//   events(thread, events, {replayed})
//   reset(frame)                     events are gone: the snapshot stands for all that was told of the thread
//   resumed(info)                    {thread, count, from, to, away}: told once all that was missed is here
//   counted(what)                    'duplicates' or 'gaps'

export const PROTOCOL = 1;

/** `expired`, `replaced` and `outdated` wait for a person; from `lost` it comes back by itself. */
export const STATES = ['idle', 'connecting', 'live', 'lost', 'expired', 'replaced', 'outdated'];

export const CLOSED = { RESTART: 1012, BAD_FRAME: 4000, AUTH: 4001, SLOW: 4008, REPLACED: 4009, TOO_MANY: 4029 };
const FINAL = { [CLOSED.AUTH]: 'expired', [CLOSED.REPLACED]: 'replaced', [CLOSED.BAD_FRAME]: 'outdated' };

const BACK_OFF_MS = [1000, 2000, 4000, 8000, 15000];
const STEADY_MS = 3000;         // live for so long, the next loss starts again at the first back-off
const GREETING_MS = 10000;
const PING_MS = 20000;
const SILENCE_MS = 10000;       // no frame for so long after a ping: the connection is dead, whatever TCP believes
const ACK_MS = 1000;
const MOST_SEEKS = 3;

/** A request the server refused; `problem` is RFC 9457's. */
export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.name = 'Refusal';
    this.problem = problem;
  }
}

const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, '0')).join('');

/** An id of one's own: `new_id('thread')`. Works without a secure context, unlike crypto.randomUUID. */
export const newId = (prefix) => `${prefix}_${hex(16)}`;

export class Link {
  constructor({ url, told, token = null, client = newId('client'), open = (to) => new WebSocket(to), random = Math.random, backOff = BACK_OFF_MS }) {
    Object.assign(this, { url, told, token, client, open, random, backOff });
    this.cursors = new Map();     // thread → {epoch, seq, replay, holes, isSeeking}
    this.asked = new Map();       // id of a request → {frame, done, fail}
    this.timers = new Map();
    this.unacked = new Set();
    this.count = 0;
    this.tries = 0;
    this.lostAt = null;
    this.liveAt = null;
    this.state = 'idle';
  }

  // ---- life ------------------------------------------------------------------------------------------------------

  start() {
    if (this.state === 'idle') this.#connect();
  }

  /** For good. What was asked and not answered fails. */
  stop() {
    this.#drop();
    for (const name of this.timers.keys()) this.#clear(name);
    for (const { fail } of this.asked.values()) fail(new Error('the link was stopped'));
    this.asked.clear();
    this.#tell('idle');
  }

  /** Connect at once instead of waiting; also out of the states that wait for a person. */
  retryNow() {
    if (['connecting', 'live', 'idle'].includes(this.state)) return;
    this.#clear('retry');
    this.#connect();
  }

  /** Is the server still there? For a page that slept: a dead connection is found in seconds, not minutes. */
  check() {
    if (this.state === 'lost') this.retryNow();
    else if (this.state === 'live') this.#ping();
  }

  // ---- what a page asks --------------------------------------------------------------------------------------------

  /** Read a thread from a cursor `{epoch, seq}`, else from the beginning of what is kept. */
  follow(thread, cursor = null) {
    this.cursors.set(thread, { epoch: cursor?.epoch ?? null, seq: cursor?.seq ?? 0, replay: null, holes: 0, isSeeking: false });
    if (this.state === 'live') this.#send({ type: 'follow', ...this.#cursorFrame(thread) });
  }

  leave(thread) {
    if (this.cursors.delete(thread) && this.state === 'live') this.#send({ type: 'leave', thread });
  }

  /** Where a follower of `thread` stands; what to pass to `follow` after a reload. */
  cursor(thread) {
    const at = this.cursors.get(thread);
    return at?.epoch == null ? null : { epoch: at.epoch, seq: at.seq };
  }

  /** Start a run: `{message, agent, thread, inputs, timeout_s, key}`. Survives a lost connection: the key makes it one run. */
  run(order) {
    return this.#ask({ type: 'run', key: newId('key'), ...order });
  }

  /** The receipt of a cancel, once the run has stopped. */
  cancel(runId) {
    return this.#ask({ type: 'cancel', run_id: runId }).then((frame) => frame.receipt);
  }

  /** A fresh token, before the old one runs out or after it did. */
  reauth(token) {
    this.token = token;
    if (this.state === 'live') this.#send({ type: 'reauth', token });
    else this.retryNow();
  }

  #ask(frame) {
    const id = `${this.client}-${(this.count += 1)}`;
    return new Promise((done, fail) => {
      this.asked.set(id, { frame: { ...frame, id }, done, fail });
      if (this.state === 'live') this.#send({ ...frame, id });
    });
  }

  // ---- the connection ----------------------------------------------------------------------------------------------

  #connect() {
    this.#drop();
    this.#tell('connecting');
    const socket = (this.socket = this.open(this.url));
    const mine = (act) => (event) => this.socket === socket && act(event);
    socket.onopen = mine(() => this.#greet());
    socket.onmessage = mine((event) => this.#hear(event.data));
    socket.onclose = mine((event) => this.#closed(event.code));
    socket.onerror = () => {};                          // onclose follows and says what there is to say
    this.#after('greeting', GREETING_MS, () => this.#closed(1006));
  }

  /** Forget the socket: whatever it still says is not heard. */
  #drop() {
    const { socket } = this;
    this.socket = null;
    for (const name of ['greeting', 'ping', 'silence', 'ack']) this.#clear(name);
    if (socket && socket.readyState < 2) socket.close();
  }

  #greet() {
    const resume = [...this.cursors.keys()].map((thread) => this.#cursorFrame(thread));
    this.#send({ type: 'hello', protocol: PROTOCOL, client: this.client, resume, ...(this.token ? { token: this.token } : {}) });
  }

  #cursorFrame(thread) {
    const { epoch, seq } = this.cursors.get(thread);
    return epoch == null ? { thread } : { thread, epoch, seq };
  }

  #send(frame) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(frame));
  }

  #closed(code) {
    this.#drop();
    const steady = this.liveAt != null && Date.now() - this.liveAt > STEADY_MS;
    if (steady) this.tries = 0;
    this.liveAt = null;
    this.lostAt ??= Date.now();
    if (FINAL[code]) return this.#tell(FINAL[code], { code });
    const delay = this.#delay(code);
    this.tries += 1;
    this.#tell('lost', { code, retryAt: Date.now() + delay });
    this.#after('retry', delay, () => this.#connect());
  }

  #delay(code) {
    if (code === CLOSED.SLOW && this.tries === 0) return 100 + this.random() * 200;      // nothing is wrong: we were slow
    const base = this.backOff[Math.min(this.tries, this.backOff.length - 1)];
    const least = code === CLOSED.TOO_MANY ? 5000 : 0;
    return Math.max(base, least) * (0.75 + this.random() * 0.5);                         // so that not all come back at once
  }

  #ping() {
    this.#send({ type: 'ping', id: String((this.count += 1)) });
    this.#after('silence', SILENCE_MS, () => this.#closed(1006));
    this.#after('ping', PING_MS, () => this.#ping());
  }

  // ---- what the server says ----------------------------------------------------------------------------------------

  #hear(text) {
    this.#clear('silence');
    const frame = JSON.parse(text);
    switch (frame.type) {
      case 'welcome': return this.#welcomed(frame);
      case 'ev': return this.#events(frame.events);
      case 'reset': return this.#reset(frame);
      case 'accepted':
      case 'receipt': return this.#answered(frame, (asked) => asked.done(frame));
      case 'refused': return this.#answered(frame, (asked) => asked.fail(new Refusal(frame.problem)));
      default: return undefined;                        // pong, authenticated, and what later versions add
    }
  }

  #answered(frame, act) {
    const asked = this.asked.get(frame.id);
    this.asked.delete(frame.id);
    if (asked) act(asked);
  }

  #welcomed(frame) {
    const isGreeting = this.state !== 'live';
    const away = this.lostAt == null ? null : Date.now() - this.lostAt;
    if (isGreeting) {
      this.#clear('greeting');
      this.liveAt = Date.now();
      this.lostAt = null;
      this.#tell('live');
      this.#after('ping', PING_MS, () => this.#ping());
    }
    this.told.welcome?.(frame);
    for (const { thread, epoch, head } of frame.threads) this.#caughtUpTo(thread, epoch, head, isGreeting ? away : null);
    if (isGreeting) for (const { frame: asked } of this.asked.values()) this.#send(asked);
  }

  /** After a loss: what was missed is all that lies between the cursor and the head the server promised. */
  #caughtUpTo(thread, epoch, head, away) {
    const at = this.cursors.get(thread);
    if (at) at.isSeeking = false;
    if (!at || away == null || at.epoch !== epoch || head < at.seq) return;
    at.replay = { thread, count: head - at.seq, from: at.seq + 1, to: head, away };
    this.#replayed(at);
  }

  #replayed(at) {
    if (!at.replay || at.seq < at.replay.to) return;
    const info = at.replay;
    at.replay = null;
    this.told.resumed?.(info);
  }

  #events(events) {
    const thread = events[0]?.thread_id;
    const at = this.cursors.get(thread);
    if (!at || at.isSeeking) return;                    // of a thread that was left, or from before it was asked for again
    const fresh = [];
    const replayed = at.replay != null;
    const isWhole = events.every((event) => this.#take(at, event, fresh));
    if (fresh.length) {
      at.holes = 0;
      this.told.events?.(thread, fresh, { replayed });
      this.#replayed(at);
      this.#acknowledge(thread);
    }
    if (!isWhole) this.#seek(thread, at);
  }

  /** Move the cursor over one event. False: something is missing before it. */
  #take(at, event, fresh) {
    if (event.epoch === at.epoch && event.seq <= at.seq) {
      this.told.counted?.('duplicates');
      return true;
    }
    if ((at.epoch != null && event.epoch !== at.epoch) || event.seq !== at.seq + 1) {
      this.told.counted?.('gaps');
      return false;
    }
    at.epoch = event.epoch;
    at.seq = event.seq;
    fresh.push(event);
    return true;
  }

  /** A hole is never told on: the thread is asked for again from the cursor; if that does not help, on a new connection. */
  #seek(thread, at) {
    at.holes += 1;
    if (at.holes > MOST_SEEKS) {
      at.holes = 0;
      this.#closed(1006);
      return;
    }
    at.isSeeking = true;
    this.#send({ type: 'leave', thread });
    this.#send({ type: 'follow', ...this.#cursorFrame(thread) });
  }

  #reset(frame) {
    const at = this.cursors.get(frame.thread);
    if (!at || at.isSeeking) return;
    Object.assign(at, { epoch: frame.epoch, seq: frame.seq, replay: null });
    this.told.reset?.(frame);
    this.#acknowledge(frame.thread);
  }

  #acknowledge(thread) {
    this.unacked.add(thread);
    if (this.timers.has('ack')) return;
    this.#after('ack', ACK_MS, () => {
      for (const one of this.unacked) if (this.cursors.has(one)) this.#send({ type: 'ack', thread: one, seq: this.cursors.get(one).seq });
      this.unacked.clear();
    });
  }

  // ---- small -------------------------------------------------------------------------------------------------------

  #tell(state, info = {}) {
    this.state = state;
    this.told.state?.({ state, code: null, retryAt: null, ...info, lostAt: this.lostAt });
  }

  #after(name, ms, act) {
    this.#clear(name);
    this.timers.set(name, setTimeout(() => { this.timers.delete(name); act(); }, ms));
  }

  #clear(name) {
    clearTimeout(this.timers.get(name));
    this.timers.delete(name);
  }
}
