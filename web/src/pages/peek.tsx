// Looks into a queue without taking anything out of it.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ApiError, get, path, query } from "../api/client";
import type { Peek, PeekedMessage } from "../api/types";
import { useT } from "../i18n";
import { bytes, count } from "../ui/format";
import { ArgumentList, Badge, Button, Card, Empty, Facts, Failure, Field, Loading } from "../ui/parts";

export function Messages({ vhost, name }: { vhost: string; name: string }) {
  const t = useT();
  const [asked, setAsked] = useState({ search: "", header: "" });
  const list = useInfiniteQuery({
    queryKey: ["peek", vhost, name, asked],
    queryFn: ({ pageParam, signal }) => get<Peek>(path("landfall", "queues", vhost, name, "messages") + query({ count: 50, after: pageParam || undefined, truncate: 50000, ...asked }), signal),
    initialPageParam: "",
    getNextPageParam: (last) => (last.next === null || last.next === undefined ? undefined : String(last.next)),
    retry: false,
  });
  const messages = list.data?.pages.flatMap((page) => page.messages) ?? [];
  const scanned = list.data?.pages.reduce((sum, page) => sum + page.scanned, 0) ?? 0;
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setAsked({ search: String(data.get("search")), header: String(data.get("header")) });
  }
  return (
    <Card>
      <form className="peek-form" onSubmit={submit}>
        <Field label={t("peek.search")}><input name="search" placeholder={t("peek.searchHint")} /></Field>
        <Field label={t("peek.header")}><input name="header" placeholder="tenant:acme" pattern="[^:]+:.*" /></Field>
        <Button type="submit" icon="search">{t("look")}</Button>
        <Button icon="refresh" aria-label={t("refresh")} onClick={() => void list.refetch()} />
      </form>
      <p className="muted small">{t("peek.about")}</p>
      {list.isPending ? (
        <Loading />
      ) : list.error ? (
        list.error instanceof ApiError && list.error.status === 404 ? <Empty icon="search" title={t("peek.not")} text={t("peek.notText")} /> : <Failure error={list.error} retry={() => void list.refetch()} />
      ) : messages.length === 0 && !list.hasNextPage ? (
        asked.search || asked.header ? <Empty icon="search" title={t("nothingFound")} text={t("peek.nothing", { n: count(scanned) })} /> : <Empty title={t("peek.empty")} text={t("peek.emptyText")} code={`landfall send --queue ${shellWord(name)} 'Hello, world'`} />
      ) : (
        <ol className="messages">
          {messages.map((message, index) => (
            <Message key={`${message.id} ${index}`} message={message} position={index + 1} />
          ))}
        </ol>
      )}
      {list.hasNextPage && (
        <div className="more">
          <span className="muted small">{t("peek.scanned", { n: count(scanned) })}</span>
          <Button disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t("peek.more")}</Button>
        </div>
      )}
    </Card>
  );
}

/** A word for a shell: names may hold anything, and people paste what they see. */
export const shellWord = (text: string) => (/^[\w.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const tones = { ready: "good", unacked: "info", delayed: "plain", backoff: "warn" } as const;

function Message({ message, position }: { message: PeekedMessage; position: number }) {
  const t = useT();
  const { headers = {}, ...properties } = message.properties;
  const states = { ready: t("state.ready"), unacked: t("state.unacked"), delayed: t("state.delayed"), backoff: t("state.backoff") };
  const cut = message.payload_encoding === "string" && message.payload.length < message.payload_bytes && new TextEncoder().encode(message.payload).length < message.payload_bytes;
  return (
    <li>
      <details className="message">
        <summary>
          <span className="message-number">{position}</span>
          <Badge tone={tones[message.state] ?? "plain"}>{states[message.state] ?? message.state}</Badge>
          <span className="message-preview">{message.payload_encoding === "base64" ? t("peek.binary") : message.payload.slice(0, 200)}</span>
          <span className="message-size">{bytes(message.payload_bytes)}</span>
        </summary>
        <div className="message-body">
          <pre tabIndex={0} aria-label={t("body")}>{pretty(message)}</pre>
          {cut && <p className="muted small">{t("peek.cut", { n: bytes(message.payload_bytes) })}</p>}
          <div className="grid two tight">
            <div>
              <h3>{t("peek.delivery")}</h3>
              <Facts
                facts={[
                  [t("exchange.head"), <code key="e">{message.exchange || "(AMQP default)"}</code>],
                  [t("routingKey"), <code key="r">{message.routing_key}</code>],
                  [t("redelivered"), message.redelivered ? t("yes") : t("no")],
                  ...(message.attempts ? ([[t("attempts"), count(message.attempts)]] as [string, string][]) : []),
                ]}
              />
              <h3>{t("properties")}</h3>
              <ArgumentList values={properties} />
            </div>
            <div>
              <h3>{t("headers")}</h3>
              <ArgumentList values={headers} />
            </div>
          </div>
        </div>
      </details>
    </li>
  );
}

/** JSON is laid out; everything else is shown as it came. Always as text. */
function pretty(message: PeekedMessage): string {
  if (message.payload_encoding === "string" && /^\s*[[{]/.test(message.payload)) {
    try {
      return JSON.stringify(JSON.parse(message.payload), null, 2);
    } catch {
      // Cut, or no JSON after all.
    }
  }
  return message.payload;
}
