import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { del, get, path } from "../api/client";
import type { Channel, Connection, ConsumerDetails } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT } from "../i18n";
import { bytes, count, moment } from "../ui/format";
import { ConfirmButton, Dialog, Tabs } from "../ui/overlay";
import { ArgumentList, Badge, Card, Empty, Facts, Loaded, PageHead, SearchBox } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { ConsumerTable } from "./consumers";

const ONE_MOMENT = 2000;

export default function Connections() {
  const t = useT();
  const [search, setSearch] = useSearchParams();
  const [filter, setFilter] = useState("");
  return (
    <>
      <PageHead title={t("nav.connections")} about={t("connections.about")} />
      <div className="filters">
        <SearchBox label={t("connections.search")} value={filter} onChange={setFilter} />
      </div>
      <Tabs
        label={t("nav.connections")}
        value={search.get("tab") ?? "connections"}
        onChange={(tab) => setSearch({ tab }, { replace: true })}
        items={[
          { id: "connections", label: t("connections"), content: <ConnectionList filter={filter} /> },
          { id: "channels", label: t("channels"), content: <ChannelList filter={filter} /> },
          { id: "consumers", label: t("consumers"), content: <ConsumerList filter={filter} /> },
        ]}
      />
    </>
  );
}

/** What the client calls itself, or where it comes from. */
function nameOf(connection: Connection): string {
  const given = connection.client_properties?.connection_name;
  return typeof given === "string" && given ? given : connection.name;
}

function product(connection: Connection): string {
  const { product: name, version, platform } = connection.client_properties ?? {};
  return [name, version].filter((part) => typeof part === "string").join(" ") || (typeof platform === "string" ? platform : "–");
}

function ConnectionList({ filter }: { filter: string }) {
  const t = useT();
  const { vhost } = useVhost();
  const cache = useQueryClient();
  const [shown, setShown] = useState<Connection | null>(null);
  const list = useQuery({ queryKey: ["connections", vhost], queryFn: ({ signal }) => get<Connection[]>(vhost ? path("vhosts", vhost, "connections") : "/api/connections", signal), refetchInterval: ONE_MOMENT });
  const columns: Column<Connection>[] = [
    { key: "name", head: t("name"), className: "name", sort: nameOf, cell: (connection) => <button type="button" className="link" onClick={() => setShown(connection)}>{nameOf(connection)}</button> },
    { key: "user", head: t("user"), sort: (connection) => connection.user, cell: (connection) => connection.user },
    { key: "client", head: t("connections.client"), sort: product, cell: product },
    { key: "state", head: t("state"), sort: (connection) => connection.state, cell: (connection) => <span className="badges"><Badge tone={connection.state === "running" ? "good" : "warn"}>{connection.state}</Badge>{connection.ssl && <Badge tone="info">TLS</Badge>}</span> },
    { key: "channels", head: t("channels"), number: true, sort: (connection) => connection.channels, cell: (connection) => count(connection.channels) },
    { key: "in", head: t("connections.in"), number: true, sort: (connection) => connection.recv_oct_details?.rate ?? 0, cell: (connection) => `${bytes(connection.recv_oct_details?.rate ?? 0)}/s` },
    { key: "out", head: t("connections.out"), number: true, sort: (connection) => connection.send_oct_details?.rate ?? 0, cell: (connection) => `${bytes(connection.send_oct_details?.rate ?? 0)}/s` },
    { key: "actions", head: "", className: "row-actions", cell: (connection) => <ConfirmButton quiet icon="close" label={t("connections.close")} title={t("connections.closeTitle", { name: nameOf(connection) })} text={t("connections.closeText")} action={t("connections.close")} done={t("connections.closed")} run={async () => { await del(path("connections", connection.name)); void cache.invalidateQueries({ queryKey: ["connections"] }); }} /> },
  ];
  return (
    <Card flush>
      <Loaded query={list}>
        {(data) => <Table label={t("connections")} columns={columns} rows={data.filter((one) => `${one.name} ${nameOf(one)} ${one.user}`.includes(filter))} rowKey={(one) => one.name} empty={filter ? <Empty icon="search" title={t("nothingFound")} text={t("connections.nothingFound", { name: filter })} /> : <Empty icon="connection" title={t("connections.empty")} text={t("connections.emptyText")} code={'import pika\nparameters = pika.URLParameters("amqp://guest:guest@127.0.0.1:5672/")\nconnection = pika.BlockingConnection(parameters)'} />} />}
      </Loaded>
      {shown && (
        <Dialog open wide onClose={() => setShown(null)} title={nameOf(shown)}>
          <div className="dialog-body">
            <Facts
              facts={[
                [t("name"), <code key="n">{shown.name}</code>],
                [t("user"), shown.user],
                [t("vhost"), shown.vhost],
                [t("connections.peer"), `${shown.peer_host ?? "?"}:${shown.peer_port ?? "?"}`],
                [t("connections.protocol"), `${shown.protocol ?? ""}${shown.ssl ? " · TLS" : ""}`],
                [t("connections.since"), shown.connected_at ? moment(shown.connected_at) : "–"],
                [t("connections.in"), bytes(shown.recv_oct)],
                [t("connections.out"), bytes(shown.send_oct)],
              ]}
            />
            <h3>{t("connections.properties")}</h3>
            <ArgumentList values={shown.client_properties ?? {}} />
          </div>
        </Dialog>
      )}
    </Card>
  );
}

