// DashScope knows a budget of thinking tokens, not an effort.

/**
 * Google's published table for the same translation (https://ai.google.dev/gemini-api/docs/openai); above `high`
 * the model's own limit holds.
 */
export const EFFORT_BUDGETS: Readonly<Record<string, number>> = {
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24576,
}
