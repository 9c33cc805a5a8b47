// What is asked, as chips, and what came back.
import { useEffect, useRef, useState } from "preact/hooks";
import { count, distance, text } from "./format";
import { findTerms } from "./server";
import {
  about, found, goTo, isAsking, milliseconds, picked, pointed, question, reason, request, startOver, surprise,
  titleOf, toggleDislike, toggleLike, toggleTerm, trouble,
} from "./state";
import type { Item, Neighbour } from "./types";

export function Results({ onRequest }: { onRequest: () => void }) {
  return (
    <section class="results" aria-label="Answer" aria-busy={isAsking.value}>
      <Asked />
      {picked.value ? <Picked /> : request.value ? <Found onRequest={onRequest} /> : <Start />}
    </section>
  );
}

function Asked() {
  const { likes, dislikes, terms } = question.value;
  return (
    <section class="asked" aria-label="What is asked">
      <div class="chips">
        {likes.map((item) => <Chip key={item.row} kind="like" label={titleOf(item)} onRemove={() => toggleLike(item)} />)}
        {dislikes.map((item) => <Chip key={item.row} kind="dislike" label={titleOf(item)} onRemove={() => toggleDislike(item)} />)}
        {terms.map((term) => <Chip key={term} kind="term" label={term} onRemove={() => toggleTerm(term)} />)}
        {about.value && about.value.n_terms > 0 && <Terms />}
      </div>
    </section>
  );
}

const SIGNS = { like: "+", dislike: "−", term: "#" };
const WORDS = { like: "Like", dislike: "Not like", term: "Term" };

function Chip({ kind, label, onRemove }: { kind: keyof typeof SIGNS; label: string; onRemove: () => void }) {
  return (
    <span class={`chip ${kind}`}>
      <span class="sign" aria-hidden="true">{SIGNS[kind]}</span>
      <span class="hidden">{WORDS[kind]} </span>
      <span class="label" title={label}>{label}</span>
      <button type="button" aria-label={`Remove ${label}`} onClick={onRemove}>×</button>
    </span>
  );
}

function Terms() {
  const [typed, setTyped] = useState("");
  const [terms, setTerms] = useState<string[]>([]);
  const [active, setActive] = useState(0);
  const last = useRef<AbortController | null>(null);
  useEffect(() => {
    last.current?.abort();
    if (!typed.trim()) return setTerms([]);
    const mine = (last.current = new AbortController());
    findTerms(typed, mine.signal).then((some) => { setTerms(some); setActive(0); }).catch(() => {});
  }, [typed]);
  const take = (term: string) => { toggleTerm(term); setTyped(""); setTerms([]); };
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step && terms.length) { event.preventDefault(); setActive((active + step + terms.length) % terms.length); }
    else if (event.key === "Enter" && terms.length) { event.preventDefault(); take(terms[active]); }
    else if (event.key === "Escape") { setTyped(""); setTerms([]); }
  };
  return (
    <span class="terms">
      <input type="text" role="combobox" aria-label="Add a term" placeholder="Add a term" aria-autocomplete="list" aria-controls="terms"
        aria-expanded={terms.length > 0} aria-activedescendant={terms.length ? `term-${active}` : undefined} autocomplete="off" maxLength={100}
        value={typed} onInput={(event) => setTyped(event.currentTarget.value)} onKeyDown={onKey} onBlur={() => setTerms([])} />
      <ul id="terms" role="listbox" aria-label="Terms" hidden={!terms.length}>
        {terms.map((term, place) => (
          <li key={term} id={`term-${place}`} role="option" aria-selected={place === active}
            onMouseDown={(event) => event.preventDefault()} onMouseMove={() => setActive(place)} onClick={() => take(term)}>{term}</li>
        ))}
      </ul>
    </span>
  );
}

function Found({ onRequest }: { onRequest: () => void }) {
  const items = found.value;
  const farthest = Math.max(...items.map((one) => one.distance), 1e-12);
  return (
    <>
      <div class="count">
        <p>{items.length === 1 ? "1 neighbour" : `${items.length} neighbours`}{milliseconds.value !== null && ` in ${time(milliseconds.value)}`}</p>
        <span class="gap" />
        <button type="button" class="link" onClick={onRequest}>Show the request</button>
        <button type="button" class="link" onClick={startOver}>Start over</button>
      </div>
      {trouble.value && <p class="trouble" role="alert">{trouble.value}</p>}
      {reason.value && !trouble.value && <p class="reason">{items.length ? `Fewer than ${question.value.k}` : "None"}: {reason.value}.</p>}
      <ol class="list">
        {items.map((one) => <Row key={one.row} item={one} share={Math.max(0, one.distance) / farthest} />)}
      </ol>
    </>
  );
}

