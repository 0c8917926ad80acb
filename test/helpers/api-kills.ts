// Writes through the API while `culvert control` is killed with SIGKILL and started again, then compares what was acknowledged with
// what is there.
import { setTimeout as sleep } from 'node:timers/promises'
import { ControlProcess } from './control-process.ts'
import { type Answer, api } from './control-world.ts'
import { Journal } from './store-journal.ts'

export interface ApiKillFigures {
  readonly kills: number
  readonly acknowledged: number
  readonly open: number
  readonly happened: number
  readonly seconds: number
  readonly problems: readonly string[]
}

const lanes = 8
const namesPerLane = 5
const path = '/api/v1/namespaces/default/serviceaccounts'

interface Known {
  readonly value: string
  readonly resourceVersion: string
}

/** `writes` are acknowledged in all, and the process dies `kills` times meanwhile. */
export async function killApi(stateDir: string, writes: number, kills: number, more: readonly string[] = []) {
  const control = new ControlProcess(stateDir, more)
  const journal = new Journal()
  const started = performance.now()
  const killer = new AbortController()
  try {
    await control.start()
    const killing = killInTurn(control, journal, writes, kills, killer.signal)
    await Promise.all(Array.from({ length: lanes }, (_, index) => lane(stateDir, index, journal, writes)))
    killer.abort()
    const killed = await killing
    const { status, body } = await api(stateDir, 'GET', path)
    if (status !== 200) throw new Error(`the list answers ${status}`)
    journal.checkObjects(
      (body['items'] as readonly Answer['body'][]).map(found).filter(({ name }) => name !== 'default'),
    )
    const { acknowledged, open, happened, problems } = journal
    const seconds = Math.round((performance.now() - started) / 100) / 10
    return { kills: killed, acknowledged, open, happened, seconds, problems } satisfies ApiKillFigures
  } finally {
    killer.abort()
    await control.kill()
  }
}

/** Spread over the writes. */
async function killInTurn(control: ControlProcess, journal: Journal, writes: number, kills: number, ends: AbortSignal) {
  let killed = 0
  while (killed < kills && !ends.aborted) {
    if (journal.acknowledged >= ((killed + 1) * writes) / (kills + 1)) {
      await sleep(Math.random() * 20)
      await control.kill()
      await control.start()
      killed += 1
    } else await sleep(2)
  }
  return killed
}

async function lane(stateDir: string, lane: number, journal: Journal, writes: number): Promise<void> {
  const known = new Map<string, Known | undefined>()
  for (let step = 0; journal.acknowledged < writes; step += 1) {
    const name = `l${lane}-${step % namesPerLane}`
    const remove = Math.floor(step / namesPerLane) % 4 === 3
    const value = remove ? null : `${lane}.${step}`
    const before = known.get(name)
    if (value === null && before === undefined) continue
    journal.add({ at: 'start', name, value })
    const answer = await change(stateDir, name, value, before).catch((error: unknown) => String(error))
    if (typeof answer !== 'string' && answer.status < 300) {
      const now = value === null ? undefined : { value, resourceVersion: answer.body.metadata!.resourceVersion }
      known.set(name, now)
      // the answer to a deletion carries the object as it was
      journal.add({ at: 'done', name, value, revision: Number(now?.resourceVersion ?? 0) })
      continue
    }
    const isAway = typeof answer === 'string' || answer.status === 503
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer.body)
    journal.add({ at: 'failed', name, code: isAway ? 'STORE_FAILED' : 'RESOURCE_CONFLICT', text })
    known.set(name, await present(stateDir, name))
  }
}

function change(stateDir: string, name: string, value: string | null, before: Known | undefined): Promise<Answer> {
  if (value === null) return api(stateDir, 'DELETE', `${path}/${name}`)
  const resourceVersion = before === undefined ? {} : { resourceVersion: before.resourceVersion }
  const metadata = { name, namespace: 'default', annotations: { value, long: value.repeat(500) }, ...resourceVersion }
  const object = { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
  return before === undefined ? api(stateDir, 'POST', path, object) : api(stateDir, 'PUT', `${path}/${name}`, object)
}

/** Asks until somebody answers. */
async function present(stateDir: string, name: string): Promise<Known | undefined> {
  for (;;) {
    const answer = await api(stateDir, 'GET', `${path}/${name}`).catch(() => undefined)
    if (answer?.status === 404) return undefined
    if (answer?.status === 200) {
      const { value, revision } = found(answer.body)
      return { value, resourceVersion: String(revision) }
    }
    await sleep(50)
  }
}

function found(body: Answer['body']): { readonly name: string; readonly value: string; readonly revision: number } {
  const { metadata } = body as unknown as {
    readonly metadata: { name: string; resourceVersion: string; annotations?: { value: string; long: string } }
  }
  const { value = '', long = '' } = metadata.annotations ?? {}
  const whole = long === value.repeat(500)
  return {
    name: metadata.name,
    value: whole ? value : `a part of ${value}`,
    revision: Number(metadata.resourceVersion),
  }
}
