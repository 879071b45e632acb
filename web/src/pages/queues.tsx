import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo, useState } from "react";
import { Link } from "wouter";
import { get, query } from "../api/client";
import type { Page, Queue } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT, type Translate } from "../i18n";
import { count, rate } from "../ui/format";
import { Badge, Button, Card, Check, Empty, Loaded, PageHead, SearchBox } from "../ui/parts";
import { Table, type Column, type Sort } from "../ui/table";
import { DeclareQueue } from "./declare_queue";
import { queueHref } from "./links";

const PAGE_SIZE = 100;
const COLUMNS = "name,vhost,durable,exclusive,auto_delete,arguments,policy,consumers,messages,messages_ready,messages_unacknowledged,messages_delayed,message_stats";

/** What the server calls the field behind a column. */
const sortFields: Record<string, string> = {
  name: "name",
  ready: "messages_ready",
  unacked: "messages_unacknowledged",
  delayed: "messages_delayed",
  total: "messages",
  consumers: "consumers",
  in: "message_stats.publish_details.rate",
  out: "message_stats.ack_details.rate",
};

export default function Queues() {
  const t = useT();
  const { vhost, vhosts } = useVhost();
  const [search, setSearch] = useState("");
  const [regex, setRegex] = useState(false);
  const [page, setPage] = useState(1);
  const [sort, setSort] = useState<Sort>({ key: "name", down: false });
  const [declaring, setDeclaring] = useState(false);
  const name = useDeferredValue(search);
  const list = useQuery({
    queryKey: ["queues", vhost, page, name, regex, sort],
    queryFn: ({ signal }) =>
      get<Page<Queue>>(
        `/api/queues${vhost ? `/${encodeURIComponent(vhost)}` : ""}${query({ page, page_size: PAGE_SIZE, name, use_regex: regex, sort: sortFields[sort.key], sort_reverse: sort.down, columns: COLUMNS })}`,
        signal,
      ),
    placeholderData: keepPreviousData,
    refetchInterval: 2000,
  });
  const columns = useMemo(() => queueColumns(t, vhosts.length > 1 && !vhost), [t, vhost, vhosts.length]);
  return (
    <>
      <PageHead title={t("nav.queues")} about={t("queues.about")}>
        <Button kind="primary" icon="plus" onClick={() => setDeclaring(true)}>
          {t("queues.declare")}
        </Button>
      </PageHead>
      <div className="filters">
        <SearchBox label={t("queues.search")} value={search} onChange={(value) => { setSearch(value); setPage(1); }} />
        <Check label={t("regex")} checked={regex} onChange={(event) => { setRegex(event.target.checked); setPage(1); }} />
        {list.data && <span className="muted small filters-end">{t("queues.count", { n: count(list.data.filtered_count), total: count(list.data.total_count) })}</span>}
      </div>
      <Card flush>
        <Loaded query={list}>
          {(data) => (
            <>
              <Table
                label={t("nav.queues")}
                columns={columns}
                rows={data.items}
                rowKey={(queue) => `${queue.vhost} ${queue.name}`}
                sort={sort}
                onSort={(next) => { setSort(next); setPage(1); }}
                empty={
                  name ? (
                    <Empty icon="search" title={t("nothingFound")} text={t("queues.nothingFound", { name })} />
                  ) : (
                    <Empty icon="queue" title={t("queues.empty")} text={t("queues.emptyText")} code={'channel.queue_declare("orders", durable=True)\nchannel.basic_publish("", "orders", b"one coffee",\n                      pika.BasicProperties(delivery_mode=2))'} />
                  )
                }
              />
              <Pager page={data.page} pages={data.page_count} onPage={setPage} />
            </>
          )}
        </Loaded>
      </Card>
      {declaring && <DeclareQueue onClose={() => setDeclaring(false)} />}
    </>
  );
}

function queueColumns(t: Translate, withVhost: boolean): Column<Queue>[] {
  return [
    {
      key: "name",
      head: t("name"),
      sort: true,
      className: "name",
      cell: (queue) => (
        <>
          <Link href={queueHref(queue.vhost, queue.name)}>{queue.name}</Link>
          <QueueBadges queue={queue} />
        </>
      ),
    },
    ...(withVhost ? [{ key: "vhost", head: t("vhost"), cell: (queue: Queue) => queue.vhost }] : []),
    { key: "ready", head: t("ready"), number: true, sort: true, cell: (queue) => count(queue.messages_ready) },
    { key: "unacked", head: t("unacked"), number: true, sort: true, cell: (queue) => count(queue.messages_unacknowledged) },
    { key: "delayed", head: t("delayed"), number: true, sort: true, cell: (queue) => count(queue.messages_delayed) },
    { key: "total", head: t("total"), number: true, sort: true, cell: (queue) => count(queue.messages) },
    { key: "in", head: t("inRate"), number: true, sort: true, cell: (queue) => rate(queue.message_stats?.publish_details?.rate) },
    { key: "out", head: t("ackRate"), number: true, sort: true, cell: (queue) => rate(queue.message_stats?.ack_details?.rate) },
    { key: "consumers", head: t("consumers"), number: true, sort: true, cell: (queue) => count(queue.consumers) },
  ];
}

const shortArguments: [string, string][] = [
  ["x-message-ttl", "TTL"],
  ["x-dead-letter-exchange", "DLX"],
  ["x-max-length", "Lim"],
  ["x-max-length-bytes", "LimB"],
  ["x-max-priority", "Pri"],
  ["x-single-active-consumer", "SAC"],
  ["x-consumer-timeout", "Lease"],
  ["x-delayed-retry-min", "Retry"],
  ["x-expires", "Exp"],
  ["x-trace", "Trace"],
];

export function QueueBadges({ queue }: { queue: Queue }) {
  const t = useT();
  return (
    <span className="badges">
      {queue.state === "paused" && <Badge tone="warn">{t("paused")}</Badge>}
      {!queue.durable && <Badge tone="warn">{t("transient")}</Badge>}
      {queue.exclusive && <Badge>{t("exclusive")}</Badge>}
      {queue.auto_delete && <Badge>{t("autoDelete")}</Badge>}
      {shortArguments
        .filter(([name]) => queue.arguments[name] !== undefined)
        .map(([name, shown]) => (
          <Badge key={name} title={`${name}: ${String(queue.arguments[name])}`}>
            {shown}
          </Badge>
        ))}
      {queue.policy && (
        <Badge tone="info" title={t("policy")}>
          {queue.policy}
        </Badge>
      )}
    </span>
  );
}

function Pager({ page, pages, onPage }: { page: number; pages: number; onPage(page: number): void }) {
  const t = useT();
  if (pages <= 1) return null;
  return (
    <nav className="pager" aria-label={t("pager.label")}>
      <Button icon="back" disabled={page <= 1} onClick={() => onPage(page - 1)} aria-label={t("pager.before")} />
      <span>{t("pager.at", { page: count(page), pages: count(pages) })}</span>
      <Button icon="chevron" disabled={page >= pages} onClick={() => onPage(page + 1)} aria-label={t("pager.after")} />
    </nav>
  );
}
