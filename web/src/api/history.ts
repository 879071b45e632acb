// The last ten minutes: what the broker has kept, and what has come since the page was opened.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { get } from "./client";
import { useLive } from "./live";
import type { History, Queue, Sample, Tick } from "./types";

const KEPT_MS = 10 * 60 * 1000;

export interface Watched {
  vhost: string;
  name: string;
}

type Column = Exclude<keyof Sample, "time">;

export interface Samples {
  samples: Sample[];
  /** Seconds since the epoch, as the charts take them. */
  times: number[];
  columns(...names: Column[]): (number | null)[][];
  /** Time to stable storage, of the samples that have it. */
  landing: { times: number[]; values: (number | null)[][]; last?: Sample };
}

/** Of the whole broker (null) or of one queue. */
export function useHistory(queue: Watched | null): Samples {
  const { tick } = useLive();
  const path = queue ? `/api/landfall/history/queues/${encodeURIComponent(queue.vhost)}/${encodeURIComponent(queue.name)}` : "/api/landfall/history";
  const [samples, setSamples] = useState<Sample[]>([]);
  const kept = useQuery({
    queryKey: ["history", path],
    queryFn: ({ signal }) => get<History>(path, signal),
    // Ticks bring rates and depth; landing latency comes with the broker's own samples.
    refetchInterval: queue ? false : 5000,
    retry: false,
  });

  useEffect(() => setSamples([]), [path]);

  useEffect(() => {
    const past = kept.data?.samples;
    if (!past) return;
    setSamples((now) => {
      const until = past[past.length - 1]?.time ?? 0;
      return [...past, ...now.filter((sample) => sample.time > until)];
    });
  }, [kept.data]);

  useEffect(() => {
    const sample = tick && sampleOf(tick, queue);
    if (!sample) return;
    setSamples((before) => {
      if (before.length && before[before.length - 1]!.time >= sample.time) return before;
      return [...before.filter((one) => one.time > sample.time - KEPT_MS), sample];
    });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [tick, path]);

  return useMemo(() => {
    const times = samples.map((sample) => sample.time / 1000);
    const synced = samples.filter((sample) => typeof sample.sync_p50_us === "number");
    const landing = {
      times: synced.map((sample) => sample.time / 1000),
      values: [synced.map((sample) => sample.sync_p50_us ?? null), synced.map((sample) => sample.sync_p99_us ?? null)],
      last: synced[synced.length - 1],
    };
    return { samples, times, landing, columns: (...names) => names.map((name) => samples.map((sample) => sample[name] ?? null)) };
  }, [samples]);
}

function sampleOf(tick: Tick, watched: Watched | null): Sample | null {
  if (!watched) {
    const { message_stats: stats, queue_totals: totals, landfall } = tick.overview;
    return {
      ...rates(stats),
      time: tick.time,
      ready: totals.messages_ready,
      unacked: totals.messages_unacknowledged,
      sync_p50_us: number(landfall?.sync_p50_us),
      sync_p99_us: number(landfall?.sync_p99_us),
    };
  }
  const queue = tick.queues?.find((one) => one.vhost === watched.vhost && one.name === watched.name);
  return queue ? { ...rates(queue.message_stats), time: tick.time, ready: queue.messages_ready, unacked: queue.messages_unacknowledged } : null;
}

const number = (value: unknown) => (typeof value === "number" ? value : undefined);

function rates(stats: Queue["message_stats"]) {
  return {
    publish: stats?.publish_details?.rate ?? 0,
    deliver: stats?.deliver_get_details?.rate ?? 0,
    ack: stats?.ack_details?.rate ?? 0,
    redeliver: stats?.redeliver_details?.rate ?? 0,
  };
}
