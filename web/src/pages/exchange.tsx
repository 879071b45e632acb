import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { del, exchangeInPath, get, path } from "../api/client";
import type { Binding, Exchange } from "../api/types";
import { useT } from "../i18n";
import { ConfirmButton } from "../ui/overlay";
import { ArgumentList, Button, Card, Loaded, PageHead } from "../ui/parts";
import { BindDialog, BindingTable } from "./bindings";
import { ExchangeBadges } from "./exchanges";
import { exchangeName, topologyHref } from "./links";
import { Publish } from "./publish";

export default function ExchangePage() {
  const t = useT();
  const [, go] = useLocation();
  const [search] = useSearchParams();
  const vhost = search.get("vhost") ?? "/";
  const name = search.get("name") ?? "";
  const [dialog, setDialog] = useState<"publish" | "bind" | null>(null);
  const own = path("exchanges", vhost, exchangeInPath(name));
  const exchange = useQuery({ queryKey: ["exchange", vhost, name], queryFn: ({ signal }) => get<Exchange>(own, signal) });
  const out = useQuery({ queryKey: ["bindings", vhost, "source", name], queryFn: ({ signal }) => get<Binding[]>(`${own}/bindings/source`, signal) });
  const into = useQuery({ queryKey: ["bindings", vhost, "destination", name], queryFn: ({ signal }) => get<Binding[]>(`${own}/bindings/destination`, signal) });
  const builtIn = name === "" || name.startsWith("amq.");
  return (
    <Loaded query={exchange}>
      {(data) => (
        <>
          <PageHead title={<>{exchangeName(name)} <ExchangeBadges exchange={data} /></>} about={<><Link href="/exchanges">{t("nav.exchanges")}</Link> · {t("vhost")} {vhost} · {data.type}</>}>
            <Button kind="primary" icon="send" onClick={() => setDialog("publish")}>{t("publish")}</Button>
            <Link className="button plain" href={topologyHref(vhost, name)}>{t("tryKey")}</Link>
            {!builtIn && <ConfirmButton label={t("delete")} title={t("delete.title", { name })} text={t("exchange.deleteText")} action={t("delete")} done={t("deleted", { name })} run={async () => { await del(own); go("/exchanges"); }} />}
          </PageHead>
          <Card title={t("exchange.out")} flush actions={name !== "" && <Button icon="plus" onClick={() => setDialog("bind")}>{t("bind")}</Button>}>
            <Loaded query={out}>{(bindings) => <BindingTable bindings={bindings} side="destination" />}</Loaded>
          </Card>
          {into.data && into.data.length > 0 && (
            <Card title={t("exchange.in")} flush>
              <BindingTable bindings={into.data} side="source" />
            </Card>
          )}
          {Object.keys(data.arguments).length > 0 && <Card title={t("arguments")}><ArgumentList values={data.arguments} /></Card>}
          {dialog === "publish" && <Publish vhost={vhost} exchange={name} routingKey="" onClose={() => setDialog(null)} />}
          {dialog === "bind" && <BindDialog vhost={vhost} exchange={name} onClose={() => setDialog(null)} />}
        </>
      )}
    </Loaded>
  );
}
