// DashScope's error table, native codes and those of the compatible mode:
// https://help.aliyun.com/zh/model-studio/error-code. Native bodies are flat, compatible ones nested.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  { code: /DataInspection|^data_inspection_failed$/, kind: 'moderation' },
  { type: 'data_inspection_failed', kind: 'moderation' },
  {
    message:
      /Range of input length should be|input (characters|tokens?) length exceeds|maximum context length/i,
    kind: 'context_length',
  },
  // Money. Arrearage comes as 400 (some pages say 403); billing states wear a 429.
  { code: 'Arrearage', kind: 'quota' },
  { code: 'AllocationQuota.FreeTierOnly', kind: 'quota' },
  // Also "The free quota has been exhausted" and 429 "Free allocated quota exceeded." (qwen-code#1742).
  { message: /free (tier|quota)[^.]{0,20} has been exhausted|free allocated quota exceeded/i, kind: 'quota' },
  {
    code: /^(CommodityNotPurchased|PrepaidBillOverdue|PostpaidBillOverdue|BudgetLimitExceeded)$/,
    kind: 'quota',
  },
  // `insufficient_quota` and "Allocated quota exceeded" are tokens per minute, not money.
  { code: /^(insufficient_quota|limit_requests|limit_burst_rate|LimitRequests)$/, kind: 'rate_limit' },
  { code: /^Throttling(\.|$)/, kind: 'rate_limit' },
  // Capacity of the service; may come with 500 or inside a 200.
  { code: /^(ServiceUnavailable|ModelServingError|ModelUnavailable)$/, kind: 'overloaded' },
  { type: 'ServiceUnavailable', kind: 'overloaded' },
  { message: /throttled due to system capacity limits/i, kind: 'overloaded' },
  { code: /^(InvalidApiKey|invalid_api_key)$/, kind: 'auth' },
  { code: /^(AccessDenied\.Unpurchased|Model\.AccessDenied)$/, kind: 'model_unavailable' },
  { code: /^((App|Workspace)\.)?AccessDenied$|^access_denied$/, kind: 'auth' },
  {
    code: /^(ModelNotFound|NotFound|model_not_found|model_not_supported|WorkSpaceNotFound)$/,
    kind: 'model_unavailable',
  },
  // A model called at the other service: "url error, please check url！".
  { message: /^url error/i, kind: 'model_unavailable' },
  { code: /^(RequestTimeOut|request_timeout|InternalError\.Timeout)$/, kind: 'timeout' },
  // Said before InternalError, whose name the parameter check of the algorithm carries too.
  {
    code: /^(InvalidParameter|BadRequest|InternalError\.Algo\.InvalidParameter|InvalidURL|UnsupportedOperation)/,
    kind: 'invalid_request',
  },
  { code: /^(invalid_parameter_error|invalid_request_error|invalid_value)$/, kind: 'invalid_request' },
  { code: /^(InternalError|SystemError|internal_error$|internal_server_error$)/, kind: 'server' },
]
