import { useSyncExternalStore } from "react";
import { remember, remembered } from "./remember";

export type Theme = "system" | "light" | "dark";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let theme: Theme = "system";

function show(next: Theme) {
  theme = next;
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  for (const listener of listeners) listener();
}

/** Before the first paint. */
export function startTheme() {
  const chosen = remembered("theme");
  show(chosen === "light" || chosen === "dark" ? chosen : "system");
  dark.addEventListener("change", () => show(theme));
}

export function setTheme(next: Theme) {
  remember("theme", next === "system" ? null : next);
  show(next);
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, () => theme);

/** What is shown now: "light" or "dark". A canvas has to be drawn anew when it changes. */
export const useShade = () => useSyncExternalStore(subscribe, () => (theme === "system" ? (dark.matches ? "dark" : "light") : theme));

/** A colour variable of the style sheet as a canvas takes it. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
