// One execution and one failure through openapi-fetch on the types of openapi-typescript.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./generated/openapi_typescript";

const [baseUrl = "", answering = "", failing = "", key = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const body = { inputs: { question: "What is the capital of France?" } };

const answered = await client.POST("/v1/programs/{program_id}/executions", {
  params: { path: { program_id: answering } },
  body,
});
assert(answered.data);
assert.equal(answered.data.status, "completed");
assert.deepEqual(answered.data.outputs, { answer: "Paris" });

const failed = await client.POST("/v1/programs/{program_id}/executions", {
  params: { path: { program_id: failing } },
  body,
});
assert(failed.error);
assert.equal(failed.error.status, 502);
assert.equal(failed.error.type, "/problems/execution-failed");
assert(failed.error.execution_id);
