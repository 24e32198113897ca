// The OpenAI package for JavaScript: create, and the .stream helper, which is the stricter of the two.
import OpenAI from 'openai';
import { weather } from './weather.mjs';

const client = asked => new OpenAI({ baseURL: asked.url, apiKey: asked.key, maxRetries: 0, timeout: 60_000 });
const body = (asked, more = {}) => ({ model: asked.model, messages: [{ role: 'user', content: asked.prompt }], max_tokens: asked.maxTokens, ...more });
const tools = [{ type: 'function', function: weather }];

export async function models(asked) {
  const page = await client(asked).models.list();
  const one = await client(asked).models.retrieve(page.data[0].id);
  return { ids: page.data.map(m => m.id), created: one.created, context: one.context_length };
}

export async function chat(asked) {
  const answer = await client(asked).chat.completions.create(body(asked));
  return { text: answer.choices[0].message.content, finish: answer.choices[0].finish_reason, ...counts(answer.usage) };
}

export async function stream(asked) {
  let pieces = 0;
  const run = client(asked).chat.completions.stream(body(asked, { stream_options: { include_usage: true } }));
  for await (const chunk of run)
    pieces += chunk.choices[0]?.delta?.content ? 1 : 0;
  const whole = await run.finalChatCompletion();
  return { text: whole.choices[0].message.content, finish: whole.choices[0].finish_reason, pieces, ...counts(whole.usage) };
}

export async function tool(asked) {
  const run = client(asked).chat.completions.stream(body(asked, { tools }));
  const choice = (await run.finalChatCompletion()).choices[0];
  const call = choice.message.tool_calls[0];
  const messages = [{ role: 'user', content: asked.prompt }, choice.message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }];
  const answer = await client(asked).chat.completions.create(body(asked, { messages, tools }));
  return {
    name: call.function.name, arguments: JSON.parse(call.function.arguments), finish: choice.finish_reason, answer: answer.choices[0].message.content, then: answer.choices[0].finish_reason,
  };
}

export async function refuse(asked) {
  try {
    await client(asked).chat.completions.create(body(asked));
  } catch (error) {
    return { status: error.status, code: error.code, type: error.type, message: error.message, retryAfter: error.headers?.get('retry-after') };
  }

  return { status: 200 };
}

export async function broken(asked, started) {
  let text = '';
  try {
    for await (const chunk of await client(asked).chat.completions.create(body(asked, { stream: true }))) {
      if (text === '' && chunk.choices[0]?.delta?.content)
        started();
      text += chunk.choices[0]?.delta?.content ?? '';
    }
  } catch (error) {
    return { threw: true, message: error.message, text: text.length };
  }

  return { threw: false, text: text.length };
}

export async function cancel(asked) {
  const run = await client(asked).chat.completions.create(body(asked, { stream: true }));
  let pieces = 0;
  for await (const chunk of run) {
    pieces += chunk.choices[0]?.delta?.content ? 1 : 0;
    if (pieces === 3)
      break; // which aborts the request
  }

  return { pieces };
}

export async function dial(asked) {
  const answer = await client(asked).chat.completions.create(body(asked, { drop: asked.drop }));
  return { text: answer.choices[0].message.content, dualsparse: answer.usage.dualsparse };
}

const counts = usage => ({ promptTokens: usage?.prompt_tokens, completionTokens: usage?.completion_tokens });
