import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { get, path } from "../api/client";
import type { Binding, Exchange, Queue } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT } from "../i18n";
import { clip, curve, exchangeId, layOut, queueId, type Drawing } from "../topology/layout";
import { route, type Route, type Topology } from "../topology/routing";
import { ArgumentsEditor, valuesOf, type Pair } from "../ui/arguments_editor";
import { Badge, Button, Card, Check, Empty, Field, Loaded, PageHead, SearchBox } from "../ui/parts";
import { exchangeHref, exchangeName, queueHref } from "./links";

// More than this nobody can read, and laying it out takes seconds: a part of the name narrows it.
const MOST_BINDINGS = 250;

export default function TopologyPage() {
  const t = useT();
  const { home, vhosts } = useVhost();
  const [search, setSearch] = useSearchParams();
  const asked = search.get("vhost");
  const vhost = asked !== null && vhosts.includes(asked) ? asked : home;
  const topology = useQuery({
    queryKey: ["topology", vhost],
    queryFn: async ({ signal }): Promise<Topology> => {
      const [exchanges, bindings, queues] = await Promise.all([
        get<Exchange[]>(path("exchanges", vhost), signal),
        get<Binding[]>(path("bindings", vhost), signal),
        get<Pick<Queue, "name">[]>(`${path("queues", vhost)}?columns=name`, signal),
      ]);
      return { exchanges, bindings, queues: queues.map((queue) => queue.name) };
    },
    refetchInterval: 10000,
  });
  return (
    <>
      <PageHead title={t("nav.topology")} about={t("topology.about", { vhost })}>
        {vhosts.length > 1 && (
          <select aria-label={t("vhost")} value={vhost} onChange={(event) => setSearch({ vhost: event.target.value })}>
            {vhosts.map((one) => <option key={one}>{one}</option>)}
          </select>
        )}
      </PageHead>
      <Loaded query={topology}>{(data) => <Explorer key={vhost} vhost={vhost} topology={data} start={search.get("exchange")} />}</Loaded>
    </>
  );
}

function Explorer({ vhost, topology, start }: { vhost: string; topology: Topology; start: string | null }) {
  const t = useT();
  const [filter, setFilter] = useState("");
  const [showUnbound, setShowUnbound] = useState(false);
  const [attempt, setAttempt] = useState<{ exchange: string; key: string; headers: Record<string, unknown> } | null>(null);
  const name = useDeferredValue(filter);
  const routed = useMemo(() => attempt && route(topology, attempt.exchange, attempt.key, attempt.headers), [topology, attempt]);
  const { drawing, left } = useMemo(() => draw(topology, name, showUnbound, routed), [topology, name, showUnbound, routed]);
  return (
    <>
      <TryKey topology={topology} start={start} onTry={setAttempt} routed={routed} attempt={attempt} />
      <div className="filters">
        <SearchBox label={t("topology.search")} value={filter} onChange={setFilter} />
        <Check label={t("topology.unbound")} checked={showUnbound} onChange={(event) => setShowUnbound(event.target.checked)} />
        {left > 0 && <span className="muted small filters-end">{t("topology.left", { n: left })}</span>}
      </div>
      <Card flush>
        {drawing.nodes.length ? (
          <Picture vhost={vhost} drawing={drawing} routed={routed} />
        ) : (
          <Empty icon="topology" title={name ? t("nothingFound") : t("topology.empty")} text={name ? t("topology.nothingFound", { name }) : t("topology.emptyText")} code={name ? undefined : 'channel.exchange_declare("shop", "topic", durable=True)\nchannel.queue_declare("orders", durable=True)\nchannel.queue_bind("orders", "shop", "order.*")'} />
        )}
      </Card>
    </>
  );
}

/** What of it to draw: bindings whose ends have the name in them, and always the way of the message tried. */
function draw(topology: Topology, name: string, unbound: boolean, routed: Route | null): { drawing: Drawing; left: number } {
  const wanted = topology.bindings
    .map((binding, index) => ({ binding, index }))
    .filter(({ binding, index }) => routed?.bindings.includes(index) || (binding.source !== "" && (binding.source.includes(name) || binding.destination.includes(name))))
    .sort((a, b) => Number(routed?.bindings.includes(b.index) ?? false) - Number(routed?.bindings.includes(a.index) ?? false));
  const shown = wanted.slice(0, MOST_BINDINGS);
  const exchangeNames = new Set([...shown.flatMap(({ binding }) => [binding.source, ...(binding.destination_type === "exchange" ? [binding.destination] : [])]), ...(routed?.exchanges ?? [])]);
  const queueNames = new Set([...shown.filter(({ binding }) => binding.destination_type === "queue").map(({ binding }) => binding.destination), ...(routed?.queues ?? [])]);
  if (unbound) {
    for (const exchange of topology.exchanges) if (exchange.name !== "" && exchange.name.includes(name)) exchangeNames.add(exchange.name);
    for (const queue of topology.queues.filter((one) => one.includes(name)).slice(0, MOST_BINDINGS)) queueNames.add(queue);
  }
  return {
    drawing: layOut(topology.exchanges.filter((exchange) => exchangeNames.has(exchange.name)), [...queueNames].sort(), shown),
    left: wanted.length - shown.length,
  };
}

