// node examples/node.mjs job.log
import { readFileSync } from "node:fs";
import { load } from "@sentinel/failure-classifier";

const sentinel = await load();
const verdict = sentinel.classify(readFileSync(process.argv[2], "utf8"));
console.log(`${verdict.prediction} (${Math.round(verdict.confidence * 100)} %)`);
console.log(`line ${verdict.line?.number}: ${verdict.line?.text}`);
