// How long answers are, by the length of the prompt, for one model that applications ask for.

/** Prompts of up to 256, 512, 1024 … tokens. */
const BINS = 14
const KEPT = 0.995
const PRIOR_TOKENS = 200
const PRIOR_WEIGHT = 2

export class OutputLength {
  readonly #sums = new Float64Array(BINS)
  readonly #counts = new Float64Array(BINS)
  #sum = PRIOR_TOKENS * PRIOR_WEIGHT
  #count = PRIOR_WEIGHT

  expect(inputTokens: number, outputTokensMax: number | null): number {
    const bin = binOf(inputTokens)
    const overall = this.#sum / this.#count
    const weight = 4
    const mean = ((this.#sums[bin] ?? 0) + weight * overall) / ((this.#counts[bin] ?? 0) + weight)
    return outputTokensMax === null ? mean : Math.min(mean, outputTokensMax)
  }

  learn(inputTokens: number, outputTokens: number): void {
    const bin = binOf(inputTokens)
    this.#sums[bin] = (this.#sums[bin] ?? 0) * KEPT + outputTokens
    this.#counts[bin] = (this.#counts[bin] ?? 0) * KEPT + 1
    this.#sum = this.#sum * KEPT + outputTokens
    this.#count = this.#count * KEPT + 1
  }
}

function binOf(inputTokens: number): number {
  const bin = Math.ceil(Math.log2(Math.max(inputTokens, 1) / 256))
  return bin < 0 ? 0 : Math.min(bin, BINS - 1)
}
