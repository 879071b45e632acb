import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

// `npm run dev` serves the sources and hands /api to a broker: LANDFALL_HTTP says which.
const broker = loadEnv("", ".", "LANDFALL_").LANDFALL_HTTP ?? "http://127.0.0.1:15672";

export default defineConfig({
  plugins: [react()],
  server: {
    // The broker compares Origin with Host: as a page of its own it may change things.
    proxy: { "/api": { target: broker, changeOrigin: false } },
  },
  build: {
    target: ["chrome123", "firefox120", "safari17.5"],
    // Nothing as a data: URL or inline script: the Content-Security-Policy allows neither.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
