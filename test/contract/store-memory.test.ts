import { createMemoryStore } from '#store/memory.ts'
import { storeContract } from './store.contract.ts'

storeContract('memory', async () => ({ store: createMemoryStore(), close: async () => {} }))
