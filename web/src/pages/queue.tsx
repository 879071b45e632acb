import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { ApiError, del, get, path, put } from "../api/client";
import { useHistory } from "../api/history";
import { useLive, useWatchedQueue } from "../api/live";
import type { Binding, Ledger, Queue } from "../api/types";
import { useT, type Key } from "../i18n";
import { Chart } from "../ui/chart";
import { bytes, count, rate, short } from "../ui/format";
import { ConfirmButton, Tabs, useNotify } from "../ui/overlay";
import { ArgumentList, Badge, Button, Card, Empty, Facts, failureText, Loaded, PageHead, Tile } from "../ui/parts";
import { BindDialog, BindingTable } from "./bindings";
import { ConsumerTable } from "./consumers";
import { MoveDialog } from "./move";
import { Messages } from "./peek";
import { Publish } from "./publish";
import { QueueBadges } from "./queues";

export default function QueuePage() {
  const [search] = useSearchParams();
  const vhost = search.get("vhost") ?? "/";
  const name = search.get("name") ?? "";
  return <OneQueue key={`${vhost} ${name}`} vhost={vhost} name={name} />;
}

function PauseButton({ queue, reload }: { queue: Queue; reload(): void }) {
  const t = useT();
  const notify = useNotify();
  const { name } = queue;
  const set = (what: "pause" | "resume") => put(path("queues", queue.vhost, name, what), {}).then(reload);
  if (queue.state !== "paused") {
    return <ConfirmButton label={t("pause")} icon="pause" title={t("pause.title", { name })} text={t("pause.text")} action={t("pause")} done={t("pause.done")} run={() => set("pause")} />;
  }
  const resume = () => set("resume").then(() => notify(t("resume.done")), (error: unknown) => notify(failureText(error, t)));
  return <Button icon="play" onClick={() => void resume()}>{t("resume")}</Button>;
}

function OneQueue({ vhost, name }: { vhost: string; name: string }) {
  const t = useT();
  const [, go] = useLocation();
  const [search, setSearch] = useSearchParams();
  const cache = useQueryClient();
  const [dialog, setDialog] = useState<"publish" | "move" | null>(null);
  useWatchedQueue(vhost, name);
  const { tick } = useLive();
  const own = path("queues", vhost, name);
  const queue = useQuery({ queryKey: ["queue", vhost, name], queryFn: ({ signal }) => get<Queue>(own, signal), refetchInterval: 2000, retry: false });
  const tab = search.get("tab") ?? "overview";
  const setTab = (next: string) => setSearch({ vhost, name, tab: next }, { replace: true });
  if (queue.error instanceof ApiError && queue.error.status === 404 && !queue.data) {
    return <Empty icon="queue" title={t("queue.gone")} text={t("queue.goneText", { name })}><Link className="button plain" href="/queues">{t("nav.queues")}</Link></Empty>;
  }
  const reload = () => void cache.invalidateQueries({ queryKey: ["queue", vhost, name] });
  return (
    <Loaded query={queue}>
      {(asked) => {
        // A tick is younger than the last answer, but has no consumers.
        const live = tick?.queues?.find((one) => one.vhost === vhost && one.name === name);
        const data = live ? { ...asked, ...live, consumer_details: asked.consumer_details } : asked;
        return (
          <>
            <PageHead
              title={<>{data.name} <QueueBadges queue={data} /></>}
              about={<><Link href="/queues">{t("nav.queues")}</Link> · {t("vhost")} {vhost} · {data.durable ? t("durable") : t("transient")}</>}
            >
              <Button kind="primary" icon="send" onClick={() => setDialog("publish")}>{t("publish")}</Button>
              <Button icon="exchange" onClick={() => setDialog("move")}>{t("move")}</Button>
              <PauseButton queue={data} reload={reload} />
              <ConfirmButton label={t("purge")} icon="close" title={t("purge.title", { name })} text={t("purge.text", { n: count(data.messages_ready) })} action={t("purge")} done={t("purge.done")} run={async () => { await del(path("queues", vhost, name, "contents")); reload(); }} />
              <ConfirmButton label={t("delete")} title={t("delete.title", { name })} text={t("queue.deleteText", { n: count(data.messages) })} action={t("delete")} done={t("deleted", { name })} run={async () => { await del(own); go("/queues"); }} />
            </PageHead>
            <QueueTiles queue={data} />
            <Tabs
              label={name}
              value={tab}
              onChange={setTab}
              items={[
                { id: "overview", label: t("queue.overview"), content: <QueueOverview queue={data} /> },
                { id: "messages", label: t("messages"), content: <Messages vhost={vhost} name={name} /> },
                { id: "consumers", label: `${t("consumers")} ${data.consumers}`, content: <ConsumerTable consumers={data.consumer_details ?? []} queue={name} /> },
                { id: "bindings", label: t("bindings"), content: <QueueBindings vhost={vhost} name={name} /> },
                { id: "details", label: t("queue.details"), content: <QueueDetails queue={data} /> },
              ]}
            />
            {dialog === "publish" && <Publish vhost={vhost} exchange="" routingKey={name} onClose={() => { setDialog(null); reload(); }} />}
            {dialog === "move" && <MoveDialog vhost={vhost} queue={name} onClose={() => setDialog(null)} />}
          </>
        );
      }}
    </Loaded>
  );
}

