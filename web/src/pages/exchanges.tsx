import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { get, path, put } from "../api/client";
import type { Exchange } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT } from "../i18n";
import { ArgumentsEditor, valuesOf, type Pair } from "../ui/arguments_editor";
import { FormDialog } from "../ui/overlay";
import { Badge, Button, Card, Check, Empty, Field, Loaded, PageHead, SearchBox } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { VhostField } from "./declare_queue";
import { exchangeHref, exchangeName } from "./links";

export default function Exchanges() {
  const t = useT();
  const { vhost, vhosts } = useVhost();
  const [search, setSearch] = useState("");
  const [declaring, setDeclaring] = useState(false);
  const list = useQuery({ queryKey: ["exchanges", vhost], queryFn: ({ signal }) => get<Exchange[]>(`/api/exchanges${vhost ? `/${encodeURIComponent(vhost)}` : ""}`, signal) });
  const columns: Column<Exchange>[] = [
    { key: "name", head: t("name"), className: "name", sort: (exchange) => exchange.name, cell: (exchange) => <Link href={exchangeHref(exchange.vhost, exchange.name)}>{exchangeName(exchange.name)}</Link> },
    ...(vhosts.length > 1 && !vhost ? [{ key: "vhost", head: t("vhost"), sort: (exchange: Exchange) => exchange.vhost, cell: (exchange: Exchange) => exchange.vhost }] : []),
    { key: "type", head: t("queue.type"), sort: (exchange) => exchange.type, cell: (exchange) => exchange.type },
    { key: "how", head: t("properties"), cell: (exchange) => <ExchangeBadges exchange={exchange} /> },
  ];
  return (
    <>
      <PageHead title={t("nav.exchanges")} about={t("exchanges.about")}>
        <Link className="button plain" href="/topology">{t("exchanges.draw")}</Link>
        <Button kind="primary" icon="plus" onClick={() => setDeclaring(true)}>{t("exchanges.declare")}</Button>
      </PageHead>
      <div className="filters">
        <SearchBox label={t("exchanges.search")} value={search} onChange={setSearch} />
      </div>
      <Card flush>
        <Loaded query={list}>
          {(data) => <Table label={t("nav.exchanges")} columns={columns} rows={data.filter((exchange) => exchange.name.includes(search))} rowKey={(exchange) => `${exchange.vhost} ${exchange.name}`} empty={<Empty icon="search" title={t("nothingFound")} text={t("exchanges.nothingFound", { name: search })} />} />}
        </Loaded>
      </Card>
      {declaring && <DeclareExchange onClose={() => setDeclaring(false)} />}
    </>
  );
}

export function ExchangeBadges({ exchange }: { exchange: Exchange }) {
  const t = useT();
  return (
    <span className="badges">
      {exchange.durable ? <Badge>{t("durable")}</Badge> : <Badge tone="warn">{t("transient")}</Badge>}
      {exchange.internal && <Badge>{t("internal")}</Badge>}
      {exchange.auto_delete && <Badge>{t("autoDelete")}</Badge>}
      {exchange.arguments["alternate-exchange"] !== undefined && <Badge title={String(exchange.arguments["alternate-exchange"])}>AE</Badge>}
      {exchange.policy && <Badge tone="info">{exchange.policy}</Badge>}
    </span>
  );
}

const types = ["direct", "topic", "fanout", "headers", "x-consistent-hash", "x-delayed-message"];

function DeclareExchange({ onClose }: { onClose(): void }) {
  const t = useT();
  const { home } = useVhost();
  const cache = useQueryClient();
  const [, go] = useLocation();
  const [vhost, setVhost] = useState(home);
  const [name, setName] = useState("");
  const [type, setType] = useState("topic");
  const [durable, setDurable] = useState(true);
  const [internal, setInternal] = useState(false);
  const [pairs, setPairs] = useState<Pair[]>([]);
  async function submit() {
    await put(path("exchanges", vhost, name), { type, durable, internal, auto_delete: false, arguments: valuesOf(pairs) });
    void cache.invalidateQueries({ queryKey: ["exchanges"] });
    go(exchangeHref(vhost, name));
  }
  return (
    <FormDialog open onClose={onClose} title={t("exchanges.declare")} action={t("declare")} submit={submit}>
      <VhostField value={vhost} onChange={setVhost} />
      <Field label={t("name")}><input value={name} onChange={(event) => setName(event.target.value)} required maxLength={255} autoFocus /></Field>
      <Field label={t("queue.type")}>
        <select value={type} onChange={(event) => setType(event.target.value)}>
          {types.map((one) => <option key={one}>{one}</option>)}
        </select>
      </Field>
      <Check label={t("queues.durable")} checked={durable} onChange={(event) => setDurable(event.target.checked)} />
      <Check label={t("exchanges.internal")} checked={internal} onChange={(event) => setInternal(event.target.checked)} />
      <ArgumentsEditor label={t("arguments")} pairs={pairs} onChange={setPairs} known={["alternate-exchange", "x-delayed-type"]} />
    </FormDialog>
  );
}
