// Node: both files are read from the package.
import { readFile } from "node:fs/promises";
import { Sentinel } from "./classifier.js";
import { initSync } from "./sentinel_wasm.js";

export { Sentinel };

export async function load({
  wasm = new URL("./sentinel_wasm_bg.wasm", import.meta.url),
  model = new URL("./model.bin", import.meta.url),
} = {}) {
  const read = (place) => (place instanceof Uint8Array ? place : readFile(place));
  const [module, bytes] = await Promise.all([read(wasm), read(model)]);
  initSync({ module });
  return new Sentinel(bytes);
}
