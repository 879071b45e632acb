// Every request of the console goes through here. The session is a cookie that scripts cannot read;
// the header tells the broker that it is this console that asks, which no page of another origin can.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    reason: string,
  ) {
    super(reason);
  }
}

/** Status of a request that has not reached the broker. */
export const UNREACHABLE = 0;

/** Called when the broker says 401; it also does for what a user may not do. */
let onUnauthorized: () => void = () => {};
export function setUnauthorizedListener(listener: () => void) {
  onUnauthorized = listener;
}

export async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      signal,
      credentials: "same-origin",
      cache: "no-store",
      headers: {
        "X-Landfall-Console": "1",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(UNREACHABLE, "The broker does not answer.");
  }
  const text = await answer.text();
  if (!answer.ok) {
    if (answer.status === 401 && path !== "/api/landfall/session") onUnauthorized();
    throw new ApiError(answer.status, reasonOf(text) || answer.statusText || `HTTP ${answer.status}`);
  }
  return (text ? JSON.parse(text) : undefined) as T;
}

function reasonOf(text: string): string {
  try {
    const json = JSON.parse(text) as { reason?: unknown; error?: unknown };
    if (typeof json.reason === "string") return json.reason;
    if (typeof json.error === "string") return json.error;
  } catch {
    // Not JSON: somebody else's answer, a proxy's for example. Its status says enough.
  }
  return "";
}

export const get = <T>(path: string, signal?: AbortSignal) => request<T>("GET", path, undefined, signal);
export const put = (path: string, body: unknown) => request<void>("PUT", path, body);
export const post = <T = void>(path: string, body: unknown) => request<T>("POST", path, body);
export const del = (path: string) => request<void>("DELETE", path);

/** Joins parts of a path, each percent-encoded: names may hold any character. */
export function path(...parts: string[]): string {
  return `/api/${parts.map(encodeURIComponent).join("/")}`;
}

/** Query text of what is given; undefined and empty values are left out. */
export function query(values: Record<string, string | number | boolean | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== "" && value !== false) search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

/** How an exchange is called in a path: the one without a name has one there. */
export const exchangeInPath = (name: string) => (name === "" ? "amq.default" : name);
