import { Menu } from "@base-ui/react/menu";
import { Suspense, lazy, useEffect, useRef, useState, type ComponentType } from "react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { liveStream, useLive } from "./api/live";
import { useSession, useSessionState } from "./api/session";
import { VhostProvider, useVhost } from "./api/vhost";
import { useT, type Key } from "./i18n";
import { LogIn } from "./pages/log_in";
import { Icon, type IconName } from "./ui/icon";
import { Button, Empty, Loading } from "./ui/parts";
import { clock } from "./ui/format";

interface Entry {
  path: string;
  label: Key;
  icon: IconName;
  page: ComponentType;
  needs?: "administrator" | "monitoring" | "policymaker";
}

const entries: Entry[] = [
  { path: "/", label: "nav.overview", icon: "overview", page: lazy(() => import("./pages/overview")) },
  { path: "/queues", label: "nav.queues", icon: "queue", page: lazy(() => import("./pages/queues")) },
  { path: "/dead-letters", label: "nav.deadLetters", icon: "dead", page: lazy(() => import("./pages/dead_letters")) },
  { path: "/exchanges", label: "nav.exchanges", icon: "exchange", page: lazy(() => import("./pages/exchanges")) },
  { path: "/topology", label: "nav.topology", icon: "topology", page: lazy(() => import("./pages/topology")) },
  { path: "/connections", label: "nav.connections", icon: "connection", page: lazy(() => import("./pages/connections")) },
  { path: "/trace", label: "nav.trace", icon: "trace", page: lazy(() => import("./pages/trace")) },
  { path: "/users", label: "nav.users", icon: "users", page: lazy(() => import("./pages/users")), needs: "administrator" },
  { path: "/policies", label: "nav.policies", icon: "policy", page: lazy(() => import("./pages/policies")) },
  { path: "/definitions", label: "nav.definitions", icon: "definitions", page: lazy(() => import("./pages/definitions")), needs: "administrator" },
  { path: "/storage", label: "nav.storage", icon: "storage", page: lazy(() => import("./pages/storage")), needs: "monitoring" },
  { path: "/settings", label: "nav.settings", icon: "settings", page: lazy(() => import("./pages/settings")) },
];

const QueuePage = lazy(() => import("./pages/queue"));
const ExchangePage = lazy(() => import("./pages/exchange"));

export function App() {
  const t = useT();
  const { state } = useSessionState();
  if (state.kind === "asking") return <Loading />;
  if (state.kind === "unreachable") {
    return (
      <main className="alone">
        <Empty icon="alert" title={t("unreachable.title")} text={t("unreachable.text")} code="script/server" />
      </main>
    );
  }
  if (state.kind === "out") return <LogIn ended={state.ended} />;
  return (
    <VhostProvider>
      <Shell />
    </VhostProvider>
  );
}

