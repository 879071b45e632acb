import { useState, type FormEvent } from "react";
import { ApiError } from "../api/client";
import { useSessionState } from "../api/session";
import { useI18n } from "../i18n";
import { Icon } from "../ui/icon";
import { Button, Field, failureText } from "../ui/parts";

export function LogIn({ ended }: { ended: boolean }) {
  const { t, language, setLanguage } = useI18n();
  const { logIn } = useSessionState();
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  // The password goes from the form to the broker, and nowhere in between: not into state.
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    setBusy(true);
    setError("");
    try {
      await logIn(String(data.get("username")), String(data.get("password")));
    } catch (caught) {
      if (caught instanceof ApiError && caught.status === 401) setError(t("logIn.wrong"));
      else if (caught instanceof ApiError && caught.status === 429) setError(t("logIn.tooMany"));
      else setError(failureText(caught, t));
      form.querySelector<HTMLInputElement>("[name=password]")?.select();
    } finally {
      setBusy(false);
    }
  }

  return (
    <main className="log-in">
      <div className="log-in-card">
        <div className="brand large">
          <Icon name="wave" size={30} />
          <h1>Landfall</h1>
        </div>
        <p className="muted">{t("logIn.about")}</p>
        {ended && (
          <p className="notice-line" role="status">
            {t("logIn.ended")}
          </p>
        )}
        <form onSubmit={(event) => void submit(event)}>
          <Field label={t("user")}>
            <input name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required autoFocus />
          </Field>
          <Field label={t("password")}>
            <input name="password" type="password" autoComplete="current-password" required />
          </Field>
          {error && (
            <p className="form-error" role="alert">
              {error}
            </p>
          )}
          <Button type="submit" kind="primary" className="full" disabled={busy}>
            {t("logIn.button")}
          </Button>
        </form>
        <p className="muted small">{t("logIn.hint")}</p>
        <button type="button" className="link small" lang={language === "en" ? "zh-Hans" : "en"} onClick={() => setLanguage(language === "en" ? "zh" : "en")}>
          {language === "en" ? "中文" : "English"}
        </button>
      </div>
    </main>
  );
}
