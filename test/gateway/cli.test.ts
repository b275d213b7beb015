// The `sluice` command as a process: what it prints, and with which code it ends.

import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, startSluice, untilPrinted } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { ask, contentOf, eventsOf, openStream } from '../support/http-client.ts'
import { closedPort } from '../support/raw-upstream.ts'

const VALID = configOf({
  providers: { up: { use: 'openai-compatible', base_url: 'https://api.example.com/v1', api_key: 'sk-1' } },
})

const variable = (text: string): string => `\${${text}}`

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

async function run(
  args: readonly string[],
  env = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const sluice = startSluice(args, { SLUICE_STORE: `sqlite:${join(folder, 'sluice.db')}`, ...env })
  const code = await sluice.exited
  return { code, output: sluice.output() }
}

describe('sluice check', () => {
  test('says that a good file is fine', async () => {
    const got = await run(['check', file('good.yaml', VALID)])
    expect(got.code).toBe(0)
    expect(got.output).toMatch(/is fine \(providers: 1, models: 1, keys: 1\)/)
  })

  test('names every problem of a bad file at once, with the nearest right word', async () => {
    const bad = {
      ...VALID,
      serverr: {},
      policies: { p: { sort: 'prise' } },
      models: { m: { policy: 'q', targets: ['upp/x'] } },
      keys: [{ name: 'short', key: 'sk-1' }],
    }
    const got = await run(['check', file('bad.yaml', bad)])
    expect(got.code).toBe(1)
    for (const word of ['serverr', 'server', 'prise', 'price', 'upp', 'up', 'keys[0].key'])
      expect(got.output).toContain(word)
    const json = await run(['check', file('bad.yaml', bad), '--json'])
    expect(json.code).toBe(1)
    const { ok, problems } = JSON.parse(json.output) as { ok: boolean; problems: { path: string }[] }
    expect(ok).toBe(false)
    expect(problems.map((problem) => problem.path)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('serverr'),
        expect.stringContaining('sort'),
        expect.stringContaining('keys'),
      ]),
    )
  })

  test('notes targets that can never be chosen, and refuses a region that no price speaks of', async () => {
    const doubao = { use: 'doubao', api_key: 'sk-1' }
    const targets = ['doubao/doubao-seed-1-6-flash-250828', 'doubao/doubao-seed-1-6-flsh-250828']
    const config = {
      ...VALID,
      providers: { doubao, openai: { use: 'openai', api_key: 'sk-1' } },
      prices: {},
      models: { m: { targets: [...targets, 'openai/gpt-4o-mini'] } },
      policies: {},
    }
    const got = await run(['check', file('unpriced.yaml', config)])
    expect(got.code, got.output).toBe(0)
    expect(got.output).toMatch(
      /^note: target "doubao\/doubao-seed-1-6-flsh-250828" has no price; did you mean "doubao-seed-1-6-flash-250828"/m,
    )
    expect(got.output).toMatch(/never chosen under sort: value/)
    const wrong = await run([
      'check',
      file('region.yaml', {
        ...config,
        providers: { ...config.providers, doubao: { ...doubao, region: 'cm' } },
      }),
    ])
    expect(wrong.code).toBe(1)
    expect(wrong.output).toMatch(
      /providers\.doubao\.region: .*found "cm"; allowed: cn, intl; did you mean "cn"/,
    )
  })

  test('prints JSON for a good file and its notices', async () => {
    const path = file('notices.yaml', { ...VALID, keys: [] })
    const got = await run(['check', path, '--json'])
    expect(got.code).toBe(0)
    expect(JSON.parse(got.output)).toEqual({
      ok: true,
      problems: [],
      notices: [expect.stringContaining('no keys')],
    })
  })

  test('fails for a file that is not there, and for a variable that is not set', async () => {
    expect(await run(['check', join(folder, 'none.yaml')])).toMatchObject({
      code: 1,
      output: expect.stringContaining('ENOENT'),
    })
    const path = file('unset.yaml', { ...VALID, admin: { token: variable('SURELY_NOT_SET') } })
    expect(await run(['check', path])).toMatchObject({
      code: 1,
      output: expect.stringContaining('SURELY_NOT_SET'),
    })
  })

  test('is wrong use without a file, with two, and with an option that it does not have', async () => {
    for (const args of [['check'], ['check', 'a', 'b'], ['check', 'a', '--yaml']]) {
      const got = await run(args)
      expect(got.code, args.join(' ')).toBe(2)
      expect(got.output).toContain('usage: sluice check')
    }
  })
})

