import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { SessionProvider } from "./api/session";
import { App } from "./app";
import { I18nProvider } from "./i18n";
import "./style/base.css";
import "./style/layout.css";
import "./style/parts.css";
import { Notices } from "./ui/overlay";
import { startTheme } from "./ui/theme";

startTheme();

const cache = new QueryClient({
  defaultOptions: {
    queries: {
      // What was refused stays refused; what did not get through is asked again.
      retry: (failures, error) => !(error instanceof ApiError && error.status >= 400 && error.status < 500) && failures < 2,
      staleTime: 1000,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <CSPProvider disableStyleElements>
        <QueryClientProvider client={cache}>
          <I18nProvider>
            <SessionProvider>
              <Notices>
                <App />
              </Notices>
            </SessionProvider>
          </I18nProvider>
        </QueryClientProvider>
      </CSPProvider>
    </StrictMode>,
  );
}
