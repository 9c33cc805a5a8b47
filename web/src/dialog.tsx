// The question as a request: curl, Python, JSON.
import { useEffect, useRef, useState } from "preact/hooks";
import { asCurl, asJson, asPython } from "./request";
import { request, said } from "./state";

const FORMS = { curl: asCurl, Python: asPython, JSON: (request: unknown) => asJson(request) } as const;
type Form = keyof typeof FORMS;

export function RequestDialog({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [form, setForm] = useState<Form>("curl");
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);
  useEffect(() => setCopied(false), [form, isOpen]);
  const origin = location.href.replace(/\/explorer(#.*)?$/, "");
  const shown = request.value ? FORMS[form](request.value, origin) : "";
  const copy = async () => {
    await navigator.clipboard.writeText(shown).then(() => { setCopied(true); said.value = "Copied"; }, () => {});
  };
  const names = Object.keys(FORMS) as Form[];
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const next = names[(names.indexOf(form) + step + names.length) % names.length];
    setForm(next);
    document.getElementById(`form-${next}`)?.focus();
  };
  return (
    <dialog ref={dialog} aria-labelledby="request-title" onClose={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      <div class="inside">
        <header>
          <h2 id="request-title">The request</h2>
          <button type="button" class="plain" aria-label="Close" onClick={onClose}>×</button>
        </header>
        <p class="fine">The page asks what anybody may send: a POST to <code>/invocations</code>.</p>
        <div class="forms">
          <div role="tablist" aria-label="Form" onKeyDown={onKey}>
            {names.map((name) => (
              <button key={name} type="button" role="tab" id={`form-${name}`} aria-selected={name === form} aria-controls="request-text"
                tabIndex={name === form ? 0 : -1} onClick={() => setForm(name)}>{name}</button>
            ))}
          </div>
          <button type="button" class="copy" onClick={copy}>{isCopied ? "Copied" : "Copy"}</button>
        </div>
        <pre id="request-text" role="tabpanel" aria-labelledby={`form-${form}`} tabIndex={0}><code>{shown}</code></pre>
      </div>
    </dialog>
  );
}