describe('sluice', () => {
  test.each(['serve', 'demo', 'check', 'simulate'])(
    '%s --help explains itself with an example',
    async (name) => {
      const got = await run([name, '--help'])
      expect(got.code).toBe(0)
      expect(got.output).toMatch(new RegExp(`^usage: sluice ${name}`))
      expect(got.output).toMatch(/example: .*sluice/)
    },
  )

  test('lists its commands when asked, and when called wrongly', async () => {
    expect(await run(['--help'])).toMatchObject({
      code: 0,
      output: expect.stringMatching(/serve[\s\S]*demo[\s\S]*check/),
    })
    expect(await run([])).toMatchObject({ code: 2, output: expect.stringContaining('usage: sluice COMMAND') })
    expect(await run(['serv'])).toMatchObject({
      code: 2,
      output: expect.stringContaining('no command "serv"'),
    })
  })
})

describe('sluice serve', () => {
  test('says that its port is in use, and how to choose another', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const got = await run(['serve', '--config', file('port.yaml', VALID)], { SLUICE_PORT: String(port) })
    server.close()
    expect(got.code).toBe(1)
    expect(got.output).toMatch(new RegExp(`port ${port} .*in use.*SLUICE_PORT`))
    expect(got.output).not.toMatch(/\n\s+at /)
  })

  test('stops with what to set when no provider has its key', async () => {
    const config = {
      ...VALID,
      providers: { doubao: { use: 'doubao', api_key: variable('ARK_API_KEY:-') } },
      prices: {},
      models: { m: { targets: ['doubao/doubao-seed-1-6-flash-250828'] } },
    }
    const got = await run(['serve', '--config', file('keyless.yaml', config)])
    expect(got.code).toBe(1)
    expect(got.output).toContain('no provider is enabled')
    expect(got.output).toContain('ARK_API_KEY')
  })

  test('names all problems of its file and ends', async () => {
    const got = await run([
      'serve',
      '--config',
      file('broken.yaml', { providers: {}, models: { m: {} }, x: 1 }),
    ])
    expect(got.code).toBe(1)
    expect(got.output).toMatch(/models\.m\.targets/)
    expect(got.output).toMatch(/^x: unknown setting/m)
  })

  test('says so when its store cannot be opened', async () => {
    const blocked = join(file('blocked', 'a file, not a folder'), 'sluice.db')
    const got = await run(['serve', '--config', file('store.yaml', VALID)], {
      SLUICE_STORE: `sqlite:${blocked}`,
    })
    expect(got.code).toBe(1)
    expect(got.output).toMatch(/^sluice serve: .*blocked/m)
    expect(got.output).not.toMatch(/\n\s+at /)
  })

  test('takes its file, host, port, store and token from the environment', async () => {
    const port = await closedPort()
    const path = file('env.yaml', VALID)
    const store = join(folder, 'from-env.db')
    const sluice = startSluice(['serve'], {
      SLUICE_CONFIG: path,
      SLUICE_PORT: String(port),
      SLUICE_HOST: '127.0.0.1',
      SLUICE_STORE: `sqlite:${store}`,
      SLUICE_ADMIN_TOKEN: 'token-from-env-01',
    })
    const url = await untilPrinted(sluice.output, sluice.exited, /sluice listens on (http:\S+)/)
    expect(url).toBe(`http://127.0.0.1:${port}`)
    expect((await ask(`${url}/admin/v1/usage`, { key: 'token-from-env-01' })).status).toBe(200)
    expect(existsSync(store)).toBe(true)
    sluice.child.kill('SIGINT')
    expect(await sluice.exited).toBe(0)
  })
})

