// Dialogs, confirmations, tabs and notices, on Base UI: focus, Escape and screen readers are its work.
import { AlertDialog } from "@base-ui/react/alert-dialog";
import { Dialog as BaseDialog } from "@base-ui/react/dialog";
import { Tabs as BaseTabs } from "@base-ui/react/tabs";
import { Toast } from "@base-ui/react/toast";
import { useState, type FormEvent, type ReactNode } from "react";
import { useT } from "../i18n";
import { Button, failureText } from "./parts";
import { Icon, type IconName } from "./icon";

export function Dialog({ open, onClose, title, about, children, wide }: { open: boolean; onClose(): void; title: string; about?: string; children: ReactNode; wide?: boolean }) {
  const t = useT();
  return (
    <BaseDialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <BaseDialog.Portal>
        <BaseDialog.Backdrop className="backdrop" />
        <BaseDialog.Popup className={`dialog ${wide ? "wide" : ""}`}>
          <div className="dialog-head">
            <BaseDialog.Title>{title}</BaseDialog.Title>
            <BaseDialog.Close className="button quiet" aria-label={t("close")}>
              <Icon name="close" />
            </BaseDialog.Close>
          </div>
          {about && <BaseDialog.Description className="muted dialog-about">{about}</BaseDialog.Description>}
          {children}
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}

/** A dialog with a form: `submit` does the work; what it throws is shown, and the dialog stays. */
export function FormDialog({ open, onClose, title, about, action, submit, children, wide, danger }: { open: boolean; onClose(): void; title: string; about?: string; action: string; submit(): Promise<unknown>; children: ReactNode; wide?: boolean; danger?: boolean }) {
  const t = useT();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const close = () => {
    setError(null);
    onClose();
  };
  async function onSubmit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await submit();
      close();
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Dialog open={open} onClose={close} title={title} about={about} wide={wide}>
      <form onSubmit={(event) => void onSubmit(event)}>
        <div className="dialog-body">{children}</div>
        {error !== null && (
          <p className="form-error" role="alert">
            {failureText(error, t)}
          </p>
        )}
        <div className="dialog-foot">
          <Button onClick={close}>{t("cancel")}</Button>
          <Button type="submit" kind={danger ? "danger" : "primary"} disabled={busy}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** A button that asks before it destroys something. */
export function ConfirmButton({ label, icon = "trash", title, text, action, run, quiet, done }: { label: string; icon?: IconName; title: string; text: string; action: string; run(): Promise<unknown>; quiet?: boolean; done?: string }) {
  const t = useT();
  const notify = useNotify();
  const [open, setOpen] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  async function confirm() {
    setBusy(true);
    setError(null);
    try {
      await run();
      setOpen(false);
      if (done) notify(done);
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  }
  return (
    <AlertDialog.Root open={open} onOpenChange={(next) => { setOpen(next); setError(null); }}>
      <AlertDialog.Trigger className={`button ${quiet ? "quiet" : "plain"}`} aria-label={quiet ? label : undefined} title={quiet ? label : undefined}>
        <Icon name={icon} />
        {!quiet && label}
      </AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="dialog narrow">
          <div className="dialog-head">
            <AlertDialog.Title>{title}</AlertDialog.Title>
          </div>
          <AlertDialog.Description className="dialog-about">{text}</AlertDialog.Description>
          {error !== null && (
            <p className="form-error" role="alert">
              {failureText(error, t)}
            </p>
          )}
          <div className="dialog-foot">
            <AlertDialog.Close className="button plain">{t("cancel")}</AlertDialog.Close>
            <Button kind="danger" disabled={busy} onClick={() => void confirm()}>
              {action}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}

export interface TabItem {
  id: string;
  label: string;
  content: ReactNode;
}

export function Tabs({ items, value, onChange, label }: { items: TabItem[]; value: string; onChange(id: string): void; label: string }) {
  return (
    <BaseTabs.Root value={value} onValueChange={(next) => onChange(String(next))}>
      <BaseTabs.List className="tabs" aria-label={label}>
        {items.map((item) => (
          <BaseTabs.Tab key={item.id} value={item.id} className="tab">
            {item.label}
          </BaseTabs.Tab>
        ))}
      </BaseTabs.List>
      {items.map((item) => (
        <BaseTabs.Panel key={item.id} value={item.id} className="tab-panel">
          {item.content}
        </BaseTabs.Panel>
      ))}
    </BaseTabs.Root>
  );
}

export function Notices({ children }: { children: ReactNode }) {
  return (
    <Toast.Provider timeout={4000}>
      {children}
      <Toast.Portal>
        <Toast.Viewport className="notices">
          <NoticeList />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function NoticeList() {
  const { toasts } = Toast.useToastManager();
  return toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className="notice">
      <Toast.Content>
        <Icon name="check" />
        <Toast.Title render={<p />} />
      </Toast.Content>
    </Toast.Root>
  ));
}

/** Says in passing that something has been done. */
export function useNotify(): (text: string) => void {
  const { add } = Toast.useToastManager();
  return (text) => void add({ title: text });
}
