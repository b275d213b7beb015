import { createMemoryKeyStore } from '#store/key-memory.ts'
import { keyStoreContract } from './key-store.contract.ts'

keyStoreContract('memory', async () => ({ store: createMemoryKeyStore(), close: async () => {} }))
