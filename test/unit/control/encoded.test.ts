import t from 'tap'
import { DeltaLog } from '../../../control/publish/delta-log.ts'
import { EncodedDeltas } from '../../../control/publish/encoded.ts'
import { unpack } from '../../../core/feed/packing.ts'
import type { CompiledResource } from '../../../core/model/types.ts'
import { workload } from '../../helpers/model.ts'

const at = (name: string, weight: number): CompiledResource => ({
  kind: 'Workload',
  key: name,
  value: workload({ name, weight }),
})

t.test('hosts that need the same share one encoding, until there is a new version', async (t) => {
  const log = new DeltaLog('e')
  const encoded = new EncodedDeltas(log, 'agent')
  log.replace([at('a', 1), at('b', 1)], 1)
  log.update({ upserts: [at('a', 2)], removes: [] }, 2)
  const since = encoded.since(1)
  t.equal(encoded.since(1), since)
  t.match(JSON.parse(since!.text.toString()), { type: 'delta', delta: { version: 2, upserts: [{ key: 'a' }] } })
  log.update({ upserts: [at('b', 2)], removes: [] }, 3)
  t.not(encoded.since(1), since)
  t.equal(encoded.since(1)?.version, 3)
  t.equal(encoded.since(9), undefined)
})

t.test('a full state that is nearly current serves again, and what changed since follows', async (t) => {
  const log = new DeltaLog('e')
  const encoded = new EncodedDeltas(log, 'agent')
  const all = Array.from({ length: 100 }, (_, index) => at(`w${index}`, 1))
  log.replace(all, 1)
  const full = encoded.full()
  t.equal(full.packed, full.packed)
  t.equal(unpack(full.packed!, 1e6), full.text.toString())
  for (let revision = 2; revision <= 11; revision++) {
    log.update({ upserts: [at(`w${revision}`, revision)], removes: [] }, revision)
  }
  t.equal(encoded.full(), full)
  t.equal(encoded.since(full.version)?.resources, 10)
  log.update({ upserts: [at('w50', 12)], removes: [] }, 12)
  t.equal(encoded.full().version, 12, 'too much of it is old')
  log.replace([at('a', 1)], 5)
  t.equal(encoded.full().epoch, log.epoch, 'another epoch')
})

t.test('a small message is not packed', async (t) => {
  const log = new DeltaLog('e')
  log.replace([at('a', 1)], 1)
  t.equal(new EncodedDeltas(log, 'agent').full().packed, undefined)
})
