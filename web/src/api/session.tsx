import { useQueryClient } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useEffect, useState, type ReactNode } from "react";
import { ApiError, UNREACHABLE, del, get, post, setUnauthorizedListener } from "./client";
import type { Session } from "./types";

type State = { kind: "asking" } | { kind: "out"; ended: boolean } | { kind: "in"; session: Session } | { kind: "unreachable" };

interface SessionContext {
  state: State;
  logIn(username: string, password: string): Promise<void>;
  logOut(): Promise<void>;
  check(): Promise<void>;
}

const Context = createContext<SessionContext | null>(null);
const SESSION = "/api/landfall/session";

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<State>({ kind: "asking" });
  const cache = useQueryClient();

  const check = useCallback(async () => {
    try {
      const session = await get<Session>(SESSION);
      setState((before) => (before.kind === "in" && before.session.name === session.name ? before : { kind: "in", session }));
    } catch (error) {
      const unreachable = !(error instanceof ApiError) || error.status === UNREACHABLE || error.status >= 500;
      // Who is logged in stays so while the broker is away; the banner says that it is.
      setState((before) => {
        if (unreachable) return before.kind === "in" ? before : { kind: "unreachable" };
        if (before.kind === "in") cache.clear();
        return { kind: "out", ended: before.kind === "in" };
      });
    }
  }, [cache]);

  useEffect(() => {
    // 401 may mean "not you" or "not any more": the session itself tells which.
    setUnauthorizedListener(() => void check());
    void check();
  }, [check]);

  useEffect(() => {
    if (state.kind !== "unreachable") return;
    const timer = setInterval(() => void check(), 2000);
    return () => clearInterval(timer);
  }, [state.kind, check]);

  const logIn = useCallback(async (username: string, password: string) => {
    const session = await post<Session>(SESSION, { username, password });
    cache.clear();
    setState({ kind: "in", session });
  }, [cache]);

  const logOut = useCallback(async () => {
    await del(SESSION).catch(() => {});
    cache.clear();
    setState({ kind: "out", ended: false });
  }, [cache]);

  return <Context value={{ state, logIn, logOut, check }}>{children}</Context>;
}

export function useSessionState(): SessionContext {
  const context = useContext(Context);
  if (!context) throw new Error("no SessionProvider above");
  return context;
}

/** The session of who is logged in; only below the log-in. */
export function useSession(): Session & { may(tag: "administrator" | "monitoring" | "policymaker"): boolean } {
  const { state } = useSessionState();
  if (state.kind !== "in") throw new Error("nobody is logged in");
  const { tags } = state.session;
  return {
    ...state.session,
    may: (tag) => tags.includes("administrator") || tags.includes(tag),
  };
}
