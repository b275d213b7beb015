// In which slot of a cluster a key lies: CRC16 (XMODEM) of its tag, modulo the number of slots.
// @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

const SLOTS = 16_384
const POLYNOMIAL = 0x1021

const encoder = new TextEncoder()

/** 0 to 16383. */
export function slotOf(key: string): number {
  let crc = 0
  for (const byte of encoder.encode(tagOf(key) || key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1)
      crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL) & 0xffff
  }
  return crc % SLOTS
}

/** What stands between the first { and the next }; '' when that is nothing. */
export function tagOf(key: string): string {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? ''
}
