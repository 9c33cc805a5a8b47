// Colours of points: ten that are told apart, or a scale, on light and on dark ground.
import type { Value } from "./types";

const LIGHT = ["#3366b0", "#d9722e", "#2f9e62", "#c23b4b", "#8a5fbf", "#1f9fb0", "#c79a1e", "#d466a3", "#7a6a58", "#5c8a1f"];
const DARK = ["#7aa8f0", "#f5a05f", "#66cf97", "#f27d88", "#b99aee", "#5fd3e3", "#ecc95e", "#f29ccb", "#bfae9a", "#a5cf5f"];
const SCALE_LIGHT = ["#f0c987", "#e08a5b", "#b8455f", "#5e2a6e", "#1f1546"];
const SCALE_DARK = ["#33235c", "#7b3480", "#c74b6e", "#f08a5d", "#fbe3a4"];

export const OTHER = 254;
export const MISSING = 255;

export interface Legend {
  kind: string;
  column: string;
  values?: Value[];
  min?: Value;
  max?: Value;
}

const rgb = (hex: string) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

export const swatch = (place: number, isDark: boolean) => (isDark ? DARK : LIGHT)[place % LIGHT.length];
export const scale = (isDark: boolean) => (isDark ? SCALE_DARK : SCALE_LIGHT);

function along(stops: string[], share: number): number[] {
  const at = share * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const [from, to] = [rgb(stops[low]), rgb(stops[low + 1])];
  return from.map((one, channel) => one + (to[channel] - one) * (at - low));
}

/** The 256 colours of codes, premultiplied; all but one faint where one is told apart. */
export function colours(legend: Legend | null, isDark: boolean, only: number | null): Uint8Array {
  const table = new Uint8Array(256 * 4);
  const put = (code: number, colour: number[], alpha: number) => {
    table.set([...colour.map((one) => Math.round(one * alpha)), Math.round(255 * alpha)], 4 * code);
  };
  const grey = rgb(isDark ? "#8d8f96" : "#8f8c86");
  const isScale = legend?.kind === "range" || legend?.kind === "date";
  for (let code = 0; code < 256; code++) {
    const isOdd = code === MISSING || code === OTHER || !legend;
    const colour = isOdd && !(isScale && code < MISSING) ? grey : isScale ? along(scale(isDark), Math.min(1, code / 253)) : rgb(swatch(code, isDark));
    const alpha = only !== null ? (code === only ? 0.95 : 0.07) : isOdd && !isScale ? 0.18 : 0.68;
    put(code, colour, alpha);
  }
  return table;
}
