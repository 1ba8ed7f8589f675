// Calls the node from a page in a real Chromium, over gRPC-web: node grpc_web.mjs URL TOKEN CHROMIUM TOOLS
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { launch } from "./browser.mjs";

const [url, token, executablePath, tools] = process.argv.slice(2);
const { buildSync } = createRequire(join(tools, "package.json"))("esbuild");

// What a page would have: the official client, messages from the .proto file, and nothing of ours.
const page = `
  import * as web from "grpc-web";
  import protobuf from "protobufjs";
  const root = protobuf.parse(globalThis.proto).root;
  const type = (name) => root.lookupType("sentinel.review.v1." + name);
  const method = (name, kind, request, response) => new web.MethodDescriptor(
    "/sentinel.review.v1.ReviewService/" + name, kind, Object, Object,
    (message) => type(request).encode(type(request).fromObject(message)).finish(),
    (bytes) => type(response).toObject(type(response).decode(bytes), { enums: String, oneofs: true }),
  );
  const client = new web.GrpcWebClientBase({ format: "binary" });
  globalThis.unary = (host, metadata, message) => new Promise((resolve) => {
    const descriptor = method("ReviewChunk", web.MethodType.UNARY, "ChunkRequest", "ReviewResponse");
    client.rpcCall(host + descriptor.name, message, metadata, descriptor, (error, answer) =>
      resolve(error ? { code: error.code, message: error.message } : answer));
  });
  globalThis.stream = (host, metadata, message) => new Promise((resolve, reject) => {
    const descriptor = method("ReviewDiff", web.MethodType.SERVER_STREAMING, "DiffRequest", "DiffResponse");
    const items = [];
    const call = client.serverStreaming(host + descriptor.name, message, metadata, descriptor);
    call.on("data", (answer) => items.push(answer.item));
    call.on("error", (error) => reject(new Error(error.message)));
    call.on("end", () => resolve(items));
  });
`;
const bundled = buildSync({
  stdin: { contents: page, resolveDir: tools },
  bundle: true,
  write: false,
  format: "iife",
  define: { global: "globalThis" },
  logLevel: "error",
});
const proto = readFileSync(new URL("../../proto/sentinel/review/v1/review.proto", import.meta.url), "utf8");
const patch = "@@ -1 +1,2 @@\n a\n+debugger;\n";
const diff = `diff --git a/x.ts b/x.ts\n--- a/x.ts\n+++ b/x.ts\n${patch}`;

const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html>"));
await once(server.listen(0, "127.0.0.1"), "listening");
const browser = await launch(executablePath, tools);
try {
  const tab = await browser.newPage();
  // A page of another origin, since it has another port: the node must allow it.
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  await tab.evaluate((text) => { globalThis.proto = text; }, proto);
  await tab.evaluate(bundled.outputFiles[0].text);
  const call = (name, metadata, message) =>
    tab.evaluate(([name, url, metadata, message]) => globalThis[name](url, metadata, message), [name, url, metadata, message]);
  const authorized = { authorization: `Bearer ${token}` };
  const answer = await call("unary", authorized, { filename: "x.ts", patch });
  assert.deepEqual([answer.line, answer.severity], [2, "bug"], JSON.stringify(answer));
  const stranger = await call("unary", {}, { filename: "x.ts", patch });
  assert.equal(stranger.code, 16, JSON.stringify(stranger));
  assert.deepEqual(await call("stream", authorized, { diff }), ["finding", "receipt"]);
  console.log("the browser got its findings");
} finally {
  await browser.close();
  server.close();
}
