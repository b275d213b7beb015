// iFlytek's Spark (讯飞星火) over HTTP. What its answers lack of OpenAI's stands in format.ts.

import { type FormatChoice, MEDIA_INPUTS, type Provider, type Quirks } from '#core/provider.ts'
import { ERRORS } from './errors.ts'
import { sparkFormat } from './format.ts'

const HOST = 'https://spark-api-open.xf-yun.com'

/** lite, generalv3, pro-128k, generalv3.5, max-32k, 4.0Ultra, and what the MaaS platform serves. */
const GENERAL: Quirks = {
  // Unasked, on the last chunk with content; there is no stream_options.
  streamUsage: 'always',
  maxTokens: 'max_tokens',
  // Roles are system, user, assistant and tool.
  developerToSystem: true,
  // `content` is a string.
  flattenText: true,
  thinking: { style: 'none' },
}

/** "Dynamic thinking, by the field `thinking`" from X1.5 on: https://www.xfyun.cn/doc/spark/X1http.html. */
const THINKING: Quirks = { ...GENERAL, thinking: { style: 'thinking' } }

/** Prefers the other length field, ignores the penalties: https://www.xfyun.cn/doc/spark/Spark-X2.5.html. */
const X2_5: Quirks = {
  ...THINKING,
  maxTokens: 'max_completion_tokens',
  drops: ['frequency_penalty', 'presence_penalty'],
}

/** By model, the first match (lobe-chat model-runtime/src/providers/spark@f32a576); a configured URL overrides. */
const FAMILIES = [
  { match: /^spark-x2\.5/i, name: 'spark-x2.5', baseUrl: `${HOST}/x2`, quirks: X2_5, asksForCalls: false },
  {
    match: /^spark-x2-flash/i,
    name: 'spark-x2-flash',
    baseUrl: `${HOST}/agent/v1`,
    quirks: THINKING,
    asksForCalls: false,
  },
  { match: /^spark-x2/i, name: 'spark-x2', baseUrl: `${HOST}/x2`, quirks: THINKING, asksForCalls: false },
  { match: /^(spark-x|x1)/i, name: 'spark-x1', baseUrl: `${HOST}/v2`, quirks: THINKING, asksForCalls: false },
  { match: /^/, name: 'spark', baseUrl: `${HOST}/v1`, quirks: GENERAL, asksForCalls: true },
] as const

export const provider = {
  id: 'spark',
  title: 'Spark (iFlytek)',
  source: 'https://www.xfyun.cn/doc/spark/HTTP调用文档.html',
  baseUrl: `${HOST}/v1`,
  regions: [{ region: 'cn', host: 'xf-yun.com' }],
  region: 'cn',
  // The console's APIPassword, one for each model, or `key:secret`.
  credential: { kind: 'bearer' },
  keyRequired: true,
  formats: FAMILIES.map(sparkFormat),
  chooseFormat,
  // Not in the parameter table of the page above. response_format is text or json_object, content is text.
  cannot: ['n', 'logprobs', 'stop', 'json_schema', 'parallel_tool_calls', ...MEDIA_INPUTS],
  quirks: GENERAL,
  models: [
    { match: /^spark-x2\.5/i, can: ['parallel_tool_calls'], thinksByDefault: true },
    { match: /^(spark-x|x1)/i, thinksByDefault: true },
    // "tools.function only on Max and Ultra."
    { match: /^(lite|general|generalv3|pro-128k)$/i, cannot: ['tools'] },
  ],
  errors: ERRORS,
} satisfies Provider

function chooseFormat(input: FormatChoice): string | null {
  return FAMILIES.find((family) => family.match.test(input.model))?.name ?? null
}