function ChannelList({ filter }: { filter: string }) {
  const t = useT();
  const { vhost } = useVhost();
  const list = useQuery({ queryKey: ["channels", vhost], queryFn: ({ signal }) => get<Channel[]>(vhost ? path("vhosts", vhost, "channels") : "/api/channels", signal), refetchInterval: ONE_MOMENT });
  const columns: Column<Channel>[] = [
    { key: "name", head: t("channel"), className: "name", sort: (channel) => channel.name, cell: (channel) => channel.name },
    { key: "user", head: t("user"), sort: (channel) => channel.user, cell: (channel) => channel.user },
    { key: "mode", head: t("channels.mode"), cell: (channel) => <span className="badges">{channel.confirm && <Badge tone="good">{t("channels.confirm")}</Badge>}{channel.transactional && <Badge>tx</Badge>}</span> },
    { key: "consumers", head: t("consumers"), number: true, sort: (channel) => channel.consumer_count ?? 0, cell: (channel) => count(channel.consumer_count) },
    { key: "prefetch", head: t("prefetch"), number: true, sort: (channel) => channel.prefetch_count ?? 0, cell: (channel) => (channel.prefetch_count ? count(channel.prefetch_count) : "∞") },
    { key: "unacked", head: t("unacked"), number: true, sort: (channel) => channel.messages_unacknowledged ?? 0, cell: (channel) => count(channel.messages_unacknowledged) },
    { key: "unconfirmed", head: t("unconfirmed"), number: true, sort: (channel) => channel.messages_unconfirmed ?? 0, cell: (channel) => count(channel.messages_unconfirmed) },
  ];
  return (
    <Card flush>
      <Loaded query={list}>
        {(data) => <Table label={t("channels")} columns={columns} rows={data.filter((one) => `${one.name} ${one.user}`.includes(filter))} rowKey={(one) => one.name} empty={<Empty icon="connection" title={filter ? t("nothingFound") : t("channels.empty")} text={filter ? t("connections.nothingFound", { name: filter }) : t("channels.emptyText")} code={filter ? undefined : "channel = connection.channel()\nchannel.confirm_delivery()\nchannel.basic_qos(prefetch_count=100)"} />} />}
      </Loaded>
    </Card>
  );
}

function ConsumerList({ filter }: { filter: string }) {
  const { vhost } = useVhost();
  const list = useQuery({ queryKey: ["consumers", vhost], queryFn: ({ signal }) => get<ConsumerDetails[]>(`/api/consumers${vhost ? `/${encodeURIComponent(vhost)}` : ""}`, signal), refetchInterval: ONE_MOMENT });
  return <Loaded query={list}>{(data) => <ConsumerTable consumers={data.filter((one) => `${one.consumer_tag} ${one.queue.name}`.includes(filter))} />}</Loaded>;
}
