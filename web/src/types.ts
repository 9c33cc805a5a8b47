export type Id = string | number;
export type Value = string | number | boolean | null | (string | null)[];

export interface Item {
  row: number;
  id: Id;
  attributes: Record<string, Value>;
}

export interface Neighbour extends Item {
  distance: number;
  explanation: Explanation | null;
}

export interface Explanation {
  like?: Id | null;
  distance?: number;
  shared?: Record<string, string[]>;
}

export interface Column {
  name: string;
  type: string;
  kind: "values" | "list" | "range" | "date" | "text" | "other";
  n_missing: number;
  n_distinct?: number;
  values?: { value: string | boolean; count: number }[];
  min?: number | string;
  max?: number | string;
  top?: number;
  ends?: number;
  is_whole?: boolean;
  bins?: number[];
}

export interface About {
  name: string;
  version: string;
  generation: string;
  metric: string;
  n_samples: number;
  n_features: number;
  id_type: "row" | "integer" | "string";
  n_neighbors: number;
  max_neighbors: number;
  title: string | null;
  columns: Column[];
  n_terms: number;
  lists: string[];
}

/** What is chosen of one attribute. */
export type Choice =
  | { kind: "values"; values: (string | boolean)[] }
  | { kind: "list"; values: string[]; every: boolean }
  | { kind: "range" | "date"; low: number | string | null; high: number | string | null };

export interface Question {
  likes: Item[];
  dislikes: Item[];
  terms: string[];
  choices: Record<string, Choice>;
  diversity: number;
  k: number;
}
