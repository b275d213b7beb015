// `npm run figures -- NAME [OPTIONS]`: the figures that the ledger is held to, each as a run that anyone can repeat.

const NAMES = ['dead', 'fleet', 'frozen', 'kill', 'limits', 'replicas', 'reports', 'trace'] as const

const [name, ...rest] = process.argv.slice(2)
const found = NAMES.find((known) => known === name)
if (found === undefined) {
  console.error(`usage: npm run figures -- NAME [OPTIONS]

  dead     what is overspent while Redis is dead (--seconds)
  fleet    three instances on a Redis that is ill in every way (--seconds, --seed, --only)
  frozen   what a Redis that freezes costs requests in time (--seconds, --rate)
  kill     a hundred kills under load, at any moment and at named points (--kills, --seed)
  limits   budgets and rates at saturation (--seconds, --rounds)
  replicas budgets and rates over three instances on one Redis (--seconds, --rounds)
  reports  reports over ten million rows while requests are served (--rows, --keys, --folder)
  trace    1,389 rows a second for ten minutes from a trace, on one core (--seconds, --rate, --trace)`)
  process.exit(2)
}
process.argv.splice(2, process.argv.length, ...rest)
await import(`./${found}.ts`)
