// Secrets never reach the log: strings that look like keys lose their middle, fields that hold them their value.

const SECRETS =
  /(?<![a-z0-9])(sk-)[\w-]{8,}|(bce-v3\/)[^\s"',;}\]]+|\b(bearer\s+)[^\s"',;}\]]+|\b(eyJ)[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?|(:\/\/)[^\s/@"']*:[^\s/@"']+(?=@)|([?&](?:[a-z]+_)?(?:token|secret|key)=)[^\s&"'#]+/gi

/** No key is shorter. */
const SECRET_CHARS_MIN = 10
/** What every secret has in it: a cheap look, since most texts have none of these. */
const HINT = /sk-|bce-v3|bearer|eyj|:\/\/|[?&]/i

export function redactText(text: string): string {
  if (text.length < SECRET_CHARS_MIN || !HINT.test(text)) return text
  return text.replace(SECRETS, (_match, ...groups: readonly unknown[]) => {
    const kept = groups.slice(0, 6).find((group) => typeof group === 'string')
    return `${typeof kept === 'string' ? kept : ''}***`
  })
}

const SECRET_FIELD =
  /^(?:.*[-_]|access|client|refresh)?(?:api[-_]?key|authorization|password|secret|token|cookie)$/i

/** A field of this name holds a secret whatever it looks like. */
export function isSecretField(name: string): boolean {
  return SECRET_FIELD.test(name)
}
