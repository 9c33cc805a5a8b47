// A box to type a name into, and what is called so: a combobox, as ARIA's patterns have it.
import { useEffect, useRef, useState } from "preact/hooks";
import { text } from "./format";
import { search } from "./server";
import { about, goTo, said, titleOf, toggleLike } from "./state";
import type { Item } from "./types";

export function Search() {
  const [typed, setTyped] = useState("");
  const [results, setResults] = useState<Item[]>([]);
  const [active, setActive] = useState(-1);
  const [isOpen, setOpen] = useState(false);
  const [asked, setAsked] = useState("");
  const box = useRef<HTMLInputElement>(null);
  const last = useRef<AbortController | null>(null);

  useEffect(() => {
    last.current?.abort();
    const wanted = typed.trim();
    if (!wanted) {
      setResults([]);
      setAsked("");
      return;
    }
    const mine = (last.current = new AbortController());
    search(wanted, mine.signal)
      .then((items) => {
        setResults(items);
        setAsked(wanted);
        setActive(-1);
        said.value = items.length ? `${items.length} found` : "Nothing is called so";
      })
      .catch(() => { /* the notice says it */ });
  }, [typed]);

  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const inField = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (event.key === "/" && !inField && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        box.current?.focus();
      }
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);

  const close = () => { setOpen(false); setActive(-1); };
  const take = (item: Item, isMore: boolean) => {
    (isMore ? toggleLike : goTo)(item);
    setTyped("");
    close();
  };
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) {
      event.preventDefault();
      setOpen(true);
      const n = results.length;
      if (n) setActive((active + step + n + (active < 0 && step < 0 ? 1 : 0)) % n);
    } else if (event.key === "Enter" && isOpen && results.length && asked === typed.trim()) {
      event.preventDefault();
      take(results[Math.max(active, 0)], event.shiftKey);
    } else if (event.key === "Escape") {
      if (isOpen && results.length) close();
      else setTyped("");
    }
  };
  const isShown = isOpen && asked !== "";

  return (
    <div class="search" onFocusOut={(event) => {
      if (!(event.currentTarget as Element).contains(event.relatedTarget as Node | null)) close();
    }}>
      <svg class="glass" viewBox="0 0 20 20" aria-hidden="true"><circle cx="8.5" cy="8.5" r="5.5" /><path d="m13 13 5 5" /></svg>
      <input
        ref={box} type="text" role="combobox" aria-label="Search by name or id" aria-autocomplete="list"
        aria-expanded={isShown} aria-controls="found" aria-activedescendant={active >= 0 ? `found-${active}` : undefined}
        placeholder="Type a name or an id" autocomplete="off" spellcheck={false} maxLength={100} autofocus
        value={typed} onInput={(event) => { setTyped(event.currentTarget.value); setOpen(true); }}
        onFocus={() => setOpen(true)} onKeyDown={onKey}
      />
      <kbd aria-hidden="true">/</kbd>
      <ul id="found" role="listbox" aria-label="What is called so" hidden={!isShown || !results.length}>
        {results.map((item, place) => (
          <li key={item.row} id={`found-${place}`} role="option" aria-selected={place === active}
            onMouseDown={(event) => event.preventDefault()} onMouseMove={() => setActive(place)}
            onClick={(event) => take(item, event.shiftKey)}>
            <span class="name">{titleOf(item)}</span>
            <span class="aside">{aside(item)}</span>
          </li>
        ))}
      </ul>
      {isShown && !results.length && <p class="nothing">Nothing is called “{asked}”.</p>}
    </div>
  );
}

/** A word or two that tell items of one name apart. */
export function aside(item: Item): string {
  const columns = about.value?.columns ?? [];
  const chosen = columns.filter((column) => column.name !== about.value?.title && column.kind === "values").slice(0, 2);
  return chosen.map((column) => text(item.attributes[column.name])).filter(Boolean).join(" · ") || String(item.id);
}
