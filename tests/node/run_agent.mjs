// Runs an agent with the AG-UI client as it comes from npm, and prints what the client saw as one line of JSON.
// Usage: node run_agent.mjs SITE_URL '{"user", "agent", "thread", "runs": [{"run", "message"}], "cancelAt"}'
import { HttpAgent, getRunOutcome } from "@ag-ui/client";

const [site, text] = process.argv.slice(2);
const { user, agent: name, thread, runs, cancelAt } = JSON.parse(text);
const headers = { Authorization: `Bearer ${user}` };
const warnings = [];
console.warn = (...words) => warnings.push(words.map(String).join(" "));

const agent = new HttpAgent({ url: `${site}/api/agui?agent=${name}`, headers, threadId: thread });
const told = [];
for (const { run, message } of runs) {
  const seen = { events: [], errors: [], receipt: null, thrown: null, outcome: null };
  let cancelling = null;
  const cancel = async () => (await fetch(`${site}/api/runs/${run}`, { method: "DELETE", headers })).json();
  agent.addMessage({ id: `asked-${run}`, role: "user", content: message });
  try {
    await agent.runAgent(
      { runId: run },
      {
        onEvent: ({ event }) => {
          seen.events.push(event);
          if (event.type === cancelAt) cancelling ??= cancel();
        },
        onRunErrorEvent: ({ event }) => {
          seen.errors.push(event.message);
        },
      },
    );
    seen.outcome = getRunOutcome(seen.events.at(-1)) ?? null;
  } catch (error) {
    seen.thrown = String(error.message);
  }
  seen.receipt = await cancelling;
  told.push(seen);
}
process.stdout.write(JSON.stringify({ runs: told, messages: agent.messages, warnings }) + "\n");
