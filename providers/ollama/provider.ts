// Ollama's OpenAI endpoint, local or ollama.com. Data only; the address is the operator's.

import type { Provider } from '#core/provider.ts'

export const provider = {
  id: 'ollama',
  title: 'Ollama',
  source: 'https://docs.ollama.com/api/openai-compatibility',
  region: 'self-hosted',
  // Ignored locally; ollama.com checks it.
  credential: { kind: 'bearer' },
  keyRequired: false,
  completionsPath: '/completions',
  // Absent from ChatCompletionRequest (openai/openai.go@fb30760): they would be ignored in silence. A file part is a 400
  // "invalid message format" (kilocode#11878).
  cannot: ['tool_choice', 'parallel_tool_calls', 'n', 'video_input', 'file_input'],
  quirks: {
    streamUsage: 'option',
    // "If you abort the request Ollama will stop generation" (ollama#2876).
    cancelStopsBilling: 'yes',
    // There is no max_completion_tokens.
    maxTokens: 'max_tokens',
    // It becomes num_predict, which the runner compares with all tokens it has sampled (ollamarunner/runner.go,
    // numPredicted); thoughts are told from the answer afterwards.
    lengthCoversThinking: true,
    developerToSystem: true,
    // Each text part becomes a message of its own, and a tool result in parts loses its call id (FromChatRequest).
    flattenText: true,
    reasoningField: 'reasoning',
    reasoningReplay: ['reasoning'],
    // "Not supported" in the documentation: ignored in silence.
    drops: ['logit_bias', 'user'],
    // thinkFromReasoningEffort; other words are a 400 "invalid reasoning value".
    thinking: {
      style: 'reasoning_effort',
      efforts: ['minimal', 'low', 'medium', 'high', 'xhigh', 'max', 'ultra'],
      off: 'none',
    },
    // Streamed calls of several messages may all carry index 0.
    looseToolCalls: true,
    // tool_choice is absent from ChatCompletionRequest (openai/openai.go@fb30760), so `none` would be ignored.
    noToolsForNone: true,
    // Answers to requests that only load or unload a model.
    finishReasons: { load: 'error', unload: 'error' },
  },
  errors: [
    // llama-server's own body as text inside the message.
    {
      message: /exceed_context_size_error|exceeds the (available )?context (size|length)/i,
      kind: 'context_length',
    },
    // ErrMaxQueue, 503 with type `api_error` (server/sched.go@fb30760).
    { message: /maximum pending requests exceeded/i, kind: 'overloaded' },
    // ollama.com: hourly, session, weekly and monthly allowances; waiting a moment does not help.
    { status: 429, message: /usage limit/i, kind: 'quota' },
    { status: 402, kind: 'quota' },
    // 404 `model 'x' not found`; 403 a cloud model while the cloud is switched off.
    { type: 'not_found_error', kind: 'model_unavailable' },
    { status: 403, message: /cloud is disabled/i, kind: 'model_unavailable' },
    { message: /requires more (system |GPU )?memory/i, kind: 'model_unavailable' },
    { status: 401, kind: 'auth' },
    // "request canceled"
    { status: 499, kind: 'server' },
  ],
} satisfies Provider
