/** One of the ten causes. */
export type FailureClass =
  | "Build Failure"
  | "Configuration Error"
  | "Dependency Error"
  | "Deployment Failure"
  | "Network Error"
  | "Permission Error"
  | "Resource Exhaustion"
  | "Security Scan Failure"
  | "Test Failure"
  | "Timeout";

/** A job log and what is known of its job. */
export interface Log {
  log: string;
  /** The name of the failed step. */
  step?: string;
  /** The name of the failed job. */
  job?: string;
}

/** An error message and what is known of its run. */
export interface Record {
  error_message: string;
  build_duration_sec?: number;
  test_duration_sec?: number;
  deploy_duration_sec?: number;
  cpu_usage_pct?: number;
  memory_usage_mb?: number;
  retry_count?: number;
  [field: string]: unknown;
}

export interface Verdict {
  /** `Unknown` where the model is not sure enough. */
  prediction: FailureClass | "Unknown";
  /** Calibrated probability of the likeliest class, 0 to 1. */
  confidence: number;
  /** The three likeliest classes. */
  top: { class: FailureClass; confidence: number }[];
  /** The terms that decided, by how far the score falls without each. */
  terms: { term: string; drop: number }[];
  /** The log line that holds most of what decided; secrets are taken out. */
  line: { number: number; text: string } | null;
  model_version: string;
}

export interface Excerpt {
  /** At most 80 lines, in log order; `number` counts from 1. */
  lines: { number: number; text: string }[];
  log_lines: number;
}

/** What a check that needs no model found in a diff. */
export interface Finding {
  path: string;
  /** In the new file, from 1. */
  line: number;
  severity: "nit" | "suggestion" | "bug" | "critical";
  category: string;
  confidence: number;
  text: string;
  hunk: string;
  suggestion: string | null;
}

export declare class Sentinel {
  /** Over a compiled model; throws when it was cut, changed or made for another version. */
  constructor(model: Uint8Array);
  /** The model's manifest: version, classes, features, metrics, data. */
  readonly model: { readonly model_version: string; readonly classes: readonly FailureClass[]; readonly [field: string]: unknown };
  /** Why a job failed. */
  classify(input: string | Log | Record): Verdict;
  /** The probabilities of an 884-number feature vector, in the order of `model.classes`. */
  predict(features: ArrayLike<number>): Float32Array;
  /** The lines of a log that matter. */
  excerpt(log: string): Excerpt;
  /** What the certain checks find in a unified diff: conflict markers, focused tests, debugger calls. */
  checkDiff(diff: string): Finding[];
  /** Whether `X-Hub-Signature-256` signs `body`; compared in constant time. */
  verifySignature(secret: string, header: string | null | undefined, body: string | ArrayBuffer | Uint8Array): boolean;
}

/** Loads the module and the model, from this package or from where you say. */
export declare function load(from?: { wasm?: unknown; model?: unknown }): Promise<Sentinel>;
