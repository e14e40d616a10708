// Reads one thread through the page's own link until its run ends; prints what it was told. Arguments: link, url, thread.
const [link, url, thread] = process.argv.slice(2);
const { Link } = await import(link);
const seen = { events: [], resumed: [], counted: {}, states: [], resets: 0, run: null };

await new Promise((done) => {
  const reader = new Link({
    url, token: 'alice', backOff: [1, 1, 2], told: {
      state: ({ state }) => seen.states.push(state),
      events(_, events) {
        seen.events.push(...events.map(({ epoch, seq, type }) => [epoch, seq, type]));
        if (events.at(-1).type === 'agent_completed') { reader.stop(); done(); }
      },
      reset: () => { seen.resets += 1; },
      resumed: ({ count }) => seen.resumed.push(count),
      counted: (what) => { seen.counted[what] = (seen.counted[what] ?? 0) + 1; },
    },
  });
  reader.follow(thread);
  reader.start();
  reader.run({ thread, message: 'go', agent: 'talker', key: 'once' }).then((accepted) => { seen.run = accepted.run_id; }, () => {});
});
process.stdout.write(JSON.stringify(seen));
