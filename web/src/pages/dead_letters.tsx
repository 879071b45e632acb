import { useQuery } from "@tanstack/react-query";
import { useMemo, useState, type FormEvent } from "react";
import { Link, useSearchParams } from "wouter";
import { get, path } from "../api/client";
import type { Binding, DeadLetterGroup, DeadLetters, Queue } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT } from "../i18n";
import { count, moment } from "../ui/format";
import { Badge, Button, Card, Empty, Failure, Loaded, Loading, PageHead } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { deadLetterQueues, type DeadLetterQueue } from "../topology/dead_letter_queues";
import { queueHref } from "./links";
import { MoveDialog } from "./move";

const COLUMNS = "name,vhost,arguments,effective_policy_definition,messages";

export default function DeadLettersPage() {
  const t = useT();
  const { vhost, home } = useVhost();
  const [search, setSearch] = useSearchParams();
  const chosen = search.get("name");
  const chosenVhost = search.get("vhost") ?? home;
  const below = vhost ? `/${encodeURIComponent(vhost)}` : "";
  const found = useQuery({
    queryKey: ["dead-letter-queues", vhost],
    queryFn: async ({ signal }) => {
      const [queues, bindings] = await Promise.all([get<Queue[]>(`/api/queues${below}?columns=${COLUMNS}`, signal), get<Binding[]>(`/api/bindings${below}`, signal)]);
      return deadLetterQueues(queues, bindings);
    },
    refetchInterval: 5000,
  });
  const look = (where: string, name: string) => setSearch({ vhost: where, name });
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    look(vhost || home, String(new FormData(event.currentTarget).get("name")));
  }
  return (
    <>
      <PageHead title={t("nav.deadLetters")} about={t("dead.about")}>
        <form className="inline-form" onSubmit={submit}>
          <input name="name" aria-label={t("dead.other")} placeholder={t("dead.other")} required />
          <Button type="submit" icon="search">{t("look")}</Button>
        </form>
      </PageHead>
      <Card title={t("dead.queues")} note={t("dead.queuesAbout")} flush>
        <Loaded query={found}>{(queues) => <QueueTable queues={queues} chosen={chosen ? `${chosenVhost} ${chosen}` : ""} onLook={look} />}</Loaded>
      </Card>
      {chosen && <Groups key={`${chosenVhost} ${chosen}`} vhost={chosenVhost} name={chosen} />}
    </>
  );
}

function QueueTable({ queues, chosen, onLook }: { queues: DeadLetterQueue[]; chosen: string; onLook(vhost: string, name: string): void }) {
  const t = useT();
  const columns: Column<DeadLetterQueue>[] = [
    { key: "name", head: t("queue.head"), className: "name", sort: (queue) => queue.name, cell: (queue) => <Link href={queueHref(queue.vhost, queue.name)}>{queue.name}</Link> },
    { key: "messages", head: t("messages"), number: true, sort: (queue) => queue.messages, cell: (queue) => count(queue.messages) },
    { key: "from", head: t("dead.sources"), cell: (queue) => <span className="badges">{queue.sources.slice(0, 4).map((source) => <Badge key={source}>{source}</Badge>)}{queue.sources.length > 4 && <span className="muted small">+{queue.sources.length - 4}</span>}</span> },
    { key: "look", head: "", className: "row-actions", cell: (queue) => <Button aria-pressed={chosen === `${queue.vhost} ${queue.name}`} aria-label={t("dead.look", { name: queue.name })} onClick={() => onLook(queue.vhost, queue.name)}>{t("look")}</Button> },
  ];
  const code = 'arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "failed"}\nchannel.queue_declare("failed", durable=True)\nchannel.queue_declare("work", durable=True, arguments=arguments)';
  return <Table label={t("dead.queues")} columns={columns} rows={queues} rowKey={(queue) => `${queue.vhost} ${queue.name}`} empty={<Empty icon="dead" title={t("dead.empty")} text={t("dead.emptyText")} code={code} />} />;
}

function Groups({ vhost, name }: { vhost: string; name: string }) {
  const t = useT();
  const [moving, setMoving] = useState<DeadLetterGroup | "all" | null>(null);
  const groups = useQuery({ queryKey: ["dead-letters", vhost, name], queryFn: ({ signal }) => get<DeadLetters>(`${path("landfall", "dead-letters", vhost, name)}?at_most=10000`, signal), retry: false });
  const reasons: Record<string, string> = { rejected: t("reason.rejected"), expired: t("reason.expired"), maxlen: t("reason.maxlen"), delivery_limit: t("reason.deliveryLimit") };
  const columns = useMemo<Column<DeadLetterGroup>[]>(
    () => [
      { key: "reason", head: t("dead.reason"), sort: (group) => group.reason, cell: (group) => <Badge tone={group.reason === "expired" ? "plain" : "warn"} title={group.reason}>{reasons[group.reason] ?? group.reason}</Badge> },
      { key: "queue", head: t("dead.origin"), className: "name", sort: (group) => group.queue, cell: (group) => <Link href={queueHref(vhost, group.queue)}>{group.queue}</Link> },
      { key: "key", head: t("dead.publishedTo"), cell: (group) => <code>{group.exchange === "" ? group.routing_key : `${group.exchange} · ${group.routing_key}`}</code> },
      { key: "count", head: t("count"), number: true, sort: (group) => group.count, cell: (group) => count(group.count) },
      { key: "newest", head: t("dead.newest"), sort: (group) => group.newest ?? 0, cell: (group) => (group.newest ? moment(group.newest) : "–") },
      { key: "actions", head: "", className: "row-actions", cell: (group) => <Button icon="refresh" onClick={() => setMoving(group)}>{t("redrive")}</Button> },
    ],
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [t, vhost],
  );
  const filter = moving && moving !== "all" ? { reason: moving.reason, origin_queue: moving.queue } : undefined;
  return (
    <Card
      title={t("dead.groups", { name })}
      flush
      actions={
        <>
          <Link className="button plain" href={queueHref(vhost, name, "messages")}>{t("dead.messages")}</Link>
          <Button kind="primary" icon="refresh" onClick={() => setMoving("all")}>{t("redrive.all")}</Button>
        </>
      }
    >
      {groups.data ? (
        <>
          <Table label={t("dead.groups", { name })} columns={columns} rows={groups.data.groups} rowKey={(group) => JSON.stringify([group.reason, group.queue, group.exchange, group.routing_key])} empty={<Empty icon="check" title={t("dead.noneHere")} text={t("dead.noneHereText")} />} />
          {!groups.data.complete && <p className="card-note muted small">{t("dead.incomplete", { n: count(groups.data.scanned) })}</p>}
        </>
      ) : groups.error ? (
        <Failure error={groups.error} retry={() => void groups.refetch()} />
      ) : (
        <Loading />
      )}
      {moving && <MoveDialog vhost={vhost} queue={name} redrive filter={filter} onClose={() => setMoving(null)} />}
    </Card>
  );
}
