// Vendors by the names that price lists and people use → a provider's folder and its region.

interface Vendor {
  readonly provider: string
  /** null: the folder's own. */
  readonly region: string | null
}

const VENDORS: Readonly<Record<string, Vendor>> = {
  volcengine: { provider: 'doubao', region: null },
  'volcengine-speech': { provider: 'doubao', region: null },
  byteplus: { provider: 'doubao', region: 'intl' },
  dashscope: { provider: 'qwen', region: null },
  qianfan: { provider: 'ernie', region: null },
  zai: { provider: 'zhipu', region: 'intl' },
}
const INTERNATIONAL = /-intl$/

export function vendorOf(name: string): Vendor {
  const vendor = name.replace(INTERNATIONAL, '')
  const { provider, region } = VENDORS[vendor] ?? { provider: vendor, region: null }
  return { provider, region: INTERNATIONAL.test(name) ? 'intl' : region }
}
