// `sluice explain`: where a request would go now at a running gateway, and why.

import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { adminAddress, askAdmin } from './admin-client.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { alignedLines } from './table.ts'

type Json = Record<string, unknown>

const OPTIONS = {
  url: { type: 'string' },
  token: { type: 'string' },
  key: { type: 'string' },
  policy: { type: 'string' },
  session: { type: 'string' },
  api: { type: 'string' },
  json: { type: 'boolean' },
} as const

export const explain: Command = {
  name: 'explain',
  summary: 'where a request would go now, and why; nothing is sent',
  help: `usage: sluice explain FILE [--key NAME] [--policy NAME] [--session ID] [--api chat|completions] [--json]

FILE holds the body of a request as an application would send it; - is standard input. --key plans it under the
restrictions of that key, --policy and --session are the headers x-sluice-policy and x-session-id. Speaks to the
admin API at --url or $SLUICE_URL (default http://127.0.0.1:8787) with --token or $SLUICE_ADMIN_TOKEN.
Exit code 1: the request would be refused.

example: echo '{"model":"assistant","messages":[{"role":"user","content":"hi"}]}' | sluice explain -`,
  async run(args) {
    const { values, positionals } = readOptions(args, OPTIONS, 1)
    const [file] = positionals
    if (file === undefined) throw new UsageError('which body? give a FILE, or - for standard input')
    const body = readBody(file === '-' ? await text(process.stdin) : await readFile(file, 'utf8'))
    const query = new URLSearchParams()
    if (values.key !== undefined) query.set('key', values.key)
    if (values.api !== undefined) query.set('api', values.api)
    const path = query.size === 0 ? '/explain' : `/explain?${query}`
    const headers = {
      ...(values.policy === undefined ? {} : { 'x-sluice-policy': values.policy }),
      ...(values.session === undefined ? {} : { 'x-session-id': values.session }),
    }
    const answer = await askAdmin(adminAddress(values), 'POST', path, { body, headers })
    console.log(values.json === true ? JSON.stringify(answer) : linesOf(answer).join('\n'))
    return answer['refusal'] === null ? 0 : 1
  },
}

function readBody(source: string): Json {
  let body: unknown
  try {
    body = JSON.parse(source)
  } catch (error) {
    throw new UsageError(`the body is no JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Json
  throw new UsageError('the body must be a JSON object')
}

const HEADINGS = ['target', 'cost', 'P(SLO)', 'TTFT ms', 'tokens/s', 'cached', 'samples', 'why']

function linesOf(answer: Json): readonly string[] {
  const candidates = answer['candidates'] as readonly Json[]
  const excluded = answer['excluded'] as readonly Json[]
  const runnerUp = answer['runner_up'] as Json | null
  const refusal = answer['refusal'] as Json | null
  const value = answer['value'] === null ? '' : `, worth of a request in time ${answer['value']}`
  const lines = [
    `model ${answer['model']}, policy ${answer['policy']}@${answer['policy_version']}, sort ${answer['sort']}${value}`,
    `about ${answer['input_tokens']} input tokens`,
  ]
  if (candidates.length > 0) lines.push('', ...alignedLines([HEADINGS, ...candidates.map(cellsOf)]))
  if (runnerUp !== null && runnerUp['lost_by'] !== null)
    lines.push('', `runner-up ${runnerUp['target']} lost by ${runnerUp['lost_by']} (${runnerUp['measure']})`)
  for (const change of answer['counterfactual'] as readonly Json[]) lines.push(`  ${changeText(change)}`)
  if (excluded.length > 0) lines.push('', 'left out:')
  for (const { target, reason, detail } of excluded) lines.push(`  ${target}: ${reason} (${detail})`)
  if (refusal !== null)
    lines.push('', `refused: ${refusal['status']} ${refusal['code']}: ${refusal['message']}`)
  return lines
}

function cellsOf(candidate: Json): readonly string[] {
  const names = ['target', 'estimated_cost', 'p_slo', 'ttft_ms', 'tokens_per_second', 'cached_tokens']
  return [...names, 'samples', 'reason'].map((name) => String(candidate[name] ?? '-'))
}

/** `it would be first if p_slo of a/b were below 0.91`. */
function changeText({ quantity, target, above, below }: Json): string {
  const whose = target === null ? '' : ` of ${target}`
  const than = above === null ? `below ${below}` : `above ${above}`
  return `it would be first if ${quantity}${whose} were ${than}`
}
