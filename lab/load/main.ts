// `node lab/load/main.ts PLAN`: runs a load plan (JSON) and prints its report (JSON) as one line. SIGTERM ends it early.
import { type LoadPlan, runLoad } from './load.ts'

const abort = new AbortController()
process.once('SIGTERM', () => abort.abort())
process.stdout.write('{"started":true}\n')
const report = await runLoad(JSON.parse(process.argv[2] ?? '{}') as LoadPlan, abort.signal)
process.stdout.write(`${JSON.stringify(report)}\n`)
