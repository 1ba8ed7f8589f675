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

/** What the caller knows of a job. */
export interface Known {
  /** The name of the failed step. */
  step?: string;
  /** The name of the job. If there are several jobs, only this one is told. */
  job?: string;
}

/** A log of one or several jobs: raw, or as `gh run view --log` prints it; UTF-8 or UTF-16. */
export interface Log extends Known {
  log: string | ArrayBuffer | Uint8Array;
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

/** One job of a log. Without a failure, only `job`, `step`, `found`, `prediction` and `log` are there. */
export interface JobVerdict extends Omit<Verdict, "prediction" | "model_version"> {
  /** Null if the log does not say. */
  job: string | null;
  step: string | null;
  /** False where nothing says that the job failed; `prediction` is null then. */
  found: boolean;
  prediction: FailureClass | "Unknown" | null;
  /** The deciding line and at most two before and after it; secrets are taken out. */
  around: { number: number; text: string }[];
  log: { lines: number; bytes: number };
}

/** The verdicts on all jobs of a log, as `sentinel classify --json` gives them. */
export interface Verdicts extends Partial<Omit<JobVerdict, "prediction">> {
  jobs: JobVerdict[];
  /** This and the other fields of a single job stand here too, if there is only one. */
  prediction?: FailureClass | "Unknown" | null;
  model_version: string;
}

export interface Excerpt {
  /** At most 80 lines, in log order; `number` counts from 1. */
  lines: { number: number; text: string }[];
  log_lines: number;
  job: string | null;
  step: string | null;
  found: boolean;
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
  /** Why the jobs of a log failed. Throws if it is empty or no text. */
  classify(input: string | ArrayBuffer | Uint8Array | Log): Verdicts;
  /** Why a run failed that is known by one message. */
  classify(input: Record): Verdict;
  /** The same for a file: a log, a `.gz`, or the `.zip` archive of a run that GitHub offers. */
  classifyFile(file: Blob | ArrayBuffer | Uint8Array, known?: Known): Promise<Verdicts>;
  /** The probabilities of an 884-number feature vector, in the order of `model.classes`. */
  predict(features: ArrayLike<number>): Float32Array;
  /** The lines of each job that matter. The fields of a single job stand beside `jobs` too. */
  excerpt(log: string | ArrayBuffer | Uint8Array): Partial<Excerpt> & { jobs: Excerpt[] };
  /** A term of a verdict as a person reads it. `text` is the excerpt, where whole words are looked up. */
  words(term: string, text?: string): string;
  /** What the certain checks find in a unified diff: conflict markers, focused tests, debugger calls. */
  checkDiff(diff: string): Finding[];
  /** Whether `X-Hub-Signature-256` signs `body`; compared in constant time. */
  verifySignature(secret: string, header: string | null | undefined, body: string | ArrayBuffer | Uint8Array): boolean;
}

/** Loads the module and the model, from this package or from where you say. */
export declare function load(from?: { wasm?: unknown; model?: unknown }): Promise<Sentinel>;
