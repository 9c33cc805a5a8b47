import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { RequestDialog } from "./dialog";
import { Filters } from "./filters";
import { count } from "./format";
import { MapPane } from "./map";
import { Results } from "./results";
import { Search } from "./search";
import { connection } from "./server";
import { about, question, recall, said, start, trouble, view } from "./state";

function Page() {
  const [isRequestOpen, setRequestOpen] = useState(false);
  const chosen = Object.keys(question.value.choices).length + Number(question.value.diversity > 0);
  return (
    <div class={`page show-${view.value}`}>
      <header class="top">
        <h1 class="brand"><svg viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="5" /><path d="M16 16 6 8M16 16l11-6M16 16l4 11" /><circle cx="6" cy="8" r="3" /><circle cx="27" cy="10" r="3" /><circle cx="20" cy="27" r="3" /></svg>
          <span>{about.value?.name || "Explorer"}</span>{about.value && <small>{count(about.value.n_samples)} items</small>}</h1>
        <Search />
        <Theme />
      </header>
      <Notice />
      <main class="panes">
        <Filters />
        <Results onRequest={() => setRequestOpen(true)} />
        <MapPane />
      </main>
      <nav class="tabs" aria-label="Parts of the page">
        {(["list", "map", "filters"] as const).map((name) => (
          <button key={name} type="button" aria-current={view.value === name ? "page" : undefined} onClick={() => (view.value = name)}>
            {{ list: "Neighbours", map: "Map", filters: chosen ? `Filters (${chosen})` : "Filters" }[name]}
          </button>
        ))}
      </nav>
      <RequestDialog isOpen={isRequestOpen} onClose={() => setRequestOpen(false)} />
      <p class="hidden" role="status">{said.value}</p>
    </div>
  );
}

function Notice() {
  if (connection.value === "gone") {
    return <p class="notice" role="status">The server does not answer. This page goes on when it is back.</p>;
  }
  if (connection.value === "changed") {
    return <p class="notice" role="status">The server is back with another corpus. <button type="button" class="link" onClick={() => location.replace(location.pathname)}>Open it</button></p>;
  }
  if (!about.value && trouble.value) return <p class="notice" role="alert">{trouble.value}</p>;
  return null;
}

const THEMES = ["auto", "light", "dark"] as const;

function Theme() {
  const [theme, setTheme] = useState<(typeof THEMES)[number]>(() => {
    const kept = localStorage.getItem("kneighbors-theme");
    return kept === "light" || kept === "dark" ? kept : "auto";
  });
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("kneighbors-theme", theme);
    dispatchEvent(new Event("themechange"));
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return (
    <button type="button" class="plain theme" title={`Colours: ${theme}`} aria-label={`Colours: ${theme}. Change to ${next}`} onClick={() => setTheme(next)}>
      <svg viewBox="0 0 20 20" aria-hidden="true">{theme === "dark" ? <path d="M15.5 12.5A6.5 6.5 0 0 1 7.5 4.5a6.5 6.5 0 1 0 8 8Z" /> : theme === "light"
        ? <><circle cx="10" cy="10" r="3.5" /><path d="M10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.5 1.5M14.2 14.2l1.5 1.5M15.7 4.3l-1.5 1.5M5.8 14.2l-1.5 1.5" /></>
        : <><circle cx="10" cy="10" r="6.5" /><path d="M10 3.5v13a6.5 6.5 0 0 0 0-13Z" class="full" /></>}</svg>
    </button>
  );
}

addEventListener("popstate", () => void recall());
render(<Page />, document.getElementById("page")!);
document.querySelector("noscript")?.remove();
void start();
