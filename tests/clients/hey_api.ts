// One execution and one failure through the client of hey-api's openapi-ts.
import assert from "node:assert/strict";
import { executeProgram } from "./generated/hey_api";
import { createClient } from "./generated/hey_api/client";

const [baseUrl = "", answering = "", failing = "", auth = ""] = process.argv.slice(2);
const client = createClient({ baseUrl, auth });
const body = { inputs: { question: "What is the capital of France?" } };

const answered = await executeProgram({ client, path: { program_id: answering }, body });
assert(answered.data);
assert.equal(answered.data.status, "completed");
assert.deepEqual(answered.data.outputs, { answer: "Paris" });

const failed = await executeProgram({ client, path: { program_id: failing }, body });
assert(failed.error);
assert.equal(failed.error.status, 502);
assert.equal(failed.error.type, "/problems/execution-failed");
assert(failed.error.execution_id);
