// What the page is about, what is asked, and what came back.
import { batch, computed, effect, signal } from "@preact/signals";
import { isEmpty, requestOf } from "./request";
import { connection, fetchAbout, fetchItems, invoke, Refusal } from "./server";
import type { About, Choice, Item, Neighbour, Question } from "./types";

export const about = signal<About | null>(null);
export const question = signal<Question>({ likes: [], dislikes: [], terms: [], choices: {}, diversity: 0, k: 12 });
export const found = signal<Neighbour[]>([]);
/** Why fewer came than were asked for. */
export const reason = signal<string | null>(null);
export const trouble = signal<string | null>(null);
export const isAsking = signal(false);
export const milliseconds = signal<number | null>(null);
/** What was picked on the map: how many, and the first of them. */
export const picked = signal<{ count: number; items: Item[] } | null>(null);
/** The item that the pointer is on, in the list or on the map. */
export const pointed = signal<number | null>(null);
export const view = signal<"list" | "map" | "filters">("list");
/** What a screen reader is told. */
export const said = signal("");

export const request = computed(() => (about.value ? requestOf(question.value, about.value) : null));

export function titleOf(item: Item): string {
  const name = about.value?.title;
  const title = name ? item.attributes[name] : null;
  return title === null || title === undefined || title === "" ? String(item.id) : String(title);
}

function ask(changes: Partial<Question>, isStep = false): void {
  question.value = { ...question.value, ...changes };
  remember(isStep);
}

/** Go to an item: ask for its neighbours alone. */
export function goTo(item: Item): void {
  batch(() => {
    picked.value = null;
    ask({ likes: [item], dislikes: [], terms: [] }, true);
    view.value = "list";
  });
}

const without = (items: Item[], row: number) => items.filter((one) => one.row !== row);

export function toggleLike(item: Item): void {
  const { likes, dislikes } = question.value;
  const has = likes.some((one) => one.row === item.row);
  ask({ likes: has ? without(likes, item.row) : [...likes, item], dislikes: without(dislikes, item.row) }, true);
}

export function toggleDislike(item: Item): void {
  const { likes, dislikes } = question.value;
  const has = dislikes.some((one) => one.row === item.row);
  ask({ dislikes: has ? without(dislikes, item.row) : [...dislikes, item], likes: without(likes, item.row) }, true);
}

export function toggleTerm(term: string): void {
  const { terms } = question.value;
  ask({ terms: terms.includes(term) ? terms.filter((one) => one !== term) : [...terms, term] }, true);
}

export function choose(name: string, choice: Choice | null): void {
  const { [name]: _, ...others } = question.value.choices;
  ask({ choices: choice ? { ...others, [name]: choice } : others });
}

export const clearChoices = () => ask({ choices: {} });
export const setDiversity = (diversity: number) => ask({ diversity });
export const setK = (k: number) => ask({ k });
export const startOver = () => batch(() => { picked.value = null; ask({ likes: [], dislikes: [], terms: [] }, true); });

export async function surprise(): Promise<void> {
  const n = about.value?.n_samples ?? 0;
  const [item] = await fetchItems([Math.floor(Math.random() * n)]);
  goTo(item);
}

// The address holds the question, so that it can be gone back to, kept and sent.

function remember(isStep: boolean): void {
  const { likes, dislikes, terms, choices, diversity, k } = question.value;
  const kept: Record<string, unknown> = {};
  if (likes.length) kept.like = likes.map((item) => item.row);
  if (dislikes.length) kept.dislike = dislikes.map((item) => item.row);
  if (terms.length) kept.terms = terms;
  if (Object.keys(choices).length) kept.filter = choices;
  if (diversity) kept.diversity = diversity;
  if (k !== 12) kept.k = k;
  const hash = Object.keys(kept).length ? `#${encodeURIComponent(JSON.stringify(kept))}` : location.pathname;
  history[isStep ? "pushState" : "replaceState"](null, "", hash);
}

const rowsIn = (value: unknown, n: number): number[] =>
  Array.isArray(value) ? value.filter((row) => Number.isInteger(row) && row >= 0 && row < n).slice(0, 100) : [];

export async function recall(): Promise<void> {
  let kept: any = {};
  try {
    kept = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
  } catch { /* somebody's own address: nothing is asked */ }
  const n = about.value?.n_samples ?? 0;
  const like = rowsIn(kept.like, n), dislike = rowsIn(kept.dislike, n);
  const items = await fetchItems([...like, ...dislike]);
  const known = new Set(about.value?.columns.map((column) => column.name));
  const choices = Object.entries(kept.filter ?? {}).filter(([name]) => known.has(name));
  question.value = {
    likes: items.slice(0, like.length),
    dislikes: items.slice(like.length),
    terms: Array.isArray(kept.terms) ? kept.terms.map(String) : [],
    choices: Object.fromEntries(choices) as Record<string, Choice>,
    diversity: typeof kept.diversity === "number" ? kept.diversity : 0,
    k: typeof kept.k === "number" ? kept.k : 12,
  };
}

export async function start(): Promise<void> {
  try {
    about.value = await fetchAbout();
    document.title = `${about.value.name || "Corpus"} · Explorer`;
    await recall();
  } catch (error) {
    if (error instanceof Refusal) trouble.value = error.message;
  }
}

let last: AbortController | null = null;

async function answerTo(body: Record<string, unknown>): Promise<void> {
  last?.abort();
  const mine = (last = new AbortController());
  isAsking.value = true;
  const begin = performance.now();
  try {
    const { predictions: [one] } = await invoke(body, mine.signal);
    batch(() => {
      milliseconds.value = performance.now() - begin;
      trouble.value = null;
      reason.value = one.reason ?? null;
      found.value = one.indices.map((row: number, place: number) => ({
        row,
        id: one.ids[place],
        distance: one.distances[place],
        attributes: one.items?.[place] ?? {},
        explanation: one.explanations?.[place] ?? null,
      }));
      said.value = `${found.value.length} neighbours${one.reason ? `, ${one.reason}` : ""}`;
    });
  } catch (error) {
    if (error instanceof Refusal) {
      batch(() => {
        trouble.value = error.message;
        found.value = [];
        reason.value = null;
        said.value = error.message;
      });
    }
  } finally {
    if (last === mine) isAsking.value = false;
  }
}

effect(() => {
  const body = request.value;
  if (body) void answerTo(body);
  else if (isEmpty(question.value)) {
    last?.abort();
    batch(() => { found.value = []; reason.value = null; milliseconds.value = null; });
  }
});

effect(() => {
  if (connection.value === "back") {
    // The same model again: whatever was asked meanwhile is asked once more.
    if (about.value === null) void start();
    else question.value = { ...question.peek() };
  }
});
