// Runs OpenAI clients against a server: one JSON object a line in, one fact (or, of a stream that will break, two) a line out.
//   node client.mjs openai|ai-sdk|langchain
//   {"check": "chat", "url": "http://127.0.0.1:8080/v1", "key": "none", "model": "m", "prompt": "Hello", "maxTokens": 16}
// What each client does with an answer is told, nothing is judged: the tests that start it do that.
import { createInterface } from 'node:readline';

const clients = { openai: './openai.mjs', 'ai-sdk': './ai-sdk.mjs', langchain: './langchain.mjs' };

const tell = fact => process.stdout.write(JSON.stringify(fact) + '\n');

const checks = await import(clients[process.argv[2]] ?? fail(`the client is '${process.argv[2]}', expected one of ${Object.keys(clients).join(', ')}`));

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    const check = checks[asked.check] ?? fail(`there is no check '${asked.check}'`);
    tell(await check(asked, () => tell({ started: true })));
  } catch (error) {
    tell({ threw: true, name: error?.name, message: `${error?.message ?? error}`, ...error?.facts });
  }
}

function fail(message) {
  throw new Error(message);
}
