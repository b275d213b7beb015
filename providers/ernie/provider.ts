// ERNIE on Baidu Qianfan (百度千帆): the OpenAI-shaped V2 by default, V1 (wenxinworkshop) for old credentials.

import { type FormatChoice, MEDIA_INPUTS, type Provider } from '#core/provider.ts'
import { bill } from './bill.ts'
import { credential, isPair } from './credential.ts'
import { ERRORS } from './errors.ts'
import { v1Format } from './v1.ts'

export const provider = {
  id: 'ernie',
  title: 'ERNIE (Baidu Qianfan)',
  source: 'https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb',
  // The path is `/v2`; with a `/v1` behind it the answer is a plain-text 404.
  baseUrl: 'https://qianfan.baidubce.com/v2',
  regions: [{ region: 'cn', host: 'baidubce.com' }],
  region: 'cn',
  bill,
  credential,
  keyRequired: true,
  formats: [v1Format],
  chooseFormat,
  // Neither field is in the request table of the page above.
  cannot: ['n', 'logprobs'],
  quirks: {
    // Usage comes "in the last chunk" with include_usage: on the finishing one or on one of its own.
    streamUsage: 'option',
    maxTokens: 'both',
    developerToSystem: true,
    // The system message must be the first one (langchain4j-community#80).
    systemFirst: true,
    // Official sample of a history with tool calls: `"content": ""`.
    emptyAssistantContent: '',
    thinking: {
      style: 'enable_thinking',
      budgetField: 'thinking_budget',
      efforts: ['low', 'medium', 'high'],
    },
    // `{enable, search_mode, …}`; what it finds is input (`search_tokens`).
    searchFields: ['web_search'],
    // V1's word, seen in old V2 answers too.
    finishReasons: { normal: 'stop' },
  },
  models: [
    // X1 Turbo: no stop, no response_format; the model thinks by itself.
    {
      match: /^ernie-x1/i,
      cannot: ['stop', 'json_object', 'json_schema', ...MEDIA_INPUTS],
      quirks: { thinking: { style: 'none' } },
      thinksByDefault: true,
    },
    { match: /^(deepseek-r1|qwq-)/i, quirks: { thinking: { style: 'none' } }, thinksByDefault: true },
    { match: /thinking|(^|-)think(-|$)/i, thinksByDefault: true },
    // Text models of before 4.5, and the role-play ones.
    {
      match: /^ernie-(3\.5|4\.0|speed|lite|tiny|char|novel)/i,
      cannot: [...MEDIA_INPUTS],
      quirks: { thinking: { style: 'none' }, flattenText: true },
    },
  ],
  errors: ERRORS,
  telemetryName: 'qianfan',
} satisfies Provider

function chooseFormat(input: FormatChoice): string | null {
  const oldAddress = input.baseUrl?.includes('/wenxinworkshop') === true
  return oldAddress || (input.secret !== null && isPair(input.secret)) ? v1Format.name : null
}
