import t from 'tap'
import {
  type Enrolment,
  nextAction,
  type PlanFacts,
  type WantedFacts,
  wantedOf,
} from '../../../../agent/enroll/plan.ts'

const facts: PlanFacts = {
  wanted: 'yes',
  serving: 'served',
  protocol: 'HBONE',
  connected: true,
  now: 1000,
  verifyAt: 5000,
}
const captured: Enrolment = { kind: 'captured', bypassing: new Set() }
const releasing: Enrolment = { kind: 'releasing', until: 3000 }
const lingering: Enrolment = { kind: 'lingering', until: 3000 }
const draining: Enrolment = { kind: 'draining', until: 9000, lookAt: 1250 }

const table: readonly [string, Enrolment, Partial<PlanFacts>, string][] = [
  ['enrolment starts with the daemon', { kind: 'plain' }, {}, 'offer'],
  ['nothing is done for a workload outside the mesh', { kind: 'plain' }, { wanted: 'no' }, 'rest'],
  ['nothing starts before a control plane has spoken', { kind: 'plain' }, { wanted: 'unknown' }, 'rest'],
  ['without a daemon there is no redirection', { kind: 'offered' }, { serving: 'absent' }, 'rest'],
  ['before its answer there is no redirection', { kind: 'offered' }, { serving: 'pending' }, 'rest'],
  ['the daemon is asked to listen', { kind: 'offered' }, { serving: 'unserved' }, 'serve'],
  ['open listeners come before rules', { kind: 'offered' }, { serving: 'served' }, 'install'],
  ['a change of mind before the rules only withdraws', { kind: 'offered' }, { wanted: 'no' }, 'withdraw'],
  ['a failed installation goes on', { kind: 'redirecting' }, {}, 'install'],
  ['it goes on only while the daemon listens', { kind: 'redirecting' }, { serving: 'absent' }, 'rest'],
  [
    'and is undone when it is not wanted any more',
    { kind: 'redirecting' },
    { wanted: 'no', serving: 'absent' },
    'undivert',
  ],
  ['a captured workload rests between checks', captured, {}, 'rest'],
  ['and is checked in time', captured, { now: 5000 }, 'verify'],
  ['a dead daemon changes nothing: captured connections are refused', captured, { serving: 'absent' }, 'rest'],
  ['a new daemon that could not listen is asked again', captured, { serving: 'unserved' }, 'serve'],
  ['nothing is let go on missing news', captured, { wanted: 'unknown' }, 'rest'],
  ['leaving starts with telling the peers', captured, { wanted: 'no' }, 'release'],
  ['peers that may tunnel are waited for', releasing, { wanted: 'no' }, 'rest'],
  ['until they know', releasing, { wanted: 'no', protocol: 'TCP' }, 'undivert'],
  ['or the model has lost the workload', releasing, { wanted: 'no', protocol: undefined }, 'undivert'],
  ['or the wait is over', releasing, { wanted: 'no', now: 3000 }, 'undivert'],
  ['or no news can come', releasing, { wanted: 'no', connected: false }, 'undivert'],
  ['a label that comes back keeps the capture', releasing, {}, 'recapture'],
  ['what is being taken away goes first', { kind: 'undiverting' }, {}, 'undivert'],
  ['the daemon listens on for peers that do not know yet', lingering, { wanted: 'no' }, 'rest'],
  ['a label that comes back then only needs the rules again', lingering, {}, 'redivert'],
  ['else the daemon is told to drain', lingering, { wanted: 'no', now: 3000 }, 'withdraw'],
  ['whatever is wanted meanwhile', { kind: 'withdrawing' }, {}, 'withdraw'],
  ['what drains is looked at again and again', draining, { wanted: 'no' }, 'rest'],
  ['until nothing is left', draining, { wanted: 'no', now: 1250 }, 'look'],
  ['a label that comes back does not wait for it', draining, {}, 'offer'],
  ['the rest is taken away last', { kind: 'restoring' }, {}, 'restore'],
]
for (const [name, state, differences, expected] of table) {
  t.test(name, async (t) => {
    t.equal(nextAction(state, { ...facts, ...differences }).kind, expected)
  })
}

const present: WantedFacts = {
  gone: false,
  modelKnown: true,
  enrolled: true,
  refused: false,
  absentMs: 0,
  absenceGraceMs: 100,
}
const wants: readonly [string, Partial<WantedFacts>, string][] = [
  ['the label decides', {}, 'yes'],
  ['also against', { enrolled: false }, 'no'],
  ['a workload that is gone is not wanted', { gone: true }, 'no'],
  ['without a model nothing is known', { modelKnown: false, enrolled: undefined }, 'unknown'],
  ['a workload that drops out of the model is kept for a while', { enrolled: undefined, absentMs: 99 }, 'unknown'],
  ['and then let go', { enrolled: undefined, absentMs: 100 }, 'no'],
  ['a refused one is let go at once', { enrolled: undefined, refused: true }, 'no'],
]
for (const [name, differences, expected] of wants) {
  t.test(`wanted: ${name}`, async (t) => t.equal(wantedOf({ ...present, ...differences }), expected))
}
