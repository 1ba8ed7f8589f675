// What every entry point hands out: the same calls, whatever fetched the module and the model.
import { FailureClassifier, checkDiff, excerpt, verifySignature } from "./sentinel_wasm.js";

export class Sentinel {
  #classifier;

  constructor(model) {
    this.#classifier = new FailureClassifier(model);
    this.model = Object.freeze(JSON.parse(this.#classifier.manifest()));
  }

  classify(input) {
    const asked = typeof input === "string" ? { log: input } : input;
    if (typeof asked?.log === "string") return JSON.parse(this.#classifier.classifyLog(asked.log, asked.step, asked.job));
    if (typeof asked?.error_message !== "string") throw new TypeError("give a log, or a record with an error_message");
    const { error_message: message, ...record } = asked;
    return JSON.parse(this.#classifier.classifyRecord(message, JSON.stringify(record)));
  }

  predict(features) {
    return this.#classifier.predict(Float32Array.from(features));
  }

  excerpt(log) {
    return JSON.parse(excerpt(log));
  }

  checkDiff(diff) {
    return JSON.parse(checkDiff(diff));
  }

  verifySignature(secret, header, body) {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body);
    return verifySignature(secret, header ?? "", bytes);
  }
}
