// Builds the page into the package: node build.mjs [FOLDER]
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const target = process.argv[2] ?? "../src/kneighbors/server/explorer/static";
mkdirSync(target, { recursive: true });

await build({
  entryPoints: { page: "src/page.tsx", style: "src/style.css" },
  outdir: target,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  loader: { ".woff2": "file" },
  assetNames: "[name]",
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) copyFileSync(join("src", name), join(target, name));

// Whose work is in these files, and on what terms.
const packages = ["preact", "@preact/signals", "@preact/signals-core", "twgl.js", "kdbush", "d3-zoom",
  "d3-selection", "d3-drag", "d3-dispatch", "d3-interpolate", "d3-color", "d3-timer", "d3-ease",
  "d3-transition", "@fontsource-variable/inter"];
const terms = new Map();
for (const name of packages) {
  const folder = join("node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  let text = "";
  for (const file of ["LICENSE", "LICENSE.md", "LICENSE.txt"]) {
    try { text = readFileSync(join(folder, file), "utf8"); break; } catch { /* the next name */ }
  }
  text = text.replace(/\r/g, "").trim();
  terms.set(text, [...(terms.get(text) ?? []), `${name} ${version} (${license})`]);
}
const licences = [...terms].map(([text, names]) => `${names.join("\n")}\n\n${text}\n`);
writeFileSync(join(target, "licences.txt"), licences.join("\n" + "-".repeat(80) + "\n\n"));
