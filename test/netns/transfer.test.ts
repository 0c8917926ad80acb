// Much data through one connection: whole and in order both ways at once, with halves that close early, and without filling the
// daemons' memory when a reader stops.
import t, { type Test } from 'tap'
import type { HalfCloseReport, TransferReport } from '../helpers/traffic/transfer.ts'
import { daemons, TrafficLab } from '../helpers/traffic-lab.ts'
import { deafClient, deafServer, type SlowFigures } from '../helpers/transfer-runs.ts'

const mebibyte = 1024 * 1024
/** Issue 2: a slow reader does not make a daemon's memory grow by more. */
const mostGrowthKib = 16 * 1024

t.setTimeout(300_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

function bounded(t: Test, figures: SlowFigures): void {
  for (const unit of daemons) {
    t.ok(figures.growthKib[unit] <= mostGrowthKib, `${unit} grew by ${figures.growthKib[unit]} KiB`)
  }
  t.ok(figures.intact, `${figures.arrivedBytes} bytes arrived whole after ${figures.stuckBytes} had been held up`)
}

t.test('large transfers', async (t) => {
  const lab = await TrafficLab.up('transfer', stateDir)
  t.teardown(() => lab.close())
  const { host } = lab

  // First, while the daemons have done nothing else: what they grow by is what they hold.
  await t.test('a server that stops reading does not fill the daemons', async (t) => {
    const figures = await deafServer(lab, 1)
    bounded(t, figures)
    t.equal(figures.arrivedBytes % (64 * 1024), 0, 'all that was written')
  })

  await t.test('a client that stops reading does not fill the daemons', async (t) => {
    bounded(t, await deafClient(lab, 1, 32 * mebibyte))
  })

  await t.test('1 GiB in each direction at once arrives as it was sent', async (t) => {
    const bytes = 1024 * mebibyte
    const { up, down, bytesDown, durationMs } = await lab.run<TransferReport>('transfer', { host, bytes }, 180_000)
    t.equal(bytesDown, bytes, `in ${durationMs} ms`)
    t.equal(up.arrived, up.sent, 'what the server got is what the client sent')
    t.equal(down.arrived, down.sent, 'what the client got is what the server sent')
    t.not(up.sent, down.sent, 'and not its own')
  })

  await t.test('whoever ends first still gets all of the rest', async (t) => {
    const bytes = 64 * mebibyte
    const report = await lab.run<HalfCloseReport>('half-close', { host, bytes }, 60_000)
    const { callerFirst, serverFirst } = report
    t.same(callerFirst, { bytes, arrived: callerFirst.sent, sent: callerFirst.sent }, 'the caller, the whole answer')
    t.equal(serverFirst.said, 'all is said')
    t.equal(serverFirst.bytes, bytes)
    t.equal(serverFirst.arrived, serverFirst.sent, 'the server, all that the caller said afterwards')
  })
})