function QueueTiles({ queue }: { queue: Queue }) {
  const t = useT();
  const stats = queue.message_stats;
  return (
    <dl className="tiles">
      <Tile label={t("ready")} value={count(queue.messages_ready)} />
      <Tile label={t("unacked")} value={count(queue.messages_unacknowledged)} />
      <Tile label={t("delayed")} value={count(queue.messages_delayed)} />
      <Tile label={t("published")} value={rate(stats?.publish_details?.rate)} unit="/s" />
      <Tile label={t("delivered")} value={rate(stats?.deliver_get_details?.rate)} unit="/s" />
      <Tile label={t("acked")} value={rate(stats?.ack_details?.rate)} unit="/s" />
      <Tile label={t("consumers")} value={count(queue.consumers)} />
    </dl>
  );
}

function QueueOverview({ queue }: { queue: Queue }) {
  const t = useT();
  const history = useHistory(queue);
  return (
    <div className="grid two">
      <Card>
        <Chart title={t("chart.rates")} times={history.times} format={rate} series={[{ label: t("published"), colour: "series-1" }, { label: t("delivered"), colour: "series-2" }, { label: t("acked"), colour: "series-3" }, { label: t("redelivered"), colour: "series-4" }]} values={history.columns("publish", "deliver", "ack", "redeliver")} />
      </Card>
      <Card>
        <Chart title={t("chart.depth")} times={history.times} format={short} series={[{ label: t("ready"), colour: "series-1", fill: true }, { label: t("unacked"), colour: "series-4" }]} values={history.columns("ready", "unacked")} />
      </Card>
      <LedgerCard vhost={queue.vhost} name={queue.name} />
      <Card title={t("arguments")}>
        <ArgumentList values={queue.arguments} />
        {(queue.policy || queue.operator_policy) && (
          <>
            <h3>{t("queue.effective")}</h3>
            <ArgumentList values={queue.effective_policy_definition} />
          </>
        )}
      </Card>
    </div>
  );
}

const leftNames: Record<string, Key> = {
  acked: "left.acked",
  dead_lettered: "left.deadLettered",
  deleted: "left.deleted",
  dropped: "left.dropped",
  expired: "left.expired",
  max_length: "left.maxLength",
  purged: "left.purged",
  quarantined: "left.quarantined",
  released: "left.released",
};

function LedgerCard({ vhost, name }: { vhost: string; name: string }) {
  const t = useT();
  const ledger = useQuery({ queryKey: ["ledger", vhost, name], queryFn: ({ signal }) => get<Ledger>(path("landfall", "ledger", "queues", vhost, name), signal), refetchInterval: 2000 });
  return (
    <Card title={t("ledger")} note={t("ledger.about")} actions={ledger.data && <Badge tone={ledger.data.balances ? "good" : "bad"}>{ledger.data.balances ? t("ledger.balances") : t("ledger.off", { n: ledger.data.imbalance })}</Badge>}>
      <Loaded query={ledger}>
        {(data) => (
          <div className="ledger">
            <Facts
              facts={[
                [t("ledger.accepted"), <strong key="a">{count(data.accepted)}</strong>],
                ...Object.entries(data.left)
                  .filter(([reason, n]) => n > 0 || reason === "acked")
                  .map(([reason, n]): [string, string] => [leftNames[reason] ? t(leftNames[reason]) : reason, `− ${count(n)}`]),
                [t("ledger.held"), <strong key="h">= {count(data.held)}</strong>],
              ]}
            />
          </div>
        )}
      </Loaded>
    </Card>
  );
}

function QueueBindings({ vhost, name }: { vhost: string; name: string }) {
  const t = useT();
  const [binding, setBinding] = useState(false);
  const bindings = useQuery({ queryKey: ["bindings", vhost, "queue", name], queryFn: ({ signal }) => get<Binding[]>(path("queues", vhost, name, "bindings"), signal) });
  return (
    <Card title={t("bindings")} flush actions={<Button icon="plus" onClick={() => setBinding(true)}>{t("bind")}</Button>}>
      <Loaded query={bindings}>{(data) => <BindingTable bindings={data} side="source" />}</Loaded>
      {binding && <BindDialog vhost={vhost} queue={name} onClose={() => setBinding(false)} />}
    </Card>
  );
}

function QueueDetails({ queue }: { queue: Queue }) {
  const t = useT();
  return (
    <Card title={t("queue.details")}>
      <Facts
        facts={[
          [t("name"), <code key="n">{queue.name}</code>],
          [t("vhost"), queue.vhost],
          [t("queue.type"), queue.type],
          [t("durable"), queue.durable ? t("yes") : t("no")],
          [t("exclusive"), queue.exclusive ? t("yes") : t("no")],
          [t("autoDelete"), queue.auto_delete ? t("yes") : t("no")],
          [t("policy"), queue.policy ?? t("none")],
          [t("operatorPolicy"), queue.operator_policy ?? t("none")],
          [t("memory"), bytes(queue.memory)],
        ]}
      />
    </Card>
  );
}
