// A session of the replay protocol over a configuration of a test.

import { createDecideSession, type DecideSession } from '#cli/decide-session.ts'
import { compileLive } from '#pipeline/live.ts'
import { BalanceBook, balancesOf } from '#pricing/balance-book.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { settingsOf } from '../settings/fixtures.ts'

export function sessionOf(config: string, seed = 1): DecideSession {
  const settings = settingsOf(config)
  const { prices: overrides, currency } = settings
  const balances = new BalanceBook(balancesOf(overrides))
  const catalogue = buildCatalogue({ lists: [], overrides, currency, balances })
  return createDecideSession({ live: compileLive(settings, catalogue), seed })
}
