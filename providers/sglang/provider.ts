// SGLang's OpenAI server. Data only; the address is the operator's.

import type { Provider } from '#core/provider.ts'

export const provider = {
  id: 'sglang',
  title: 'SGLang',
  source: 'https://docs.sglang.ai/basic_usage/openai_api_completions.html',
  region: 'self-hosted',
  credential: { kind: 'bearer' },
  keyRequired: false,
  completionsPath: '/completions',
  // Not among the content parts of protocol.py@004c82e.
  cannot: ['file_input'],
  quirks: {
    // serving_chat.py@002897c: a chunk with empty choices when include_usage is sent.
    streamUsage: 'option',
    maxTokens: 'both',
    // Either becomes max_new_tokens, of all that is sampled; the reasoning parser works on the text.
    lengthCoversThinking: true,
    // `developer` is a role of its protocol (protocol.py@004c82e), but few chat templates know it.
    developerToSystem: true,
    // `reasoning_effort: "none"` sets enable_thinking to false by itself.
    thinking: {
      style: 'chat_template_kwargs',
      key: 'enable_thinking',
      efforts: ['low', 'medium', 'high', 'max'],
    },
    // A graceful abort (/abort_request, a closed session) ends the choice with this word.
    finishReasons: { abort: 'error' },
  },
  models: [
    {
      match: /gpt-oss/i,
      quirks: { thinking: { style: 'reasoning_effort', efforts: ['low', 'medium', 'high'], off: null } },
    },
    {
      match: /deepseek.*v(3\.[12]|4)/i,
      quirks: {
        thinking: {
          style: 'chat_template_kwargs',
          key: 'thinking',
          efforts: ['low', 'medium', 'high', 'max'],
        },
      },
    },
    // Templates that refuse a system message in any other place (xinference restful_api.py, `strict_system_first`).
    { match: /qwen3\.[56]/i, quirks: { systemFirst: true } },
  ],
  errors: [
    {
      message: /longer than the model's context length|exceeds the model's maximum context length/i,
      kind: 'context_length',
    },
    // `--max-queued-requests`: a streaming request gets HTTP 200 and this as its first event, others a 503.
    { message: /request queue is full|aborted by a higher priority request/i, kind: 'overloaded' },
    // Behind a 200 the HTTP status stands in `code`; `type` is its name (`SERVICE_UNAVAILABLE`).
    { status: 200, code: '401', kind: 'auth' },
    { status: 200, code: '404', kind: 'model_unavailable' },
    { status: 200, code: /^(408|504)$/, kind: 'timeout' },
    { status: 200, code: '429', kind: 'rate_limit' },
    { status: 200, code: '503', kind: 'overloaded' },
    { status: 200, code: /^(400|422)$/, kind: 'invalid_request' },
    // The client has gone (CancelledError); seen here only when the server is going down.
    { status: 499, kind: 'server' },
  ],
} satisfies Provider
