// Anything else that speaks OpenAI chat: OpenAI itself, gateways, servers of one's own. Tolerant, since nothing is
// known but the format.

import type { Provider } from '#core/provider.ts'

export const provider = {
  id: 'openai-compatible',
  title: 'OpenAI-compatible endpoint',
  source: 'https://platform.openai.com/docs/api-reference/chat',
  region: 'unknown',
  credential: { kind: 'bearer' },
  keyRequired: false,
  // No completionsPath: many have chat only, so that a legacy prompt goes as a user message.
  quirks: {
    streamUsage: 'option',
    maxTokens: 'both',
    // `developer` is a 400 at most endpoints but OpenAI's, which takes `system` as well.
    developerToSystem: true,
    // Servers on newer vLLM, OpenRouter-like gateways.
    reasoningField: 'reasoning',
    // Calls without indexes (Google's layer, Kimi), as an object (Spark), with repeated ids (Xinference).
    looseToolCalls: true,
    // OpenAI's own field; the other dialects of thinking are translated into it.
    thinking: {
      style: 'reasoning_effort',
      efforts: ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'],
      off: 'none',
    },
    // Any of these may be behind it.
    searchFields: ['enable_search', 'web_search', 'web_search_options', 'plugins', 'with_search_enhance'],
    // What servers and gateways say beside OpenAI's five words.
    finishReasons: {
      eos: 'stop',
      eos_token: 'stop',
      stop_sequence: 'stop',
      end_turn: 'stop',
      normal: 'stop',
      max_tokens: 'length',
      model_context_window_exceeded: 'length',
      tool_use: 'tool_calls',
      sensitive: 'content_filter',
      safety: 'content_filter',
      error: 'error',
      abort: 'error',
      network_error: 'error',
      insufficient_system_resource: 'error',
    },
  },
  models: [
    // OpenAI's reasoning models refuse max_tokens.
    { match: /^(openai\/)?(gpt-5|o[1-9])/, quirks: { maxTokens: 'max_completion_tokens' } },
  ],
  errors: [
    // Content filters and context lengths are known by their words (openai-chat/failure.ts). Money is not: it comes
    // as 400, 403 and 429.
    {
      code: /^(insufficient_quota|insufficient_balance|billing_\w+|quota_exceeded|exceeded_current_quota_error)$/,
      kind: 'quota',
    },
    { type: /^(insufficient_quota|exceeded_current_quota_error|billing_error)$/, kind: 'quota' },
    {
      message:
        /insufficient (account )?(balance|credit|fund)|balance is insufficient|exceeded your current quota|余额不足|欠费/i,
      kind: 'quota',
    },
    { type: /overloaded/, kind: 'overloaded' },
    { message: /overloaded|at capacity|queue is full|(too|really) busy|系统繁忙/i, kind: 'overloaded' },
    // `overloaded` as a status of Anthropic-like gateways.
    { status: 529, kind: 'overloaded' },
  ],
} satisfies Provider
