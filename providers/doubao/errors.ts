// Ark's error table: https://www.volcengine.com/docs/82379/1299023. `code` is a dotted word, `type` follows the
// HTTP status; the status alone decides nothing, since overload, spent quota and rate limits are all 429.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  // 400: the content filter has five families of codes, for input and output, text, image, video and audio.
  { code: /SensitiveContentDetected|RiskDetection|ContentSecurityDetectionError/, kind: 'moderation' },
  { code: 'OutofContextError', kind: 'context_length' },
  {
    code: /^InvalidParameter/,
    message: /exceed\w* (the )?max\w* (message |input |context )?(tokens|length)/i,
    kind: 'context_length',
  },
  { code: 'InvalidParameter.UnsupportedModel', kind: 'model_unavailable' },
  { code: /^InvalidEndpoint\./, kind: 'model_unavailable' },
  // 401 and 403
  { code: 'AuthenticationError', kind: 'auth' },
  { code: 'AccountOverdueError', kind: 'quota' },
  { code: /^OperationDenied\.(ServiceOverdue|FileQuotaExceeded)$/, kind: 'quota' },
  { code: 'OperationDenied.ServiceNotOpen', kind: 'model_unavailable' },
  { code: 'OperationDenied.PermissionDenied', kind: 'auth' },
  // The endpoint is being changed or is not in service; another target may take the request.
  { code: /^OperationDenied\.(InvalidState|UnsupportedPhase)$/, kind: 'model_unavailable' },
  { code: /^OperationDenied\./, kind: 'invalid_request' },
  { code: /^(AccessDenied|InvalidAccountStatus)$/, kind: 'auth' },
  // 404
  { code: /^(InvalidEndpointOrModel\.|ModelNotOpen$|UnsupportedModel$|NotFound)/, kind: 'model_unavailable' },
  // 429, in which waiting helps only against the last two
  { code: /^(QuotaExceeded|SetLimitExceeded)$/, kind: 'quota' },
  { code: /^(ServerOverloaded|InflightBatchsizeExceeded)$/, kind: 'overloaded' },
  { code: /RateLimitExceeded|^RequestBurstTooFast$/, kind: 'rate_limit' },
  { code: 'InternalServiceError', kind: 'server' },
  // Parameter codes fall to their status, unless the text says context length or content filter; inside a stream
  // there is no status to fall to.
  { status: 200, code: /^(Missing|Invalid)(Parameter|Role|ArgumentError|ImageURL)/, kind: 'invalid_request' },
]
