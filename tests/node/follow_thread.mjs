// Follows a thread with the page's own client, without a page, and prints what it told as one line of JSON.
// Usage: node follow_thread.mjs '{"url", "token", "thread", "run": {"message", "agent"} | null, "last", "losses", "isLate"}'
// `last` is the run after whose end it stops, once it lost the connection `losses` times.
// With `isLate` the thread is asked for between the greeting and its answer.
import { Link } from "./link.mjs";
import WebSocket from "ws";

const { url, token, thread, run, last, losses, isLate } = JSON.parse(process.argv[2]);
const told = { events: [], resumed: [], resets: 0, counted: {}, losses: 0, accepted: null };

const finish = () => {
  link.stop();
  process.stdout.write(JSON.stringify({ ...told, cursor: link.cursor(thread) }) + "\n", () => process.exit(0));
};

const isOver = () => told.events.some((event) => event.type === "agent_completed" && event.span === 0 && (!last || event.run_id === last));
const look = () => {
  if (isOver() && told.losses >= losses && link.state === "live" && (told.accepted || !run)) finish();
};

const open = (to) => {
  const socket = new WebSocket(to);
  if (isLate) socket.once("open", () => setImmediate(() => link.follow(thread)));
  return socket;
};

const link = new Link({
  url, token, open,
  told: {
    state({ state }) {
      if (state !== "lost") return;
      told.losses += 1;
      setTimeout(() => link.retryNow(), 1);             // a test has no time for the back-off
    },
    welcome() { setTimeout(look, 5); },
    events(of, events, { replayed }) {
      told.events.push(...events.map((event) => ({ ...event, replayed })));
      look();
    },
    reset() { told.resets += 1; },
    resumed(info) { told.resumed.push(info); },
    counted(what) { told.counted[what] = (told.counted[what] ?? 0) + 1; },
  },
});

if (!isLate) link.follow(thread);
link.start();
if (run) {
  told.accepted = await link.run({ thread, ...run });
  look();
}
