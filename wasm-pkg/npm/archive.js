// The files of a .zip archive, and what is packed with gzip, in browsers, Node and Workers alike. The format:
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3. What GitHub writes is read: stored and deflated files,
// without ZIP64. Names are only told, never used as paths.

/** The largest number of bytes that one archive may hold, unpacked. A small file can hold more than the memory. */
export const UNPACKED_MAX_BYTES = 256 * 1024 * 1024;
/** The largest number of files. */
const FILES_MAX = 20_000;
const END = 0x06054b50;
const END_BYTES = 22;
const COMMENT_MAX_BYTES = 65_535;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const NOT_COMPLETE = "this is no complete .zip archive: download it again";

export const isZip = (bytes) => bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
export const isGzip = (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** The files of an archive: `{ name, unpack() }`, whose `unpack` yields pieces. */
export function files(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = endOf(view);
  const count = view.getUint16(end + 10, true);
  if (count > FILES_MAX) throw new Error(`the archive has more than ${FILES_MAX} files`);
  const found = [];
  let at = view.getUint32(end + 16, true);
  for (let n = 0; n < count; n += 1) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== ENTRY) throw new Error(NOT_COMPLETE);
    const [names, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + names));
    const entry = { method: view.getUint16(at + 10, true), size: view.getUint32(at + 20, true), local: view.getUint32(at + 42, true) };
    if (!name.endsWith("/")) found.push({ name, unpack: () => unpack(bytes, view, entry) });
    at += 46 + names + extra + comment;
  }
  return found;
}

function endOf(view) {
  const last = view.byteLength - END_BYTES;
  for (let at = last; at >= Math.max(0, last - COMMENT_MAX_BYTES); at -= 1) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw new Error(NOT_COMPLETE);
}

function unpack(bytes, view, { method, size, local }) {
  if (local + 30 > view.byteLength || view.getUint32(local, true) !== LOCAL) throw new Error(NOT_COMPLETE);
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + size > view.byteLength) throw new Error(NOT_COMPLETE);
  const packed = bytes.subarray(start, start + size);
  if (method === 0) return pieces(new Blob([packed]).stream());
  if (method !== 8) throw new Error("the archive is packed in a way that GitHub does not use");
  return inflate(packed, "deflate-raw");
}

/** The pieces that `bytes` unpack to; `format` is one of DecompressionStream's. */
export const inflate = (bytes, format) => pieces(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format)));

async function* pieces(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
