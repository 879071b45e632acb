import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { del, get, path, put } from "../api/client";
import { useSession } from "../api/session";
import type { Permission, User, Vhost } from "../api/types";
import { useVhost } from "../api/vhost";
import { useT, type Key } from "../i18n";
import { count } from "../ui/format";
import { ConfirmButton, FormDialog, Tabs, useNotify } from "../ui/overlay";
import { Badge, Button, Card, Check, Empty, Field, Loaded, PageHead } from "../ui/parts";
import { Table, type Column } from "../ui/table";

const tags = ["administrator", "monitoring", "policymaker", "management"] as const;
const tagHints: Record<(typeof tags)[number], Key> = { administrator: "tag.administrator", monitoring: "tag.monitoring", policymaker: "tag.policymaker", management: "tag.management" };

export default function Users() {
  const t = useT();
  const [search, setSearch] = useSearchParams();
  return (
    <>
      <PageHead title={t("users.title")} about={t("users.about")} />
      <Tabs
        label={t("users.title")}
        value={search.get("tab") ?? "users"}
        onChange={(tab) => setSearch({ tab }, { replace: true })}
        items={[
          { id: "users", label: t("users"), content: <UserList /> },
          { id: "permissions", label: t("permissions"), content: <PermissionList /> },
          { id: "vhosts", label: t("vhosts"), content: <VhostList /> },
        ]}
      />
    </>
  );
}

