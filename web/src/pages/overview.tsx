import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";
import { get } from "../api/client";
import { useHistory } from "../api/history";
import { useLive } from "../api/live";
import { useSession } from "../api/session";
import type { Ledger, Node, Page, Problem, Queue } from "../api/types";
import { useVhost } from "../api/vhost";
import { useI18n, useT } from "../i18n";
import { problemsInChinese } from "../i18n/problems_zh";
import { Chart } from "../ui/chart";
import { bytes, count, micros, rate, short } from "../ui/format";
import { Icon } from "../ui/icon";
import { Card, Empty, Loading, PageHead, Tile } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { queueHref } from "./links";

export default function Overview() {
  const t = useT();
  const { tick } = useLive();
  const session = useSession();
  const monitoring = session.may("monitoring");
  const history = useHistory(null);
  const nodes = useQuery({ queryKey: ["nodes"], queryFn: () => get<Node[]>("/api/nodes"), enabled: monitoring, refetchInterval: 5000 });
  const ledger = useQuery({ queryKey: ["ledger"], queryFn: () => get<Ledger>("/api/landfall/ledger"), enabled: monitoring, refetchInterval: 5000 });
  const { landing } = history;
  if (!tick) return <Loading />;
  const { queue_totals: totals, message_stats: stats, object_totals: objects } = tick.overview;
  const node = nodes.data?.[0];
  return (
    <>
      <PageHead title={t("nav.overview")} about={t("overview.about")} />
      <Problems problems={tick.problems} ledger={ledger.data} />
      <dl className="tiles five">
        <Tile label={t("published")} value={rate(stats?.publish_details?.rate)} unit="/s" />
        <Tile label={t("delivered")} value={rate(stats?.deliver_get_details?.rate)} unit="/s" />
        <Tile label={t("acked")} value={rate(stats?.ack_details?.rate)} unit="/s" />
        <Tile label={t("ready")} value={short(totals.messages_ready)} />
        <Tile label={t("unacked")} value={short(totals.messages_unacknowledged)} />
        <Tile label={t("landing")} value={micros(landing.last?.sync_p50_us)} note={landing.last && `p99 ${micros(landing.last.sync_p99_us)}`} />
        {node && <Tile label={t("diskFree")} value={bytes(node.disk_free)} tone={node.disk_free_alarm ? "bad" : undefined} />}
        {node && <Tile label={t("memory")} value={bytes(node.mem_used)} note={t("of", { total: bytes(node.mem_limit) })} tone={node.mem_alarm ? "bad" : undefined} />}
        <Tile label={t("nav.connections")} value={count(objects.connections)} note={t("overview.consumers", { n: count(objects.consumers) })} />
        <Tile label={t("nav.queues")} value={count(objects.queues)} note={t("overview.exchanges", { n: count(objects.exchanges) })} />
      </dl>
      <div className="grid two">
        <Card>
          <Chart title={t("chart.rates")} times={history.times} format={rate} series={[{ label: t("published"), colour: "series-1" }, { label: t("delivered"), colour: "series-2" }, { label: t("acked"), colour: "series-3" }]} values={history.columns("publish", "deliver", "ack")} />
        </Card>
        <Card>
          <Chart title={t("chart.depth")} times={history.times} format={short} series={[{ label: t("ready"), colour: "series-1", fill: true }, { label: t("unacked"), colour: "series-4" }]} values={history.columns("ready", "unacked")} />
        </Card>
        <Card>
          <Chart title={t("chart.landing")} times={landing.times} format={micros} series={[{ label: "p50", colour: "series-1" }, { label: "p99", colour: "series-4" }]} values={landing.values} />
        </Card>
        <TopQueues />
      </div>
    </>
  );
}

function Problems({ problems, ledger }: { problems: Problem[]; ledger?: Ledger }) {
  const t = useT();
  if (!problems.length) {
    return (
      <div className="wrong good">
        <Icon name="check" />
        <div>
          <strong>{t("problems.none")}</strong>
          {ledger && ledger.balances && <p className="small">{t("problems.ledger", { n: count(ledger.accepted) })}</p>}
        </div>
      </div>
    );
  }
  return (
    <section className="wrong-list" aria-label={t("problems.title")}>
      <h2>{t("problems.title")}</h2>
      <ul>
        {problems.map((problem, index) => (
          <li key={`${problem.kind} ${problem.vhost} ${problem.name} ${index}`} className={`wrong ${problem.severity === "critical" ? "bad" : "warn"}`}>
            <Icon name="alert" />
            <div>
              <ProblemText problem={problem} />
            </div>
            {problem.name !== undefined && problem.vhost !== undefined && (
              <Link className="button plain" href={problem.kind === "dead_letters" ? "/dead-letters" : queueHref(problem.vhost, problem.name)}>
                {t("look")}
              </Link>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function ProblemText({ problem }: { problem: Problem }) {
  const { language } = useI18n();
  const words = language === "zh" ? problemsInChinese[problem.kind]?.(problem) : undefined;
  return (
    <>
      <strong>{words?.summary ?? problem.summary}</strong>
      <p className="small">{words?.advice ?? problem.what_to_do}</p>
    </>
  );
}

function TopQueues() {
  const t = useT();
  const { vhost } = useVhost();
  const { data } = useQuery({
    queryKey: ["top-queues", vhost],
    queryFn: ({ signal }) => get<Page<Queue>>(`/api/queues${vhost ? `/${encodeURIComponent(vhost)}` : ""}?page=1&page_size=6&sort=messages&sort_reverse=true&columns=name,vhost,messages_ready,messages_unacknowledged,message_stats`, signal),
    refetchInterval: 2000,
  });
  const columns = useMemo<Column<Queue>[]>(
    () => [
      { key: "name", head: t("name"), cell: (queue) => <Link href={queueHref(queue.vhost, queue.name)}>{queue.name}</Link>, className: "name" },
      { key: "ready", head: t("ready"), number: true, cell: (queue) => count(queue.messages_ready) },
      { key: "unacked", head: t("unacked"), number: true, cell: (queue) => count(queue.messages_unacknowledged) },
      { key: "publish", head: t("in"), number: true, cell: (queue) => rate(queue.message_stats?.publish_details?.rate) },
      { key: "ack", head: t("out"), number: true, cell: (queue) => rate(queue.message_stats?.ack_details?.rate) },
    ],
    [t],
  );
  return (
    <Card title={t("overview.deepest")} flush>
      <Table label={t("overview.deepest")} columns={columns} rows={data?.items ?? []} rowKey={(queue) => `${queue.vhost} ${queue.name}`} empty={data ? <Empty icon="queue" title={t("queues.empty")} text={t("queues.emptyText")} code={"landfall send --queue hello --declare 'Hello, world'"} /> : <Loading />} />
    </Card>
  );
}
