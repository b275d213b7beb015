// Xinference: one endpoint in front of several engines. Data only; the address is the operator's.

import { MEDIA_INPUTS, type Provider } from '#core/provider.ts'

export const provider = {
  id: 'xinference',
  title: 'Xinference',
  source: 'https://inference.readthedocs.io/en/latest/user_guide/client_api.html',
  region: 'self-hosted',
  // A JWT of /token or an `sk-` key, where authentication is switched on.
  credential: { kind: 'bearer' },
  keyRequired: false,
  completionsPath: '/completions',
  // Left out of what reaches the engine (`exclude` of create_chat_completion, restful_api.py@7ecec16).
  cannot: ['n'],
  quirks: {
    streamUsage: 'option',
    maxTokens: 'both',
    // Its engines (vLLM, SGLang, llama.cpp, transformers) count all that they sample.
    lengthCoversThinking: true,
    developerToSystem: true,
    // logit_bias is a 501 "Not implemented"; user is excluded.
    drops: ['logit_bias', 'user'],
    // Becomes `enable_thinking` and `thinking` of chat_template_kwargs, so that every template finds its own.
    thinking: { style: 'enable_thinking' },
    // Every fragment repeats the call's id, text deltas carry an empty list (_post_process_completion_chunk).
    looseToolCalls: true,
    finishReasons: { error: 'error', abort: 'error' },
  },
  models: [
    {
      match: /gpt-oss/i,
      quirks: { thinking: { style: 'reasoning_effort', efforts: ['low', 'medium', 'high'], off: null } },
    },
    // `strict_system_first`: a system message in any other place is a 400.
    { match: /qwen3\.[56]|ornith|nex-n2/i, quirks: { systemFirst: true } },
    // "Only {…} support tool calls": neither family is in the list.
    {
      match: /baichuan|moss-moon/i,
      cannot: ['tools', 'tool_choice', 'parallel_tool_calls', ...MEDIA_INPUTS],
      quirks: { thinking: { style: 'none' } },
    },
  ],
  errors: [
    { message: /longer than the (maximum )?model|maximum context length/i, kind: 'context_length' },
    // core/model.py: more requests at once than `request_limits`; a plain 429, in a stream a text behind a 200.
    { message: /Rate limit reached for the model/, kind: 'rate_limit' },
    { message: /IP temporarily banned|Could not validate credentials/, kind: 'auth' },
    // `Model not found in the model list, uid: x` is a 400.
    { message: /Model not found/i, kind: 'model_unavailable' },
    // 503 with `Retry-After`: a model that is being launched, a router without a ready runtime.
    { message: /Model is loading|is not ready/i, kind: 'overloaded' },
    { type: 'router_unavailable', kind: 'overloaded' },
    { status: 501, kind: 'invalid_request' },
  ],
} satisfies Provider
