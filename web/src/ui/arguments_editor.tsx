// Name and value pairs of a declaration or a policy. A value is a number or true/false where it looks
// like one, JSON where it begins with { [ or ", and text otherwise.
import { useT } from "../i18n";
import { Button } from "./parts";

export interface Pair {
  name: string;
  value: string;
}

export function pairsOf(values: Record<string, unknown>): Pair[] {
  return Object.entries(values).map(([name, value]) => ({ name, value: typeof value === "string" && String(valueOf(value)) === value ? value : JSON.stringify(value) }));
}

export function valueOf(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "true" || trimmed === "false") return trimmed === "true";
  if (/^-?\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  if (/^[[{"]/.test(trimmed)) return JSON.parse(trimmed) as unknown;
  return text;
}

export function valuesOf(pairs: Pair[]): Record<string, unknown> {
  return Object.fromEntries(pairs.filter((pair) => pair.name).map((pair) => [pair.name, valueOf(pair.value)]));
}

export function ArgumentsEditor({ pairs, onChange, known, label }: { pairs: Pair[]; onChange(pairs: Pair[]): void; known: string[]; label: string }) {
  const t = useT();
  const set = (index: number, change: Partial<Pair>) => onChange(pairs.map((pair, at) => (at === index ? { ...pair, ...change } : pair)));
  const list = `known-${known[0] ?? "names"}`;
  return (
    <fieldset className="arguments-editor">
      <legend className="field-label">{label}</legend>
      <datalist id={list}>
        {known.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {pairs.map((pair, index) => (
        <div className="pair" key={index}>
          <input aria-label={t("name")} placeholder={known[0]} list={list} value={pair.name} onChange={(event) => set(index, { name: event.target.value })} />
          <input aria-label={t("value")} placeholder={t("value")} value={pair.value} onChange={(event) => set(index, { value: event.target.value })} />
          <Button kind="quiet" icon="close" aria-label={t("remove")} onClick={() => onChange(pairs.filter((_, at) => at !== index))} />
        </div>
      ))}
      <Button kind="quiet" icon="plus" onClick={() => onChange([...pairs, { name: "", value: "" }])}>
        {t("add")}
      </Button>
    </fieldset>
  );
}
