// The map: points, a colour for each, the question and its neighbours lit; zoom, hover, selection.
import { effect } from "@preact/signals";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type ZoomTransform } from "d3-zoom";
import KDBush from "kdbush";
import { useEffect, useRef, useState } from "preact/hooks";
import { count, text } from "./format";
import { type Legend, colours, scale, swatch } from "./palette";
import { Plot } from "./plot";
import { aside } from "./search";
import { connection, fetchFrame, fetchItems, fetchPlaces } from "./server";
import { about, found, goTo, picked, pointed, question, said, titleOf, view } from "./state";
import type { Item } from "./types";

const REST_MS = 160;
const HOVER_MS = 70;
const REACH_PX = 10;
const MOST_PICKED = 50;
const GROUND = 65_535;

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDarkNow = () => {
  const theme = document.documentElement.dataset.theme;
  return theme === "dark" || (theme !== "light" && dark.matches);
};

interface Tip { row: number; x: number; y: number; item: Item | null }

/** Everything about the map that is not markup. */
class Chart {
  readonly plot: Plot;
  private at: ZoomTransform = zoomIdentity;
  private places = new Uint16Array();
  /** Row of each point in drawing order, and the other way round. */
  private order = new Uint32Array();
  private rows: Uint32Array | null = null;
  private index: KDBush | null = null;
  private known = new Map<number, [number, number]>();
  private lit: { rows: number[]; likes: number[]; dislikes: number[] } = { rows: [], likes: [], dislikes: [] };
  private isMoving = false;
  private frame = 0;
  private rest = 0;
  legend: Legend | null = null;
  isSelecting = false;
  onTip: (tip: Tip | null) => void = () => {};
  private items = new Map<number, Item>();
  private hovered: number | null = null;
  private hoverTimer = 0;
  readonly behaviour = zoom<HTMLElement, unknown>();

  constructor(private readonly box: HTMLElement, canvas: HTMLCanvasElement, private readonly over: HTMLCanvasElement) {
    this.plot = new Plot(canvas);
    this.behaviour
      .scaleExtent([1, 400])
      .filter((event: any) => !(event.shiftKey || (this.isSelecting && event.type !== "wheel")) && !event.button)
      .on("start", () => { this.isMoving = true; clearTimeout(this.rest); })
      .on("zoom", ({ transform }) => { this.at = transform; this.setTip(null); this.redraw(); })
      .on("end", () => { this.rest = window.setTimeout(() => { this.isMoving = false; this.redraw(); }, REST_MS); });
    select(box).call(this.behaviour).on("dblclick.zoom", null);
  }

  async load(): Promise<void> {
    const { header, body } = await fetchFrame("explorer/api/map");
    const n: number = header.n;
    const given = new Uint16Array(body, 0, 2 * n);
    this.rows = header.is_sample ? new Uint32Array(body, Math.ceil((4 * n) / 4) * 4, n) : null;
    this.order = shuffled(n);
    this.places = new Uint16Array(2 * n);
    for (let place = 0; place < n; place++) {
      this.places[2 * place] = given[2 * this.order[place]];
      this.places[2 * place + 1] = given[2 * this.order[place] + 1];
    }
    this.given = given;
    this.plot.setPoints(this.places, new Uint8Array(n));
    this.index = new KDBush(n, 64, Uint16Array);
    for (let place = 0; place < n; place++) this.index.add(given[2 * place], given[2 * place + 1]);
    this.index.finish();
    this.paint(null);
    await this.light();
  }
  private given = new Uint16Array();

  async colour(column: string): Promise<Legend | null> {
    if (!column) {
      this.legend = null;
      this.plot.setCodes(new Uint8Array(this.order.length));
    } else {
      const { header, body } = await fetchFrame(`explorer/api/colours?column=${encodeURIComponent(column)}`);
      const codes = new Uint8Array(body);
      this.legend = header;
      this.plot.setCodes(Uint8Array.from(this.order, (place) => codes[place]));
    }
    this.paint(null);
    return this.legend;
  }

