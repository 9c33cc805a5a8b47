// Filters made from the schema: values with counts, ranges with histograms.
import { useState } from "preact/hooks";
import { brief, count, number, text } from "./format";
import { about, choose, clearChoices, question, setDiversity, setK } from "./state";
import type { Choice, Column } from "./types";

export function Filters() {
  const columns = about.value?.columns.filter((column) => ["values", "list", "range", "date"].includes(column.kind)) ?? [];
  const chosen = Object.keys(question.value.choices).length;
  return (
    <aside class="filters" aria-label="Filters and settings">
      <section class="settings">
        <h2>Answer</h2>
        <Slider label="Diversity" value={question.value.diversity} min={0} max={1} step={0.05}
          shown={question.value.diversity === 0 ? "off" : question.value.diversity.toFixed(2)} onChange={setDiversity} />
        <p class="ends" aria-hidden="true"><span>nearest</span><span>most varied</span></p>
        <Slider label="Neighbours" value={question.value.k} min={1} max={Math.min(100, about.value?.max_neighbors ?? 100)} step={1}
          shown={String(question.value.k)} onChange={setK} />
      </section>
      {columns.length > 0 && (
        <section>
          <div class="heading">
            <h2>Filters</h2>
            {chosen > 0 && <button type="button" class="link" onClick={clearChoices}>Clear {chosen === 1 ? "it" : `all ${chosen}`}</button>}
          </div>
          {columns.map((column, place) => <Filter key={column.name} column={column} isOpen={place < 1} />)}
        </section>
      )}
    </aside>
  );
}

function Slider(given: { label: string; value: number; min: number; max: number; step: number; shown: string; onChange: (value: number) => void }) {
  const id = `slider-${given.label.toLowerCase()}`;
  return (
    <div class="slider">
      <label for={id}>{given.label}</label><output for={id}>{given.shown}</output>
      <input id={id} type="range" min={given.min} max={given.max} step={given.step} value={given.value} aria-valuetext={given.shown}
        onInput={(event) => given.onChange(Number(event.currentTarget.value))} />
    </div>
  );
}

function Filter({ column, isOpen }: { column: Column; isOpen: boolean }) {
  const choice = question.value.choices[column.name];
  return (
    <details class="filter" open={isOpen}>
      <summary>
        <span>{column.name}</span>
        {choice && <span class="badge">{summary(choice)}</span>}
      </summary>
      {column.kind === "range" ? <Range column={column} choice={choice} />
        : column.kind === "date" ? <Dates column={column} choice={choice} />
        : <Values column={column} choice={choice} />}
    </details>
  );
}

function summary(choice: Choice): string {
  if ("values" in choice) return choice.values.length === 1 ? text(choice.values[0]) : `${choice.values.length} chosen`;
  const end = (value: number | string) => (typeof value === "number" ? number(value) : value);
  if (choice.low === null) return `up to ${end(choice.high ?? "")}`;
  return choice.high === null ? `from ${end(choice.low)}` : `${end(choice.low)} to ${end(choice.high)}`;
}

const SHOWN = 8;

function Values({ column, choice }: { column: Column; choice?: Choice }) {
  const [typed, setTyped] = useState("");
  const [isWhole, setWhole] = useState(false);
  const all = column.values ?? [];
  const chosen = new Set<string | boolean>(choice && "values" in choice ? choice.values : []);
  const every = choice?.kind === "list" && choice.every;
  const most = all[0]?.count ?? 1;
  const wanted = typed.trim().toLowerCase();
  const matching = all.filter(({ value }) => !wanted || text(value).toLowerCase().includes(wanted));
  const shown = isWhole || wanted ? matching : matching.filter(({ value }, place) => place < SHOWN || chosen.has(value));

  const put = (values: (string | boolean)[], isEvery: boolean) => {
    if (!values.length) choose(column.name, null);
    else if (column.kind === "list") choose(column.name, { kind: "list", values: values as string[], every: isEvery });
    else choose(column.name, { kind: "values", values });
  };
  const toggle = (value: string | boolean) =>
    put(chosen.has(value) ? [...chosen].filter((one) => one !== value) : [...chosen, value], every);

  return (
    <div class="values">
      {all.length > SHOWN && (
        <input type="search" placeholder={`Find among ${count(column.n_distinct ?? all.length)}`} aria-label={`Find a value of ${column.name}`}
          value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      )}
      {column.kind === "list" && chosen.size > 1 && (
        <label class="every"><input type="checkbox" checked={every} onChange={() => put([...chosen], !every)} /> all of them at once</label>
      )}
      <ul>
        {shown.map(({ value, count: n }) => (
          <li key={String(value)}>
            <label>
              <input type="checkbox" checked={chosen.has(value)} onChange={() => toggle(value)} />
              <span class="value">{text(value) || "(empty)"}</span>
              <span class="count" title={count(n)}>{brief(n)}</span>
              <span class="share" aria-hidden="true" style={{ width: `${(100 * n) / most}%` }} />
            </label>
          </li>
        ))}
      </ul>
      {!wanted && matching.length > SHOWN && (
        <button type="button" class="link" onClick={() => setWhole(!isWhole)}>{isWhole ? "Fewer" : `All ${count(all.length)}`}</button>
      )}
      {wanted && !matching.length && <p class="nothing">No value has “{typed}”.</p>}
    </div>
  );
}

