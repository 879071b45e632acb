import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ApiError, get } from "../api/client";
import { useHistory } from "../api/history";
import type { Node } from "../api/types";
import { useT, type Translate } from "../i18n";
import { Chart } from "../ui/chart";
import { bytes, count, duration, micros, moment } from "../ui/format";
import { Badge, Card, Empty, Facts, Failure, Loading, PageHead, Tile } from "../ui/parts";

type Spread = { count: number; p50: number; p99: number; max: number };

interface StorageForm {
  data_dir?: string;
  journal: { bytes: number; segments: number; window_bytes: number; spare_segments: number; synced_lsn: number; sync_us: Spread; bytes_per_sync: Spread; batches_per_sync: Spread };
  checkpoints: { files: number; bytes: number; last: number | null; duration_ms: Spread; refused: number };
  backlog: { files: number; bytes: number };
  disk: { free: number; total: number; limit: number; alarm: boolean };
}

export default function Storage() {
  const t = useT();
  const storage = useQuery({ queryKey: ["storage"], queryFn: ({ signal }) => get<StorageForm>("/api/landfall/storage", signal), refetchInterval: 2000, retry: false });
  const nodes = useQuery({ queryKey: ["nodes"], queryFn: ({ signal }) => get<Node[]>("/api/nodes", signal), refetchInterval: 5000 });
  const history = useHistory(null);
  const node = nodes.data?.[0];
  const { landing } = history;
  return (
    <>
      <PageHead title={t("nav.storage")} about={t("storage.about")} />
      {node && (
        <dl className="tiles">
          <Tile label={t("diskFree")} value={bytes(node.disk_free)} tone={node.disk_free_alarm ? "bad" : undefined} />
          <Tile label={t("memory")} value={bytes(node.mem_used)} note={t("of", { total: bytes(node.mem_limit) })} tone={node.mem_alarm ? "bad" : undefined} />
          <Tile label={t("landing")} value={micros(landing.last?.sync_p50_us)} note={landing.last && `p99 ${micros(landing.last.sync_p99_us)}`} />
          <Tile label={t("storage.files")} value={count(node.fd_used)} note={t("of", { total: count(node.fd_total) })} />
          <Tile label={t("storage.uptime")} value={duration(node.uptime)} />
        </dl>
      )}
      <Card>
        <Chart title={t("chart.landing")} times={landing.times} format={micros} series={[{ label: "p50", colour: "series-1" }, { label: "p99", colour: "series-4" }]} values={landing.values} />
      </Card>
      {storage.data ? (
        <div className="grid two">{sectionsOf(storage.data, t).map(([title, facts]) => <Card key={title} title={title}><Facts facts={facts} /></Card>)}</div>
      ) : storage.error instanceof ApiError && storage.error.status === 404 ? (
        <Card><Empty icon="storage" title={t("storage.not")} text={t("storage.notText")} /></Card>
      ) : storage.error ? (
        <Failure error={storage.error} retry={() => void storage.refetch()} />
      ) : (
        <Loading />
      )}
    </>
  );
}

/** What half and nearly all of them were at most, and the largest. */
const spread = (of: Spread, format: (value: number) => string) => (of.count === 0 ? "–" : `p50 ${format(of.p50)} · p99 ${format(of.p99)} · max ${format(of.max)}`);

function sectionsOf({ journal, checkpoints, backlog, disk, data_dir }: StorageForm, t: Translate): [string, [ReactNode, ReactNode][]][] {
  return [
    [t("storage.journal"), [
      [t("storage.size"), `${bytes(journal.bytes)} ${t("of", { total: bytes(journal.window_bytes) })}`],
      [t("storage.segments"), t("storage.spare", { n: count(journal.segments), spare: count(journal.spare_segments) })],
      ["LSN", count(journal.synced_lsn)],
      [t("storage.sync"), spread(journal.sync_us, micros)],
      [t("storage.perSync"), spread(journal.bytes_per_sync, bytes)],
      [t("storage.batches"), spread(journal.batches_per_sync, count)],
    ]],
    [t("storage.checkpoints"), [
      [t("storage.size"), bytes(checkpoints.bytes)],
      [t("storage.fileCount"), count(checkpoints.files)],
      [t("storage.last"), checkpoints.last === null ? "–" : moment(checkpoints.last)],
      [t("storage.took"), spread(checkpoints.duration_ms, duration)],
      [t("storage.refused"), count(checkpoints.refused)],
    ]],
    [t("storage.backlog"), [
      [t("storage.size"), bytes(backlog.bytes)],
      [t("storage.fileCount"), count(backlog.files)],
    ]],
    [t("storage.disk"), [
      [t("diskFree"), `${bytes(disk.free)} ${t("of", { total: bytes(disk.total) })}`],
      [t("storage.limit"), disk.alarm ? <Badge tone="bad">{bytes(disk.limit)}</Badge> : bytes(disk.limit)],
      ...(data_dir ? [[t("storage.directory"), data_dir] as [ReactNode, ReactNode]] : []),
    ]],
  ];
}