describe('sluice demo', () => {
  test('answers a streamed request with its cost, shows it in its books, and leaves nothing behind', async () => {
    const port = await closedPort()
    const temporary = mkdtempSync(join(folder, 'tmp-'))
    const sluice = startSluice(['demo'], { SLUICE_PORT: String(port), TMPDIR: temporary })
    const url = await untilPrinted(sluice.output, sluice.exited, /base URL\s+(http:\S+)\/v1/)
    for (const word of ['sk-sluice-demo', 'sluice-demo-admin', 'curl -N'])
      expect(sluice.output()).toContain(word)

    const models = await ask(`${url}/v1/models`, { key: 'sk-sluice-demo' })
    const ids = (models.json['data'] as { id: string }[]).map((model) => model.id)
    expect(ids).toEqual(expect.arrayContaining(['assistant', 'fast', 'long']))

    const body = {
      model: 'assistant',
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: 'user', content: 'Why is the sky blue?' }],
    }
    const stream = await openStream(`${url}/v1/chat/completions`, { key: 'sk-sluice-demo', body })
    await stream.ended
    expect(stream.status, stream.text()).toBe(200)
    // The local model is cheaper, and known to be too slow before anyone asks.
    expect(stream.headers['x-sluice-target']).toBe('doubao/doubao-seed-1-6-flash-250828')
    expect(contentOf(stream.text()).length).toBeGreaterThan(20)
    const events = eventsOf(stream.text())
    expect(events.at(-1)).toBe('[DONE]')
    const { usage } = JSON.parse(events.at(-2) ?? '') as {
      usage: { cost: string; completion_tokens: number }
    }
    expect(usage.completion_tokens).toBeGreaterThan(0)
    expect(Number(usage.cost)).toBeGreaterThan(0)

    const report = await ask(`${url}/admin/v1/usage?group_by=key`, { key: 'sluice-demo-admin' })
    expect(report.json['data']).toEqual([
      expect.objectContaining({
        key: 'demo',
        requests: 1,
        cost: usage.cost,
        output_tokens: usage.completion_tokens,
      }),
      expect.objectContaining({ key: 'warm-up', requests: 36, attempts: 36 }),
    ])
    const id = stream.headers['x-request-id'] ?? ''
    const detail = await ask(`${url}/admin/v1/requests/${id}`, { key: 'sluice-demo-admin' })
    expect(detail.json).toMatchObject({ outcome: 'success', cost: usage.cost })
    expect((detail.json['decision'] as { candidates: unknown[] }).candidates).toContainEqual(
      expect.objectContaining({ target: 'local/qwen3-8b', reason: 'less_value' }),
    )

    const direct = ids.filter((name) => name.includes('/'))
    expect(direct.length).toBeGreaterThan(5)
    await Promise.all(
      direct.map(async (model) => {
        const got = await ask(`${url}/v1/chat/completions`, {
          key: 'sk-sluice-demo',
          body: { ...body, model },
        })
        expect(got.status, `${model}: ${got.text.slice(0, 500)}`).toBe(200)
        expect(got.text.trimEnd().endsWith('data: [DONE]'), model).toBe(true)
      }),
    )

    sluice.child.kill('SIGTERM')
    expect(await sluice.exited).toBe(0)
    expect(readdirSync(temporary).filter((name) => name.startsWith('sluice'))).toEqual([])
  })

  test('says so when its port is in use, and leaves nothing behind', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const temporary = mkdtempSync(join(folder, 'tmp-'))
    const sluice = startSluice(['demo'], { SLUICE_PORT: String(port), TMPDIR: temporary })
    expect(await sluice.exited).toBe(1)
    server.close()
    expect(sluice.output()).toMatch(/in use/)
    await eventually(
      () => readdirSync(temporary).every((name) => !name.startsWith('sluice')),
      'the folder is gone',
    )
  })
})
