// Figures: limits over three instances on one Redis.
//   npm run figures -- replicas [--seconds 130] [--rounds 3]
// Strict budget: a thousand requests at once on one key, spread over the three, against an upstream that answers as long as
// it may. Rates: what any 60 seconds contain of the requests and tokens that were billed, and how much of the limit is used
// when there is always somebody who waits. Prints one JSON line for each figure; exits with 1 when one is missed.

import { limitFigures } from './limit-figures.ts'
import { startThree } from './three.ts'

process.exitCode = await limitFigures({ seconds: 130, rounds: 3, start: startThree })
