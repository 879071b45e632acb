// Where is my message? The story that the broker has kept, as a timeline.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent } from "react";
import { Link, useSearchParams } from "wouter";
import { ApiError, get, query } from "../api/client";
import type { Story, StoryEvent } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT, type Key, type Translate } from "../i18n";
import { clock, duration, moment } from "../ui/format";
import { Button, Card, Empty, Failure, Field, Loading, PageHead } from "../ui/parts";
import { exchangeName, queueHref } from "./links";

const kinds = ["message_id", "correlation_id", "header", "queue"] as const;
type By = (typeof kinds)[number];

const byNames: Record<By, Key> = { message_id: "messageId", correlation_id: "correlationId", header: "trace.header", queue: "queue.head" };
const hints: Record<By, string> = { message_id: "9f1c2d…", correlation_id: "order-17", header: "order-id:17", queue: "orders" };

export default function Trace() {
  const t = useT();
  const { home } = useVhost();
  const [search, setSearch] = useSearchParams();
  const asked = kinds.find((kind) => search.has(kind));
  const by = kinds.find((kind) => kind === search.get("by")) ?? asked ?? "message_id";
  const value = asked ? (search.get(asked) ?? "") : "";
  const vhost = search.get("vhost") ?? home;
  const stories = useQuery({
    queryKey: ["trace", vhost, asked, value],
    queryFn: ({ signal }) => get<{ stories: Story[] }>(`/api/landfall/trace${query({ vhost, [asked ?? "message_id"]: value, limit: 50 })}`, signal),
    enabled: Boolean(asked && value),
    retry: false,
  });
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setSearch({ vhost: home, [String(data.get("by"))]: String(data.get("value")) });
    if (asked === data.get("by") && value === data.get("value")) void stories.refetch();
  }
  return (
    <>
      <PageHead title={t("trace.title")} about={t("trace.about")} />
      <Card>
        <form className="try-form" onSubmit={submit}>
          <Field label={t("trace.by")}>
            <select name="by" value={by} onChange={(event) => setSearch({ by: event.target.value }, { replace: true })}>
              {kinds.map((kind) => <option key={kind} value={kind}>{t(byNames[kind])}</option>)}
            </select>
          </Field>
          <Field label={t("value")}><input key={asked} name="value" defaultValue={value} placeholder={hints[by]} required /></Field>
          <Button type="submit" kind="primary" icon="search">{t("search")}</Button>
        </form>
      </Card>
      {!value ? (
        <Card><HowTo title={t("trace.start")} text={t("trace.startText")} /></Card>
      ) : stories.isPending ? (
        <Loading />
      ) : stories.error ? (
        <Card>{stories.error instanceof ApiError && stories.error.status === 404 ? <HowTo title={t("trace.not")} text={t("trace.notText")} /> : <Failure error={stories.error} retry={() => void stories.refetch()} />}</Card>
      ) : stories.data.stories.length === 0 ? (
        <Card><HowTo title={t("trace.none")} text={t("trace.noneText")} /></Card>
      ) : (
        stories.data.stories.map((story) => <StoryCard key={story.id} story={story} />)
      )}
    </>
  );
}

function HowTo({ title, text }: { title: string; text: string }) {
  return <Empty icon="trace" title={title} text={text} code={'channel.queue_declare("orders", durable=True, arguments={"x-trace": True})\nchannel.basic_publish("", "orders", b"one coffee",\n                      pika.BasicProperties(delivery_mode=2, message_id="coffee-1"))'} />;
}

function StoryCard({ story }: { story: Story }) {
  const t = useT();
  const start = story.events[0]?.time ?? 0;
  return (
    <Card
      title={story.message_id ? <code>{story.message_id}</code> : t("trace.unnamed")}
      note={[`${exchangeName(story.exchange)} · ${story.routing_key}`, story.user, story.correlation_id && `${t("correlationId")} ${story.correlation_id}`].filter(Boolean).join(" · ")}
    >
      {story.traceparent && <p className="muted small">traceparent <code>{story.traceparent}</code></p>}
      <ol className="timeline">
        {story.events.map((event, index) => (
          <li key={index} className={`event ${toneOf(event.kind)}`}>
            <time dateTime={new Date(event.time).toISOString()} title={moment(event.time)}>
              {clock(event.time)}
              <span className="muted small">{index === 0 ? "" : `+${duration(event.time - start)}`}</span>
            </time>
            <span className="event-dot" aria-hidden="true" />
            <div>
              <strong>{kindName(event.kind, t)}</strong>
              <EventDetails event={event} vhost={story.vhost} />
            </div>
          </li>
        ))}
      </ol>
    </Card>
  );
}

const kindNames: Record<string, Key> = {
  received: "event.received",
  arrived: "event.arrived",
  repeat: "event.repeat",
  refused: "event.refused",
  landed: "event.landed",
  delivered: "event.delivered",
  returned: "event.returned",
  requeued: "event.requeued",
  lease_expired: "event.leaseExpired",
  consumer_gone: "event.consumerGone",
  released: "event.released",
  rejected: "event.rejected",
  acked: "event.acked",
  dead_lettered: "event.deadLettered",
  moved: "event.moved",
  dropped: "event.dropped",
  purged: "event.purged",
  queue_deleted: "event.queueDeleted",
  lost: "event.lost",
};

function kindName(kind: string, t: Translate): string {
  const key = kindNames[kind];
  return key ? t(key) : kind.replaceAll("_", " ");
}

function toneOf(kind: string): string {
  if (["acked", "landed"].includes(kind)) return "good";
  if (["rejected", "dead_lettered", "dropped", "refused", "lost"].includes(kind)) return "bad";
  if (["returned", "requeued", "lease_expired", "consumer_gone", "repeat"].includes(kind)) return "warn";
  return "";
}

function EventDetails({ event, vhost }: { event: StoryEvent; vhost: string }) {
  const t = useT();
  const parts = [
    event.queue !== undefined && <Link key="q" href={queueHref(vhost, event.queue)}>{event.queue}</Link>,
    event.exchange !== undefined && <span key="e">{exchangeName(event.exchange)}{event.routing_key !== undefined && <> · <code>{event.routing_key}</code></>}</span>,
    event.consumer && <span key="c">{t("event.consumer")} <code>{event.consumer}</code></span>,
    event.connection && <span key="n">{t("event.connection")} {event.connection}</span>,
    event.attempt !== undefined && event.attempt > 1 && <span key="a">{t("event.attempt", { n: event.attempt })}</span>,
    event.route && <span key="o">{event.route}</span>,
    event.reason && <span key="r">{event.reason}</span>,
    event.to && <span key="t">{t("event.to")} {event.to}</span>,
    event.until !== undefined && <span key="u">{t("event.until", { time: clock(event.until) })}</span>,
    event.shard_seq !== undefined && <span key="l">{t("event.batch", { shard: event.shard ?? 0, n: event.shard_seq, lsn: event.lsn ?? 0 })}</span>,
  ].filter(Boolean);
  return <p className="event-details muted small">{parts.map((part, index) => <span key={index}>{index > 0 && " · "}{part}</span>)}</p>;
}
