// Requests about changed headers, the same for filters of a rule, of a backend, and of responses.
import type { CaseRequest } from '../case.ts'

/** Matches and changes by path: what httproute-request-header-modifier does, and its siblings. */
export const headerChanges: readonly (readonly [path: string, changes: string])[] = [
  ['/set', 'set: [{name: X-Header-Set, value: set-overwrites-values}]'],
  ['/add', 'add: [{name: X-Header-Add, value: add-appends-values}]'],
  ['/remove', 'remove: [X-Header-Remove]'],
  [
    '/multiple',
    `set: [{name: X-Header-Set-1, value: header-set-1}, {name: X-Header-Set-2, value: header-set-2}],
        add: [{name: X-Header-Add-1, value: header-add-1}, {name: X-Header-Add-2, value: header-add-2}, {name: X-Header-Add-3, value: header-add-3}],
        remove: [X-Header-Remove-1, X-Header-Remove-2]`,
  ],
  [
    '/case-insensitivity',
    `set: [{name: X-Header-Set, value: header-set}], add: [{name: X-Header-Add, value: header-add}],
        remove: [X-Header-Remove]`,
  ],
]

interface HeaderRow {
  readonly path: string
  readonly before: Readonly<Record<string, string>>
  readonly after: Readonly<Record<string, string>>
  readonly absent?: readonly string[]
}

const rows: readonly HeaderRow[] = [
  {
    path: '/set',
    before: { 'Some-Other-Header': 'val' },
    after: { 'Some-Other-Header': 'val', 'X-Header-Set': 'set-overwrites-values' },
  },
  {
    path: '/set',
    before: { 'Some-Other-Header': 'val', 'X-Header-Set': 'some-other-value' },
    after: { 'Some-Other-Header': 'val', 'X-Header-Set': 'set-overwrites-values' },
  },
  {
    path: '/add',
    before: { 'Some-Other-Header': 'val' },
    after: { 'Some-Other-Header': 'val', 'X-Header-Add': 'add-appends-values' },
  },
  {
    path: '/add',
    before: { 'Some-Other-Header': 'val', 'X-Header-Add': 'some-other-value' },
    after: { 'Some-Other-Header': 'val', 'X-Header-Add': 'some-other-value,add-appends-values' },
  },
  { path: '/remove', before: { 'X-Header-Remove': 'val' }, after: {}, absent: ['X-Header-Remove'] },
  {
    path: '/multiple',
    before: {
      'X-Header-Set-2': 'set-val-2',
      'X-Header-Add-2': 'add-val-2',
      'X-Header-Remove-2': 'remove-val-2',
      'Another-Header': 'another-header-val',
    },
    after: {
      'X-Header-Set-1': 'header-set-1',
      'X-Header-Set-2': 'header-set-2',
      'X-Header-Add-1': 'header-add-1',
      'X-Header-Add-2': 'add-val-2,header-add-2',
      'X-Header-Add-3': 'header-add-3',
      'Another-Header': 'another-header-val',
    },
    absent: ['X-Header-Remove-1', 'X-Header-Remove-2'],
  },
  {
    path: '/case-insensitivity',
    before: {
      'x-header-set': 'original-val-set',
      'x-header-add': 'original-val-add',
      'x-header-remove': 'original-val-remove',
      'Another-Header': 'another-header-val',
    },
    after: {
      'X-Header-Set': 'header-set',
      'X-Header-Add': 'original-val-add,header-add',
      'Another-Header': 'another-header-val',
    },
    absent: ['X-Header-Remove'],
  },
]

export const requestHeaderRows: readonly CaseRequest[] = rows.map(({ path, before, after, absent }) => ({
  path,
  headers: before,
  expect: { backend: 'echo-v1', request: after, ...(absent === undefined ? {} : { requestAbsent: absent }) },
}))

/** The echo workload answers with what it is asked to. */
export const responseHeaderRows: readonly CaseRequest[] = rows.map(({ path, before, after, absent }) => ({
  path,
  headers: {
    'x-echo-set-header': Object.entries(before)
      .map(([name, value]) => `${name}:${value}`)
      .join(','),
  },
  expect: { backend: 'echo-v1', response: after, ...(absent === undefined ? {} : { responseAbsent: absent }) },
}))
