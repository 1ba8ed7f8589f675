// npm's client against the embedded server: node libsql_client.mjs URL TOKEN TOOLS
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [url, authToken, tools] = process.argv.slice(2);
const { createClient } = createRequire(join(tools, "package.json"))("@libsql/client/http");
const client = createClient({ url, authToken });
await client.execute("CREATE TABLE npm (id INTEGER PRIMARY KEY, name TEXT)");
await client.batch(["INSERT INTO npm (name) VALUES ('a')", { sql: "INSERT INTO npm (name) VALUES (?)", args: ["b"] }], "write");
await assert.rejects(client.batch(["INSERT INTO npm (name) VALUES ('c')", "nonsense"], "write"));
const named = await client.execute({ sql: "SELECT name FROM npm WHERE id = :id", args: { id: 2 } });
assert.equal(named.rows[0].name, "b");
const transaction = await client.transaction("write");
await transaction.execute("INSERT INTO npm (name) VALUES ('d')");
await transaction.rollback();
assert.equal((await client.execute("SELECT count(*) AS n FROM npm")).rows[0].n, 2);
await client.executeMultiple("CREATE TABLE two (a); INSERT INTO two VALUES (1);");
await assert.rejects(createClient({ url, authToken: "wrong" }).execute("SELECT 1"));
client.close();
