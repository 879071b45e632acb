import { useQuery } from "@tanstack/react-query";
import { createContext, useContext, useState, type ReactNode } from "react";
import { remember, remembered } from "../ui/remember";
import { get } from "./client";
import type { Vhost } from "./types";

interface Choice {
  /** "" for all. */
  vhost: string;
  setVhost(vhost: string): void;
  vhosts: string[];
  /** Where new things go: the chosen vhost, or the first one. */
  home: string;
}

const Context = createContext<Choice | null>(null);

/** The vhost that lists are narrowed to, for all pages. */
export function VhostProvider({ children }: { children: ReactNode }) {
  const [chosen, setChosen] = useState(remembered("vhost") ?? "");
  const { data } = useQuery({
    queryKey: ["vhost-names"],
    queryFn: ({ signal }) => get<Vhost[]>("/api/vhosts?columns=name", signal),
  });
  const vhosts = data?.map((vhost) => vhost.name) ?? [];
  const vhost = vhosts.includes(chosen) ? chosen : "";
  const setVhost = (next: string) => {
    remember("vhost", next || null);
    setChosen(next);
  };
  const home = vhost || (vhosts.includes("/") ? "/" : (vhosts[0] ?? "/"));
  return <Context value={{ vhost, setVhost, vhosts, home }}>{children}</Context>;
}

export function useVhost(): Choice {
  const context = useContext(Context);
  if (!context) throw new Error("no VhostProvider above");
  return context;
}
