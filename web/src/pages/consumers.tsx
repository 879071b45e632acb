import { Link } from "wouter";
import type { ConsumerDetails } from "../api/types";
import { useT } from "../i18n";
import { count } from "../ui/format";
import { Badge, Card, Empty } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { queueHref } from "./links";

/** `queue`: the one they belong to; without it each row says its own. */
export function ConsumerTable({ consumers, queue }: { consumers: ConsumerDetails[]; queue?: string }) {
  const t = useT();
  const columns: Column<ConsumerDetails>[] = [
    { key: "tag", head: t("consumers.tag"), className: "name", sort: (consumer) => consumer.consumer_tag, cell: (consumer) => <code>{consumer.consumer_tag}</code> },
    ...(queue === undefined ? [{ key: "queue", head: t("queue.head"), className: "name", sort: (consumer: ConsumerDetails) => consumer.queue.name, cell: (consumer: ConsumerDetails) => <Link href={queueHref(consumer.queue.vhost, consumer.queue.name)}>{consumer.queue.name}</Link> }] : []),
    { key: "user", head: t("user"), cell: (consumer) => consumer.channel_details?.user ?? "–" },
    { key: "channel", head: t("channel"), cell: (consumer) => consumer.channel_details?.name ?? "–" },
    { key: "prefetch", head: t("prefetch"), number: true, sort: (consumer) => consumer.prefetch_count, cell: (consumer) => (consumer.prefetch_count ? count(consumer.prefetch_count) : "∞") },
    {
      key: "how", head: t("consumers.how"),
      cell: (consumer) => (
        <span className="badges">
          {consumer.ack_required ? <Badge tone="good">{t("consumers.acks")}</Badge> : <Badge tone="warn">{t("consumers.noAcks")}</Badge>}
          {consumer.exclusive && <Badge>{t("exclusive")}</Badge>}
          {consumer.active === false && <Badge>{t("consumers.waiting")}</Badge>}
        </span>
      ),
    },
  ];
  const code = `channel.basic_qos(prefetch_count=100)\nchannel.basic_consume(${JSON.stringify(queue ?? "orders")}, on_message)\nchannel.start_consuming()`;
  return (
    <Card flush>
      <Table label={t("consumers")} columns={columns} rows={consumers} rowKey={(consumer) => JSON.stringify([consumer.channel_details?.name, consumer.consumer_tag])} empty={<Empty icon="user" title={t("consumers.empty")} text={t("consumers.emptyText")} code={code} />} />
    </Card>
  );
}
