// Which queues dead letters go to: from the arguments and policies of those they come from, and the
// bindings of the exchanges between.
import type { Binding, Queue } from "../api/types";

export interface DeadLetterQueue {
  vhost: string;
  name: string;
  messages: number;
  sources: string[];
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined);

export function deadLetterQueues(queues: Queue[], bindings: Binding[]): DeadLetterQueue[] {
  const found = new Map<string, DeadLetterQueue>();
  const known = new Map(queues.map((queue) => [`${queue.vhost}\n${queue.name}`, queue]));
  const bySource = new Map<string, Binding[]>();
  for (const binding of bindings) {
    if (binding.source === "") continue;
    const key = `${binding.vhost}\n${binding.source}`;
    bySource.set(key, [...(bySource.get(key) ?? []), binding]);
  }
  for (const queue of queues) {
    const policy = queue.effective_policy_definition ?? {};
    const exchange = text(queue.arguments["x-dead-letter-exchange"]) ?? text(policy["dead-letter-exchange"]);
    if (exchange === undefined) continue;
    const key = text(queue.arguments["x-dead-letter-routing-key"]) ?? text(policy["dead-letter-routing-key"]);
    for (const name of targets(bySource, queue.vhost, exchange, key ?? queue.name)) {
      const target = known.get(`${queue.vhost}\n${name}`);
      if (!target) continue;
      const id = `${target.vhost}\n${target.name}`;
      const entry = found.get(id) ?? { vhost: target.vhost, name: target.name, messages: target.messages, sources: [] };
      entry.sources.push(queue.name);
      found.set(id, entry);
    }
  }
  return [...found.values()].sort((a, b) => b.messages - a.messages || a.name.localeCompare(b.name));
}

/** All that is bound to the exchange, whatever the key: dead letters may have had any. */
function targets(bySource: Map<string, Binding[]>, vhost: string, exchange: string, key: string): Set<string> {
  if (exchange === "") return new Set([key]);
  const reached = new Set<string>();
  const visited = new Set<string>();
  const todo = [exchange];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (visited.has(next)) continue;
    visited.add(next);
    for (const binding of bySource.get(`${vhost}\n${next}`) ?? []) {
      if (binding.destination_type === "queue") reached.add(binding.destination);
      else todo.push(binding.destination);
    }
  }
  return reached;
}
