// GLM on Zhipu's open platform (智谱 BigModel) and Z.ai: OpenAI chat without some of its fields. Data, and the
// signing of the key.

import type { Provider } from '#core/provider.ts'
import { credential } from './credential.ts'
import { ERRORS } from './errors.ts'

export const provider = {
  id: 'zhipu',
  title: 'GLM (Zhipu BigModel, Z.ai)',
  source: 'https://docs.bigmodel.cn/cn/api/api-code',
  // Without `/v1`. Z.ai has the same paths; coding plans live at /api/coding/paas/v4, by `base_url`.
  baseUrl: 'https://open.bigmodel.cn/api/paas/v4',
  regions: [
    { region: 'intl', host: 'z.ai' },
    { region: 'cn', host: 'bigmodel.cn' },
  ],
  region: 'cn',
  credential,
  keyRequired: true,
  // tool_choice knows `auto` only; there is no n, no logprobs and no JSON schema in the request.
  cannot: ['tool_choice', 'n', 'logprobs', 'json_schema', 'audio_input'],
  quirks: {
    // It comes unasked on the finish chunk; stream_options is not in the request (dify zhipuai llm.py deletes it).
    streamUsage: 'always',
    maxTokens: 'max_tokens',
    developerToSystem: true,
    // agentscope-extensions-model-openai `compat.glm` strips the penalties. `user_id` has 6 to 128 characters: a short
    // `user` under that name would be a 400.
    drops: ['frequency_penalty', 'presence_penalty', 'user'],
    thinking: { style: 'none' },
    // Streamed calls may have a negative index, and empty elements between them (aiproxy@aebeb5e).
    looseToolCalls: true,
    finishReasons: {
      sensitive: 'content_filter',
      network_error: 'error',
      model_context_window_exceeded: 'length',
    },
  },
  models: [
    { match: /^glm-4-voice/, can: ['audio_input'] },
    // Always think, in three degrees; `thinking` may still carry clear_thinking.
    {
      match: /^glm-5\.([3-9]|\d\d)/,
      // "A single max_tokens budget for reasoning and response" from 5.2 on (OmniRoute#4255).
      quirks: {
        thinking: { style: 'thinking', efforts: ['low', 'high', 'max'] },
        lengthCoversThinking: true,
      },
      thinksByDefault: true,
    },
    // reasoning_effort came with 5.2 (zai-rs ReasoningEffort); before, it is ignored in silence.
    {
      match: /^glm-5\.2/,
      quirks: {
        thinking: { style: 'thinking', efforts: ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'] },
        lengthCoversThinking: true,
      },
      thinksByDefault: true,
    },
    { match: /^glm-(4\.[5-9]|[5-9])/, quirks: { thinking: { style: 'thinking' } }, thinksByDefault: true },
    // These cannot be told not to think.
    { match: /^glm-(z1|zero|4\.1v-thinking)/, thinksByDefault: true },
  ],
  errors: ERRORS,
} satisfies Provider
