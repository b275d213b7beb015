import { join } from 'node:path'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { storeContract } from './store.contract.ts'

storeContract('SQLite', async () => {
  const folder = temporaryFolder()
  const { store } = openLedger(join(folder.path, 'ledger.db'))
  return {
    store,
    async close() {
      await store.close()
      folder.remove()
    },
  }
})
