// Join tokens over the API. Used by `culvert token create` and the lab.
import type { ApiClient } from './client.ts'

export interface TokenRequest {
  readonly host: string
  /** `namespace/serviceAccount` or `namespace/*`. */
  readonly identities: readonly string[]
  readonly ttlSeconds?: number
  readonly cidrs?: readonly string[]
  /** For an instance of a waypoint, and nothing else. */
  readonly waypoint?: boolean
}

export interface CreatedToken {
  readonly token: string
  /** RFC 3339. */
  readonly expires: string
}

export async function createToken(client: ApiClient, request: TokenRequest): Promise<CreatedToken> {
  return (await client.json('POST', '/culvert/v1/tokens', request)) as CreatedToken
}
