// llama.cpp's server (llama-server). Data only; the address is the operator's.

import type { Provider } from '#core/provider.ts'

export const provider = {
  id: 'llamacpp',
  title: 'llama.cpp server',
  source: 'https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md',
  region: 'self-hosted',
  credential: { kind: 'bearer' },
  keyRequired: false,
  completionsPath: '/completions',
  // Media formats of mtmd: pictures and sound; another part is "unsupported content[].type". Servers of before `n_cmpl` ignore `n` in silence
  // (janhq/cortex.llamacpp#264); `capabilities: [n, …]` of a target says that its server is newer.
  cannot: ['video_input', 'file_input', 'n'],
  quirks: {
    // server-task.cpp@00efb3e: a chunk with empty choices, `timings` beside the usage.
    streamUsage: 'option',
    maxTokens: 'both',
    // Either becomes n_predict, of all that is sampled; thoughts are told from the answer afterwards.
    lengthCoversThinking: true,
    developerToSystem: true,
    // `none` turns thinking off by itself; other words go to the chat template.
    thinking: {
      style: 'chat_template_kwargs',
      key: 'enable_thinking',
      efforts: ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'],
    },
  },
  models: [
    {
      match: /gpt-oss/i,
      quirks: { thinking: { style: 'reasoning_effort', efforts: ['low', 'medium', 'high'], off: null } },
    },
  ],
  errors: [
    // The types of format_error_response (server-common.cpp@006639c); `code` is the HTTP status as an integer.
    { type: 'exceed_context_size_error', kind: 'context_length' },
    { message: /exceeds the available context size/i, kind: 'context_length' },
    { type: 'unavailable_error', kind: 'overloaded' },
    { type: 'authentication_error', kind: 'auth' },
    { type: 'permission_error', kind: 'auth' },
    { type: 'not_found_error', kind: 'model_unavailable' },
    // 501: what the loaded model or the command line does not allow.
    { type: 'not_supported_error', kind: 'invalid_request' },
    { status: 200, type: 'invalid_request_error', kind: 'invalid_request' },
  ],
} satisfies Provider
