// The parts of the HTTP API's JSON that the console reads (docs/http-api.md).

export interface Rate {
  rate: number;
}

export interface MessageStats {
  publish?: number;
  publish_details?: Rate;
  deliver_get?: number;
  deliver_get_details?: Rate;
  ack?: number;
  ack_details?: Rate;
  redeliver?: number;
  redeliver_details?: Rate;
}

export type Arguments = Record<string, unknown>;

export interface Session {
  name: string;
  tags: string[];
  vhosts: string[];
  version: string;
  node: string;
}

export interface Overview {
  message_stats?: MessageStats;
  queue_totals: {
    messages: number;
    messages_ready: number;
    messages_unacknowledged: number;
  };
  object_totals: {
    channels: number;
    connections: number;
    consumers: number;
    exchanges: number;
    queues: number;
  };
  landfall?: Record<string, unknown>;
}

export interface ConsumerDetails {
  consumer_tag: string;
  ack_required: boolean;
  active?: boolean;
  exclusive: boolean;
  prefetch_count: number;
  channel_details?: { name?: string; connection_name?: string; user?: string };
  queue: { name: string; vhost: string };
  arguments?: Arguments;
}

export interface Queue {
  name: string;
  vhost: string;
  type: string;
  state: string;
  durable: boolean;
  auto_delete: boolean;
  exclusive: boolean;
  arguments: Arguments;
  policy: string | null;
  operator_policy: string | null;
  effective_policy_definition: Arguments;
  consumers: number;
  consumer_details?: ConsumerDetails[];
  messages: number;
  messages_ready: number;
  messages_unacknowledged: number;
  messages_delayed: number;
  memory?: number;
  message_stats?: MessageStats;
}

export interface Page<T> {
  items: T[];
  page: number;
  page_count: number;
  page_size: number;
  filtered_count: number;
  total_count: number;
}

export interface Exchange {
  name: string;
  vhost: string;
  type: string;
  durable: boolean;
  auto_delete: boolean;
  internal: boolean;
  arguments: Arguments;
  policy: string | null;
}

export interface Binding {
  source: string;
  vhost: string;
  destination: string;
  destination_type: "queue" | "exchange";
  routing_key: string;
  arguments: Arguments;
  properties_key: string;
}

export interface Connection {
  name: string;
  vhost: string;
  user: string;
  state: string;
  channels: number;
  peer_host?: string;
  peer_port?: number;
  protocol?: string;
  ssl?: boolean;
  connected_at?: number;
  client_properties?: Arguments;
  timeout?: number;
  recv_oct?: number;
  send_oct?: number;
  recv_oct_details?: Rate;
  send_oct_details?: Rate;
}

export interface Channel {
  name: string;
  number: number;
  vhost: string;
  user: string;
  state: string;
  confirm?: boolean;
  transactional?: boolean;
  prefetch_count?: number;
  consumer_count?: number;
  messages_unacknowledged?: number;
  messages_unconfirmed?: number;
  connection_details?: { name: string };
}

export interface User {
  name: string;
  tags: string[];
  password_hash?: string;
}

export interface Permission {
  user: string;
  vhost: string;
  configure: string;
  write: string;
  read: string;
}

export interface Policy {
  name: string;
  vhost: string;
  pattern: string;
  "apply-to": string;
  priority: number;
  definition: Arguments;
}

export interface Vhost {
  name: string;
  description?: string;
  messages?: number;
  messages_ready?: number;
  messages_unacknowledged?: number;
}

export interface Node {
  name: string;
  disk_free: number;
  disk_free_alarm: boolean;
  mem_used: number;
  mem_limit: number;
  mem_alarm: boolean;
  fd_used: number;
  fd_total: number;
  uptime: number;
  db_dir?: string;
}

export interface Ledger {
  accepted: number;
  held: number;
  imbalance: number;
  balances: boolean;
  left: Record<string, number>;
  left_total?: number;
  outbox?: number;
  queues_unbalanced?: number;
}

export interface Problem {
  severity: "critical" | "warning";
  kind: string;
  summary: string;
  what_to_do: string;
  vhost?: string;
  name?: string;
  amount: number;
  limit?: number;
  per_second?: number;
}

export interface Sample {
  time: number;
  publish: number;
  deliver: number;
  ack: number;
  redeliver: number;
  ready: number;
  unacked: number;
  sync_p50_us?: number;
  sync_p99_us?: number;
}

export interface History {
  interval_ms: number;
  samples: Sample[];
}

export interface Tick {
  time: number;
  overview: Overview;
  problems: Problem[];
  queues?: Queue[];
}

export interface PeekedMessage {
  id: string | number;
  state: "ready" | "unacked" | "delayed" | "backoff";
  payload: string;
  payload_bytes: number;
  payload_encoding: "string" | "base64";
  properties: { headers?: Arguments } & Arguments;
  exchange: string;
  routing_key: string;
  redelivered: boolean;
  attempts?: number;
}

export interface Peek {
  messages: PeekedMessage[];
  next: string | number | null;
  scanned: number;
}

export interface DeadLetterGroup {
  reason: string;
  queue: string;
  exchange: string;
  routing_key: string;
  count: number;
  oldest?: number;
  newest?: number;
}

export interface DeadLetters {
  groups: DeadLetterGroup[];
  scanned: number;
  complete: boolean;
}

export interface MoveRequest {
  to: { queue: string } | { exchange: string; routing_key: string } | "origin";
  filter?: { search?: string; header?: string; reason?: string; origin_queue?: string };
  limit?: number;
  rate?: number;
  dry_run: boolean;
}

export interface DryRun {
  matched: number;
  scanned: number;
  destinations: { exchange: string; routing_key: string; count: number }[];
}

export interface Job {
  id: string | number;
  kind: string;
  state: "running" | "done" | "failed" | "cancelled";
  moved: number;
  scanned: number;
  total: number;
  error?: string | null;
  user?: string;
  started?: number;
}

export interface StoryEvent {
  time: number;
  kind: string;
  queue?: string;
  consumer?: string;
  connection?: string;
  attempt?: number;
  until?: number;
  reason?: string;
  route?: string;
  to?: string;
  shard?: number;
  shard_seq?: number;
  lsn?: number;
  exchange?: string;
  routing_key?: string;
}

export interface Story {
  id: string | number;
  vhost: string;
  message_id?: string;
  correlation_id?: string;
  traceparent?: string;
  exchange: string;
  routing_key: string;
  user?: string;
  events: StoryEvent[];
}
