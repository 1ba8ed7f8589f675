// Browsers, and bundlers for them: both files are fetched from where this one is.
import { Sentinel } from "./classifier.js";
import initialise from "./sentinel_wasm.js";

export { Sentinel };

export async function load({
  wasm = new URL("./sentinel_wasm_bg.wasm", import.meta.url),
  model = new URL("./model.bin", import.meta.url),
} = {}) {
  const [bytes] = await Promise.all([read(model), initialise({ module_or_path: wasm })]);
  return new Sentinel(bytes);
}

async function read(model) {
  if (model instanceof Uint8Array) return model;
  if (model instanceof ArrayBuffer) return new Uint8Array(model);
  const answer = await fetch(model);
  if (!answer.ok) throw new Error(`${answer.status} for ${model}`);
  return new Uint8Array(await answer.arrayBuffer());
}
