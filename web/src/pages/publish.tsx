import { useState } from "react";
import { ApiError, exchangeInPath, path, post } from "../api/client";
import { useT } from "../i18n";
import { ArgumentsEditor, valuesOf, type Pair } from "../ui/arguments_editor";
import { FormDialog, useNotify } from "../ui/overlay";
import { Check, Field } from "../ui/parts";

export function Publish({ vhost, exchange, routingKey, onClose }: { vhost: string; exchange: string; routingKey: string; onClose(): void }) {
  const t = useT();
  const notify = useNotify();
  const [key, setKey] = useState(routingKey);
  const [payload, setPayload] = useState("");
  const [persistent, setPersistent] = useState(true);
  const [messageId, setMessageId] = useState("");
  const [contentType, setContentType] = useState("");
  const [pairs, setPairs] = useState<Pair[]>([]);
  async function submit() {
    const properties = {
      delivery_mode: persistent ? 2 : 1,
      headers: valuesOf(pairs),
      ...(messageId ? { message_id: messageId } : {}),
      ...(contentType ? { content_type: contentType } : {}),
    };
    const answer = await post<{ routed: boolean }>(path("exchanges", vhost, exchangeInPath(exchange), "publish"), { routing_key: key, payload, payload_encoding: "string", properties });
    if (!answer.routed) throw new ApiError(200, t("publish.unrouted"));
    notify(t("publish.done"));
  }
  return (
    <FormDialog open wide onClose={onClose} title={t("publish.title", { exchange: exchange === "" ? key : exchange })} action={t("publish")} submit={submit}>
      {exchange !== "" && <Field label={t("routingKey")}><input value={key} onChange={(event) => setKey(event.target.value)} autoFocus /></Field>}
      <Field label={t("body")} wide><textarea rows={6} value={payload} onChange={(event) => setPayload(event.target.value)} autoFocus={exchange === ""} spellCheck={false} /></Field>
      <div className="field-row">
        <Field label={t("messageId")}><input value={messageId} onChange={(event) => setMessageId(event.target.value)} /></Field>
        <Field label={t("contentType")}><input value={contentType} placeholder="application/json" onChange={(event) => setContentType(event.target.value)} /></Field>
      </div>
      <Check label={t("publish.persistent")} checked={persistent} onChange={(event) => setPersistent(event.target.checked)} />
      <ArgumentsEditor label={t("headers")} pairs={pairs} onChange={setPairs} known={["x-delay", "traceparent"]} />
    </FormDialog>
  );
}
