// The stream of live values: one EventSource for the whole page, shared by everything that looks.
import { useEffect, useSyncExternalStore } from "react";
import type { Tick } from "./types";

export type Line = "connecting" | "live" | "lost";

export interface Live {
  line: Line;
  tick: Tick | null;
  /** When the next attempt is, in ms since the epoch; 0 while one is under way. */
  retryAt: number;
  /** Lost because the user has as many streams open as may be: the broker does answer. */
  crowded: boolean;
}

// A tick comes each second; after so much silence the line is dead even if nobody has said so.
const STREAM = "/api/landfall/events";
const SILENCE_MS = 5000;
const RETRY_MS = [1000, 2000, 4000, 8000];
// A browser has six connections to one host, for all its tabs: one that nobody sees gives its own back.
const HIDDEN_MS = 10_000;

class LiveStream {
  private state: Live = { line: "connecting", tick: null, retryAt: 0, crowded: false };
  private listeners = new Set<() => void>();
  private source: EventSource | null = null;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private hidden: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private started = false;
  private watched: string[] = [];
  private onDown: () => void = () => {};

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  snapshot = () => this.state;

  /** `onDown` is called when the line breaks: the session may be over. */
  start(onDown: () => void) {
    this.onDown = onDown;
    this.started = true;
    document.addEventListener("visibilitychange", this.rest);
    this.open();
  }

  stop() {
    this.started = false;
    document.removeEventListener("visibilitychange", this.rest);
    clearTimeout(this.hidden);
    this.close();
    this.failures = 0;
    this.set({ line: "connecting", tick: null, retryAt: 0, crowded: false });
  }

  tryNow = () => this.open();

  /** Queues whose numbers come with each tick, as VHOST/NAME with both percent-encoded. */
  watch(queues: string[]) {
    if (queues.join() === this.watched.join()) return;
    this.watched = queues;
    if (this.source) this.open();
  }

  private rest = () => {
    clearTimeout(this.hidden);
    if (document.hidden) this.hidden = setTimeout(() => this.close(), HIDDEN_MS);
    else if (this.started && !this.source) this.open();
  };

  private open() {
    this.close();
    const search = this.watched.map((queue) => `queue=${encodeURIComponent(queue)}`).join("&");
    const source = new EventSource(`${STREAM}${search ? `?${search}` : ""}`);
    this.source = source;
    this.set({ ...this.state, retryAt: 0 });
    this.listenForSilence();
    source.addEventListener("tick", (event) => {
      this.failures = 0;
      this.listenForSilence();
      this.set({ line: "live", tick: JSON.parse((event as MessageEvent<string>).data) as Tick, retryAt: 0, crowded: false });
    });
    source.onerror = () => {
      // Given up by the browser: something has answered, and not with a stream.
      if (source.readyState === EventSource.CLOSED) void this.askWhy();
      this.lost();
    };
  }

  // An EventSource does not tell the status.
  private async askWhy() {
    const asked = new AbortController();
    const answer = await fetch(STREAM, { signal: asked.signal }).catch(() => null);
    asked.abort();
    if (this.state.line === "lost") this.set({ ...this.state, crowded: answer?.status === 429 });
  }

  private listenForSilence() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lost(), SILENCE_MS);
  }

  private lost() {
    this.close();
    const pause = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)] ?? 8000;
    this.failures++;
    this.set({ ...this.state, line: "lost", retryAt: Date.now() + pause });
    this.retry = setTimeout(() => this.open(), pause);
    this.onDown();
  }

  private close() {
    clearTimeout(this.silence);
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  private set(state: Live) {
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}

export const liveStream = new LiveStream();

export function useLive(): Live {
  return useSyncExternalStore(liveStream.subscribe, liveStream.snapshot);
}

/** Asks for one queue's numbers with each tick while the caller is shown. */
export function useWatchedQueue(vhost: string, name: string) {
  useEffect(() => {
    liveStream.watch([`${encodeURIComponent(vhost)}/${encodeURIComponent(name)}`]);
    return () => liveStream.watch([]);
  }, [vhost, name]);
}
