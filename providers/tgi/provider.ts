// Text Generation Inference (Hugging Face), messages API. Data only; the address is the operator's.

import type { Provider } from '#core/provider.ts'

export const provider = {
  id: 'tgi',
  title: 'Text Generation Inference',
  source: 'https://huggingface.co/docs/text-generation-inference/messages_api',
  region: 'self-hosted',
  credential: { kind: 'bearer' },
  keyRequired: false,
  completionsPath: '/completions',
  // ChatRequest (router/src/lib.rs@db931fc): `n` is unused; response_format wants its grammar in `value`; one tool
  // call an answer (parse_output); pictures are the only media.
  cannot: [
    'n',
    'parallel_tool_calls',
    'json_object',
    'json_schema',
    'audio_input',
    'video_input',
    'file_input',
  ],
  quirks: {
    streamUsage: 'option',
    // `max_completion_tokens` is an alias; both together are a duplicate field.
    maxTokens: 'max_tokens',
    // max_new_tokens, of all that is sampled; it knows no thoughts apart.
    lengthCoversThinking: true,
    developerToSystem: true,
    // "UNUSED", and an object is a 422 where the type is an array of numbers.
    drops: ['logit_bias'],
    // Every fragment of a call repeats its id and has a null name (create_event_from_stream_token).
    looseToolCalls: true,
    toolCallsEndInStop: true,
    // `stop: Option<Vec<String>>` (router/src/lib.rs@db931fc): a string is a 422.
    stopAsList: true,
    // FinishReason::format
    finishReasons: { eos_token: 'stop', stop_sequence: 'stop' },
    thinking: { style: 'none' },
  },
  errors: [
    // validation.rs, in backquotes; the type is `validation`, and in a stream there is none.
    { message: /`inputs`.* must (be <=|have less than)/, kind: 'context_length' },
    // 429, but of `--max-concurrent-requests`, not of a rate.
    { type: 'overloaded', kind: 'overloaded' },
    { type: 'healthcheck', kind: 'overloaded' },
    { type: 'generation', kind: 'server' },
    { type: 'tool_error', kind: 'server' },
    { type: /^(validation|template_error|missing_template_variable)$/, kind: 'invalid_request' },
    // into_openai_event: in a stream all errors say 422 behind a 200, so only their words tell them apart.
    { message: /^Model is overloaded/, kind: 'overloaded' },
    { message: /^(Input validation error|Template error|Missing template)/, kind: 'invalid_request' },
    { message: /^(Request failed during generation|Incomplete generation|Tool error)/, kind: 'server' },
    { status: 424, kind: 'server' },
  ],
} satisfies Provider
