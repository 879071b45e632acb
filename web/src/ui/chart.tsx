// Lines over time, on uPlot. The legend is text beside the canvas, with the values under the cursor.
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useT } from "../i18n";
import { clock } from "./format";
import { colour, useShade } from "./theme";

export interface Series {
  label: string;
  /** A colour variable of the style sheet. */
  colour: string;
  fill?: boolean;
}

interface Props {
  title: string;
  series: Series[];
  /** Seconds since the epoch. */
  times: number[];
  values: (number | null)[][];
  format(value: number | null | undefined): string;
  height?: number;
}

export function Chart({ title, series, times, values, format, height = 180 }: Props) {
  const t = useT();
  const shade = useShade();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const seriesKey = series.map((one) => one.label).join("|");

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const options = chartOptions(series, format, height, element.clientWidth, setCursor);
    const made = new uPlot(options, [times, ...values] as uPlot.AlignedData, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // A new chart only for what uPlot takes once; data goes in below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [seriesKey, shade, height]);

  useEffect(() => {
    plot.current?.setData([times, ...values] as uPlot.AlignedData);
  }, [times, values]);

  const at = cursor ?? times.length - 1;
  const summary = series.map((one, index) => `${one.label} ${format(values[index]?.[times.length - 1])}`).join(", ");
  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-title">{title}</span>
        <span className="legend">
          {series.map((one, index) => (
            <span key={one.label} className="legend-item">
              <span className={`swatch ${one.colour}`} aria-hidden="true" />
              {one.label}
              <span className="legend-value">{format(values[index]?.[at])}</span>
            </span>
          ))}
          <span className="legend-time">{cursor !== null && times[cursor] !== undefined ? clock(times[cursor] * 1000) : ""}</span>
        </span>
      </figcaption>
      <div className="chart-box" ref={box} role="img" aria-label={t("chart.label", { title, summary })} />
    </figure>
  );
}

const MINUTE = 60;

/**
 * Without samples, or with few, the axis is a minute that ends now. uPlot asks with what it is about to
 * draw, which may be nothing (null or 0) or, of a single sample, a whole day.
 */
function atLeastAMinute(plot: uPlot): [number, number] {
  const times = plot.data[0];
  const end = times[times.length - 1] ?? Date.now() / 1000;
  return [Math.min(times[0] ?? end, end - MINUTE), end];
}

function chartOptions(series: Series[], format: Props["format"], height: number, width: number, onCursor: (index: number | null) => void): uPlot.Options {
  const grid = { stroke: colour("grid"), width: 1 };
  const axis = { stroke: colour("text-faint"), font: "11px system-ui, sans-serif", grid, ticks: { show: false } };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { setScale: false } },
    padding: [8, 30, 0, 0],
    scales: { x: { time: true, range: atLeastAMinute }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 80, values: (_plot, splits) => splits.map((split) => clock(split * 1000)) },
      { ...axis, size: 58, space: 36, values: (_plot, splits) => splits.map((split) => format(split)) },
    ],
    series: [
      {},
      ...series.map((one) => ({
        label: one.label,
        stroke: colour(one.colour),
        width: 1.75,
        fill: one.fill ? colour(`${one.colour}-fill`) : undefined,
        // A line needs two ends.
        points: { show: (plot: uPlot) => plot.data[0].length === 1, size: 5 },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)] },
  };
}
