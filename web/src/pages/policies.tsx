import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { ApiError, del, get, path, put, query } from "../api/client";
import { useSession } from "../api/session";
import type { Page, Policy, Queue } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT } from "../i18n";
import { ArgumentsEditor, pairsOf, valuesOf, type Pair } from "../ui/arguments_editor";
import { argument, count } from "../ui/format";
import { ConfirmButton, FormDialog, useNotify } from "../ui/overlay";
import { Button, Card, Empty, Field, Loaded, PageHead } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { VhostField } from "./declare_queue";

type Kind = "policies" | "operator-policies";

const known = [
  "message-ttl", "expires", "max-length", "max-length-bytes", "overflow", "dead-letter-exchange", "dead-letter-routing-key", "delivery-limit",
  "consumer-timeout", "delayed-retry-min", "delayed-retry-max", "delayed-retry-multiplier", "delayed-retry-jitter", "delayed-retry-type",
  "alternate-exchange", "trace",
];

export default function Policies() {
  const t = useT();
  const session = useSession();
  return (
    <>
      <PageHead title={t("nav.policies")} about={t("policies.about")} />
      <PolicyList kind="policies" mayEdit={session.may("policymaker")} />
      <PolicyList kind="operator-policies" mayEdit={session.may("administrator")} />
    </>
  );
}

function PolicyList({ kind, mayEdit }: { kind: Kind; mayEdit: boolean }) {
  const t = useT();
  const { vhost } = useVhost();
  const cache = useQueryClient();
  const [editing, setEditing] = useState<Policy | "new" | null>(null);
  const list = useQuery({ queryKey: [kind, vhost], queryFn: ({ signal }) => get<Policy[]>(`/api/${kind}${vhost ? `/${encodeURIComponent(vhost)}` : ""}`, signal) });
  const title = kind === "policies" ? t("policies.own") : t("policies.operator");
  const columns: Column<Policy>[] = [
    { key: "name", head: t("name"), className: "name", sort: (policy) => policy.name, cell: (policy) => <strong>{policy.name}</strong> },
    { key: "vhost", head: t("vhost"), sort: (policy) => policy.vhost, cell: (policy) => policy.vhost },
    { key: "pattern", head: t("policies.pattern"), cell: (policy) => <code>{policy.pattern}</code> },
    { key: "apply", head: t("policies.applyTo"), cell: (policy) => policy["apply-to"] },
    { key: "definition", head: t("policies.definition"), cell: (policy) => Object.entries(policy.definition).map(([name, value]) => <code key={name} className="argument">{name} = {argument(value)}</code>) },
    { key: "priority", head: t("policies.priority"), number: true, sort: (policy) => policy.priority, cell: (policy) => policy.priority },
    {
      key: "actions", head: "", className: "row-actions",
      cell: (policy) => mayEdit && (
        <>
          <Button kind="quiet" aria-label={t("users.edit", { name: policy.name })} onClick={() => setEditing(policy)}>{t("edit")}</Button>
          <ConfirmButton quiet label={t("delete")} title={t("delete.title", { name: policy.name })} text={t("policies.deleteText")} action={t("delete")} done={t("deleted", { name: policy.name })} run={async () => { await del(path(kind, policy.vhost, policy.name)); void cache.invalidateQueries({ queryKey: [kind] }); }} />
        </>
      ),
    },
  ];
  const code = kind === "policies" ? "landfall policies set short-lived '^logs\\.' message-ttl=60000" : "landfall policies set --operator bounded '.*' max-length=1000000";
  return (
    <Card title={title} note={kind === "operator-policies" ? t("policies.operatorAbout") : undefined} flush actions={mayEdit && <Button icon="plus" kind={kind === "policies" ? "primary" : "plain"} onClick={() => setEditing("new")}>{kind === "policies" ? t("policies.add") : t("policies.addOperator")}</Button>}>
      <Loaded query={list}>{(data) => <Table label={title} columns={columns} rows={data} rowKey={(policy) => `${policy.vhost} ${policy.name}`} empty={<Empty icon="policy" title={t("policies.empty")} text={kind === "policies" ? t("policies.emptyText") : t("policies.operatorEmptyText")} code={code} />} />}</Loaded>
      {editing && <PolicyDialog kind={kind} policy={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
    </Card>
  );
}

function PolicyDialog({ kind, policy, onClose }: { kind: Kind; policy: Policy | null; onClose(): void }) {
  const t = useT();
  const cache = useQueryClient();
  const notify = useNotify();
  const { home } = useVhost();
  const [vhost, setVhost] = useState(policy?.vhost ?? home);
  const [name, setName] = useState(policy?.name ?? "");
  const [pattern, setPattern] = useState(policy?.pattern ?? "");
  const [applyTo, setApplyTo] = useState(policy?.["apply-to"] ?? "queues");
  const [priority, setPriority] = useState(String(policy?.priority ?? 0));
  const [pairs, setPairs] = useState<Pair[]>(policy ? pairsOf(policy.definition) : [{ name: "", value: "" }]);
  async function submit() {
    await put(path(kind, vhost, name), { pattern, "apply-to": applyTo, priority: Number(priority), definition: valuesOf(pairs) });
    void cache.invalidateQueries({ queryKey: [kind] });
    notify(t("saved", { name }));
  }
  return (
    <FormDialog open onClose={onClose} title={policy ? t("users.edit", { name: policy.name }) : kind === "policies" ? t("policies.add") : t("policies.addOperator")} action={t("save")} submit={submit}>
      {!policy && <VhostField value={vhost} onChange={setVhost} />}
      {!policy && <Field label={t("name")}><input value={name} onChange={(event) => setName(event.target.value)} required autoFocus maxLength={255} /></Field>}
      <Field label={t("policies.pattern")} hint={<Matches vhost={vhost} pattern={pattern} />}><input value={pattern} placeholder="^orders\." onChange={(event) => setPattern(event.target.value)} required spellCheck={false} /></Field>
      <div className="field-row">
        <Field label={t("policies.applyTo")}>
          <select value={applyTo} onChange={(event) => setApplyTo(event.target.value)}>
            {["all", "queues", "classic_queues", "quorum_queues", "exchanges"].map((one) => <option key={one}>{one}</option>)}
          </select>
        </Field>
        <Field label={t("policies.priority")}><input type="number" value={priority} onChange={(event) => setPriority(event.target.value)} /></Field>
      </div>
      <ArgumentsEditor label={t("policies.definition")} pairs={pairs} onChange={setPairs} known={known} />
    </FormDialog>
  );
}

/** How many queues the pattern is for now: counted by the server, whose expressions they are. */
function Matches({ vhost, pattern }: { vhost: string; pattern: string }) {
  const t = useT();
  const asked = useDeferredValue(pattern);
  const matches = useQuery({
    queryKey: ["pattern", vhost, asked],
    queryFn: ({ signal }) => get<Page<Queue>>(path("queues", vhost) + query({ page: 1, page_size: 1, use_regex: true, name: asked, columns: "name" }), signal),
    enabled: asked !== "",
    retry: false,
  });
  if (asked === "") return t("policies.patternHint");
  if (matches.error instanceof ApiError) return matches.error.message;
  return matches.data ? t("policies.matches", { n: count(matches.data.filtered_count) }) : t("policies.patternHint");
}
