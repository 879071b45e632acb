// The small parts that pages are made of.
import { useState, type ComponentProps, type ReactNode } from "react";
import { ApiError, UNREACHABLE } from "../api/client";
import { useT } from "../i18n";
import { argument } from "./format";
import { Icon, type IconName } from "./icon";

type ButtonKind = "plain" | "primary" | "danger" | "quiet";

export function Button({ kind = "plain", icon, children, className = "", ...rest }: ComponentProps<"button"> & { kind?: ButtonKind; icon?: IconName }) {
  return (
    <button type="button" className={`button ${kind} ${className}`} {...rest}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function PageHead({ title, about, children }: { title: ReactNode; about?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <div>
        <h1>{title}</h1>
        {about && <p className="muted">{about}</p>}
      </div>
      {children && <div className="actions">{children}</div>}
    </header>
  );
}

export function Card({ title, note, actions, children, className = "", flush = false }: { title?: ReactNode; note?: ReactNode; actions?: ReactNode; children: ReactNode; className?: string; flush?: boolean }) {
  return (
    <section className={`card ${flush ? "flush" : ""} ${className}`}>
      {(title || actions) && (
        <div className="card-head">
          <h2>{title}</h2>
          {note && <span className="muted small">{note}</span>}
          {actions && <div className="actions">{actions}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

export function Tile({ label, value, unit, note, tone }: { label: string; value: ReactNode; unit?: string; note?: ReactNode; tone?: "bad" | "warn" }) {
  return (
    <div className={`tile ${tone ?? ""}`}>
      <dt>{label}</dt>
      <dd>
        <span className="tile-value">{value}</span>
        {unit && <span className="tile-unit">{unit}</span>}
        {note && <span className="tile-note">{note}</span>}
      </dd>
    </div>
  );
}

export function Badge({ tone = "plain", children, title }: { tone?: "plain" | "good" | "warn" | "bad" | "info"; children: ReactNode; title?: string }) {
  return (
    <span className={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

/** What would be here, and the lines that make it so. */
export function Empty({ icon = "inbox", title, text, code, children }: { icon?: IconName; title: string; text: string; code?: string; children?: ReactNode }) {
  const t = useT();
  const [copied, setCopied] = useState(false);
  return (
    <div className="empty">
      <Icon name={icon} size={28} />
      <h3>{title}</h3>
      <p>{text}</p>
      {code && (
        <div className="code-block">
          <pre tabIndex={0}>{code}</pre>
          <Button kind="quiet" icon={copied ? "check" : "copy"} aria-label={t("copy")} onClick={() => void navigator.clipboard?.writeText(code).then(() => setCopied(true))} />
        </div>
      )}
      {children}
    </div>
  );
}

export function Loading() {
  const t = useT();
  return (
    <div className="loading" role="status">
      <span className="visually-hidden">{t("loading")}</span>
      <span className="bone" />
      <span className="bone" />
      <span className="bone" />
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const t = useT();
  return (
    <div className="failure" role="alert">
      <Icon name="alert" />
      <div>
        <p>{failureText(error, t)}</p>
        {retry && (
          <Button onClick={retry} icon="refresh">
            {t("tryAgain")}
          </Button>
        )}
      </div>
    </div>
  );
}

export function failureText(error: unknown, t: ReturnType<typeof useT>): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === UNREACHABLE) return t("failure.unreachable");
  if (error.status === 401) return t("failure.refused", { reason: error.message });
  if (error.status === 404) return t("failure.notFound", { reason: error.message });
  return error.message;
}

/** A query's three states; children get what came. */
export function Loaded<T>({ query, children }: { query: { data: T | undefined; error: unknown; refetch(): unknown }; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Loading />;
}

export function Field({ label, hint, children, wide }: { label: string; hint?: ReactNode; children: ReactNode; wide?: boolean }) {
  return (
    <label className={`field ${wide ? "wide" : ""}`}>
      <span className="field-label">{label}</span>
      {children}
      {hint && <span className="field-hint">{hint}</span>}
    </label>
  );
}

export function Check({ label, ...rest }: { label: ReactNode } & Omit<ComponentProps<"input">, "type">) {
  return (
    <label className="check">
      <input type="checkbox" {...rest} />
      <span>{label}</span>
    </label>
  );
}

export function SearchBox({ label, value, onChange }: { label: string; value: string; onChange(value: string): void }) {
  return (
    <div className="search">
      <Icon name="search" />
      <input type="search" aria-label={label} placeholder={label} value={value} onChange={(event) => onChange(event.target.value)} />
    </div>
  );
}

export function Facts({ facts }: { facts: [ReactNode, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value], index) => (
        <div key={index}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function ArgumentList({ values }: { values: Record<string, unknown> }) {
  const t = useT();
  const entries = Object.entries(values);
  if (!entries.length) return <p className="muted">{t("none")}</p>;
  return <Facts facts={entries.map(([name, value]) => [<code key="n">{name}</code>, <code key="v">{argument(value)}</code>])} />;
}
