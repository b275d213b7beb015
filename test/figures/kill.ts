// Figure: a gateway killed a hundred times under load, at any moment and at named points of its way. No answered request
// is lost, none is there twice, nothing stays open or held.
//   node test/figures/kill.ts [--kills 100] [--seed 1]

import { parseArgs } from 'node:util'
import { killRounds } from '../support/kill-rounds.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
})
const result = await killRounds({
  kills: Number(values.kills),
  seed: Number(values.seed),
  onRound: (line) => console.error(line),
})
const { kills, acknowledged, served, booked, recovered, lost, doubled, leftOpen, heldAfter, unbooked } =
  result
console.log(
  `${kills} kills: ${acknowledged} requests answered, ${served} calls of the upstream, ${booked} rows,`,
)
console.log(`  ${recovered} of them recovered estimates`)
console.log(`  answered and lost ${lost.length}, twice ${doubled.length}, calls without a row ${unbooked}`)
console.log(`  left open ${leftOpen}, held after a recovery ${heldAfter}`)
const isWell = lost.length + doubled.length + leftOpen + heldAfter + unbooked === 0
process.exit(isWell ? 0 : 1)
