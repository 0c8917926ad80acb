import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { nullLogger } from '../../../core/base/log.ts'
import { loadState, type PersistedState, parseState, StateWriter, saveState } from '../../../daemon/state-file.ts'

const state: PersistedState = {
  delta: { epoch: 'e', version: 3, full: true, upserts: [], removes: [] },
  workloads: [],
  bundle: 'PEM',
}

t.test('what was saved is loaded again, and nobody else may read it', async (t) => {
  const file = join(t.testdir({}), 'new', 'state.json')
  t.equal(await loadState(file, nullLogger()), undefined, 'no file is no state')
  await saveState(file, state)
  t.same(await loadState(file, nullLogger()), state)
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.same(await readdir(join(file, '..')), ['state.json'], 'no temporary file is left')
})

t.test('a damaged file is set aside and counts as none', async (t) => {
  const directory = t.testdir({})
  const file = join(directory, 'state.json')
  for (const text of ['', '{', '[]', 'null', '{"format":2}', '{"format":1,"delta":{}}']) {
    await writeFile(file, text)
    t.equal(await loadState(file, nullLogger()), undefined, text)
    t.equal(await readFile(`${file}.damaged`, 'utf8'), text)
    t.throws(() => parseState(text), { code: 'FEED_PROTOCOL' })
  }
})

t.test('a directory that cannot be written is reported', async (t) => {
  const directory = t.testdir({ 'state.json': 'a file' })
  await t.rejects(saveState(join(directory, 'state.json', 'x'), state), { code: 'STORE_FAILED' })
})

t.test('many changes are one write, and the last one is written at the end', async (t) => {
  const file = join(t.testdir({}), 'state.json')
  let version = 0
  let reads = 0
  const writer = new StateWriter({
    file,
    state: () => {
      reads++
      return { ...state, delta: { ...state.delta, version } }
    },
    delayMs: 60_000,
    log: nullLogger(),
  })
  for (version = 1; version < 10; version++) writer.touch()
  await writer.close()
  t.equal(reads, 1)
  t.equal((await loadState(file, nullLogger()))?.delta.version, 10)
  await writer.close()
  t.equal(reads, 1, 'nothing outstanding, nothing written')
})

t.test('a state that is not there yet is not written', async (t) => {
  const directory = t.testdir({})
  const options = { file: join(directory, 'state.json'), state: () => undefined, delayMs: 1, log: nullLogger() }
  const writer = new StateWriter(options)
  writer.touch()
  await writer.close()
  t.same(await readdir(directory), [])
})

t.test('a file that was left to somebody else is not written any more', async (t) => {
  const directory = t.testdir({})
  const options = { file: join(directory, 'state.json'), state: () => state, delayMs: 60_000, log: nullLogger() }
  const writer = new StateWriter(options)
  writer.touch()
  await writer.abandon()
  await writer.close()
  t.same(await readdir(directory), [])
})
