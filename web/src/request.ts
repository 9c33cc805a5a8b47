// The question on the page as a request that anybody can send.
import type { About, Choice, Question } from "./types";

const WORDS = new Set(["and", "or", "not"]);

/** An attribute's name as the filter language has it. */
const keyOf = (name: string) => (WORDS.has(name) || name.startsWith("column:") ? `column:${name}` : name);

function conditionOf(choice: Choice): unknown {
  if (choice.kind === "values") return choice.values.length === 1 ? choice.values[0] : choice.values;
  if (choice.kind === "list") return { [choice.every ? "all" : "any"]: choice.values };
  const ends: Record<string, unknown> = {};
  if (choice.low !== null) ends.ge = choice.low;
  if (choice.high !== null) ends.le = choice.high;
  return ends;
}

export function filterOf(choices: Record<string, Choice>): Record<string, unknown> | null {
  const entries = Object.entries(choices).map(([name, choice]) => [keyOf(name), conditionOf(choice)]);
  return entries.length ? Object.fromEntries(entries) : null;
}

export const isEmpty = (question: Question) => !question.likes.length && !question.terms.length && !question.dislikes.length;

/** The body of the request to /invocations; null while nothing is asked. */
export function requestOf(question: Question, about: About): Record<string, unknown> | null {
  if (isEmpty(question)) return null;
  const parameters: Record<string, unknown> = { k: Math.min(question.k, about.max_neighbors) };
  const isPlain = question.likes.length === 1 && !question.dislikes.length && !question.terms.length;
  if (question.likes.length || question.dislikes.length) parameters.exclude_self = true;
  if (about.columns.length) parameters.include_items = true;
  const filter = filterOf(question.choices);
  if (filter) parameters.filter = filter;
  if (question.diversity > 0) parameters.diversity = question.diversity;
  if (isPlain) return { ids: [question.likes[0].id], parameters };
  parameters.explain = true;
  const request: Record<string, unknown> = {};
  if (question.likes.length) request.like = question.likes.map((item) => item.id);
  if (question.dislikes.length) request.dislike = question.dislikes.map((item) => item.id);
  if (question.terms.length) request.terms = question.terms;
  return { ...request, parameters };
}

const LINE = 76;

function onOneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${onOneLine(one)}`).join(", ")}}`;
}

/** JSON with what is short on one line. */
export function asJson(value: unknown, indent = ""): string {
  const short = onOneLine(value);
  if (indent.length + short.length <= LINE || typeof value !== "object" || value === null) return short;
  const inner = indent + "  ";
  const pieces = Array.isArray(value)
    ? value.map((one) => inner + asJson(one, inner))
    : Object.entries(value).map(([key, one]) => `${inner}${JSON.stringify(key)}: ${asJson(one, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${pieces.join(",\n")}\n${indent}${close}`;
}

export function asCurl(request: unknown, origin: string): string {
  const body = asJson(request).replaceAll("'", String.raw`'\''`);
  return `curl ${origin}/invocations \\\n  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
}

export function asPython(request: any, origin: string): string {
  const { parameters, ...fields } = request;
  const given = Object.entries({ ...fields, ...parameters })
    .map(([name, value]) => `    ${name === "k" ? "n_neighbors" : name}=${literal(value)},`)
    .join("\n");
  const call = fields.ids ? "(found,) = client.query" : "found = client.recommend";
  return `from kneighbors import Client\n\nclient = Client(${literal(origin)})\n${call}(\n${given}\n)\nprint(found.ids, found.distances)`;
}

/** A value as Python writes it. */
function literal(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value as object).map(([k, v]) => `${JSON.stringify(k)}: ${literal(v)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
