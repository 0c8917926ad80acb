// What every store must do, as a table: run against SQLite, etcd and any later store with its own `open`.
import type { ConformanceCase } from '../helpers/store-cases.ts'
import { listCases } from './store-conformance-lists.ts'
import { objectCases } from './store-conformance-objects.ts'
import { recordCases } from './store-conformance-records.ts'
import { watchCases } from './store-conformance-watches.ts'

export const storeConformance: readonly ConformanceCase[] = [
  ...objectCases,
  ...listCases,
  ...watchCases,
  ...recordCases,
]
