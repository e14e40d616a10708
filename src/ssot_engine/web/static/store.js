// All that the page knows. Events in, runs and spans out; views subscribe and draw once per frame. No DOM.

export const KINDS = ['agents', 'tools', 'text', 'thinking', 'errors', 'custom'];
const KIND = {
  agent_started: 'agents', agent_completed: 'agents', subagent_started: 'agents', subagent_completed: 'agents',
  tool_executing: 'tools', tool_completed: 'tools', message_delta: 'text', agent_thinking: 'thinking', agent_error: 'errors',
};
export const kindOf = (event) => KIND[event.type] ?? 'custom';

/** From so many stops on, the events of one row share a stop, whatever their type. */
const MOST_STOPS = 60;
const KEPT_LAGS = 40;

const frame = globalThis.requestAnimationFrame ?? ((act) => setTimeout(act, 16));

/** An event where it belongs: its run, its span (an agent's or a tool call's bar), its stop (events drawn as one). */
function place(event, run, span, replayed) {
  const item = { event, at: event.timestamp * 1000, run, span, replayed, stop: null };
  const last = span.stops.at(-1);
  const joins = last && ((event.type === 'message_delta' && last.items[0].event.type === 'message_delta') || span.stops.length >= MOST_STOPS);
  item.stop = joins ? last : { span, items: [] };
  item.stop.items.push(item);
  span.items.push(item);
  if (!joins) span.stops.push(item.stop);
  return joins ? null : item.stop;
}

export class Store {
  constructor() {
    this.views = [];
    this.state = { user: null, agents: [], threads: [], stats: null, statsAt: 0, series: { lag: [], rate: [] }, skew: 0 };
    this.open(null);
  }

  subscribe(view) { this.views.push(view); }

  changed() {
    if (this.pending) return;
    this.pending = true;
    frame(() => {
      this.pending = false;
      for (const view of this.views) view(this.state);
    });
  }

  put(patch) {
    Object.assign(this.state, patch);
    this.changed();
  }

  /** Another conversation: nothing of the last one stays. */
  open(thread) {
    Object.assign(this.state, {
      thread, epoch: null, phase: thread ? 'loading' : 'ready', problem: null, head: 0, seq: 0,
      runs: [], byId: new Map(), items: [], stops: [], outages: [], asking: null, refused: null, failed: null, latest: null,
      resumed: null, resetInfo: null, selected: null, hovered: null, hasCustom: false,
      link: this.state.link ?? { state: 'idle', lostAt: null },
      health: { received: 0, replayed: 0, duplicates: 0, gaps: 0, reconnects: 0, lag: [], times: [] },
    });
    this.changed();
  }

  /** The server's clock, in milliseconds: what bars of running things grow by. */
  now() { return Date.now() + this.state.skew; }

  /** The clock as far as it was seen: it stands still while nothing is heard. */
  seenNow() {
    const { lostAt } = this.state.link;
    return (lostAt ?? Date.now()) + this.state.skew;
  }

  active() { return this.state.runs.findLast((run) => run.status === 'running'); }

  count(what) {
    this.state.health[what] += 1;
    this.changed();
  }

  // ---- the link tells ----------------------------------------------------------------------------------------------

  link(info) {
    const { link } = this.state;
    if (info.state === 'live' && link.lostAt) {
      this.state.outages.push({ from: link.lostAt + this.state.skew, to: this.now() });
      this.state.health.reconnects += 1;
      for (const run of this.state.runs) if (run.status === 'running') run.rev += 1;
    }
    if (info.lostAt && !link.lostAt) Object.assign(this.state, { resumed: null });
    this.put({ link: info });
  }

  resumed(info) {
    this.state.health.replayed += info.count;
    this.put({ resumed: { ...info, at: Date.now() } });
  }

  /** What was shown is of another history, or has a hole: the snapshot takes its place. */
  reset(reset, { isFirst = false } = {}) {
    const { thread, health, outages, asking } = this.state;
    const before = this.state.seq;
    this.open(thread);
    Object.assign(this.state, { health, outages, asking, phase: 'ready', epoch: reset.epoch, head: reset.seq, seq: reset.seq });
    for (const event of reset.snapshot) this.event(event, { isOld: true });
    this.state.seq = reset.seq;
    if (!isFirst) this.put({ resetInfo: { ...reset, snapshot: null, before } });
  }

  // ---- events --------------------------------------------------------------------------------------------------------

