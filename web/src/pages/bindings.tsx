import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { del, path, post } from "../api/client";
import type { Binding } from "../api/types";
import { useT } from "../i18n";
import { ArgumentsEditor, valuesOf, type Pair } from "../ui/arguments_editor";
import { ConfirmButton, FormDialog } from "../ui/overlay";
import { argument } from "../ui/format";
import { Empty, Field } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { exchangeHref, exchangeName, queueHref } from "./links";

const keyOf = (binding: Binding) => JSON.stringify([binding.source, binding.destination_type, binding.destination, binding.properties_key]);

/** Bindings of one queue (`side` source: where messages come from) or exchange. */
export function BindingTable({ bindings, side }: { bindings: Binding[]; side: "source" | "destination" }) {
  const t = useT();
  const cache = useQueryClient();
  async function unbind(binding: Binding) {
    await del(path("bindings", binding.vhost, "e", binding.source, binding.destination_type === "queue" ? "q" : "e", binding.destination, binding.properties_key));
    void cache.invalidateQueries({ queryKey: ["bindings"] });
  }
  const columns: Column<Binding>[] = [
    side === "source"
      ? { key: "source", head: t("bindings.from"), className: "name", sort: (binding) => binding.source, cell: (binding) => (binding.source === "" ? <span className="muted">{exchangeName("")}</span> : <Link href={exchangeHref(binding.vhost, binding.source)}>{binding.source}</Link>) }
      : {
          key: "destination", head: t("bindings.to"), className: "name", sort: (binding) => binding.destination,
          cell: (binding) => (
            <>
              <span className="muted small">{t(binding.destination_type === "queue" ? "queue" : "exchange")}</span>{" "}
              <Link href={binding.destination_type === "queue" ? queueHref(binding.vhost, binding.destination) : exchangeHref(binding.vhost, binding.destination)}>{binding.destination}</Link>
            </>
          ),
        },
    { key: "key", head: t("routingKey"), sort: (binding) => binding.routing_key, cell: (binding) => <code>{binding.routing_key}</code> },
    { key: "arguments", head: t("arguments"), cell: (binding) => Object.entries(binding.arguments).map(([name, value]) => <code key={name} className="argument">{name} = {argument(value)}</code>) },
    {
      key: "actions", head: "", className: "row-actions",
      cell: (binding) => binding.source !== "" && <ConfirmButton quiet icon="close" label={t("unbind")} title={t("unbind.title")} text={t("unbind.text", { source: binding.source, destination: binding.destination, key: binding.routing_key })} action={t("unbind")} run={() => unbind(binding)} />,
    },
  ];
  return <Table label={t("bindings")} columns={columns} rows={bindings} rowKey={keyOf} empty={<Empty icon="exchange" title={t("bindings.empty")} text={t("bindings.emptyText")} code={'channel.exchange_declare("shop", "topic", durable=True)\nchannel.queue_declare("orders", durable=True)\nchannel.queue_bind("orders", "shop", "order.*")'} />} />;
}

/** Binds a queue to an exchange; whichever of the two is given stays. */
export function BindDialog({ vhost, queue, exchange, onClose }: { vhost: string; queue?: string; exchange?: string; onClose(): void }) {
  const t = useT();
  const cache = useQueryClient();
  const [source, setSource] = useState(exchange ?? "");
  const [kind, setKind] = useState<"q" | "e">("q");
  const [destination, setDestination] = useState(queue ?? "");
  const [key, setKey] = useState("");
  const [pairs, setPairs] = useState<Pair[]>([]);
  async function submit() {
    await post(path("bindings", vhost, "e", source, kind, destination), { routing_key: key, arguments: valuesOf(pairs) });
    void cache.invalidateQueries({ queryKey: ["bindings"] });
  }
  return (
    <FormDialog open onClose={onClose} title={t("bind.title")} action={t("bind")} submit={submit}>
      {exchange === undefined && <Field label={t("bind.exchange")}><input value={source} onChange={(event) => setSource(event.target.value)} required autoFocus /></Field>}
      {queue === undefined && (
        <>
          <Field label={t("bind.kind")}>
            <select value={kind} onChange={(event) => setKind(event.target.value as "q" | "e")}>
              <option value="q">{t("queue")}</option>
              <option value="e">{t("exchange")}</option>
            </select>
          </Field>
          <Field label={t("bind.destination")}><input value={destination} onChange={(event) => setDestination(event.target.value)} required autoFocus /></Field>
        </>
      )}
      <Field label={t("routingKey")} hint={t("bind.keyHint")}><input value={key} onChange={(event) => setKey(event.target.value)} /></Field>
      <ArgumentsEditor label={t("arguments")} pairs={pairs} onChange={setPairs} known={["x-match"]} />
    </FormDialog>
  );
}
