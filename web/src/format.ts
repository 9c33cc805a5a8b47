import type { Value } from "./types";

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Years and other small whole numbers stand as they are. */
export const number = (value: number) => (Number.isInteger(value) && Math.abs(value) < 10_000 ? String(value) : plain.format(value));
export const count = (value: number) => value.toLocaleString("en");
export const brief = (value: number) => short.format(value);

export function distance(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) >= 100 ? value.toFixed(1) : Math.abs(value) >= 0.001 ? value.toFixed(3) : value.toExponential(1);
}

export function text(value: Value | undefined): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.filter((one) => one !== null).join(", ");
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value;
}
