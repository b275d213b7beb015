// V1 names the model by the last part of the path, with irregular spellings.

/**
 * one-api@8df4a26 relay/adaptor/baidu/adaptor.go and the models of bce-qianfan-sdk@6cacf60; keys in lower case,
 * V2 names beside V1 ones.
 */
const SUFFIXES: Readonly<Record<string, string>> = {
  'ernie-4.0-8k': 'completions_pro',
  'ernie-4.0': 'completions_pro',
  'ernie-bot-4': 'completions_pro',
  'ernie-3.5-8k': 'completions',
  'ernie-bot': 'completions',
  'ernie-bot-8k': 'ernie_bot_8k',
  'ernie-bot-turbo': 'eb-instant',
  'ernie-lite-8k-0922': 'eb-instant',
  'ernie-lite-8k-0308': 'ernie-lite-8k',
  'ernie-speed': 'ernie_speed',
  'ernie-speed-8k': 'ernie_speed',
  'ernie-character-8k': 'ernie-char-8k',
  'ernie-functions-8k': 'ernie-func-8k',
  'bloomz-7b': 'bloomz_7b1',
}

/** Names that the table does not have are their own suffix in lower case (ernie-speed-128k, ernie-tiny-8k, …). */
export function suffixOf(model: string): string {
  const name = model.toLowerCase()
  return SUFFIXES[name] ?? encodeURIComponent(name)
}
