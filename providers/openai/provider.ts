// OpenAI itself. Data only; where another vendor's dialect needs a departure, OpenAI is what is departed from.

import type { ModelRule, Provider, ThinkingSwitch } from '#core/provider.ts'
import { ERRORS } from './errors.ts'

/**
 * Refused with 400 `unsupported_parameter` by models that always reason
 * (https://platform.openai.com/docs/guides/latest-model, https://learn.microsoft.com/azure/ai-services/openai/how-to/reasoning).
 */
const PENALTIES = ['presence_penalty', 'frequency_penalty', 'logit_bias'] as const

/** "Unrecognized request argument supplied: reasoning_effort" */
const NO_EFFORT: ThinkingSwitch = { style: 'none' }

/** A model whose `reasoning_effort` knows these words; `off` is null where it cannot but think. */
function reasoner(match: RegExp, efforts: readonly string[], off: 'none' | null): ModelRule {
  return {
    match,
    quirks: { thinking: { style: 'reasoning_effort', efforts, off }, drops: PENALTIES },
    ...(off === null ? { cannot: ['stop', 'logprobs'], thinksByDefault: true } : {}),
  }
}

export const provider = {
  id: 'openai',
  title: 'OpenAI',
  source: 'https://platform.openai.com/docs/api-reference/chat',
  baseUrl: 'https://api.openai.com/v1',
  // Projects bound to a region are called at its host.
  regions: [
    { region: 'eu', host: 'eu.api.openai.com' },
    { region: 'us', host: 'us.api.openai.com' },
  ],
  region: 'global',
  credential: { kind: 'bearer' },
  keyRequired: true,
  // No completionsPath: chat models are a 404 there ("This is a chat model and not supported in the v1/completions
  // endpoint"), so that a legacy prompt goes as a user message.
  // Media in are pictures, sound for the models named after it, and PDFs as file parts for "models with vision
  // capabilities" (https://developers.openai.com/docs/guides/pdf-files, 2026-11-25).
  cannot: ['video_input', 'audio_input'],
  quirks: {
    streamUsage: 'option',
    // OpenRouter lists it among those that stop (https://openrouter.ai/docs/api-reference/streaming, 2026-11-25);
    // "for non-streaming requests … the model will continue processing and you will be billed".
    cancelStopsBilling: 'streams',
    // All chat models take it; max_tokens is deprecated, and refused by those that reason.
    maxTokens: 'max_completion_tokens',
    developerToSystem: false,
    searchFields: ['web_search_options'],
    // Reasoning is not served over chat completions; what another vendor said is no field of OpenAI's.
    reasoningReplay: [],
    // Models whose name is not known here: all words but `minimal`, which GPT-5 alone took.
    thinking: { style: 'reasoning_effort', efforts: ['low', 'medium', 'high', 'xhigh'], off: 'none' },
  },
  models: [
    // "Search the web before responding", asked or not (guides/tools-web-search).
    { match: /-search-(preview|api)/, quirks: { searches: true, thinking: NO_EFFORT } },
    { match: /(^|-)audio(-|$)/, can: ['audio_input'], quirks: { thinking: NO_EFFORT } },
    {
      match: /^(ft:)?(gpt-3\.5|gpt-4(-\d{4})?(:|$))/,
      cannot: ['vision', 'file_input'],
      quirks: { thinking: NO_EFFORT },
    },
    // "All models before gpt-5.1 … do not support none."
    reasoner(
      /^(ft:)?gpt-5(-(mini|nano))?(-\d{4}-\d\d-\d\d)?(:|$)/,
      ['minimal', 'low', 'medium', 'high'],
      null,
    ),
    // Chat models of the same name do not reason and take no effort.
    { match: /^gpt-[\d.]+-chat/, quirks: { thinking: NO_EFFORT } },
    // "Supported values are: 'none', 'low', 'medium', and 'high'."; xhigh came with gpt-5.1-codex-max.
    reasoner(/^(ft:)?gpt-5\.1(-\d{4}|:|$)/, ['low', 'medium', 'high'], 'none'),
    reasoner(/^(ft:)?gpt-5\./, ['low', 'medium', 'high', 'xhigh'], 'none'),
    {
      ...reasoner(/^o3-mini/, ['low', 'medium', 'high'], null),
      cannot: ['stop', 'logprobs', 'vision', 'file_input'],
    },
    reasoner(/^(ft:)?o[1-9]/, ['low', 'medium', 'high'], null),
    { match: /^(ft:)?(gpt-4|chatgpt-)/, quirks: { thinking: NO_EFFORT } },
  ],
  errors: ERRORS,
} satisfies Provider
