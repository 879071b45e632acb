import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ApiError, get } from "../api/client";
import { useHistory } from "../api/history";
import type { Node } from "../api/types";
import { useT, type Key } from "../i18n";
import { Chart } from "../ui/chart";
import { bytes, count, duration, micros, moment } from "../ui/format";
import { Badge, Card, Empty, Facts, Failure, Loading, PageHead, Tile } from "../ui/parts";

type Section = Record<string, unknown>;

const sectionNames: Record<string, Key> = {
  journal: "storage.journal",
  checkpoints: "storage.checkpoints",
  checkpoint: "storage.checkpoints",
  backlog: "storage.backlog",
  disk: "storage.disk",
  limits: "storage.limits",
};

export default function Storage() {
  const t = useT();
  const storage = useQuery({ queryKey: ["storage"], queryFn: ({ signal }) => get<Section>("/api/landfall/storage", signal), refetchInterval: 2000, retry: false });
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
        <div className="grid two">{sectionsOf(storage.data).map(([name, section]) => <Card key={name} title={sectionNames[name] ? t(sectionNames[name]) : words(name)}><Facts facts={factsOf(section)} /></Card>)}</div>
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

const isSection = (value: unknown): value is Section => typeof value === "object" && value !== null && !Array.isArray(value);

/** Objects are sections of their own; what stands beside them goes first. */
function sectionsOf(storage: Section): [string, Section][] {
  const loose = Object.fromEntries(Object.entries(storage).filter(([, value]) => !isSection(value)));
  const sections = Object.entries(storage).filter((entry): entry is [string, Section] => isSection(entry[1]));
  return Object.keys(loose).length ? [["node", loose], ...sections] : sections;
}

function factsOf(section: Section, prefix = ""): [ReactNode, ReactNode][] {
  return Object.entries(section).flatMap(([name, value]): [ReactNode, ReactNode][] => (isSection(value) ? factsOf(value, `${prefix}${words(name)}: `) : [[prefix + words(name), shown(name, value)]]));
}

const words = (name: string) => name.replace(/_(bytes|us|ms)$/, "").replaceAll("_", " ").replace("lsn", "LSN");

/** The unit is in the name, as everywhere in the API. */
function shown(name: string, value: unknown): ReactNode {
  if (typeof value === "boolean") return <Badge tone={value ? "info" : "plain"}>{String(value)}</Badge>;
  if (typeof value !== "number") return Array.isArray(value) ? count(value.length) : value === null ? "–" : String(value);
  if (/bytes|disk_|_free$|_total$/.test(name)) return bytes(value);
  if (name.endsWith("_us")) return micros(value);
  if (name.endsWith("_ms")) return duration(value);
  if (value > 1e12 && /(time|at|last|started|finished|written)$/.test(name)) return moment(value);
  return count(value);
}
