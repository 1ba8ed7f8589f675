// A Worker that classifies what is posted to it: npx wrangler dev examples/worker.mjs
import { load } from "@sentinel/failure-classifier";

export default {
  async fetch(request) {
    const sentinel = await load();
    return Response.json(sentinel.classify(await request.text()));
  },
};
