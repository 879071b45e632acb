// Places exchanges and queues from left to right, with dagre.
import dagre from "@dagrejs/dagre";
import type { Binding, Exchange } from "../api/types";

export interface Node {
  id: string;
  kind: "exchange" | "queue";
  name: string;
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Edge {
  /** Of the bindings between the two. */
  bindings: number[];
  from: string;
  to: string;
  label: string;
  points: { x: number; y: number }[];
  labelAt: { x: number; y: number };
}

export interface Drawing {
  nodes: Node[];
  edges: Edge[];
  width: number;
  height: number;
}

export const exchangeId = (name: string) => `e ${name}`;
export const queueId = (name: string) => `q ${name}`;

const NODE_HEIGHT = 44;
const LABEL_LIMIT = 26;

export const clip = (text: string, limit = LABEL_LIMIT) => (text.length > limit ? `${text.slice(0, limit - 1)}…` : text);
const widthOf = (text: string) => Math.min(Math.max(clip(text).length * 7.6 + 44, 110), 260);

/** `bindings` are those to draw, with their place in the whole list. */
export function layOut(exchanges: Exchange[], queues: string[], bindings: { binding: Binding; index: number }[]): Drawing {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  graph.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 110, edgesep: 10, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const exchange of exchanges) graph.setNode(exchangeId(exchange.name), { width: widthOf(exchange.name || "(AMQP default)"), height: NODE_HEIGHT });
  for (const queue of queues) graph.setNode(queueId(queue), { width: widthOf(queue), height: NODE_HEIGHT });
  const pairs = new Map<string, { from: string; to: string; bindings: number[]; keys: string[] }>();
  for (const { binding, index } of bindings) {
    const from = exchangeId(binding.source);
    const to = binding.destination_type === "queue" ? queueId(binding.destination) : exchangeId(binding.destination);
    if (!graph.hasNode(from) || !graph.hasNode(to)) continue;
    const id = `${from}\n${to}`;
    const pair = pairs.get(id) ?? { from, to, bindings: [], keys: [] };
    pair.bindings.push(index);
    pair.keys.push(binding.routing_key || headersText(binding));
    pairs.set(id, pair);
  }
  for (const pair of pairs.values()) {
    const label = labelOf(pair.keys);
    graph.setEdge(pair.from, pair.to, { width: label ? label.length * 6.4 + 8 : 0, height: label ? 16 : 0, labelpos: "c" });
  }
  dagre.layout(graph);
  const place = (id: string) => graph.node(id) as { x: number; y: number; width: number; height: number };
  return {
    nodes: [
      ...exchanges.map((exchange): Node => ({ id: exchangeId(exchange.name), kind: "exchange", name: exchange.name, type: exchange.type, ...pick(place(exchangeId(exchange.name))) })),
      ...queues.map((queue): Node => ({ id: queueId(queue), kind: "queue", name: queue, type: "", ...pick(place(queueId(queue))) })),
    ],
    edges: [...pairs.values()].map((pair) => {
      const edge = graph.edge(pair.from, pair.to) as { points: { x: number; y: number }[]; x?: number; y?: number };
      const middle = edge.points[Math.floor(edge.points.length / 2)] ?? { x: 0, y: 0 };
      return { bindings: pair.bindings, from: pair.from, to: pair.to, label: labelOf(pair.keys), points: edge.points, labelAt: { x: edge.x ?? middle.x, y: edge.y ?? middle.y } };
    }),
    width: Math.max((graph.graph() as { width?: number }).width ?? 0, 1),
    height: Math.max((graph.graph() as { height?: number }).height ?? 0, 1),
  };
}

const pick = ({ x, y, width, height }: { x: number; y: number; width: number; height: number }) => ({ x, y, width, height });

function labelOf(keys: string[]): string {
  const [first = ""] = keys;
  return keys.length > 1 ? `${clip(first, 18)} +${keys.length - 1}` : clip(first, 24);
}

function headersText(binding: Binding): string {
  return Object.entries(binding.arguments)
    .filter(([name]) => name !== "x-match")
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");
}

/** A smooth line through the points that dagre gives. */
export function curve(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let text = `M${first.x},${first.y}`;
  let before = first;
  for (const point of rest) {
    const middle = (before.x + point.x) / 2;
    text += ` C${middle},${before.y} ${middle},${point.y} ${point.x},${point.y}`;
    before = point;
  }
  return text;
}
