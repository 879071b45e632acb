// Names go into the query: a path that ends like a file name would not be the console's.

export function queueHref(vhost: string, name: string, tab?: string): string {
  return `/queue?${new URLSearchParams({ vhost, name, ...(tab ? { tab } : {}) })}`;
}

export function exchangeHref(vhost: string, name: string): string {
  return `/exchange?${new URLSearchParams({ vhost, name })}`;
}

export function topologyHref(vhost: string, exchange: string): string {
  return `/topology?${new URLSearchParams({ vhost, exchange })}`;
}

/** The exchange without a name has to be called something. */
export const exchangeName = (name: string) => (name === "" ? "(AMQP default)" : name);
