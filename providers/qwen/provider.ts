// Qwen on Alibaba DashScope (百炼 Model Studio): the compatible mode by default, the native dialect for the models
// that only it serves and for base URLs that name it.

import type { FormatChoice, Provider } from '#core/provider.ts'
import { bill } from './bill.ts'
import { ERRORS } from './errors.ts'
import { isNativeOnly, MODELS, UNTHOUGHT } from './models.ts'
import { nativeFormat } from './native.ts'
import { EFFORT_BUDGETS } from './thinking.ts'

export const provider = {
  id: 'qwen',
  title: 'Qwen (Alibaba DashScope)',
  source: 'https://help.aliyun.com/zh/model-studio/qwen-api-reference',
  baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1',
  // Workspace hosts (`{WorkspaceId}.cn-beijing.maas.aliyuncs.com`) are the recommended ones since 2026. Keys are
  // bound to their region: elsewhere they are a 401.
  regions: [
    { region: 'intl', host: 'dashscope-intl.aliyuncs.com' },
    { region: 'intl', host: 'ap-southeast-1.maas.aliyuncs.com' },
    { region: 'us', host: 'dashscope-us.aliyuncs.com' },
    { region: 'us', host: 'us-east-1.maas.aliyuncs.com' },
    { region: 'cn', host: 'dashscope.aliyuncs.com' },
    { region: 'cn', host: 'cn-beijing.maas.aliyuncs.com' },
  ],
  region: 'cn',
  bill,
  credential: { kind: 'bearer' },
  keyRequired: true,
  formats: [nativeFormat],
  chooseFormat,
  // "tool_choice is one of the strings that should be ["none", "auto"]"; a named tool is refused while thinking.
  // "Invalid value: file. Supported values are: 'text','image_url','video_url' and 'video'." (qwen-code#1888); Qwen-Long
  // has its files by `fileid://` in a system message.
  cannot: ['tool_choice', 'file_input'],
  cannotWhileThinking: UNTHOUGHT,
  quirks: {
    // No usage at all without stream_options.include_usage (openclaw#43184).
    streamUsage: 'option',
    // "请求中断时，输出 Token 仅计算服务端收到终止请求前已生成的部分" (https://help.aliyun.com/zh/model-studio/user-guide/streaming,
    // 2026-11-25), said of streams.
    cancelStopsBilling: 'streams',
    maxTokens: 'max_tokens',
    // "developer is not one of ['system', 'assistant', 'user', 'tool', 'function']"
    developerToSystem: true,
    // "The content field is a required field." for assistant turns with tool calls.
    emptyAssistantContent: '',
    thinking: { style: 'enable_thinking', budgetField: 'thinking_budget' },
    effortBudgets: EFFORT_BUDGETS,
    searchFields: ['enable_search'],
    // Later fragments of a tool call repeat empty ids and names, some lack the index (spring-ai#4790).
    looseToolCalls: true,
  },
  models: MODELS,
  errors: ERRORS,
  telemetryName: 'dashscope',
} satisfies Provider

function chooseFormat(input: FormatChoice): string | null {
  const configuredNative = input.baseUrl !== null && /\/api\/v1\/?$|\/services\/aigc\//.test(input.baseUrl)
  return configuredNative || isNativeOnly(input.model) ? nativeFormat.name : null
}
