// StepFun (阶跃星辰). Data only.

import type { Capability, Provider } from '#core/provider.ts'

const MEDIA: readonly Capability[] = ['vision', 'video_input', 'audio_input']

export const provider = {
  id: 'stepfun',
  title: 'StepFun',
  source: 'https://platform.stepfun.com/docs/zh/api-reference/chat/chat-completion-create',
  // The other site is https://api.stepfun.ai/v1; a Step Plan's keys work at
  // https://api.stepfun.com/step_plan/v1.
  baseUrl: 'https://api.stepfun.com/v1',
  regions: [
    { region: 'intl', host: 'stepfun.ai' },
    { region: 'cn', host: 'stepfun.com' },
  ],
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  // Not in the request table of the page above; parts are text, image_url, video_url and input_audio (chat/object).
  cannot: ['logprobs', 'tool_choice', 'parallel_tool_calls', 'file_input'],
  quirks: {
    // The documented stream counts up on every chunk, unasked. The option is sent all the same: a client saw no
    // usage without it (DeepSeek-Reasonix#9129).
    streamUsage: 'option',
    // There is no max_completion_tokens.
    maxTokens: 'max_tokens',
    // Roles are system, user, assistant and tool.
    developerToSystem: true,
    // `reasoning` alone, or both names with the same text; `reasoning_content` alone where the client sends
    // `reasoning_format: "deepseek-style"`.
    reasoningField: 'reasoning',
    // Chunks carry `finish_reason: ""` and `role: ""` (the documented stream).
    emptyWords: true,
    thinking: { style: 'none' },
  },
  models: [
    {
      match: /^step-3\.7/i,
      cannot: ['audio_input'],
      quirks: { thinking: { style: 'reasoning_effort', efforts: ['low', 'medium', 'high'], off: null } },
      thinksByDefault: true,
    },
    // "step-3.5-flash-2603 accepts only low and high."
    {
      match: /^step-3\.5-flash-2603/i,
      cannot: MEDIA,
      quirks: { thinking: { style: 'reasoning_effort', efforts: ['low', 'high'], off: null } },
      thinksByDefault: true,
    },
    { match: /^step-3\.5/i, cannot: MEDIA, thinksByDefault: true },
    { match: /^step-(3|r1)/i, cannot: ['video_input', 'audio_input'], thinksByDefault: true },
    { match: /^step-1(o|v|\.5v)/i, cannot: ['video_input', 'audio_input'] },
    { match: /^step-[12]-/i, cannot: MEDIA },
  ],
  errors: [
    // https://platform.stepfun.com/docs/zh/api-reference/error-codes: the status says most of it.
    { status: 451, kind: 'moderation' },
    // "The model does not exist or no permission" is one of the reasons of a 400.
    {
      status: 400,
      message: /model\b.*(not exist|not found|permission)|模型不存在/i,
      kind: 'model_unavailable',
    },
  ],
} satisfies Provider