const STEPS = 200;

function Range({ column, choice }: { column: Column; choice?: Choice }) {
  const min = column.min as number, top = column.top as number, max = column.max as number;
  const bins = column.bins ?? [];
  const highest = Math.max(...bins, 1);
  const step = column.is_whole ? Math.max(1, Math.round((top - min) / STEPS)) : (top - min) / STEPS || 1;
  const low = choice && "low" in choice && choice.low !== null ? (choice.low as number) : min;
  const high = choice && "low" in choice && choice.high !== null ? (choice.high as number) : top;
  const put = (from: number, to: number) => {
    // The ends of the scale are no bound: beyond the last lie the few that are larger still.
    const ends = { kind: "range" as const, low: from <= min ? null : from, high: to >= top ? null : to };
    choose(column.name, ends.low === null && ends.high === null ? null : ends);
  };
  const place = (value: number) => (top > min ? (100 * (value - min)) / (top - min) : 0);
  const width = ((column.ends ?? top) - min) / (bins.length || 1);
  return (
    <div class="range">
      <svg viewBox={`0 0 ${bins.length} 40`} preserveAspectRatio="none" aria-hidden="true">
        {bins.map((n, bin) => {
          const middle = min + (bin + 0.5) * width;
          const height = n ? Math.max(1, (40 * n) / highest) : 0;
          return <rect key={bin} x={bin + 0.06} width={0.88} y={40 - height} height={height}
            class={middle + width / 2 > low && middle - width / 2 <= high ? "in" : "out"} />;
        })}
      </svg>
      <div class="ends two">
        <span class="track" aria-hidden="true" />
        <span class="between" aria-hidden="true" style={{ left: `${place(low)}%`, right: `${100 - place(high)}%` }} />
        <input type="range" aria-label={`${column.name}, at least`} min={min} max={top} step={step} value={low}
          onInput={(event) => put(Math.min(Number(event.currentTarget.value), high), high)} />
        <input type="range" aria-label={`${column.name}, at most`} min={min} max={top} step={step} value={high}
          onInput={(event) => put(low, Math.max(Number(event.currentTarget.value), low))} />
      </div>
      <p class="ends"><span>{number(low)}</span><span>{high >= top && max > top ? `${number(top)} and more` : number(high)}</span></p>
      {column.n_missing > 0 && <p class="fine">{count(column.n_missing)} have none, and no range holds them.</p>}
    </div>
  );
}

function Dates({ column, choice }: { column: Column; choice?: Choice }) {
  const ends = choice && "low" in choice ? choice : { low: null, high: null };
  const day = (value: unknown) => String(value ?? "").slice(0, 10);
  const isDay = String(column.min).length === 10;
  const put = (low: string | null, high: string | null) =>
    choose(column.name, low === null && high === null ? null : { kind: "date", low, high });
  const moment = (value: string, end: string) => (value ? (isDay ? value : `${value}T${end}${String(column.min).endsWith("Z") ? "Z" : ""}`) : null);
  return (
    <div class="dates">
      <label>from <input type="date" min={day(column.min)} max={day(column.max)} value={day(ends.low)}
        onChange={(event) => put(moment(event.currentTarget.value, "00:00:00"), ends.high as string | null)} /></label>
      <label>to <input type="date" min={day(column.min)} max={day(column.max)} value={day(ends.high)}
        onChange={(event) => put(ends.low as string | null, moment(event.currentTarget.value, "23:59:59"))} /></label>
    </div>
  );
}
