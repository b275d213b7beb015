// How a call of the official `openai` SDK came out.

import type OpenAI from 'openai'
import { APIError, BadRequestError } from 'openai'
import { expect } from 'vitest'

/** The error that this work fails with. */
export async function failureOf(work: Promise<unknown>): Promise<APIError> {
  const error: unknown = await work.then(
    () => null,
    (cause: unknown) => cause,
  )
  expect(error).toBeInstanceOf(APIError)
  return error as APIError
}

export async function refusalOf(work: Promise<unknown>): Promise<APIError> {
  const error = await failureOf(work)
  expect(error).toBeInstanceOf(BadRequestError)
  return error
}

export interface ReadStream {
  readonly text: string
  readonly finish: string | null
  readonly error: unknown
}

/** Reads a stream to its end, or to its failure. */
export async function readStream(
  work: Promise<AsyncIterable<OpenAI.ChatCompletionChunk>>,
): Promise<ReadStream> {
  let text = ''
  let finish: string | null = null
  try {
    for await (const chunk of await work) {
      text += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
    }
  } catch (error) {
    return { text, finish, error }
  }
  return { text, finish, error: null }
}