function TryKey({ topology, start, onTry, routed, attempt }: { topology: Topology; start: string | null; onTry(attempt: { exchange: string; key: string; headers: Record<string, unknown> } | null): void; routed: Route | null; attempt: { exchange: string; key: string } | null }) {
  const t = useT();
  const own = topology.exchanges.filter((exchange) => exchange.name !== "" && !exchange.name.startsWith("amq."));
  const [exchange, setExchange] = useState(start ?? own[0]?.name ?? "");
  const [key, setKey] = useState("");
  const [pairs, setPairs] = useState<Pair[]>([]);
  const isHeaders = topology.exchanges.find((one) => one.name === exchange)?.type === "headers";
  return (
    <Card title={t("tryKey")} note={t("tryKey.about")}>
      <form className="try-form" onSubmit={(event) => { event.preventDefault(); onTry({ exchange, key, headers: valuesOf(pairs) }); }}>
        <Field label={t("exchange.head")}>
          <select value={exchange} onChange={(event) => setExchange(event.target.value)}>
            {topology.exchanges.map((one) => <option key={one.name} value={one.name}>{exchangeName(one.name)} · {one.type}</option>)}
          </select>
        </Field>
        <Field label={t("routingKey")}><input value={key} placeholder="order.created" onChange={(event) => setKey(event.target.value)} /></Field>
        <Button type="submit" kind="primary">{t("try")}</Button>
        {attempt && <Button kind="quiet" onClick={() => onTry(null)}>{t("clear")}</Button>}
        {(isHeaders || pairs.length > 0) && <ArgumentsEditor label={t("headers")} pairs={pairs} onChange={setPairs} known={["region", "kind"]} />}
      </form>
      {routed && attempt && (
        <div className={`route ${routed.queues.length ? "" : "nowhere"}`} role="status">
          {routed.queues.length ? (
            <>
              <span>{t(routed.oneOf.length ? "tryKey.oneOf" : "tryKey.goes", { n: routed.queues.length })}</span>
              <span className="badges">{routed.queues.map((queue) => <Badge key={queue} tone="good">{queue}</Badge>)}</span>
            </>
          ) : (
            <span>{t("tryKey.nowhere")}</span>
          )}
        </div>
      )}
    </Card>
  );
}

function Picture({ vhost, drawing, routed }: { vhost: string; drawing: Drawing; routed: Route | null }) {
  const t = useT();
  const [, go] = useLocation();
  const lit = new Set(routed ? [...routed.exchanges.map(exchangeId), ...routed.queues.map(queueId)] : []);
  const isLit = (bindings: number[]) => routed?.bindings.some((index) => bindings.includes(index)) ?? false;
  const href = (kind: string, name: string) => (kind === "queue" ? queueHref(vhost, name) : exchangeHref(vhost, name));
  return (
    <div className={`picture ${routed ? "tried" : ""}`} tabIndex={0} role="region" aria-label={t("nav.topology")}>
      <svg width={drawing.width} height={drawing.height} viewBox={`0 0 ${drawing.width} ${drawing.height}`}>
        <title>{t("topology.title", { exchanges: drawing.nodes.filter((node) => node.kind === "exchange").length, queues: drawing.nodes.filter((node) => node.kind === "queue").length })}</title>
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path className="arrow" d="M0 0L8 4L0 8z" /></marker>
          <marker id="arrow-lit" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path className="arrow lit" d="M0 0L8 4L0 8z" /></marker>
        </defs>
        {drawing.edges.map((edge) => {
          const on = isLit(edge.bindings);
          return (
            <g key={`${edge.from} ${edge.to}`} className={`edge ${on ? "lit" : ""}`}>
              <path d={curve(edge.points)} markerEnd={on ? "url(#arrow-lit)" : "url(#arrow)"} />
              {edge.label && (
                <>
                  <rect x={edge.labelAt.x - edge.label.length * 3.3 - 4} y={edge.labelAt.y - 9} width={edge.label.length * 6.6 + 8} height={18} rx={4} />
                  <text x={edge.labelAt.x} y={edge.labelAt.y + 4}>{edge.label}</text>
                </>
              )}
            </g>
          );
        })}
        {drawing.nodes.map((node) => (
          <a key={node.id} href={href(node.kind, node.name)} className={`node ${node.kind} ${lit.has(node.id) ? "lit" : ""}`} onClick={(event) => { event.preventDefault(); go(href(node.kind, node.name)); }}>
            <rect x={node.x - node.width / 2} y={node.y - node.height / 2} width={node.width} height={node.height} rx={node.kind === "exchange" ? 22 : 8} />
            <text className="node-name" x={node.x} y={node.y + (node.kind === "exchange" ? -1 : 5)}>{clip(node.kind === "exchange" ? exchangeName(node.name) : node.name)}</text>
            {" "}
            {node.kind === "exchange" && <text className="node-type" x={node.x} y={node.y + 13}>{node.type}</text>}
          </a>
        ))}
      </svg>
    </div>
  );
}
