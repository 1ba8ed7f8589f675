// What every entry point hands out: the same calls, whatever fetched the module and the model.
import { UNPACKED_MAX_BYTES, files, inflate, isGzip, isZip } from "./archive.js";
import { FailureClassifier, Logs, checkDiff, logsOfArchive, verifySignature, words } from "./sentinel_wasm.js";

export class Sentinel {
  #classifier;

  constructor(model) {
    this.#classifier = new FailureClassifier(model);
    this.model = Object.freeze(JSON.parse(this.#classifier.manifest()));
  }

  classify(input) {
    const asked = typeof input === "string" || isBytes(input) ? { log: input } : input;
    if (typeof asked?.log === "string" || isBytes(asked?.log)) return this.#verdicts(read(asked.log), asked);
    if (typeof asked?.error_message !== "string") throw new TypeError("give a log, or a record with an error_message");
    const { error_message: message, ...record } = asked;
    return JSON.parse(this.#classifier.classifyRecord(message, JSON.stringify(record)));
  }

  async classifyFile(file, known = {}) {
    const bytes = isBytes(file) ? asBytes(file) : new Uint8Array(await file.arrayBuffer());
    return this.#verdicts(await unpacked(bytes), known);
  }

  #verdicts(logs, { step, job }) {
    return JSON.parse(this.#classifier.classifyLogs(logs, step, job));
  }

  predict(features) {
    return this.#classifier.predict(Float32Array.from(features));
  }

  excerpt(log) {
    const jobs = JSON.parse(read(log).excerpts());
    return jobs.length === 1 ? { ...jobs[0], jobs } : { jobs };
  }

  words(term, text = "") {
    return words(term, text);
  }

  checkDiff(diff) {
    return JSON.parse(checkDiff(diff));
  }

  verifySignature(secret, header, body) {
    return verifySignature(secret, header ?? "", typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body));
  }
}

const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);
const asBytes = (value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength));

function read(log) {
  const logs = new Logs();
  logs.push(typeof log === "string" ? new TextEncoder().encode(log) : asBytes(log));
  return logs;
}

/** Reads a log, a compressed log or an archive of logs. */
async function unpacked(bytes) {
  if (!isZip(bytes)) {
    if (!isGzip(bytes)) return read(bytes);
    const logs = new Logs();
    await push(logs, inflate(bytes, "gzip"), { left: UNPACKED_MAX_BYTES });
    return logs;
  }
  const found = files(bytes);
  const chosen = JSON.parse(logsOfArchive(JSON.stringify(found.map(({ name }) => name))));
  if (!chosen.length) throw new Error("there is no log in it (.txt or .log)");
  const [logs, room] = [new Logs(), { left: UNPACKED_MAX_BYTES }];
  for (const { job, parts } of chosen) {
    for (const { at, step } of parts) {
      logs.begin(job ?? undefined, step ?? undefined);
      await push(logs, found[at].unpack(), room);
    }
    logs.end();
  }
  return logs;
}

async function push(logs, pieces, room) {
  for await (const piece of pieces) {
    room.left -= piece.length;
    if (room.left < 0) throw new Error(`it holds more than ${UNPACKED_MAX_BYTES >> 20} MiB of logs`);
    logs.push(piece);
  }
}
