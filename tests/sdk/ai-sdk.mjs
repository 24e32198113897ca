// Vercel's AI SDK with its provider for OpenAI-compatible servers.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, isStepCount, jsonSchema, streamText, tool as define } from 'ai';
import { weather } from './weather.mjs';

// Its warnings are about models that it doesn't know.
globalThis.AI_SDK_LOG_WARNINGS = false;

const metadataExtractor = {
  extractMetadata: async ({ parsedBody }) => ({ dualsparse: { usage: parsedBody.usage?.dualsparse } }),
  createStreamExtractor: () => ({ processChunk() {}, buildMetadata: () => undefined }),
};
const provider = asked => createOpenAICompatible({ name: 'dualsparse', baseURL: asked.url, apiKey: asked.key, includeUsage: true, metadataExtractor });
const setting = (asked, more = {}) => ({ model: provider(asked)(asked.model), prompt: asked.prompt, maxOutputTokens: asked.maxTokens, maxRetries: 0, ...more });

export async function chat(asked) {
  const answer = await generateText(setting(asked));
  return { text: answer.text, finish: answer.finishReason, ...counts(answer.usage) };
}

export async function stream(asked) {
  let pieces = 0, text = '', failure;
  const run = streamText(setting(asked, { onError: ({ error }) => { failure = error; } }));
  for await (const piece of run.textStream) {
    pieces++;
    text += piece;
  }

  if (failure)
    throw failure;
  return { text, finish: await run.finishReason, pieces, ...counts(await run.usage) };
}

export async function tool(asked) {
  const get_weather = define({ description: weather.description, inputSchema: jsonSchema(weather.parameters), execute: async () => 'sunny' });
  const run = streamText(setting(asked, { tools: { get_weather }, stopWhen: isStepCount(2), onError: ({ error }) => { throw error; } }));
  await run.consumeStream();
  const [first, last] = await run.steps;
  return { name: first.toolCalls[0].toolName, arguments: first.toolCalls[0].input, finish: first.finishReason, answer: last.text, then: last.finishReason };
}

export async function refuse(asked) {
  try {
    await generateText(setting(asked));
  } catch (error) {
    const told = error.data?.error ?? {};
    return { status: error.statusCode, code: told.code, type: told.type, message: error.message, retryAfter: error.responseHeaders?.['retry-after'] };
  }

  return { status: 200 };
}

export async function broken(asked, started) {
  let text = '', failure;
  const run = streamText(setting(asked, { onError: ({ error }) => { failure = error; } }));
  try {
    for await (const piece of run.textStream) {
      if (text === '')
        started();
      text += piece;
    }
  } catch (error) {
    failure ??= error;
  }

  return { threw: failure !== undefined, message: `${failure?.message ?? failure}`, text: text.length };
}

export async function cancel(asked) {
  const abort = new AbortController();
  const run = streamText(setting(asked, { abortSignal: abort.signal, onError() {} }));
  let pieces = 0;
  for await (const _ of run.textStream) {
    if (++pieces === 3)
      abort.abort();
  }

  return { pieces };
}

export async function dial(asked) {
  const answer = await generateText(setting(asked, { providerOptions: { dualsparse: { drop: asked.drop } } }));
  return { text: answer.text, dualsparse: answer.providerMetadata?.dualsparse?.usage };
}

const counts = usage => ({ promptTokens: usage.inputTokens, completionTokens: usage.outputTokens });
