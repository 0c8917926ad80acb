// Ten minutes of steady requests and one long-lived connection per pair, with certificates of 20 s: nothing fails, nothing is
// reset. `npm run soak -- certificates [SECONDS]`.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { rotateUnderLoad, rotationProblems } from '../helpers/rotation.ts'
import { argument } from '../helpers/soak.ts'

/** Half of a lifetime passes between two renewals; one in twelve seconds is the least that jitter leaves. */
const renewalMs = 12_000

const seconds = argument(0, 600)
const stateDir = mkdtempSync(join(tmpdir(), 'culvert-soak-'))
const abort = new AbortController()
process.once('SIGINT', () => abort.abort())
process.once('SIGTERM', () => abort.abort())
try {
  const figures = await rotateUnderLoad({
    name: 'soakcert',
    stateDir,
    durationMs: seconds * 1_000,
    signal: abort.signal,
    progress: (text) => process.stderr.write(`${text}\n`),
  })
  const problems = rotationProblems(figures, Math.floor((seconds * 1_000) / renewalMs) - 1)
  const machine = { node: process.version, cores: cpus().length, cpu: cpus()[0]?.model ?? 'unknown' }
  process.stdout.write(`${JSON.stringify({ soak: 'certificates', machine, ...figures, problems }, null, 2)}\n`)
  if (problems.length > 0 || abort.signal.aborted) process.exitCode = 1
} finally {
  rmSync(stateDir, { recursive: true, force: true })
}
