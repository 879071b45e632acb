// One table for every list. Long ones draw only the rows in view.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState, type ReactNode } from "react";

export interface Column<T> {
  key: string;
  head: string;
  cell(row: T): ReactNode;
  /** Numbers stand to the right, digits below digits. */
  number?: boolean;
  /** By what to sort here. With `onSort` of the table the server sorts, and true is enough. */
  sort?: true | ((row: T) => string | number);
  className?: string;
}

export interface Sort {
  key: string;
  down: boolean;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey(row: T): string;
  empty: ReactNode;
  sort?: Sort | null;
  onSort?(sort: Sort): void;
  /** What is shown below a row that is open. */
  detail?(row: T): ReactNode;
}

const ROW_HEIGHT = 41;
const VIRTUAL_FROM = 120;

export function Table<T>({ label, columns, rows, rowKey, empty, sort, onSort, detail }: Props<T>) {
  const [ownSort, setOwnSort] = useState<Sort | null>(null);
  const shownSort = onSort ? (sort ?? null) : ownSort;
  const sorted = useMemo(() => (onSort ? rows : sortRows(rows, columns, ownSort)), [rows, columns, ownSort, onSort]);
  if (!rows.length) return <>{empty}</>;
  const change = (key: string, number?: boolean) => {
    const next = { key, down: shownSort?.key === key ? !shownSort.down : number === true };
    if (onSort) onSort(next);
    else setOwnSort(next);
  };
  const head = (
    <thead>
      <tr>
        {columns.map((column) => {
          const active = shownSort?.key === column.key;
          return (
            <th key={column.key} scope="col" className={classOf(column)} aria-sort={active ? (shownSort.down ? "descending" : "ascending") : undefined}>
              {column.sort ? (
                <button type="button" className="sort" onClick={() => change(column.key, column.number)}>
                  {column.head}
                  <span aria-hidden="true" className="sort-arrow">
                    {active ? (shownSort.down ? "↓" : "↑") : ""}
                  </span>
                </button>
              ) : (
                column.head || <span className="visually-hidden">·</span>
              )}
            </th>
          );
        })}
      </tr>
    </thead>
  );
  const shared = { label, columns, rowKey, head, detail };
  return sorted.length >= VIRTUAL_FROM && !detail ? <LongBody {...shared} rows={sorted} /> : <ShortBody {...shared} rows={sorted} />;
}

interface BodyProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey(row: T): string;
  head: ReactNode;
  detail?(row: T): ReactNode;
}

function ShortBody<T>({ label, columns, rows, rowKey, head, detail }: BodyProps<T>) {
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        {head}
        <tbody>
          {rows.map((row) => {
            const below = detail?.(row);
            return [
              <Row key={rowKey(row)} row={row} columns={columns} />,
              below && (
                <tr key={`${rowKey(row)} detail`} className="detail">
                  <td colSpan={columns.length}>{below}</td>
                </tr>
              ),
            ];
          })}
        </tbody>
      </table>
    </div>
  );
}

function LongBody<T>({ label, columns, rows, rowKey, head }: BodyProps<T>) {
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items[items.length - 1]?.end ?? 0);
  return (
    <div className="table-scroll long" ref={scroll} tabIndex={0} role="region" aria-label={label}>
      <table aria-rowcount={rows.length + 1}>
        {head}
        <tbody>
          {before > 0 && <tr aria-hidden="true" style={{ height: before }} />}
          {items.map((item) => {
            const row = rows[item.index];
            return row && <Row key={rowKey(row)} row={row} columns={columns} index={item.index + 2} />;
          })}
          {after > 0 && <tr aria-hidden="true" style={{ height: after }} />}
        </tbody>
      </table>
    </div>
  );
}

function Row<T>({ row, columns, index }: { row: T; columns: Column<T>[]; index?: number }) {
  return (
    <tr aria-rowindex={index}>
      {columns.map((column) => (
        <td key={column.key} className={classOf(column)}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
}

function classOf<T>(column: Column<T>): string {
  return `${column.number ? "number" : ""} ${column.className ?? ""}`.trim();
}

function sortRows<T>(rows: T[], columns: Column<T>[], sort: Sort | null): T[] {
  const by = sort && columns.find((column) => column.key === sort.key)?.sort;
  if (!sort || !by || by === true) return rows;
  const sign = sort.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = by(a);
    const y = by(b);
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  });
}
