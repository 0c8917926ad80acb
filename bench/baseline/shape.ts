// The old engine must fit wherever the daemon uses the new one (use.ts swaps them at run time, unseen by the compiler): the
// type check fails here when a method or an option is added that bench/baseline does not know.

import type { TunnelPool } from '../../core/hbone/pool.ts'
import type { PumpResult, pump, startPump } from '../../core/hbone/pump.ts'
import type { TunnelServer } from '../../core/hbone/server.ts'
import type { TunnelPool as OldPool } from './pool.ts'
import type { PumpResult as OldPumpResult, pump as oldPump, startPump as oldStartPump } from './pump.ts'
import type { TunnelServer as OldServer } from './server.ts'

type Public<T> = { readonly [K in keyof T]: T[K] }
type Fits<Old extends New, New> = Old

export type PoolFits = Fits<Public<OldPool>, Public<TunnelPool>>
export type ServerFits = Fits<Public<OldServer>, Public<TunnelServer>>
export type PoolOptionsFit = Fits<ConstructorParameters<typeof TunnelPool>[0], ConstructorParameters<typeof OldPool>[0]>
export type ServerOptionsFit = Fits<
  ConstructorParameters<typeof TunnelServer>[0],
  ConstructorParameters<typeof OldServer>[0]
>
export type PumpFits = Fits<typeof oldPump, typeof pump>
export type PumpResultFits = Fits<OldPumpResult, PumpResult>
export type StartPumpFits = Fits<typeof oldStartPump, typeof startPump>