  paint(only: number | null): void {
    this.plot.setPalette(colours(this.legend, isDarkNow(), only));
    this.redraw();
  }

  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { width: before, height: above } = this.plot;
    this.plot.resize(width, height, ratio);
    this.over.width = width * ratio;
    this.over.height = height * ratio;
    this.behaviour.extent([[0, 0], [width, height]]).translateExtent([[-0.1 * width, -0.1 * height], [1.1 * width, 1.1 * height]]);
    // What was in sight stays there.
    const { k, x, y } = this.at;
    select(this.box).call(this.behaviour.transform, zoomIdentity.translate((x * width) / before, (y * height) / above).scale(k));
    this.redraw();
  }

  /** Light the question and its answers, wherever they lie. */
  async light(): Promise<void> {
    const rows = found.value.map((one) => one.row);
    const likes = question.value.likes.map((one) => one.row), dislikes = question.value.dislikes.map((one) => one.row);
    for (const one of [...found.value, ...question.value.likes, ...question.value.dislikes]) this.items.set(one.row, one);
    const missing = [...rows, ...likes, ...dislikes].filter((row) => this.rows && !this.known.has(row));
    if (missing.length) {
      const places = await fetchPlaces(missing);
      missing.forEach((row, place) => this.known.set(row, places[place]));
    }
    this.lit = { rows, likes, dislikes };
    this.redraw();
  }

  redraw(): void {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  private draw(): void {
    this.plot.draw(this.at, this.isMoving);
    this.drawOver();
  }

  /** Where a row is on the screen. */
  private screen(row: number): [number, number] | null {
    const known = this.known.get(row);
    const place = known ?? (this.rows || 2 * row + 1 >= this.given.length ? null : [this.given[2 * row] / GROUND, this.given[2 * row + 1] / GROUND]);
    return place && this.at.apply([place[0] * this.plot.width, (1 - place[1]) * this.plot.height]);
  }

  private drawOver(): void {
    const pen = this.over.getContext("2d")!;
    const style = getComputedStyle(this.box);
    const [ink, ground, like, dislike] = ["--ink", "--ground", "--accent", "--against"].map((name) => style.getPropertyValue(name));
    const ratio = this.over.width / this.plot.width;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.plot.width, this.plot.height);
    const from = this.lit.likes.map((row) => this.screen(row)).filter((one) => one !== null);
    const spots = this.lit.rows.map((row) => ({ row, spot: this.screen(row) }));
    if (from.length === 1) {
      pen.strokeStyle = ink;
      pen.globalAlpha = 0.22;
      pen.lineWidth = 1;
      pen.beginPath();
      for (const { spot } of spots) if (spot) { pen.moveTo(...from[0]); pen.lineTo(...spot); }
      pen.stroke();
      pen.globalAlpha = 1;
    }
    const dot = ([x, y]: [number, number], radius: number, fill: string, edge: string, width = 1.5) => {
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fillStyle = fill;
      pen.fill();
      pen.lineWidth = width;
      pen.strokeStyle = edge;
      pen.stroke();
    };
    for (const { row, spot } of spots) if (spot) dot(spot, row === pointed.value ? 7 : 4.5, ground, ink, row === pointed.value ? 2.5 : 1.75);
    for (const row of this.lit.dislikes) { const spot = this.screen(row); if (spot) dot(spot, 6, dislike, ground, 2); }
    for (const spot of from) dot(spot, 7, like, ground, 2);
    const alone = pointed.value !== null && !this.lit.rows.includes(pointed.value) ? this.screen(pointed.value) : null;
    if (alone) dot(alone, 6, "transparent", ink, 2);
    if (this.drag) {
      const { x0, y0, x1, y1 } = this.drag;
      pen.fillStyle = like;
      pen.globalAlpha = 0.12;
      pen.fillRect(x0, y0, x1 - x0, y1 - y0);
      pen.globalAlpha = 1;
      pen.strokeStyle = like;
      pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
  }

  /** The row whose point is nearest to a place on the screen, within reach. */
  nearest(x: number, y: number, reach = REACH_PX): number | null {
    if (!this.index) return null;
    let best: number | null = null, least = reach * reach;
    const consider = (row: number) => {
      const spot = this.screen(row);
      if (!spot) return;
      const far = (spot[0] - x) ** 2 + (spot[1] - y) ** 2;
      if (far <= least) { least = far; best = row; }
    };
    for (const row of [...this.lit.rows, ...this.lit.likes, ...this.lit.dislikes]) consider(row);
    if (best !== null) return best;
    for (const place of this.within(x - reach, y - reach, x + reach, y + reach)) {
      const [px, py] = this.at.apply([(this.given[2 * place] / GROUND) * this.plot.width, (1 - this.given[2 * place + 1] / GROUND) * this.plot.height]);
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far <= least) { least = far; best = place; }
    }
    return best === null ? null : this.rows ? this.rows[best] : best;
  }

  private within(x0: number, y0: number, x1: number, y1: number): number[] {
    if (!this.index) return [];
    const [left, top] = this.at.invert([Math.min(x0, x1), Math.min(y0, y1)]), [right, bottom] = this.at.invert([Math.max(x0, x1), Math.max(y0, y1)]);
    const { width, height } = this.plot;
    return this.index.range((GROUND * left) / width, GROUND * (1 - bottom / height), (GROUND * right) / width, GROUND * (1 - top / height));
  }

  hover(x: number, y: number): void {
    const row = this.nearest(x, y);
    if (row === this.hovered) return;
    this.hovered = row;
    pointed.value = row;
    clearTimeout(this.hoverTimer);
    if (row === null) return this.setTip(null);
    const spot = this.screen(row) ?? [x, y];
    const item = this.items.get(row) ?? null;
    if (item) return this.setTip({ row, x: spot[0], y: spot[1], item });
    this.hoverTimer = window.setTimeout(async () => {
      const [fetched] = await fetchItems([row]).catch(() => []);
      if (!fetched) return;
      if (this.items.size > 2000) this.items.clear();
      this.items.set(row, fetched);
      if (this.hovered === row) this.setTip({ row, x: spot[0], y: spot[1], item: fetched });
    }, HOVER_MS);
  }

  leave(): void {
    this.hovered = null;
    pointed.value = null;
    this.setTip(null);
  }

  private setTip(tip: Tip | null): void {
    if (!tip) this.hovered = null;
    this.onTip(tip);
  }

  async pick(x: number, y: number, reach?: number): Promise<void> {
    const row = this.nearest(x, y, reach);
    if (row === null) return;
    const item = this.items.get(row) ?? (await fetchItems([row]))[0];
    if (item) goTo(item);
  }

  drag: { x0: number; y0: number; x1: number; y1: number } | null = null;

  async choose(): Promise<void> {
    if (!this.drag) return;
    const { x0, y0, x1, y1 } = this.drag;
    this.drag = null;
    this.redraw();
    if (Math.abs(x1 - x0) < 4 || Math.abs(y1 - y0) < 4) return;
    const places = this.within(x0, y0, x1, y1).sort((a, b) => a - b);
    const rows = places.slice(0, MOST_PICKED).map((place) => (this.rows ? this.rows[place] : place));
    picked.value = { count: places.length, items: await fetchItems(rows) };
    said.value = `${count(places.length)} in the selection`;
    view.value = "list";
  }

  zoomBy(factor: number): void { select(this.box).call(this.behaviour.scaleBy, factor); }
  panBy(x: number, y: number): void { select(this.box).call(this.behaviour.translateBy, x / this.at.k, y / this.at.k); }
  whole(): void { select(this.box).call(this.behaviour.transform, zoomIdentity); }

  /** Bring the question and its neighbours into sight. */
  near(): void {
    const spots = [...this.lit.rows, ...this.lit.likes].map((row) => this.screen(row)).filter((one) => one !== null).map((one) => this.at.invert(one));
    if (!spots.length) return;
    const xs = spots.map((one) => one[0]), ys = spots.map((one) => one[1]);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const { width, height } = this.plot;
    const k = Math.max(1, Math.min(60, 0.8 / Math.max((right - left) / width, (bottom - top) / height, 0.01)));
    const to = zoomIdentity.translate(width / 2, height / 2).scale(k).translate(-(left + right) / 2, -(top + bottom) / 2);
    select(this.box).call(this.behaviour.transform, to);
  }
}