  event(event, { isReplayed = false, isOld = false } = {}) {
    const { state } = this;
    const run = state.byId.get(event.run_id) ?? this.#newRun(event);
    if (event.run_seq !== run.runSeq + 1) run.isWhole = false;
    const at = event.timestamp * 1000;
    Object.assign(run, { runSeq: event.run_seq, last: at, lastSeq: event.seq, rev: run.rev + 1, count: run.count + 1 });
    const span = this.#apply(run, event, at);
    const stop = place(event, run, span, isReplayed);
    const item = span.items.at(-1);
    item.index = state.items.push(item) - 1;
    run.items.push(item);
    if (event.type !== 'message_delta') state.latest = item;
    if (stop) stop.index = state.stops.push(stop) - 1;
    Object.assign(state, { epoch: event.epoch, seq: event.seq, head: Math.max(state.head, event.seq) });
    state.hasCustom ||= kindOf(event) === 'custom';
    this.#measure(at, isReplayed || isOld);
    this.changed();
  }

  #measure(at, isPast) {
    const { health } = this.state;
    health.received += 1;
    if (isPast) return;
    health.lag.push(Math.max(0, this.now() - at));
    if (health.lag.length > KEPT_LAGS) health.lag.shift();
  }

  /** What an event means for its run. The only place that knows the types of events. Gives the span it is drawn in. */
  #apply(run, event, at) {
    const p = event.payload;
    const owner = run.bySpan.get(event.span) ?? this.#openSpan(run, event.span, 'agent', event.agent_name, event.parent, at);
    switch (event.type) {
      case 'agent_thinking':
        owner.thought = p.reasoning;
        owner.progress = p.progress_percentage;
        return owner;
      case 'message_delta':
        owner.text += p.text;
        return owner;
      case 'tool_executing': {
        const span = this.#openSpan(run, `call ${p.call_id}`, 'tool', p.tool_name, event.span, at);
        span.args = p.parameters;
        return span;
      }
      case 'tool_completed': {
        const id = `call ${p.call_id}`;
        const span = run.bySpan.get(id) ?? this.#openSpan(run, id, 'tool', p.tool_name, event.span, at);
        span.result = p.result;
        return close(span, p.status, at);
      }
      case 'subagent_completed':
        owner.error = p.error;
        return close(owner, p.status, at);
      case 'agent_error':
        run.error = { agent: event.agent_name, message: p.error_message, seq: event.seq };
        return owner;
      case 'agent_completed':
        this.#ended(run, p, at);
        return owner;
      default:
        return owner;
    }
  }

  #newRun(event) {
    const run = {
      id: event.run_id, message: event.payload.message ?? '', agent: event.agent_name, status: 'running', start: event.timestamp * 1000, end: null,
      last: 0, firstSeq: event.seq, lastSeq: event.seq, runSeq: 0, count: 0, rev: 0, isWhole: event.run_seq === 1,
      spans: [], bySpan: new Map(), items: [], error: null, usage: null, receipt: null, result: null, isCancelling: false,
    };
    this.state.runs.push(run);
    this.state.byId.set(run.id, run);
    if (event.type === 'agent_started') Object.assign(this.state, { asking: null, refused: null, failed: null });
    return run;
  }

  #openSpan(run, id, kind, name, parentId, at) {
    const parent = parentId == null ? null : run.bySpan.get(parentId) ?? null;
    const span = { run, id, kind, name, parent, depth: parent ? parent.depth + 1 : 0, start: at, end: null, status: 'running', text: '', items: [], stops: [] };
    let place = parent ? run.spans.indexOf(parent) + 1 : run.spans.length;             // after the parent and all already under it
    while (parent && run.spans[place]?.depth >= span.depth) place += 1;
    run.spans.splice(place, 0, span);
    run.bySpan.set(id, span);
    return span;
  }

  #ended(run, p, at) {
    for (const span of run.spans) if (span.end == null) close(span, p.status, at);      // a lost run leaves them open
    Object.assign(run, { status: p.status, end: at, usage: p.usage, receipt: p.receipt ?? run.receipt, result: p.result, isCancelling: false });
    if (p.error) run.error = { agent: run.agent, seq: run.lastSeq, ...run.error, message: p.error.message, type: p.error.type };
  }
}

function close(span, status, at) {
  return Object.assign(span, { status, end: at });
}

/** What a run answered: its streamed text; where a piece of that is gone, its result. */
export function answerOf(run) {
  const text = run.bySpan.get(0)?.text ?? '';
  if (run.status !== 'running' && typeof run.result === 'string' && (!text || !run.isWhole)) return run.result;
  return text;
}
