// LangChain's ChatOpenAI.
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { weather } from './weather.mjs';

const model = (asked, more = {}) => new ChatOpenAI({
  model: asked.model, apiKey: asked.key, configuration: { baseURL: asked.url }, maxTokens: asked.maxTokens, maxRetries: 0, streamUsage: true, ...more,
});
const tools = [{ type: 'function', function: weather }];

export async function chat(asked) {
  const answer = await model(asked).invoke(asked.prompt);
  return { text: answer.content, finish: answer.response_metadata.finish_reason, ...counts(answer.usage_metadata) };
}

export async function stream(asked) {
  let pieces = 0, whole;
  for await (const chunk of await model(asked).stream(asked.prompt)) {
    pieces += chunk.content ? 1 : 0;
    whole = whole?.concat(chunk) ?? chunk;
  }

  return { text: whole.content, finish: whole.response_metadata.finish_reason, pieces, ...counts(whole.usage_metadata) };
}

export async function tool(asked) {
  const bound = model(asked).bindTools(tools);
  let first;
  for await (const chunk of await bound.stream(asked.prompt))
    first = first?.concat(chunk) ?? chunk;
  const call = first.tool_calls[0];
  const answer = await bound.invoke([new HumanMessage(asked.prompt), first, new ToolMessage({ content: 'sunny', tool_call_id: call.id })]);
  return {
    name: call.name, arguments: call.args, finish: first.response_metadata.finish_reason, answer: answer.content, then: answer.response_metadata.finish_reason,
  };
}

export async function refuse(asked) {
  try {
    await model(asked).invoke(asked.prompt);
  } catch (error) {
    return { status: error.status, code: error.code, type: error.type, message: error.message, retryAfter: error.headers?.get?.('retry-after') };
  }

  return { status: 200 };
}

export async function broken(asked, started) {
  let text = '';
  try {
    for await (const chunk of await model(asked).stream(asked.prompt)) {
      if (text === '' && chunk.content)
        started();
      text += chunk.content;
    }
  } catch (error) {
    return { threw: true, message: error.message, text: text.length };
  }

  return { threw: false, text: text.length };
}

export async function cancel(asked) {
  const abort = new AbortController();
  let pieces = 0;
  try {
    for await (const chunk of await model(asked).stream(asked.prompt, { signal: abort.signal })) {
      pieces += chunk.content ? 1 : 0;
      if (pieces === 3)
        abort.abort();
    }
  } catch (error) {
    if (!abort.signal.aborted)
      throw error;
  }

  return { pieces };
}

export async function dial(asked) {
  const answer = await model(asked, { modelKwargs: { drop: asked.drop }, __includeRawResponse: true }).invoke(asked.prompt);
  return { text: answer.content, dualsparse: answer.additional_kwargs.__raw_response.usage.dualsparse };
}

const counts = usage => ({ promptTokens: usage?.input_tokens, completionTokens: usage?.output_tokens });
