// Ways in which bytes may arrive. Whatever the cuts, the result must be the same.

export interface Chunking {
  readonly name: string
  readonly cut: (bytes: Uint8Array) => Uint8Array[]
}

function cutAt(bytes: Uint8Array, points: readonly number[]): Uint8Array[] {
  const edges = [0, ...points.filter((point) => point > 0 && point < bytes.length), bytes.length]
  return edges.slice(1).map((end, index) => bytes.slice(edges[index], end))
}

function pointsWhere(bytes: Uint8Array, test: (byte: number, next: number) => boolean): number[] {
  const points: number[] = []
  for (let at = 0; at < bytes.length; at++) if (test(bytes[at] ?? 0, bytes[at + 1] ?? 0)) points.push(at + 1)
  return points
}

export const CHUNKINGS: readonly Chunking[] = [
  { name: 'whole', cut: (bytes) => [bytes] },
  { name: 'byte by byte', cut: (bytes) => [...bytes].map((byte) => Uint8Array.of(byte)) },
  {
    name: 'inside every character of several bytes',
    cut: (bytes) =>
      cutAt(
        bytes,
        pointsWhere(bytes, (_byte, next) => (next & 0xc0) === 0x80),
      ),
  },
  {
    name: 'between CR and LF, and between two LF',
    cut: (bytes) =>
      cutAt(
        bytes,
        pointsWhere(bytes, (byte, next) => (byte === 13 && next === 10) || (byte === 10 && next === 10)),
      ),
  },
  {
    name: 'after each line',
    cut: (bytes) =>
      cutAt(
        bytes,
        pointsWhere(bytes, (byte) => byte === 10),
      ),
  },
  {
    name: 'coalesced in large pieces',
    cut: (bytes) => cutAt(bytes, [Math.floor(bytes.length / 3), Math.floor((2 * bytes.length) / 3)]),
  },
  {
    name: 'in sevens',
    cut: (bytes) =>
      cutAt(
        bytes,
        Array.from({ length: Math.ceil(bytes.length / 7) }, (_, index) => index * 7),
      ),
  },
]
