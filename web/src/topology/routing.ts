// Where a message would go, worked out from the bindings as the broker does it.
import type { Arguments, Binding, Exchange } from "../api/types";

export interface Topology {
  exchanges: Exchange[];
  bindings: Binding[];
  /** Names of the queues that there are: the default exchange reaches each by its name. */
  queues: string[];
}

export interface Route {
  queues: string[];
  exchanges: string[];
  /** Bindings that matched, as indices into `topology.bindings`. */
  bindings: number[];
  /** Exchanges of which one bound queue gets the message, by a hash that only the broker has. */
  oneOf: string[];
}

/** All of one vhost. */
export function route(topology: Topology, exchange: string, key: string, headers: Arguments): Route {
  const result: Route = { queues: [], exchanges: [], bindings: [], oneOf: [] };
  const byName = new Map(topology.exchanges.map((one) => [one.name, one]));
  const bySource = new Map<string, number[]>();
  topology.bindings.forEach((binding, index) => bySource.set(binding.source, [...(bySource.get(binding.source) ?? []), index]));
  const queues = new Set<string>();
  const visited = new Set<string>();

  function visit(name: string) {
    const at = byName.get(name);
    if (visited.has(name) || !at) return;
    visited.add(name);
    const matched = name === "" ? defaultTarget() : (bySource.get(name) ?? []).filter((index) => matches(at, topology.bindings[index]!, key, headers));
    if (typeOf(at) === "x-consistent-hash" && matched.length > 1) result.oneOf.push(name);
    result.bindings.push(...matched);
    for (const index of matched) {
      const { destination, destination_type: kind } = topology.bindings[index]!;
      if (kind === "queue") queues.add(destination);
      else visit(destination);
    }
    const alternate = at.arguments["alternate-exchange"];
    if (!matched.length && !(name === "" && queues.size) && typeof alternate === "string") visit(alternate);
  }

  /** The default exchange has a binding for each queue, which lists may leave out. */
  function defaultTarget(): number[] {
    const index = (bySource.get("") ?? []).find((one) => topology.bindings[one]!.destination === key);
    if (index !== undefined) return [index];
    if (topology.queues.includes(key)) queues.add(key);
    return [];
  }

  visit(exchange);
  result.queues = [...queues];
  result.exchanges = [...visited];
  return result;
}

/** A delayed exchange routes as the type that it was declared for. */
function typeOf(exchange: Exchange): string {
  const delayed = exchange.arguments["x-delayed-type"];
  return exchange.type === "x-delayed-message" && typeof delayed === "string" ? delayed : exchange.type;
}

function matches(exchange: Exchange, binding: Binding, key: string, headers: Arguments): boolean {
  switch (typeOf(exchange)) {
    case "direct":
      return binding.routing_key === key;
    case "topic":
      return topicMatches(binding.routing_key, key);
    case "headers":
      return headersMatch(binding.arguments, headers);
    default: // fanout, and x-consistent-hash, of which one gets it
      return true;
  }
}

/** `*` is one word, `#` is any number of them. */
export function topicMatches(pattern: string, key: string): boolean {
  const parts = pattern.split(".");
  const words = key === "" ? [] : key.split(".");
  // reach[j]: the parts so far match the first j words. Time is parts times words, whatever the pattern.
  let reach = Array.from({ length: words.length + 1 }, (_, j) => j === 0);
  for (const part of pattern === "" ? [] : parts) {
    const next = new Array<boolean>(words.length + 1).fill(false);
    for (let j = 0; j <= words.length; j++) {
      if (part === "#") next[j] = reach[j]! || (j > 0 && next[j - 1]!);
      else next[j] = j > 0 && reach[j - 1]! && (part === "*" || part === words[j - 1]);
    }
    reach = next;
  }
  return reach[words.length]!;
}

export function headersMatch(wanted: Arguments, headers: Arguments): boolean {
  const mode = typeof wanted["x-match"] === "string" ? wanted["x-match"] : "all";
  const withX = mode.endsWith("-with-x");
  const names = Object.keys(wanted).filter((name) => name !== "x-match" && (withX || !name.startsWith("x-")));
  const fits = (name: string) => name in headers && (wanted[name] === null || JSON.stringify(wanted[name]) === JSON.stringify(headers[name]));
  return mode.startsWith("any") ? names.some(fits) : names.every(fits);
}
