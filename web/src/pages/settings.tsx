import { useSession, useSessionState } from "../api/session";
import { useI18n, type Language } from "../i18n";
import { Button, Card, Facts, Field, PageHead } from "../ui/parts";
import { setTheme, useTheme, type Theme } from "../ui/theme";

export default function Settings() {
  const { t, language, setLanguage } = useI18n();
  const theme = useTheme();
  const session = useSession();
  const { logOut } = useSessionState();
  return (
    <>
      <PageHead title={t("nav.settings")} about={t("settings.about")} />
      <div className="grid two">
        <Card title={t("settings.appearance")}>
          <Field label={t("settings.language")}>
            <select value={language} onChange={(event) => setLanguage(event.target.value as Language)}>
              <option value="en" lang="en">English</option>
              <option value="zh" lang="zh-Hans">中文</option>
            </select>
          </Field>
          <Field label={t("settings.theme")}>
            <select value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
              <option value="system">{t("settings.system")}</option>
              <option value="light">{t("settings.light")}</option>
              <option value="dark">{t("settings.dark")}</option>
            </select>
          </Field>
        </Card>
        <Card title={t("settings.session")}>
          <Facts
            facts={[
              [t("user"), session.name],
              [t("users.tags"), session.tags.join(", ") || t("none")],
              [t("vhosts"), session.vhosts.join(", ") || t("none")],
              [t("settings.node"), session.node],
              [t("settings.version"), session.version],
            ]}
          />
          <p className="muted small">{t("settings.sessionAbout")}</p>
          <Button onClick={() => void logOut()}>{t("logOut")}</Button>
        </Card>
        <Card title={t("settings.elsewhere")}>
          <p className="muted">{t("settings.elsewhereAbout")}</p>
          <pre className="code" tabIndex={0}>{`curl -u USER:PASSWORD ${location.origin}/api/overview\ncurl -u USER:PASSWORD ${location.origin}/metrics`}</pre>
        </Card>
      </div>
    </>
  );
}
