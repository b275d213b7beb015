import { describe, expect, test } from 'vitest'
import { AttemptDeadline } from '#pipeline/deadline.ts'
import { FakeClock } from './support.ts'

function start(totalMs = 10_000, connectMs = 1_000) {
  const clock = new FakeClock()
  const expired: string[] = []
  const beganAtMs = clock.nowMs()
  const deadline = new AttemptDeadline(clock, totalMs, connectMs, (phase) => {
    expired.push(`${phase} at ${clock.nowMs() - beganAtMs}`)
    deadline.cancel()
  })
  return { clock, deadline, expired }
}

describe('one timer for all deadlines of an attempt', () => {
  test('expires while connecting', () => {
    const { clock, expired } = start()
    clock.advance(999)
    expect(expired).toEqual([])
    clock.advance(1)
    expect(expired).toEqual(['connect at 1000'])
  })

  test('expires waiting for the first token', () => {
    const { clock, deadline, expired } = start()
    clock.advance(500)
    deadline.enter('first_token', 3_000, clock.monotonicMs())
    clock.advance(20_000)
    expect(expired).toEqual(['first_token at 3500'])
  })

  test('expires when nothing comes for the idle time, counted from the last arrival', () => {
    const { clock, deadline, expired } = start()
    deadline.enter('idle', 2_000, clock.monotonicMs())
    for (let arrival = 0; arrival < 3; arrival++) {
      clock.advance(1_500)
      deadline.extend(2_000, clock.monotonicMs())
    }
    clock.advance(20_000)
    expect(expired).toEqual(['idle at 6500'])
  })

  test('expires in total, however lively the stream', () => {
    const { clock, deadline, expired } = start()
    deadline.enter('idle', 2_000, clock.monotonicMs())
    for (let arrival = 0; arrival < 40 && expired.length === 0; arrival++) {
      clock.advance(500)
      deadline.extend(2_000, clock.monotonicMs())
    }
    expect(expired).toEqual(['total at 10000'])
  })

  test('has only the total where a phase has no bound', () => {
    const { clock, deadline, expired } = start()
    deadline.enter('first_token', null, clock.monotonicMs())
    clock.advance(20_000)
    expect(expired).toEqual(['total at 10000'])
  })

  test('notices a shorter phase behind a longer one', () => {
    const { clock, deadline, expired } = start()
    deadline.enter('first_token', 9_000, clock.monotonicMs())
    clock.advance(100)
    deadline.enter('idle', 200, clock.monotonicMs())
    clock.advance(20_000)
    expect(expired).toEqual(['idle at 300'])
  })

  test('is not moved with every chunk', () => {
    const { clock, deadline } = start(1_000_000)
    deadline.enter('idle', 10_000, clock.monotonicMs())
    const before = clock.timersSet
    for (let chunk = 0; chunk < 1_000; chunk++) {
      clock.advance(10)
      deadline.extend(10_000, clock.monotonicMs())
    }
    expect(clock.timersSet - before).toBeLessThanOrEqual(2)
  })

  test('leaves no timer behind', () => {
    const { clock, deadline, expired } = start()
    deadline.enter('idle', 100, clock.monotonicMs())
    deadline.cancel()
    expect(clock.timers).toBe(0)
    clock.advance(60_000)
    expect(expired).toEqual([])
  })
})