function Shell() {
  const t = useT();
  const session = useSession();
  const { check } = useSessionState();
  const [location] = useLocation();
  const [menu, setMenu] = useState(false);
  const main = useRef<HTMLElement>(null);
  const shown = entries.filter((entry) => !entry.needs || session.may(entry.needs));

  useEffect(() => {
    liveStream.start(() => void check());
    return () => liveStream.stop();
  }, [check]);

  useEffect(() => {
    setMenu(false);
    const entry = [...entries].reverse().find((one) => location === one.path || (one.path !== "/" && location.startsWith(one.path.slice(0, -1))));
    document.title = entry ? `${t(entry.label)} · Landfall` : "Landfall";
  }, [location, t]);

  return (
    <div className="shell">
      <a className="skip" href="#main">
        {t("skip")}
      </a>
      <nav className={`side ${menu ? "open" : ""}`} aria-label={t("nav.label")}>
        <Link href="/" className="brand">
          <Icon name="wave" size={22} />
          <span>Landfall</span>
        </Link>
        <ul>
          {shown.map((entry) => (
            <li key={entry.path}>
              <Link href={entry.path} className="side-link" aria-current={isCurrent(entry.path, location) ? "page" : undefined}>
                <Icon name={entry.icon} />
                {t(entry.label)}
              </Link>
            </li>
          ))}
        </ul>
        <p className="side-foot muted small">
          {session.node}
          <br />
          {session.version}
        </p>
      </nav>
      <div className="column">
        <TopBar onMenu={() => setMenu(!menu)} />
        <LostBanner />
        <main id="main" ref={main} tabIndex={-1}>
          <Suspense fallback={<Loading />}>
            <Switch>
              {shown.map((entry) => (
                <Route key={entry.path} path={entry.path} component={entry.page} />
              ))}
              <Route path="/queue" component={QueuePage} />
              <Route path="/exchange" component={ExchangePage} />
              <Route path="/index.html">
                <Redirect to="/" />
              </Route>
              <Route>
                <Empty icon="search" title={t("notFound.title")} text={t("notFound.text")} />
              </Route>
            </Switch>
          </Suspense>
        </main>
      </div>
    </div>
  );
}

function isCurrent(path: string, location: string): boolean {
  if (path === "/queues") return location === "/queues" || location === "/queue";
  if (path === "/exchanges") return location === "/exchanges" || location === "/exchange";
  return location === path;
}

function TopBar({ onMenu }: { onMenu(): void }) {
  const t = useT();
  const { line, tick } = useLive();
  const { vhost, setVhost, vhosts } = useVhost();
  const problems = tick?.problems ?? [];
  return (
    <div className="top">
      <Button kind="quiet" icon="menu" className="menu-button" aria-label={t("nav.open")} onClick={onMenu} />
      <label className="vhost-choice">
        <span className="muted small">{t("vhost")}</span>
        <select value={vhost} onChange={(event) => setVhost(event.target.value)}>
          <option value="">{t("vhost.all")}</option>
          {vhosts.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <div className="top-right">
        {problems.length > 0 && (
          <Link href="/" className={`pill ${problems.some((one) => one.severity === "critical") ? "bad" : "warn"}`}>
            <Icon name="alert" size={15} />
            {t("problems.count", { n: problems.length })}
          </Link>
        )}
        <span className={`line ${line}`}>
          <span className="dot" aria-hidden="true" />
          {t(line === "live" ? "line.live" : line === "lost" ? "line.lost" : "line.connecting")}
        </span>
        <UserMenu />
      </div>
    </div>
  );
}

function UserMenu() {
  const t = useT();
  const session = useSession();
  const { logOut } = useSessionState();
  const [, go] = useLocation();
  return (
    <Menu.Root>
      <Menu.Trigger className="button quiet user-button">
        <Icon name="user" />
        {session.name}
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner align="end" sideOffset={6} className="menu-place">
          <Menu.Popup className="menu">
            <p className="menu-note muted small">{session.tags.join(", ") || t("none")}</p>
            <Menu.Item className="menu-item" onClick={() => go("/settings")}>
              {t("nav.settings")}
            </Menu.Item>
            <Menu.Item className="menu-item" onClick={() => void logOut()}>
              {t("logOut")}
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

function LostBanner() {
  const t = useT();
  const { line, tick, retryAt, crowded } = useLive();
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (line !== "lost") return;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [line]);
  if (line !== "lost") return null;
  const seconds = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return (
    <div className="banner" role="alert">
      <Icon name="alert" />
      <span>
        <strong>{t(crowded ? "lost.crowded" : "lost.title")}</strong> {tick && t("lost.since", { time: clock(tick.time) })}
      </span>
      <span className="banner-right" aria-live="off">
        {retryAt ? t("lost.retry", { n: seconds }) : t("line.connecting")}
        <Button onClick={liveStream.tryNow}>{t("lost.now")}</Button>
      </span>
    </div>
  );
}
