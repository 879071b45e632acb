import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../api/client";
import { useVhost } from "../api/vhost";
import { useT } from "../i18n";
import { count } from "../ui/format";
import { useNotify } from "../ui/overlay";
import { Button, Card, Facts, PageHead, failureText } from "../ui/parts";

type Definitions = Record<string, unknown>;

const parts = ["vhosts", "users", "permissions", "topic_permissions", "policies", "exchanges", "queues", "bindings"] as const;

export default function DefinitionsPage() {
  const t = useT();
  return (
    <>
      <PageHead title={t("nav.definitions")} about={t("definitions.about")} />
      <div className="grid two">
        <Export />
        <Import />
      </div>
    </>
  );
}

const sizes = (definitions: Definitions): [string, string][] =>
  parts.flatMap((part) => {
    const list = definitions[part];
    return Array.isArray(list) ? [[part.replace("_", " "), count(list.length)] as [string, string]] : [];
  });

function Export() {
  const t = useT();
  const { vhost } = useVhost();
  const [error, setError] = useState<unknown>(null);
  async function download() {
    setError(null);
    try {
      const definitions = await get<Definitions>(`/api/definitions${vhost ? `/${encodeURIComponent(vhost)}` : ""}`);
      const link = document.createElement("a");
      const url = URL.createObjectURL(new Blob([JSON.stringify(definitions, null, 2)], { type: "application/json" }));
      link.href = url;
      link.download = `landfall-definitions-${new Date().toISOString().slice(0, 10)}.json`;
      link.click();
      URL.revokeObjectURL(url);
    } catch (caught) {
      setError(caught);
    }
  }
  return (
    <Card title={t("definitions.export")}>
      <p>{vhost ? t("definitions.exportOne", { vhost }) : t("definitions.exportAll")}</p>
      <p className="muted small">{t("definitions.secret")}</p>
      {error !== null && <p className="form-error" role="alert">{failureText(error, t)}</p>}
      <Button kind="primary" icon="definitions" onClick={() => void download()}>{t("definitions.download")}</Button>
      <h3>{t("definitions.shell")}</h3>
      <pre className="code" tabIndex={0}>{`curl -u USER:PASSWORD ${location.origin}/api/definitions > definitions.json\nlandfalld --definitions definitions.json`}</pre>
    </Card>
  );
}

function Import() {
  const t = useT();
  const { vhost } = useVhost();
  const cache = useQueryClient();
  const notify = useNotify();
  const [file, setFile] = useState<{ name: string; definitions: Definitions } | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  async function choose(chosen: File | undefined) {
    setFile(null);
    setError("");
    if (!chosen) return;
    try {
      const definitions: unknown = JSON.parse(await chosen.text());
      if (typeof definitions !== "object" || definitions === null || Array.isArray(definitions)) throw new Error();
      setFile({ name: chosen.name, definitions: definitions as Definitions });
    } catch {
      setError(t("definitions.noJson", { name: chosen.name }));
    }
  }
  async function send() {
    if (!file) return;
    setBusy(true);
    setError("");
    try {
      await post(`/api/definitions${vhost ? `/${encodeURIComponent(vhost)}` : ""}`, file.definitions);
      await cache.invalidateQueries();
      notify(t("definitions.done", { name: file.name }));
      setFile(null);
    } catch (caught) {
      setError(failureText(caught, t));
    } finally {
      setBusy(false);
    }
  }
  return (
    <Card title={t("definitions.import")}>
      <p>{vhost ? t("definitions.importOne", { vhost }) : t("definitions.importAll")}</p>
      <p className="muted small">{t("definitions.importHow")}</p>
      <label className="file">
        <span className="field-label">{t("definitions.file")}</span>
        <input type="file" accept="application/json,.json" onChange={(event) => void choose(event.target.files?.[0])} />
      </label>
      {file && <Facts facts={sizes(file.definitions)} />}
      {error && <p className="form-error" role="alert">{error}</p>}
      {file && <Button kind="primary" disabled={busy} onClick={() => void send()}>{t("definitions.send", { name: file.name })}</Button>}
    </Card>
  );
}
