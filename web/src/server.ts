// What the page asks the server, and what it does when there is no answer.
import { signal } from "@preact/signals";
import type { About, Item } from "./types";

/** The server refused; its message says what was expected and what came. */
export class Refusal extends Error {
  constructor(readonly code: string, message: string, readonly where: string | null) {
    super(message);
  }
}

export type Connection = "there" | "gone" | "back" | "changed";

/** Whether the server answers; "changed" means that it now serves something else. */
export const connection = signal<Connection>("there");

const RETRY_MS = 1500;
let waiting = false;
let generation: string | null = null;

async function answer(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if ((error as Error).name !== "AbortError") lost();
    throw error;
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const facts = body?.error ?? { code: "unknown", message: `The server answered ${response.status}.`, where: null };
  if (response.status === 503 && (facts.code === "not-ready" || facts.code === "stopping")) lost();
  throw new Refusal(facts.code, facts.message, facts.where);
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await answer(path, init)).json() as Promise<T>;
}

function lost(): void {
  connection.value = "gone";
  if (waiting) return;
  waiting = true;
  const retry = async () => {
    try {
      const now = await (await fetch("explorer/api/about")).json();
      if (!now.generation && now.error) throw new Error(now.error.code);
      waiting = false;
      connection.value = generation === null || now.generation === generation ? "back" : "changed";
    } catch {
      setTimeout(retry, RETRY_MS);
    }
  };
  setTimeout(retry, RETRY_MS);
}

export async function fetchAbout(): Promise<About> {
  const found = await json<About>("explorer/api/about");
  generation = found.generation;
  return found;
}

export const search = async (typed: string, signal: AbortSignal): Promise<Item[]> =>
  (await json<{ results: Item[] }>(`explorer/api/search?q=${encodeURIComponent(typed)}&limit=12`, { signal })).results;

export const findTerms = async (typed: string, signal: AbortSignal): Promise<string[]> =>
  (await json<{ terms: string[] }>(`explorer/api/terms?q=${encodeURIComponent(typed)}`, { signal })).terms;

export const fetchItems = async (rows: number[]): Promise<Item[]> =>
  rows.length === 0 ? [] : (await json<{ items: Item[] }>(`explorer/api/items?rows=${rows.join(",")}`)).items;

export const fetchPlaces = async (rows: number[]): Promise<[number, number][]> =>
  (await json<{ places: [number, number][] }>(`explorer/api/places?rows=${rows.join(",")}`)).places;

export interface Frame {
  header: any;
  body: ArrayBuffer;
}

/** Read a frame: the header's length, the header as JSON, the arrays. */
export async function fetchFrame(path: string): Promise<Frame> {
  const bytes = await (await answer(path)).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  return { header, body: bytes.slice(4 + length) };
}

export const invoke = async (request: unknown, signal: AbortSignal): Promise<any> =>
  json("invocations", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(request),
    signal,
  });
