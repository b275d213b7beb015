// LMDeploy's api_server. Data only; the address is the operator's.

import { MEDIA_INPUTS, type Provider } from '#core/provider.ts'

export const provider = {
  id: 'lmdeploy',
  title: 'LMDeploy',
  source: 'https://lmdeploy.readthedocs.io/en/latest/llm/api_server.html',
  region: 'self-hosted',
  credential: { kind: 'bearer' },
  keyRequired: false,
  completionsPath: '/completions',
  quirks: {
    // chat_completions/serving.py@1263d5c: `usage: null` on all chunks, then a chunk of its own.
    streamUsage: 'option',
    maxTokens: 'both',
    // Either becomes max_new_tokens of the engine, thoughts included.
    lengthCoversThinking: true,
    developerToSystem: true,
    // Top-level enable_thinking is deprecated. reasoning_effort is a closed list without `none` (a 422), and only
    // some templates read it: see the models below.
    thinking: { style: 'chat_template_kwargs', key: 'enable_thinking' },
    // protocol.py: `parse_error` and `error` are the server's own failures, `abort` that of a session.
    finishReasons: { error: 'error', abort: 'error', parse_error: 'error' },
  },
  models: [
    {
      match: /gpt-oss/i,
      quirks: { thinking: { style: 'reasoning_effort', efforts: ['low', 'medium', 'high'], off: null } },
    },
    {
      match: /deepseek.*v(3\.[12]|4)/i,
      quirks: { thinking: { style: 'chat_template_kwargs', key: 'thinking' } },
    },
    // No tool parser exists for these.
    {
      match: /baichuan2?-\d|moss-moon/i,
      cannot: ['tools', 'tool_choice', 'parallel_tool_calls', ...MEDIA_INPUTS],
      quirks: { thinking: { style: 'none' } },
    },
  ],
  errors: [
    // serve/core/exceptions.py@1263d5c: the type is invalid_request_error here too.
    { message: /exceeds the model context length/i, kind: 'context_length' },
    { type: 'authentication_error', kind: 'auth' },
    { type: 'not_found_error', kind: 'model_unavailable' },
    // ENGINE_UNAVAILABLE: the engine is asleep, stopped or has no room for a session.
    { code: '503', kind: 'overloaded' },
    // A conflict of session ids and a cancelled request come of the server's own state.
    { code: /^(409|499)$/, kind: 'server' },
    // A stream's error has the same body behind a 200.
    { status: 200, code: /^(400|422)$/, kind: 'invalid_request' },
  ],
} satisfies Provider
