import { spawn } from 'node:child_process'
import t from 'tap'
import { mountPoints } from '../../../lab/down.ts'
import { endProcesses, findMarked, isRunning, labMarker, startTimeOf } from '../../../lab/processes.ts'

t.test('mount points with spaces are read', async (t) => {
  const text = '36 35 98:0 / /mnt/a\\040b rw - ext4 /dev/x rw\n37 35 0:4 net:[1] /run/x rw - nsfs nsfs rw\n'
  t.same(mountPoints(text), ['/mnt/a b', '/run/x'])
})

t.test('a process is known by pid and start time: another of the same number is not it', async (t) => {
  const startTime = startTimeOf(process.pid)!
  t.ok(isRunning({ pid: process.pid, startTime }))
  t.notOk(isRunning({ pid: process.pid, startTime: '1' }))
  t.equal(startTimeOf(2 ** 22 + 1), undefined)
})

t.test('marked processes are found and ended, by force where they do not listen', async (t) => {
  const lab = `unit${process.pid}`
  const child = spawn('sh', ['-c', 'trap "" TERM; while :; do sleep 1; done'], {
    env: { ...process.env, [labMarker]: `${lab}/x` },
    stdio: 'ignore',
    detached: true,
  })
  t.teardown(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // it has ended, as it should
    }
  })
  const end = performance.now() + 5_000
  while (findMarked(lab).length === 0 && performance.now() < end) await new Promise(setImmediate)
  const found = findMarked(lab)
  t.ok(found.some(({ pid }) => pid === child.pid))
  t.equal(findMarked(lab.slice(0, -1)).length, 0, 'the name is compared whole')
  await endProcesses(found, 100)
  t.notOk(found.some(isRunning))
})
