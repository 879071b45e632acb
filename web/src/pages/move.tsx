// Moves messages out of a queue: first a dry run that says how many and where to, then a job.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, del, get, path, post } from "../api/client";
import type { DryRun, Job, MoveRequest } from "../api/types";
import { useT } from "../i18n";
import { count } from "../ui/format";
import { Dialog } from "../ui/overlay";
import { Badge, Button, Field, failureText } from "../ui/parts";
import { exchangeName } from "./links";

type Filter = NonNullable<MoveRequest["filter"]>;

interface Props {
  vhost: string;
  queue: string;
  /** Back to where they came from; otherwise the person says where to. */
  redrive?: boolean;
  filter?: Filter;
  onClose(): void;
}

export function MoveDialog({ vhost, queue, redrive = false, filter: given = {}, onClose }: Props) {
  const t = useT();
  const cache = useQueryClient();
  const [to, setTo] = useState("");
  const [search, setSearch] = useState("");
  const [limit, setLimit] = useState("");
  const [rate, setRate] = useState("");
  const [dry, setDry] = useState<DryRun | null>(null);
  const [job, setJob] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const target = path("landfall", "queues", vhost, queue, "move");
  const request = (dry_run: boolean): MoveRequest => ({
    to: redrive ? "origin" : { queue: to },
    filter: { ...given, ...(search ? { search } : {}) },
    ...(limit ? { limit: Number(limit) } : {}),
    ...(rate ? { rate: Number(rate) } : {}),
    dry_run,
  });
  async function run(work: () => Promise<void>) {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  }
  const change = (set: (value: string) => void) => (value: string) => {
    set(value);
    setDry(null); // what was counted was counted for something else
  };
  const close = () => {
    void cache.invalidateQueries({ queryKey: ["dead-letters"] });
    void cache.invalidateQueries({ queryKey: ["peek"] });
    onClose();
  };
  if (job !== null) {
    return (
      <Dialog open onClose={close} title={redrive ? t("redrive.title", { name: queue }) : t("move.title", { name: queue })}>
        <JobProgress id={job} />
        <div className="dialog-foot">
          <Button kind="primary" onClick={close}>{t("close")}</Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={close} title={redrive ? t("redrive.title", { name: queue }) : t("move.title", { name: queue })} about={redrive ? t("redrive.about") : t("move.about")}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => setDry(await post<DryRun>(target, request(true))));
        }}
      >
        <div className="dialog-body">
          {!redrive && <Field label={t("move.to")}><input value={to} onChange={(event) => change(setTo)(event.target.value)} required autoFocus /></Field>}
          {(given.reason || given.origin_queue) && (
            <p className="badges">
              {given.reason && <Badge tone="warn">{given.reason}</Badge>}
              {given.origin_queue && <Badge>{t("dead.from", { name: given.origin_queue })}</Badge>}
            </p>
          )}
          <Field label={t("move.search")} hint={t("move.searchHint")}><input value={search} onChange={(event) => change(setSearch)(event.target.value)} /></Field>
          <div className="field-row">
            <Field label={t("move.limit")} hint={t("move.limitHint")}><input type="number" min={1} value={limit} onChange={(event) => change(setLimit)(event.target.value)} /></Field>
            <Field label={t("move.rate")} hint={t("move.rateHint")}><input type="number" min={1} value={rate} onChange={(event) => change(setRate)(event.target.value)} /></Field>
          </div>
          {dry && <DryRunResult dry={dry} />}
          {error !== null && <p className="form-error" role="alert">{error instanceof ApiError && error.status === 404 ? t("move.not") : failureText(error, t)}</p>}
        </div>
        <div className="dialog-foot">
          <Button onClick={close}>{t("cancel")}</Button>
          <Button type="submit" kind={dry ? "plain" : "primary"} disabled={busy}>{t("move.dryRun")}</Button>
          {dry && (
            <Button kind="primary" disabled={busy || dry.matched === 0} onClick={() => void run(async () => setJob(String((await post<{ id: string | number }>(target, request(false))).id)))}>
              {redrive ? t("redrive.do", { n: count(dry.matched) }) : t("move.do", { n: count(dry.matched) })}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

function DryRunResult({ dry }: { dry: DryRun }) {
  const t = useT();
  return (
    <div className="dry-run" role="status">
      <strong>{t("move.matched", { n: count(dry.matched), scanned: count(dry.scanned) })}</strong>
      <ul>
        {dry.destinations.map((one) => (
          <li key={`${one.exchange} ${one.routing_key}`}>
            <span className="number">{count(one.count)}</span> → <code>{one.exchange === "" ? one.routing_key : `${exchangeName(one.exchange)} · ${one.routing_key}`}</code>
          </li>
        ))}
      </ul>
    </div>
  );
}

const tones = { running: "info", done: "good", failed: "bad", cancelled: "warn" } as const;

export function JobProgress({ id }: { id: string }) {
  const t = useT();
  const own = path("landfall", "jobs", id);
  const job = useQuery({ queryKey: ["job", id], queryFn: ({ signal }) => get<Job>(own, signal), refetchInterval: (query) => (query.state.data && query.state.data.state !== "running" ? false : 500) });
  const [cancelled, setCancelled] = useState(false);
  if (!job.data) return job.error ? <p className="form-error">{failureText(job.error, t)}</p> : <p className="muted">{t("loading")}</p>;
  const { state, moved, total, error } = job.data;
  const states = { running: t("job.running"), done: t("job.done"), failed: t("job.failed"), cancelled: t("job.cancelled") };
  return (
    <div className="job" role="status">
      <p>
        <Badge tone={tones[state]}>{states[state]}</Badge> {t("job.moved", { n: count(moved), total: count(total) })}
      </p>
      <progress max={Math.max(total, 1)} value={state === "done" ? Math.max(total, 1) : moved} aria-label={t("job.progress")} />
      {error && <p className="form-error">{error}</p>}
      {state === "running" && <Button disabled={cancelled} onClick={() => { setCancelled(true); void del(own).catch(() => setCancelled(false)); }}>{t("job.cancel")}</Button>}
    </div>
  );
}
