import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { path, put } from "../api/client";
import { useVhost } from "../api/vhost";
import { useT } from "../i18n";
import { ArgumentsEditor, valuesOf, type Pair } from "../ui/arguments_editor";
import { FormDialog } from "../ui/overlay";
import { Check, Field } from "../ui/parts";
import { queueHref } from "./links";

const known = [
  "x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-overflow", "x-dead-letter-exchange", "x-dead-letter-routing-key",
  "x-max-priority", "x-single-active-consumer", "x-consumer-timeout", "x-delivery-limit", "x-delayed-retry-min", "x-delayed-retry-max",
  "x-delayed-retry-multiplier", "x-delayed-retry-jitter", "x-delayed-retry-type", "x-trace",
];

export function DeclareQueue({ onClose }: { onClose(): void }) {
  const t = useT();
  const { home } = useVhost();
  const [, go] = useLocation();
  const cache = useQueryClient();
  const [vhost, setVhost] = useState(home);
  const [name, setName] = useState("");
  const [durable, setDurable] = useState(true);
  const [autoDelete, setAutoDelete] = useState(false);
  const [pairs, setPairs] = useState<Pair[]>([]);
  async function submit() {
    await put(path("queues", vhost, name), { durable, auto_delete: autoDelete, arguments: valuesOf(pairs) });
    void cache.invalidateQueries({ queryKey: ["queues"] });
    go(queueHref(vhost, name));
  }
  return (
    <FormDialog open onClose={onClose} title={t("queues.declare")} action={t("declare")} submit={submit}>
      <VhostField value={vhost} onChange={setVhost} />
      <Field label={t("name")}>
        <input value={name} onChange={(event) => setName(event.target.value)} required maxLength={255} autoFocus />
      </Field>
      <Check label={t("queues.durable")} checked={durable} onChange={(event) => setDurable(event.target.checked)} />
      <Check label={t("queues.autoDelete")} checked={autoDelete} onChange={(event) => setAutoDelete(event.target.checked)} />
      <ArgumentsEditor label={t("arguments")} pairs={pairs} onChange={setPairs} known={known} />
    </FormDialog>
  );
}

/** Which vhost; hidden where there is only one. */
export function VhostField({ value, onChange }: { value: string; onChange(vhost: string): void }) {
  const t = useT();
  const { vhosts } = useVhost();
  if (vhosts.length <= 1) return null;
  return (
    <Field label={t("vhost")}>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {vhosts.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </Field>
  );
}
