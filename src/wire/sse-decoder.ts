// Streams of server-sent events → canonical events: what the decoders of all dialects share.

import type { ChatEvent } from '#core/chat.ts'
import { SSE_EVENT_BYTES_MAX } from '#core/limits.ts'
import type { AnswerDecoder } from '#core/wire-format.ts'
import { type SseEvent, SseSplitter } from './sse.ts'

/** What a dialect makes of its stream. */
export interface SseReader {
  /** Adds what an event says. False: it was no JSON object and is left out. */
  readonly read: (event: SseEvent, data: Uint8Array, events: ChatEvent[]) => boolean
  /** An event that does not end within the bound. */
  readonly giveUp: (kind: 'protocol', vendorMessage: string) => ChatEvent
  /** The upstream closed. */
  readonly end?: (events: ChatEvent[]) => void
  /** The dialect's end mark has come. */
  readonly hasEnded?: () => boolean
}

export function openSseDecoder(reader: SseReader): AnswerDecoder {
  const splitter = new SseSplitter(SSE_EVENT_BYTES_MAX)
  let events: ChatEvent[] = []
  let dropped = 0

  function onEvent(event: SseEvent): void {
    if (event.data !== null && !reader.read(event, event.data, events)) dropped++
  }

  return {
    push(chunk) {
      events = []
      if (!splitter.push(chunk, onEvent)) events.push(reader.giveUp('protocol', 'an event without end'))
      return events
    },
    end() {
      events = []
      splitter.end(onEvent)
      reader.end?.(events)
      return events
    },
    get dropped() {
      return dropped
    },
    get hasEnded() {
      return reader.hasEnded?.() ?? false
    },
  }
}
