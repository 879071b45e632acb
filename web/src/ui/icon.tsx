// Drawn here, 24 by 24, one stroke: an icon font would be a request and a licence more.
const paths = {
  overview: "M3 13h8V3H3zM13 21h8V11h-8zM3 21h8v-4H3zM13 3v4h8V3z",
  queue: "M4 6h16M4 12h16M4 18h10",
  dead: "M4 7h16v13H4zM2 3h20v4H2zM9.5 12l5 5m0-5l-5 5",
  exchange: "M4 7h13l-3-3m3 3l-3 3M20 17H7l3-3m-3 3l3 3",
  topology: "M3 10h5v4H3zM16 4h5v4h-5zM16 16h5v4h-5zM8 12h4m0 0V6h4m-4 6v6h4",
  connection: "M9 7V3m6 4V3M7 7h10v4a5 5 0 0 1-10 0zM12 16v5",
  trace: "M12 21s-6-5.2-6-10a6 6 0 0 1 12 0c0 4.8-6 10-6 10zM12 13a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  users: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.5-3.5 3-5.5 6.5-5.5s6 2 6.5 5.5M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.8c2 .8 3.2 2.6 3.5 5.2",
  policy: "M6 3h9l4 4v14H6zM15 3v4h4M9 12h7M9 16h5",
  definitions: "M12 3v10m0 0l-4-4m4 4l4-4M4 17v4h16v-4",
  storage: "M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3zM4 6v12c0 1.7 3.6 3 8 3s8-1.3 8-3V6M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
  settings: "M4 7h10m4 0h2M4 17h2m4 0h10M16 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  alert: "M12 4L2.5 20h19zM12 10v4m0 3v.01",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  pause: "M9 5v14M15 5v14",
  play: "M8 5l11 7-11 7z",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  inbox: "M3 13l3-9h12l3 9v7H3zM3 13h5.5c0 2 1.5 3.5 3.5 3.5s3.5-1.5 3.5-3.5H21",
  menu: "M4 7h16M4 12h16M4 17h16",
  plus: "M12 5v14M5 12h14",
  refresh: "M20 11a8 8 0 0 0-14.5-3.5L4 9m0-5v5h5M4 13a8 8 0 0 0 14.5 3.5L20 15m0 5v-5h-5",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l4.5 4.5",
  send: "M4 12l16-8-5 16-4-6.5zM11 13.5L20 4",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6m4-6v6",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c.6-4 3.6-6.5 8-6.5s7.4 2.5 8 6.5",
  wave: "M3 16c3 0 3-2 6-2s3 2 6 2 3-2 6-2M12 3v7m-3-3l3 3 3-3M3 21h18",
  chevron: "M9 6l6 6-6 6",
  back: "M15 6l-6 6 6 6",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth={1.7} strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}
