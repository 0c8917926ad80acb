// Certificates of 20 s are renewed under steady traffic for seventy seconds: no request fails and no connection is reset.
// test/soak/certificates.ts does the same for ten minutes.
import t from 'tap'
import { rotateUnderLoad, rotationProblems } from '../helpers/rotation.ts'

t.setTimeout(180_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

t.test('renewing certificates of 20 s fails no request and resets no connection', async (t) => {
  const figures = await rotateUnderLoad({ name: 'rotate', stateDir, durationMs: 70_000 })
  t.same(rotationProblems(figures, 3), [], 'nothing went wrong', { complaints: figures.complaints })
  for (const { pair, fresh, kept, held } of figures.pairs) {
    t.comment(`${pair}: ${fresh.succeeded} new connections, ${kept.succeeded} requests on one, ${held} on an idle one`)
  }
  t.comment(`certificates: ${JSON.stringify(figures.certificates)}`)
})