/** All places in an order that looks random and is always the same. */
function shuffled(n: number): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: n }, (_, place) => place);
  let seed = 0x9e3779b9;
  for (let place = n - 1; place > 0; place--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((seed / 2 ** 32) * (place + 1));
    [order[place], order[other]] = [order[other], order[place]];
  }
  return order;
}

const canColour = () => about.value?.columns.filter((column) => ["values", "list", "range", "date"].includes(column.kind)) ?? [];

function firstColour(): string {
  const columns = canColour();
  const few = columns.find((column) => column.kind === "values" && (column.n_distinct ?? 0) > 1 && (column.n_distinct ?? 0) <= 100);
  return (few ?? columns[0])?.name ?? "";
}

export function MapPane() {
  const box = useRef<HTMLDivElement>(null), canvas = useRef<HTMLCanvasElement>(null), over = useRef<HTMLCanvasElement>(null);
  const chart = useRef<Chart | null>(null);
  const [state, setState] = useState<"loading" | "ready" | "none" | "failed">("loading");
  const [column, setColumn] = useState("");
  const [legend, setLegend] = useState<Legend | null>(null);
  const [only, setOnly] = useState<number | null>(null);
  const [tip, setTip] = useState<Tip | null>(null);
  const [isSelecting, setSelecting] = useState(false);
  const [isDark, setDark] = useState(isDarkNow);
  const isKnown = about.value !== null;

  useEffect(() => {
    if (!isKnown || !box.current || !canvas.current || !over.current) return;
    let made: Chart;
    try {
      made = chart.current = new Chart(box.current, canvas.current, over.current);
    } catch {
      return setState("none");
    }
    made.onTip = setTip;
    const watcher = new ResizeObserver(() => made.resize());
    watcher.observe(box.current);
    const load = async () => {
      try {
        await made.load();
        setState("ready");
        setColumn(firstColour());
      } catch {
        setState("failed");
      }
    };
    void load();
    const stops = [
      effect(() => { found.value; question.value; void made.light().catch(() => {}); }),
      effect(() => { pointed.value; made.redraw(); }),
      effect(() => { if (connection.value === "back" && made.legend === null) void load(); }),
    ];
    const onTheme = () => setDark(isDarkNow());
    addEventListener("themechange", onTheme);
    dark.addEventListener("change", onTheme);
    return () => { watcher.disconnect(); stops.forEach((stop) => stop()); };
  }, [isKnown]);

  useEffect(() => {
    if (state !== "ready") return;
    setOnly(null);
    chart.current?.colour(column).then(setLegend, () => {});
  }, [column, state]);
  useEffect(() => { chart.current?.paint(only); }, [only, isDark, legend]);
  useEffect(() => { if (chart.current) chart.current.isSelecting = isSelecting; }, [isSelecting]);

  const at = (event: PointerEvent): [number, number] => {
    const { left, top } = box.current!.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const down = useRef<[number, number] | null>(null);
  const onDown = (event: PointerEvent) => {
    const [x, y] = (down.current = at(event));
    if (chart.current && (event.shiftKey || isSelecting)) {
      chart.current.drag = { x0: x, y0: y, x1: x, y1: y };
      box.current!.setPointerCapture(event.pointerId);
    }
  };
  const onMove = (event: PointerEvent) => {
    const [x, y] = at(event);
    if (chart.current?.drag) { Object.assign(chart.current.drag, { x1: x, y1: y }); chart.current.redraw(); }
    else if (!event.buttons) chart.current?.hover(x, y);
  };
  const onUp = (event: PointerEvent) => {
    const [x, y] = at(event);
    if (chart.current?.drag) void chart.current.choose();
    else if (down.current && Math.hypot(x - down.current[0], y - down.current[1]) < 4) void chart.current?.pick(x, y);
    down.current = null;
  };
  const onKey = (event: KeyboardEvent) => {
    const steps: Record<string, () => void> = {
      ArrowLeft: () => chart.current?.panBy(60, 0), ArrowRight: () => chart.current?.panBy(-60, 0),
      ArrowUp: () => chart.current?.panBy(0, 60), ArrowDown: () => chart.current?.panBy(0, -60),
      "+": () => chart.current?.zoomBy(1.5), "=": () => chart.current?.zoomBy(1.5), "-": () => chart.current?.zoomBy(1 / 1.5),
      "0": () => chart.current?.whole(),
      Enter: () => void chart.current?.pick(box.current!.clientWidth / 2, box.current!.clientHeight / 2, 1e4),
    };
    const step = steps[event.key];
    if (step && !event.ctrlKey && !event.metaKey) { event.preventDefault(); step(); }
  };

  const isAny = found.value.length > 0;
  return (
    <section class="map" aria-label="Map">
      <div class="tools">
        {canColour().length > 0 && (
          <label>Colour <select value={column} onChange={(event) => setColumn(event.currentTarget.value)}>
            <option value="">none</option>
            {canColour().map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
          </select></label>
        )}
        <span class="gap" />
        <button type="button" aria-pressed={isSelecting} title="Drag a rectangle; Shift does the same" onClick={() => setSelecting(!isSelecting)}>Select</button>
        <button type="button" class="near" disabled={!isAny} onClick={() => chart.current?.near()}>Neighbours</button>
        <button type="button" onClick={() => chart.current?.whole()}>Whole</button>
        <button type="button" aria-label="Zoom in" onClick={() => chart.current?.zoomBy(1.6)}>+</button>
        <button type="button" aria-label="Zoom out" onClick={() => chart.current?.zoomBy(1 / 1.6)}>−</button>
      </div>
      <div ref={box} class={isSelecting ? "plot selecting" : "plot"} role="application" tabIndex={0} data-state={state}
        aria-label="Map of the corpus. Arrow keys move it, plus and minus zoom, Enter goes to the point in the middle."
        onPointerDown={onDown} onPointerMove={onMove} onPointerUp={onUp} onPointerLeave={() => chart.current?.leave()} onKeyDown={onKey}>
        <canvas ref={canvas} aria-hidden="true" />
        <canvas ref={over} aria-hidden="true" />
        <span class="cross" aria-hidden="true" />
        {tip?.item && (
          <div class={tip.x > (box.current?.clientWidth ?? 0) / 2 ? "tip left" : "tip"} style={{ transform: `translate(${tip.x}px, ${tip.y}px)` }}>
            <div><b>{titleOf(tip.item)}</b><span>{aside(tip.item)}</span>
              {column && text(tip.item.attributes[column]) && !aside(tip.item).includes(text(tip.item.attributes[column])) && <span>{column} {text(tip.item.attributes[column])}</span>}
            </div>
          </div>
        )}
        {state === "loading" && <p class="fine middle">Drawing the map…</p>}
        {state === "none" && <p class="fine middle">The map needs WebGL, which this browser does not offer.</p>}
        {state === "failed" && <p class="fine middle">The map could not be had.</p>}
      </div>
      <Key legend={legend} isDark={isDark} only={only} onOnly={setOnly} />
    </section>
  );
}

function Key({ legend, isDark, only, onOnly }: { legend: Legend | null; isDark: boolean; only: number | null; onOnly: (only: number | null) => void }) {
  if (!legend) return null;
  if (!legend.values) {
    return (
      <p class="key scale"><span>{text(legend.min)}</span>
        <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
          <defs><linearGradient id="scale">{scale(isDark).map((stop, place, all) => <stop key={stop} offset={place / (all.length - 1)} stop-color={stop} />)}</linearGradient></defs>
          <rect width="100" height="8" rx="4" fill="url(#scale)" />
        </svg>
        <span>{text(legend.max)}</span></p>
    );
  }
  return (
    <ul class="key" aria-label={`Colours of ${legend.column}`}>
      {legend.values.map((value, place) => (
        <li key={text(value)}><button type="button" aria-pressed={only === place} onClick={() => onOnly(only === place ? null : place)}>
          <svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5" fill={swatch(place, isDark)} /></svg>{text(value)}
        </button></li>
      ))}
    </ul>
  );
}