function UserList() {
  const t = useT();
  const cache = useQueryClient();
  const session = useSession();
  const [editing, setEditing] = useState<User | "new" | null>(null);
  const users = useQuery({ queryKey: ["users"], queryFn: ({ signal }) => get<User[]>("/api/users", signal) });
  const permissions = useQuery({ queryKey: ["permissions"], queryFn: ({ signal }) => get<Permission[]>("/api/permissions", signal) });
  const columns: Column<User>[] = [
    { key: "name", head: t("name"), className: "name", sort: (user) => user.name, cell: (user) => <><strong>{user.name}</strong>{user.name === session.name && <span className="badges"><Badge tone="info">{t("users.you")}</Badge></span>}</> },
    { key: "tags", head: t("users.tags"), cell: (user) => <span className="badges">{user.tags.length ? user.tags.map((tag) => <Badge key={tag} tone={tag === "administrator" ? "warn" : "plain"}>{tag}</Badge>) : <span className="muted">{t("users.noConsole")}</span>}</span> },
    { key: "vhosts", head: t("users.opens"), cell: (user) => permissions.data?.filter((one) => one.user === user.name).map((one) => one.vhost).join(", ") || <span className="muted">{t("none")}</span> },
    {
      key: "actions", head: "", className: "row-actions",
      cell: (user) => (
        <>
          <Button kind="quiet" aria-label={t("users.edit", { name: user.name })} onClick={() => setEditing(user)}>{t("edit")}</Button>
          {user.name !== session.name && <ConfirmButton quiet label={t("delete")} title={t("delete.title", { name: user.name })} text={t("users.deleteText")} action={t("delete")} done={t("deleted", { name: user.name })} run={async () => { await del(path("users", user.name)); void cache.invalidateQueries({ queryKey: ["users"] }); }} />}
        </>
      ),
    },
  ];
  return (
    <Card title={t("users")} flush actions={<Button kind="primary" icon="plus" onClick={() => setEditing("new")}>{t("users.add")}</Button>}>
      <Loaded query={users}>{(data) => <Table label={t("users")} columns={columns} rows={data} rowKey={(user) => user.name} empty={<Empty icon="users" title={t("nothingFound")} text={t("users.about")} />} />}</Loaded>
      {editing && <UserDialog user={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
    </Card>
  );
}

function UserDialog({ user, onClose }: { user: User | null; onClose(): void }) {
  const t = useT();
  const cache = useQueryClient();
  const { home } = useVhost();
  const notify = useNotify();
  const [name, setName] = useState(user?.name ?? "");
  const [password, setPassword] = useState("");
  const [chosen, setChosen] = useState<string[]>(user?.tags ?? ["management"]);
  const [open, setOpen] = useState(true);
  async function submit() {
    // Without a new password the old hash goes back, or the user would have none.
    const secret = password ? { password } : { password_hash: user?.password_hash ?? "" };
    await put(path("users", name), { ...secret, tags: chosen.join(",") });
    if (!user && open) await put(path("permissions", home, name), { configure: ".*", write: ".*", read: ".*" });
    void cache.invalidateQueries({ queryKey: ["users"] });
    void cache.invalidateQueries({ queryKey: ["permissions"] });
    notify(t("saved", { name }));
  }
  return (
    <FormDialog open onClose={onClose} title={user ? t("users.edit", { name: user.name }) : t("users.add")} action={t("save")} submit={submit}>
      {!user && <Field label={t("name")}><input value={name} autoComplete="off" onChange={(event) => setName(event.target.value)} required autoFocus /></Field>}
      <Field label={t("password")} hint={user ? t("users.passwordHint") : undefined}><input type="password" autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} required={!user} /></Field>
      <fieldset className="check-list">
        <legend className="field-label">{t("users.tags")}</legend>
        {tags.map((tag) => (
          <Check key={tag} label={<><strong>{tag}</strong> <span className="muted small">{t(tagHints[tag])}</span></>} checked={chosen.includes(tag)} onChange={(event) => setChosen(event.target.checked ? [...chosen, tag] : chosen.filter((one) => one !== tag))} />
        ))}
      </fieldset>
      {!user && <Check label={t("users.open", { vhost: home })} checked={open} onChange={(event) => setOpen(event.target.checked)} />}
    </FormDialog>
  );
}

function PermissionList() {
  const t = useT();
  const cache = useQueryClient();
  const [editing, setEditing] = useState<Permission | "new" | null>(null);
  const permissions = useQuery({ queryKey: ["permissions"], queryFn: ({ signal }) => get<Permission[]>("/api/permissions", signal) });
  const columns: Column<Permission>[] = [
    { key: "user", head: t("user"), className: "name", sort: (one) => one.user, cell: (one) => <strong>{one.user}</strong> },
    { key: "vhost", head: t("vhost"), sort: (one) => one.vhost, cell: (one) => one.vhost },
    { key: "configure", head: t("permissions.configure"), cell: (one) => <code>{one.configure || "–"}</code> },
    { key: "write", head: t("permissions.write"), cell: (one) => <code>{one.write || "–"}</code> },
    { key: "read", head: t("permissions.read"), cell: (one) => <code>{one.read || "–"}</code> },
    {
      key: "actions", head: "", className: "row-actions",
      cell: (one) => (
        <>
          <Button kind="quiet" aria-label={t("users.edit", { name: one.user })} onClick={() => setEditing(one)}>{t("edit")}</Button>
          <ConfirmButton quiet label={t("remove")} title={t("permissions.removeTitle", { user: one.user, vhost: one.vhost })} text={t("permissions.removeText")} action={t("remove")} run={async () => { await del(path("permissions", one.vhost, one.user)); void cache.invalidateQueries({ queryKey: ["permissions"] }); }} />
        </>
      ),
    },
  ];
  return (
    <Card title={t("permissions")} note={t("permissions.about")} flush actions={<Button kind="primary" icon="plus" onClick={() => setEditing("new")}>{t("permissions.add")}</Button>}>
      <Loaded query={permissions}>{(data) => <Table label={t("permissions")} columns={columns} rows={data} rowKey={(one) => `${one.vhost} ${one.user}`} empty={<Empty icon="users" title={t("permissions.empty")} text={t("permissions.about")} />} />}</Loaded>
      {editing && <PermissionDialog permission={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
    </Card>
  );
}

function PermissionDialog({ permission, onClose }: { permission: Permission | null; onClose(): void }) {
  const t = useT();
  const cache = useQueryClient();
  const { home, vhosts } = useVhost();
  const [value, setValue] = useState(permission ?? { user: "", vhost: home, configure: ".*", write: ".*", read: ".*" });
  const users = useQuery({ queryKey: ["users"], queryFn: ({ signal }) => get<User[]>("/api/users", signal) });
  const set = (change: Partial<Permission>) => setValue({ ...value, ...change });
  async function submit() {
    const { configure, write, read } = value;
    await put(path("permissions", value.vhost, value.user), { configure, write, read });
    void cache.invalidateQueries({ queryKey: ["permissions"] });
  }
  return (
    <FormDialog open onClose={onClose} title={t("permissions.add")} about={t("permissions.hint")} action={t("save")} submit={submit}>
      {!permission && (
        <div className="field-row">
          <Field label={t("user")}>
            <select value={value.user} required onChange={(event) => set({ user: event.target.value })}>
              <option value="" />
              {users.data?.map((user) => <option key={user.name}>{user.name}</option>)}
            </select>
          </Field>
          <Field label={t("vhost")}>
            <select value={value.vhost} onChange={(event) => set({ vhost: event.target.value })}>{vhosts.map((one) => <option key={one}>{one}</option>)}</select>
          </Field>
        </div>
      )}
      <Field label={t("permissions.configure")}><input value={value.configure} onChange={(event) => set({ configure: event.target.value })} /></Field>
      <Field label={t("permissions.write")}><input value={value.write} onChange={(event) => set({ write: event.target.value })} /></Field>
      <Field label={t("permissions.read")}><input value={value.read} onChange={(event) => set({ read: event.target.value })} /></Field>
    </FormDialog>
  );
}

function VhostList() {
  const t = useT();
  const cache = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [name, setName] = useState("");
  const vhosts = useQuery({ queryKey: ["vhosts"], queryFn: ({ signal }) => get<Vhost[]>("/api/vhosts", signal), refetchInterval: 5000 });
  const columns: Column<Vhost>[] = [
    { key: "name", head: t("name"), className: "name", sort: (vhost) => vhost.name, cell: (vhost) => <strong>{vhost.name}</strong> },
    { key: "description", head: t("description"), cell: (vhost) => vhost.description },
    { key: "ready", head: t("ready"), number: true, sort: (vhost) => vhost.messages_ready ?? 0, cell: (vhost) => count(vhost.messages_ready) },
    { key: "unacked", head: t("unacked"), number: true, sort: (vhost) => vhost.messages_unacknowledged ?? 0, cell: (vhost) => count(vhost.messages_unacknowledged) },
  ];
  return (
    <Card title={t("vhosts")} note={t("vhosts.about")} flush actions={<Button kind="primary" icon="plus" onClick={() => setAdding(true)}>{t("vhosts.add")}</Button>}>
      <Loaded query={vhosts}>{(data) => <Table label={t("vhosts")} columns={columns} rows={data} rowKey={(vhost) => vhost.name} empty={<Empty title={t("nothingFound")} text={t("vhosts.about")} />} />}</Loaded>
      {adding && (
        <FormDialog open onClose={() => setAdding(false)} title={t("vhosts.add")} action={t("save")} submit={async () => { await put(path("vhosts", name), {}); void cache.invalidateQueries({ queryKey: ["vhosts"] }); void cache.invalidateQueries({ queryKey: ["vhost-names"] }); }}>
          <Field label={t("name")}><input value={name} onChange={(event) => setName(event.target.value)} required autoFocus /></Field>
        </FormDialog>
      )}
    </Card>
  );
}