const time = (ms: number) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;

function Start() {
  const facts = about.value;
  if (!facts) return <p class="fine">Opening…</p>;
  return (
    <div class="start">
      <h2>{facts.name || "The corpus"}</h2>
      <p>{count(facts.n_samples)} items in {count(facts.n_features)} dimensions, by {facts.metric} distance.</p>
      <p>Type a name above{facts.n_terms > 0 ? ", add a term" : ""} or click a point of the map to see what lies near it. Then say what you like and what you do not.</p>
      <button type="button" class="primary" onClick={surprise}>Surprise me</button>
    </div>
  );
}

function Picked() {
  const some = picked.value!;
  return (
    <>
      <p class="count">
        {count(some.count)} in the selection{some.count > some.items.length && <span class="fine"> the first {some.items.length} of them</span>}
        <button type="button" class="link" onClick={() => (picked.value = null)}>Back to neighbours</button>
      </p>
      <ol class="list">{some.items.map((item) => <Row key={item.row} item={item} />)}</ol>
    </>
  );
}

function Row({ item, share }: { item: Item | Neighbour; share?: number }) {
  const title = titleOf(item);
  const likes = question.value.likes.some((one) => one.row === item.row);
  const dislikes = question.value.dislikes.some((one) => one.row === item.row);
  return (
    <li class={pointed.value === item.row ? "row pointed" : "row"} onMouseEnter={() => (pointed.value = item.row)} onMouseLeave={() => (pointed.value = null)}>
      <div class="what">
        <button type="button" class="title" onClick={() => goTo(item)} onFocus={() => (pointed.value = item.row)}>{title}</button>
        <Attributes item={item} />
        {"explanation" in item && item.explanation && <Why item={item} />}
      </div>
      <div class="side">
        {"distance" in item && (
          <span class="distance" title={String(item.distance)}>
            <span class="hidden">distance </span>{distance(item.distance)}
            <span class="bar" aria-hidden="true"><span style={{ width: `${100 * (share ?? 0)}%` }} /></span>
          </span>
        )}
        <span class="signs">
          <button type="button" class="like" aria-pressed={likes} aria-label={`More like ${title}`} title="More like this" onClick={() => toggleLike(item)}>+</button>
          <button type="button" class="dislike" aria-pressed={dislikes} aria-label={`Less like ${title}`} title="Less like this" onClick={() => toggleDislike(item)}>−</button>
        </span>
      </div>
    </li>
  );
}

function Attributes({ item }: { item: Item }) {
  const columns = about.value?.columns.filter((column) => column.name !== about.value?.title) ?? [];
  const there = columns.filter((column) => text(item.attributes[column.name]) !== "");
  const brief = there.filter((column) => column.kind !== "list" && column.kind !== "text");
  const long = there.filter((column) => column.kind === "list" || column.kind === "text");
  return (
    <dl class="attributes">
      {brief.map((column) => (
        <div key={column.name}><dt class={column.kind === "values" ? "hidden" : ""}>{column.name}</dt><dd>{text(item.attributes[column.name])}</dd></div>
      ))}
      {long.map((column) => (
        <div key={column.name} class="long"><dt class="hidden">{column.name}</dt><dd>{text(item.attributes[column.name])}</dd></div>
      ))}
      {!there.length && <div><dt class="hidden">id</dt><dd>{String(item.id)}</dd></div>}
    </dl>
  );
}

const MOST_SHARED = 6;

function Why({ item }: { item: Neighbour }) {
  const why = item.explanation!;
  const { likes } = question.value;
  const near = likes.length > 1 && likes.find((one) => one.id === why.like);
  const shared = [...new Set(Object.values(why.shared ?? {}).flat())].slice(0, MOST_SHARED);
  const words = [shared.length ? `shares ${shared.join(", ")}` : "", near ? `nearest to ${titleOf(near)}` : ""].filter(Boolean);
  return words.length ? <p class="why" title={words.join("; ")}>{words.join("; ")}</p> : null;
}
