import { defineConfig } from 'vitest/config'

const project = (name: string, include: string[], extra: object = {}) => ({
  test: { name, include, environment: 'node' as const, ...extra },
})

export default defineConfig({
  test: {
    projects: [
      project('architecture', ['test/architecture.test.ts']),
      project('unit', ['test/unit/**/*.test.ts']),
      project('simulator', ['test/simulator/**/*.test.ts']),
      project('contract', ['test/contract/**/*.test.ts'], { testTimeout: 120_000, hookTimeout: 180_000 }),
      project('gateway', ['test/gateway/**/*.test.ts'], { testTimeout: 60_000, hookTimeout: 60_000 }),
      project('client', ['test/client/**/*.test.ts'], { testTimeout: 60_000, hookTimeout: 60_000 }),
    ],
  },
})
