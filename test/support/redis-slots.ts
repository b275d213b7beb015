// In which slot of a cluster a key lies: CRC16 (XMODEM) of its tag, as the cluster specification says.

const SLOTS = 16_384
const POLYNOMIAL = 0x1021

export function slotOf(key: string): number {
  return crc16(Buffer.from(tagOf(key))) % SLOTS
}

/** What stands in the first braces, when it is not empty; else the whole key. */
function tagOf(key: string): string {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : key
}

function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1)
      crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL) & 0xffff
  }
  return crc
}
