// DeepSeek's own API: OpenAI chat with a thinking switch and an error table of HTTP statuses. Data only.

import { MEDIA_INPUTS, type Provider } from '#core/provider.ts'

export const provider = {
  id: 'deepseek',
  title: 'DeepSeek',
  source: 'https://api-docs.deepseek.com/api/create-chat-completion',
  // The same with `/v1`; `/beta` (prefix completion, strict tools) by `base_url`.
  baseUrl: 'https://api.deepseek.com',
  // One host for both price lists: an account that pays in US dollars says `region: intl`.
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  // The request schema has neither n nor a JSON schema, and parts only for the vision model.
  cannot: ['n', 'json_schema', ...MEDIA_INPUTS],
  quirks: {
    // Usage stands on the finish chunk, not in a chunk of its own; `usage: null` before.
    streamUsage: 'option',
    // OpenRouter lists it among those that stop (https://openrouter.ai/docs/api-reference/streaming, 2026-11-25);
    // "for non-streaming requests … the model will continue processing and you will be billed".
    cancelStopsBilling: 'streams',
    // max_completion_tokens is not in the schema.
    maxTokens: 'max_tokens',
    // "max_tokens: the maximum output length, including the CoT part" (guides/thinking_mode).
    lengthCoversThinking: true,
    // "unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`, `latest_reminder`"
    developerToSystem: true,
    // "messages[0].content: invalid type: sequence, expected a string"
    flattenText: true,
    // "messages[0]: missing field `content`"
    emptyAssistantContent: '',
    // "The `reasoning_content` in the thinking mode must be passed back to the API." (guides/thinking_mode: every
    // turn with tool calls, for as long as it is in the history)
    reasoningRequired: true,
    // Not in the schema. `user` does not become `user_id`, which means more here: it splits the prompt cache and the
    // concurrency of the account; who wants that sends `user_id` itself.
    drops: ['user', 'seed', 'logit_bias'],
    // All are accepted; the vendor maps them to low, high and max (guides/thinking_mode).
    thinking: { style: 'thinking', efforts: ['minimal', 'low', 'medium', 'high', 'xhigh', 'max', 'ultra'] },
    // "interrupted due to insufficient resource of the inference system"
    finishReasons: { insufficient_system_resource: 'error' },
  },
  models: [
    // The old name of the mode that does not think.
    { match: /^deepseek-chat$/, thinksByDefault: false },
    { match: /vision/, can: ['vision'], thinksByDefault: true },
    // "Thinking mode is enabled by default". A forced tool_choice is then a 400 (Thinking mode does not support this
    // tool_choice), and works with thinking disabled: the request decides, not the model.
    { match: /^deepseek-/, thinksByDefault: true, cannotWhileThinking: ['tool_choice'] },
  ],
  errors: [
    { code: 'insufficient_system_resource', kind: 'overloaded' },
    // These two have no status and no code of their own: 400 `invalid_request_error`.
    { message: /content exists risk/i, kind: 'moderation' },
    { message: /model not exist|supported API model names are/i, kind: 'model_unavailable' },
    // The rest is by status (quick_start/error_codes): 400 and 422 invalid, 401 authentication, 402 balance, 429
    // concurrency of the account, 500 server, 503 overloaded. `code` is `invalid_request_error` in all of them.
  ],
} satisfies Provider
