// The dialects by name.

import { deepseek } from './deepseek.ts'
import type { Dialect, DialectName } from './dialect.ts'
import { doubao } from './doubao.ts'
import { ernie } from './ernie.ts'
import { llamacpp } from './llamacpp.ts'
import { ollama } from './ollama.ts'
import { openai } from './openai.ts'
import { qwen } from './qwen.ts'
import { tgi } from './tgi.ts'
import { vllm } from './vllm.ts'

export const dialects: Readonly<Record<DialectName, Dialect>> = {
  doubao,
  qwen,
  ernie,
  deepseek,
  openai,
  vllm,
  ollama,
  tgi,
  llamacpp,
}
