// A first look at each target before anyone asks: a few small streams, through the gateway itself.

/** A target that has not begun by then is looked at by its first real request. */
const WARM_UP_MS_MAX = 5_000
/** So many answers of its own say how quick a target is; before, what is typical of others counts as well. */
const STREAMS_PER_TARGET = 4

/**
 * Streams a few tokens from each target with the given key. What it costs stands in the books under that key, like
 * any request's; what fails is in the books too, and does not matter here.
 */
export async function warmUp(url: string, key: string, targets: Iterable<string>): Promise<void> {
  const signal = AbortSignal.timeout(WARM_UP_MS_MAX)
  const asked = [...targets].flatMap((target) => Array.from({ length: STREAMS_PER_TARGET }, () => target))
  await Promise.allSettled(asked.map((target) => askOnce(url, key, target, signal)))
}

async function askOnce(url: string, key: string, model: string, signal: AbortSignal): Promise<void> {
  const messages = [{ role: 'user', content: 'Hello' }]
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream: true, max_tokens: 8, messages }),
    signal,
  })
  await answer.text()
}
