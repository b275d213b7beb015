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
  'ernie-4.0-8k-preview-0518': 'completions_adv_pro',
  'ernie-character-8k': 'ernie-char-8k',
  'ernie-character-fiction-8k': 'ernie-char-fiction-8k',
  'ernie-function-8k': 'ernie-func-8k',
  'ernie-functions-8k': 'ernie-func-8k',
  'ernie-lite-appbuilder-8k-0614': 'ai_apaas_lite',
  'ernie speed-appbuilder': 'ai_apaas',
  'bloomz-7b': 'bloomz_7b1',
  'llama-2-7b-chat': 'llama_2_7b',
  'llama-2-13b-chat': 'llama_2_13b',
  'llama-2-70b-chat': 'llama_2_70b',
  'meta-llama-3-8b': 'llama_3_8b',
  'meta-llama-3-70b': 'llama_3_70b',
  'qianfan-bloomz-7b-compressed': 'qianfan_bloomz_7b_compressed',
  'qianfan-chinese-llama-2-7b': 'qianfan_chinese_llama_2_7b',
  'qianfan-chinese-llama-2-13b': 'qianfan_chinese_llama_2_13b',
  'qianfan-chinese-llama-2-70b': 'qianfan_chinese_llama_2_70b',
  'chatglm2-6b-32k': 'chatglm2_6b_32k',
  'aquilachat-7b': 'aquilachat_7b',
  'xuanyuan-70b-chat-4bit': 'xuanyuan_70b_chat',
  'yi-34b-chat': 'yi_34b_chat',
  'mixtral-8x7b-instruct': 'mixtral_8x7b_instruct',
  'gemma-7b-it': 'gemma_7b_it',
}

/** Names that the table does not have are their own suffix in lower case (ernie-speed-128k, ernie-tiny-8k, …). */
export function suffixOf(model: string): string {
  const name = model.toLowerCase()
  return (Object.hasOwn(SUFFIXES, name) ? SUFFIXES[name] : undefined) ?? encodeURIComponent(name)
}
