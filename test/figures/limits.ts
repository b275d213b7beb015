// Figures of admission, on a real gateway with a real clock:
//   npm run figures -- limits [--seconds 180] [--rounds 5]
// Overshoot: 1,000 requests at once on one key under a strict budget, in front of an upstream that answers as long as it
// may. Rates: what any 60 seconds contain of the requests and tokens that an upstream billed, and how much of the limit
// is used when there is always somebody who waits. Prints one JSON line for each figure; exits with 1 when one is missed.

import { KEY, startChildGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { limitFigures } from './limit-figures.ts'

process.exitCode = await limitFigures({
  seconds: 180,
  rounds: 5,
  async start(upstream, limits) {
    const gateway = await startChildGateway({
      config: configOf({
        providers: { up: upstream.baseUrl },
        prices: { 'up/*': priceOf('2', '8') },
        over: { keys: [{ name: 'tester', key: KEY, ...limits }] },
      }),
    })
    return { gateways: [gateway], close: () => gateway.close() }
  },
})
