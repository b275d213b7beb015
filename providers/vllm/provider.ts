// vLLM's OpenAI server. Data only; the address is the operator's.

import type { Provider } from '#core/provider.ts'

export const provider = {
  id: 'vllm',
  title: 'vLLM',
  source: 'https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html',
  region: 'self-hosted',
  credential: { kind: 'bearer' },
  keyRequired: false,
  completionsPath: '/completions',
  // "Unsupported chat content part type: 'file'" (vllm#57774, not merged by 2026-11-25).
  cannot: ['file_input'],
  quirks: {
    // A chunk of its own with empty choices, only on request (chat_completion/serving.py@006c49d).
    streamUsage: 'option',
    // `AsyncLLM.generate` aborts the request when its generator is closed (vllm#32442), streamed or not.
    cancelStopsBilling: 'yes',
    maxTokens: 'both',
    // Either is SamplingParams.max_tokens, of all that is sampled; the reasoning parser works on the text.
    lengthCoversThinking: true,
    developerToSystem: true,
    // Answers say `reasoning` alone since 0.16 (vllm#33402); before 0.12 it was `reasoning_content`.
    reasoningField: 'reasoning',
    // 0.16 to 0.21 read only `reasoning` in the history, older ones only the other (vllm#38488, #42664); a name that
    // a version does not know is ignored (`extra="allow"`).
    reasoningReplay: ['reasoning_content', 'reasoning'],
    // Effort words of chat_completion/protocol.py@002032e; its `none` turns thinking off by itself.
    thinking: {
      style: 'chat_template_kwargs',
      key: 'enable_thinking',
      efforts: ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'],
    },
    // A request-level error or an abort inside the engine (GenerationError, `_raise_if_error`).
    finishReasons: { error: 'error', abort: 'error' },
  },
  models: [
    // Harmony models take an effort and always think.
    {
      match: /gpt-oss/i,
      quirks: { thinking: { style: 'reasoning_effort', efforts: ['low', 'medium', 'high'], off: null } },
    },
    // Their templates call the switch `thinking`.
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
    // No tool parser exists for these; they are served with a chat template given by hand.
    {
      match: /baichuan2?-\d|moss-moon/i,
      cannot: ['tools', 'tool_choice', 'parallel_tool_calls', 'vision', 'audio_input', 'video_input'],
      quirks: { thinking: { style: 'none' } },
    },
  ],
  errors: [
    // "This model's maximum context length is N tokens. However, you requested M tokens" (BadRequestError).
    { message: /maximum context length is|longer than the maximum model length/i, kind: 'context_length' },
    { type: 'NotFoundError', kind: 'model_unavailable' },
    // ScalingMiddleware, 503 `{"error": "The model is currently scaling. Please try again later."}`
    { message: /currently scaling/i, kind: 'overloaded' },
    // Behind a 200 the HTTP status stands in `code`, an integer (ErrorInfo).
    { status: 200, code: '401', kind: 'auth' },
    { status: 200, code: '404', kind: 'model_unavailable' },
    { status: 200, code: '429', kind: 'rate_limit' },
    { status: 200, code: '503', kind: 'overloaded' },
    { status: 200, code: /^(400|422)$/, kind: 'invalid_request' },
  ],
} satisfies Provider
