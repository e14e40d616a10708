// The conversation: one article per run with its question, trace of agents and tools, streamed answer and end; the composer.
import { $, STATUS, age, el, fill, follower, icon, number, pairs, plural, say, seconds, sentence, set, tenths, write } from './dom.js';
import { draw } from './markdown.js';
import { answerOf } from './store.js';

/** So many tool calls of one agent are shown; the timeline has all. */
const MOST_CHIPS = 40;
const NEAR = '900px 0px';
const UNSEEN_PX = 180;
const HAS_KEYS = matchMedia('(hover: hover)');

export class Chat {
  constructor(store, act) {
    Object.assign(this, { store, act, articles: new Map(), open: new Set(), suggestions: {} });
    this.talk = $('talk');
    this.box = $('question');
    this.follow = follower(this.talk, (isOn) => { $('talk-end').hidden = isOn; });
    this.near = new IntersectionObserver((seen) => this.#moved(seen), { root: this.talk, rootMargin: NEAR });
    $('talk-end').onclick = () => { this.follow.toEnd(); this.talk.focus(); };
    $('composer').onsubmit = (event) => { event.preventDefault(); this.submit(); };
    $('cancel').onclick = () => { act.cancel(store.active()); this.box.focus(); };
    this.box.onkeydown = (event) => this.#key(event);
    this.box.oninput = () => act.draft(this.box.value);
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); this.submit(); }
    if (event.key === 'Escape' && this.store.active()) this.act.cancel(this.store.active());
  }

  submit(text = this.box.value.trim()) {
    const { state } = this.store;
    if (!text || state.asking || this.store.active() || state.link.state !== 'live' || state.phase !== 'ready') return;
    if (text === this.box.value.trim()) this.box.value = '';
    this.follow.toEnd();
    this.act.ask($('agent').value, text);
  }

  /** A question that was not started goes back where it can be changed and sent again. */
  putBack(text) {
    if (this.box.value.trim()) return;
    this.box.value = text;
    this.act.draft(text);
  }

  view(state) {
    if (state.user == null) return;
    this.#stage(state);
    if (state.phase === 'ready') {
      for (const run of state.runs) this.#run(run, state);
      this.#asking(state);
    }
    this.#composer(state);
    if (this.follow.on && this.hasGrown) this.follow.toEnd();
    this.hasGrown = false;
  }

  /** Loading, error and empty stand where the conversation will. */
  #stage(state) {
    const what = state.phase !== 'ready' ? state.phase : state.runs.length || state.asking ? 'runs' : 'empty';
    const isOther = this.runs !== state.runs;                          // another conversation, or a reset one
    this.runs = state.runs;
    if (this.stage === what && !isOther) return;
    this.stage = what;
    for (const { root } of this.articles.values()) this.near.unobserve(root);
    this.articles.clear();
    this.ghost = null;
    this.hasGrown = true;
    if (isOther) this.follow.on = true;
    set(this.talk, { 'aria-busy': what === 'loading' });
    this.talk.replaceChildren(...this.#instead(what, state));
  }
  #instead(what, { problem }) {
    const { lead, asks = [] } = this.suggestions;
    if (what === 'loading') return [el('p.sr', {}, 'Loading the conversation'), ...[72, 90, 84, 40].map((w) => el('span.bone', { '--w': `${w}%` }))];
    if (what === 'error') {
      return [el('div.state.bad', { role: 'alert' }, el('h2', {}, 'The conversation cannot be shown now'), el('p', {}, sentence(problem.detail)),
        el('p.state-do', {}, el('button.btn', { type: 'button', onclick: this.act.reload }, 'Try again'), el('code', {}, `${problem.status || 'no answer'} ${problem.code ?? ''}`)))];
    }
    if (what === 'runs') return [];
    return [el('div.state', {}, el('h2', {}, 'What would you like to know?'), lead && el('p', {}, lead),
      asks.length > 0 && el('ul.suggest', {}, asks.map((ask) => el('li', {}, el('button', { type: 'button', onclick: () => this.submit(ask) }, ask)))))];
  }

  /** A question that was sent and has no run yet. */
  #asking({ asking }) {
    if (!asking) {
      this.ghost?.root.remove();
      this.ghost = null;
      return;
    }
    if (!this.ghost) {
      const words = el('span.run-status');
      this.ghost = { words, root: el('article.run', { 'aria-label': `Question: ${asking.message}`, 'aria-busy': 'true' }, el('p.question', {}, asking.message), el('p.fold', {}, words)) };
      this.talk.append(this.ghost.root);
      this.hasGrown = true;
    }
    const waited = Date.now() - asking.at;
    fill(this.ghost.words, waited > 1000 ? `${Math.floor(waited / 1000)}` : '', () => [icon('running'), waited > 1000 ? `waiting to start · ${age(waited)}` : 'starting']);
  }

  // ---- runs --------------------------------------------------------------------------------------------------------

  #run(run, state) {
    const article = this.articles.get(run.id) ?? this.#article(run);
    const isNow = run.status === 'running';
    if (!article.isNear && !isNow && run !== state.runs.at(-1)) return;
    const isAway = state.link.state !== 'live';
    if (isNow) this.#clock(article, run);
    const lit = state.hovered?.span ?? state.selected?.span;
    if (article.lit !== lit) this.#light(article, lit);
    const key = `${run.rev}${run.isCancelling}${isAway}${this.opened}${article.fold?.open}`;
    if (article.key === key) return;
    article.key = key;
    this.hasGrown = true;
    if (!article.fold) this.#furnish(article, run);
    this.#status(article, run);
    if (article.fold.open) this.#trace(article, run);
    draw(article.answer, answerOf(run));
    set(article.answer, { 'data-live': isNow && !isAway && run.count > 0 && !!answerOf(run), 'aria-busy': isNow });
    set(article.cut, { hidden: run.isWhole || !isNow });
    if (fill(article.end, run.status, () => this.#ending(run)) && article.was !== run.status) this.#announce(article, run);
  }

  #article(run) {
    const root = el('article.run', { 'aria-label': `Question: ${run.message}`, '--least': `${UNSEEN_PX}px` });
    const article = { root, run, isNear: false, was: run.status, isOpen: run.status !== 'completed' };
    root.article = article;
    if (run.status === 'running') say(`${run.agent} started`);
    this.articles.set(run.id, article);
    if (this.ghost) this.ghost.root.before(root);
    else this.talk.append(root);
    this.near.observe(root);
    this.hasGrown = true;
    return article;
  }

  #furnish(article, run) {
    const { root } = article;
    Object.assign(article, {
      status: el('span.run-status'), trace: el('ol.trace', { 'aria-label': 'What the agents did' }), answer: el('div.answer'), end: el('div.end'),
      cut: el('p.fine', { hidden: true }, 'The beginning of this answer is no longer kept; it is whole once the run has ended.'),
    });
    article.fold = el('details.fold', { open: article.isOpen, ontoggle: () => { article.isOpen = article.fold.open; this.store.changed(); } },
      el('summary', {}, el('strong', {}, run.agent), article.status), article.trace);
    set(root, { '--least': '0px' });
    root.replaceChildren(el('p.question', {}, run.message), article.fold, article.cut, article.answer, article.end);
  }

  /** Only what is near the view is in the document; the rest keeps its height. */
  #moved(seen) {
    for (const { target, isIntersecting } of seen) {
      const { article } = target;
      article.isNear = isIntersecting;
      const isKept = article.run.status === 'running' || article.run === this.runs?.at(-1) || target.contains(document.activeElement);
      if (isIntersecting || isKept || !article.fold) continue;
      set(target, { '--least': `${target.offsetHeight}px` });
      target.replaceChildren();
      Object.assign(article, { fold: null, key: null, lit: null });
    }
    this.store.changed();
  }

  #status(article, run) {
    const doing = run.status === 'running' ? run.bySpan.get(0)?.thought : null;
    fill(article.status, `${run.status}${run.isCancelling}${doing}`, () => [icon(run.status), run.isCancelling ? 'cancelling' : STATUS[run.status],
      el('span.num.clock'), doing && el('span.doing', {}, doing)]);
    this.#clock(article, run);
  }
  #clock(article, run) {
    const node = article.status?.querySelector('.clock');
    if (node) write(node, run.end == null ? tenths(this.store.seenNow() - run.start) : seconds(run.end - run.start));
  }

  #announce(article, run) {
    article.was = run.status;
    if (run.status === 'failed') say(`Run failed: ${run.error?.message ?? 'no reason given'}`, true);
    else say(run.status === 'completed' ? `Answer: ${article.answer.innerText}` : `Run ${STATUS[run.status]}`);
  }

  // ---- trace: who did what --------------------------------------------------------------------------------------------

  #trace(article, run) {
    const calls = new Map();
    for (const span of run.spans) {
      if (span.kind !== 'tool') continue;
      if (!calls.has(span.parent)) calls.set(span.parent, []);
      calls.get(span.parent).push(span);
    }
    const agents = run.spans.filter((span) => span.kind === 'agent' && (span.depth > 0 || calls.has(span)));
    const had = document.activeElement?.span;
    let isRedrawn = false;
    agents.forEach((agent, i) => {
      const row = article.trace.children[i] ?? article.trace.appendChild(el('li'));
      const tools = calls.get(agent) ?? [];
      const thought = agent.thought ?? (agent.status === 'running' ? agent.text.slice(-160) : '');
      const key = `${agent.id} ${agent.status} ${thought} ${tools.length} ${tools.slice(-MOST_CHIPS).map((tool) => tool.id + tool.status + this.open.has(tool))}`;
      if (!fill(row, key, () => this.#row(agent, thought, tools))) return;
      isRedrawn = true;
      row.className = agent.status;
      set(row, { '--depth': Math.max(0, agent.depth - 1) });
    });
    while (article.trace.children.length > agents.length) article.trace.lastChild.remove();
    if (!isRedrawn) return;
    article.lit = undefined;
    if (had) [...article.trace.querySelectorAll('.chip')].find((chip) => chip.span === had)?.focus();
  }

  #row(agent, thought, tools) {
    const more = tools.length - MOST_CHIPS;
    return [el('span.who', {}, icon(agent.status), agent.name), el('span.thought', {}, thought),
      tools.length > 0 && el('span.calls', {}, more > 0 && el('span.fine', {}, `${plural(more, 'earlier call')} in the timeline`), tools.slice(-MOST_CHIPS).map((tool) => this.#chip(tool))),
      tools.slice(-MOST_CHIPS).filter((tool) => this.open.has(tool)).map((tool) => this.#detail(tool))];
  }

  #chip(span) {
    const item = span.items[0];
    const node = el(`button.chip.${span.status}`, {
      type: 'button', 'aria-expanded': String(this.open.has(span)),
      onclick: () => this.#toggle(span),
      onpointerenter: () => this.store.put({ hovered: { span } }),
      onpointerleave: () => this.store.put({ hovered: null }),
    }, icon(span.status), el('code', {}, span.name), el('span.num', {}, span.end == null ? 'running' : seconds(span.end - span.start)), item && el('span.seq', {}, `#${item.event.seq}`));
    node.span = span;
    return node;
  }

  #toggle(span) {
    this.follow.letGo();
    if (!this.open.delete(span)) this.open.add(span);
    this.opened = (this.opened ?? 0) + 1;
    this.act.select(span.items.at(-1));
  }

  #detail(span) {
    const line = (label, value) => [el('dt', {}, label), el('dd', { tabindex: 0 }, value == null ? '—' : pairs(value))];
    return el('dl.detail', { 'aria-label': `Details of ${span.name}` }, line('arguments', span.args), line('result', span.result));
  }

  #light(article, span) {
    article.lit = span;
    for (const chip of article.root.querySelectorAll('.chip')) chip.classList.toggle('lit', chip.span === span);
  }

  // ---- how it ended -----------------------------------------------------------------------------------------------------

  #ending(run) {
    if (run.status === 'running') return [];
    const events = `${plural(run.lastSeq - run.firstSeq + 1, 'event')} · #${run.firstSeq}–#${run.lastSeq}`;
    if (run.status === 'completed') return el('p.fine.num', {}, events, tokens(run.usage));
    const again = el('button.btn', { type: 'button', onclick: () => this.submit(run.message) }, 'Run again');
    if (run.status === 'failed') return this.#failure(run, events, again);
    return el('div.card', {}, el('p', {}, closing(run)), el('p.state-do', {}, again), el('p.fine', {}, `${events} · ${run.id}`));
  }

  #failure(run, events, again) {
    const error = run.error ?? { message: 'The run ended without a reason.' };
    const item = run.items.find((one) => one.event.seq === error.seq);
    return el('div.card.bad', {}, el('h3', {}, `${culprit(run)} failed`), el('p', {}, error.message),
      el('p.state-do', {}, again, item && el('button.btn.plain', { type: 'button', onclick: () => this.act.show(item) }, `Show event #${error.seq}`), error.type && el('code', {}, error.type)),
      el('p.fine', {}, `${events} · ${run.id}`));
  }

  // ---- composer -------------------------------------------------------------------------------------------------------

  #composer(state) {
    const run = this.store.active();
    const isLive = state.link.state === 'live' && state.phase === 'ready';
    set($('cancel'), { hidden: !run, disabled: !isLive || !!run?.isCancelling });
    set($('send'), { hidden: !!run, disabled: !isLive || !!state.asking });
    write($('hint'), this.#hint(state, run, isLive));
    this.#notice(state);
  }

  #hint(state, run, isLive) {
    if (state.phase !== 'ready') return '';
    if (!isLive) return 'Not connected. Your text is kept.';
    if (!run) return HAS_KEYS.matches ? 'Enter sends' : '';
    const span = run.spans.findLast((one) => one.status === 'running');
    const where = span?.kind === 'tool' && span.parent ? `${span.parent.name} › ` : '';
    return `${where}${span?.name ?? run.agent}${HAS_KEYS.matches ? ' · Esc cancels' : ''}`;
  }

  #notice({ refused, failed }) {
    const box = $('notice');
    box.hidden = !refused && !failed;
    if (refused) this.#refusal(box, refused);
    else if (failed) {
      fill(box, failed, () => [el('h3', {}, failed.title), el('p', {}, sentence(failed.detail)), el('p.state-do', {},
        el('button.btn.plain', { type: 'button', onclick: () => this.store.put({ failed: null }) }, 'Close'), el('code', {}, `${failed.status || ''} ${failed.code ?? ''}`))]);
      set(box, { '--left': 0 });
    } else fill(box, null, () => []);
  }

  /** A limit is reached: the question is kept, time runs down, and after some tries the page waits for the person. */
  #refusal(box, refused) {
    const { problem, until, waits } = refused;
    if (fill(box, refused, () => [el('h3', {}, problem.title), el('p', {}, sentence(problem.detail)), el('p', {}, 'Your question was not started and is kept below. ', el('span.num.left')),
      el('p.state-do', {}, el('button.btn', { type: 'button', onclick: this.act.askAgain }, 'Try now'), el('a.btn.plain', { href: this.act.hash('dashboard') }, 'See your engines'),
        el('button.btn.plain', { type: 'button', onclick: () => this.store.put({ refused: null }) }, 'Leave it'), el('code', {}, `${problem.status} ${problem.code ?? ''}`))])) {
      say(`${problem.title}. Your question is kept.`, true);
    }
    const left = until - Date.now();
    write(box.querySelector('.left'), !until ? 'It is not tried again by itself.' : left > 0 ? `Trying again in\u00a0${Math.ceil(left / 1000)}\u00a0s.` : 'Trying again…');
    set(box, { '--left': until ? Math.max(0, left / waits).toFixed(3) : 0 });
  }
}

/** Who failed first: the innermost that did. */
function culprit(run) {
  const span = run.spans.filter((one) => one.status === 'failed').reduce((deepest, one) => (one.depth > (deepest?.depth ?? -1) ? one : deepest), null);
  return span?.kind === 'tool' && span.parent ? `${span.parent.name} › ${span.name}` : span?.name ?? run.agent;
}

function tokens(usage) {
  if (!usage || !(usage.input_tokens || usage.output_tokens)) return null;
  return ` · ${number(usage.input_tokens)} tokens in, ${number(usage.output_tokens)} out`;
}

function closing(run) {
  const acting = run.receipt?.may_still_act ?? [];
  if (run.status === 'timed_out') return 'The run reached its time limit and was stopped.';
  if (run.status === 'lost') return 'The process running this ended. What had arrived is above; nothing more will come.';
  return acting.length ? `Cancelled. These had begun and may still finish: ${acting.join(', ')}.` : 'Cancelled. Nothing more of this run will happen.';
}
