// Kubernetes' kinds that Culvert keeps for others and does not act on: settings, secrets, events, leases.
import { configMapBody, configMapChecks } from '../fields/config-map.ts'
import { eventBody, eventChecks } from '../fields/event.ts'
import { leaseSpec } from '../fields/lease.ts'
import { dnsSubdomain } from '../fields/rules.ts'
import { secretBody, secretChecks } from '../fields/secret.ts'
import {
  countCell,
  eventCountCell,
  eventObjectCell,
  eventSourceCell,
  firstSeenCell,
  lastSeenCell,
} from './core-cells.ts'
import { age, column, computed, type Kind } from './kind.ts'

export const secretKind: Kind = {
  kind: 'Secret',
  group: '',
  versions: ['v1'],
  plural: 'secrets',
  singular: 'secret',
  shortNames: [],
  categories: [],
  namespaced: true,
  body: secretBody,
  hasNoStatus: true,
  checks: secretChecks,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    column('Type', 'type', 'What the keys mean.'),
    computed('Data', 'How many values there are.', countCell('data'), { type: 'integer' }),
    age,
  ],
}

export const configMapKind: Kind = {
  kind: 'ConfigMap',
  group: '',
  versions: ['v1'],
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  categories: [],
  namespaced: true,
  body: configMapBody,
  hasNoStatus: true,
  checks: configMapChecks,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [computed('Data', 'How many values there are.', countCell('data', 'binaryData'), { type: 'integer' }), age],
}

export const eventKind: Kind = {
  kind: 'Event',
  group: '',
  versions: ['v1'],
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  categories: [],
  namespaced: true,
  body: eventBody,
  hasNoStatus: true,
  nameIsWide: true,
  checks: eventChecks,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [
    computed('Last Seen', 'Time since it happened last.', lastSeenCell, { type: 'date' }),
    column('Type', 'type', 'Normal or Warning.'),
    column('Reason', 'reason', 'Why, in one word.'),
    computed('Object', 'What it happened to.', eventObjectCell),
    column('Subobject', 'involvedObject.fieldPath', 'The part that it happened to.', 1),
    computed('Source', 'Who reports it.', eventSourceCell, { priority: 1 }),
    column('Message', 'message', 'Why, for people.'),
    computed('First Seen', 'Time since it happened first.', firstSeenCell, { type: 'date', priority: 1 }),
    computed('Count', 'How often it happened.', eventCountCell, { type: 'integer', priority: 1 }),
  ],
}

export const leaseKind: Kind = {
  kind: 'Lease',
  group: 'coordination.k8s.io',
  versions: ['v1'],
  plural: 'leases',
  singular: 'lease',
  shortNames: [],
  categories: [],
  namespaced: true,
  body: { spec: leaseSpec },
  hasNoStatus: true,
  name: dnsSubdomain,
  nulls: 'absent',
  columns: [column('Holder', 'spec.holderIdentity', 'Who holds it.'), age],
}

export const keptKinds: readonly Kind[] = [secretKind, configMapKind, eventKind, leaseKind]
