// Cloudflare Workers: both files are modules, as wrangler's default rules import them.
import model from "./model.bin";
import wasm from "./sentinel_wasm_bg.wasm";
import { Sentinel } from "./classifier.js";
import { initSync } from "./sentinel_wasm.js";

export { Sentinel };

let loaded;

export async function load(given = {}) {
  initSync({ module: given.wasm ?? wasm });
  if (given.model) return new Sentinel(new Uint8Array(given.model));
  loaded ??= new Sentinel(new Uint8Array(model));
  return loaded;
}
