// A process that appends to a journal for as long as it lives, and prints the id of each request once it is
// acknowledged. Its parent kills it. Arguments: the file, a word for its ids.

import { writeSync } from 'node:fs'
import { attemptRow, openAttempt, openRequest, requestRow } from './ledger-rows.ts'
import { openLedger } from './sqlite-ledger.ts'

const STDOUT = 1
const REQUESTS_PER_TURN = 7
const [file = '', word = ''] = process.argv.slice(2)
const ledger = openLedger(file, { shipping: true })
ledger.recover((row) => row)
let count = 0

function turn(): void {
  for (let index = 0; index < REQUESTS_PER_TURN; index += 1) {
    const id = `${word}-${count}`
    count += 1
    ledger.journal.open(openRequest({ id }), openAttempt({ requestId: id }), () => {})
    setImmediate(() => {
      ledger.journal.attempt(attemptRow({ requestId: id }))
      ledger.journal.request(requestRow({ id }), (error) => {
        if (error === null) writeSync(STDOUT, `${id}\n`)
      })
    })
  }
  if (count % 100 === 0) ledger.checkpoint()
  setImmediate(turn)
}

turn()
