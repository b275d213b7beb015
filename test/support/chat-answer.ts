// Reads what a client got, streamed or whole, into one form.

export interface ChatAnswer {
  text: string
  reasoning: string
  readonly calls: { id: string; name: string; arguments: string }[]
  finish: string | null
  usageChunks: number
}

type Json = Record<string, unknown>

export function readClientAnswer(client: string, streamed: boolean): ChatAnswer {
  const answer: ChatAnswer = { text: '', reasoning: '', calls: [], finish: null, usageChunks: 0 }
  if (!streamed) {
    addBody(answer, JSON.parse(client) as Json)
    return answer
  }
  for (const block of client.split(/\r?\n\r?\n/)) {
    for (const line of block.split(/\r?\n/)) {
      if (!line.startsWith('data:')) continue
      const data = line.slice(5).trim()
      if (data !== '[DONE]') addBody(answer, JSON.parse(data) as Json)
    }
  }
  return answer
}

function addBody(answer: ChatAnswer, body: Json): void {
  if (body['usage'] !== undefined && body['usage'] !== null) answer.usageChunks++
  for (const choice of (body['choices'] ?? []) as Json[]) {
    if (typeof choice['finish_reason'] === 'string') answer.finish = choice['finish_reason']
    const delta = (choice['delta'] ?? choice['message'] ?? {}) as Json
    if (typeof delta['content'] === 'string') answer.text += delta['content']
    if (typeof delta['reasoning_content'] === 'string') answer.reasoning += delta['reasoning_content']
    for (const [position, call] of ((delta['tool_calls'] ?? []) as Json[]).entries())
      addCall(answer, call, position)
  }
}

function addCall(answer: ChatAnswer, call: Json, position: number): void {
  const index = typeof call['index'] === 'number' ? call['index'] : position
  answer.calls[index] ??= { id: '', name: '', arguments: '' }
  const own = answer.calls[index]
  const fn = (call['function'] ?? {}) as Json
  if (typeof call['id'] === 'string' && call['id'] !== '') own.id = call['id']
  if (typeof fn['name'] === 'string' && fn['name'] !== '') own.name = fn['name']
  if (typeof fn['arguments'] === 'string') own.arguments += fn['arguments']
}
