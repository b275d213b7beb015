// OpenRouter as an upstream: OpenAI chat over many providers, with reasoning, errors and usage in words of its own.

import type { Provider } from '#core/provider.ts'
import { ERRORS } from './errors.ts'

/** Think unless told otherwise, behind any of its providers. */
const THINKERS =
  /\/(o[1-9]|gpt-5(?!.*-chat)|gpt-oss|deepseek-(r1|v4)|qwq|qvq|grok-4|gemini-(2\.5-pro|[3-9])|glm-(4\.[5-9]|5)|minimax-m|magistral)|thinking/

export const provider = {
  id: 'openrouter',
  title: 'OpenRouter',
  source: 'https://openrouter.ai/docs/api-reference/overview',
  baseUrl: 'https://openrouter.ai/api/v1',
  region: 'global',
  credential: { kind: 'bearer' },
  keyRequired: true,
  completionsPath: '/completions',
  // File parts work "on any model": where it does not read them itself, OpenRouter does
  // (https://openrouter.ai/docs/features/multimodal/pdfs, 2026-11-25).
  quirks: {
    // In the last event, always; stream_options is "deprecated and has no effect" (use-cases/usage-accounting).
    streamUsage: 'always',
    maxTokens: 'both',
    developerToSystem: true,
    // `reasoning`, with `reasoning_details` beside it, which passes untouched both ways: "must be returned unmodified".
    reasoningField: 'reasoning',
    reasoningReplay: ['reasoning'],
    // `reasoning: {effort | max_tokens | enabled}`; all words of effort work with all models (big-AGI#940).
    thinking: { style: 'reasoning' },
    // `plugins: [{id: 'web'}]` (features/web-search); `:online` behind a model's name is the same.
    searchFields: ['plugins', 'web_search_options'],
    // The words of providers are normalised; this one says that the provider failed (errors, "mid-stream").
    finishReasons: { error: 'error' },
  },
  models: [
    {
      match: new RegExp(`(${THINKERS.source}).*:online$`),
      quirks: { searches: true },
      thinksByDefault: true,
    },
    { match: /:online$/, quirks: { searches: true } },
    {
      match: THINKERS,
      thinksByDefault: true,
    },
  ],
  errors: ERRORS,
} satisfies Provider
