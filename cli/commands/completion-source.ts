// Asks the mesh, the kubeconfig and the labs of this machine for what a shell may complete. Quick or not at all: somebody waits with a
// finger on the key. Called by commands/all.ts.
import { serviceKind } from '../../core/model/kinds/core.ts'
import { workloadEntryKind } from '../../core/model/kinds/istio.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiClient, type ListOptions } from '../client.ts'
import { type CompletionSource, optionOf } from '../completion.ts'
import { contextsOf } from '../contexts.ts'
import { kubeconfigFile, readConnection } from '../kubeconfig.ts'
import { findKind } from '../session.ts'

const answerMs = 1500
/** More than anybody chooses from. */
const maxNames = 1000

/** For a command line up to the cursor: its own options say which mesh is asked. */
export function completionSource(words: readonly string[]): CompletionSource {
  const choice = {
    kubeconfig: optionOf(words, ['--kubeconfig']),
    stateDir: words[1] === 'lab' ? undefined : optionOf(words, ['--state-dir']),
    context: optionOf(words, ['--context']),
  }
  const list = async (kind: string, options: ListOptions = {}): Promise<readonly MeshObject[]> => {
    const client = new ApiClient(readConnection(choice), answerMs)
    try {
      const found = findKind(kind)
      const namespace = found.namespaced ? (options.namespace ?? client.namespace) : undefined
      const { items } = await client.list(found, { namespace: options.namespace === '' ? undefined : namespace })
      return items.slice(0, maxNames)
    } finally {
      client.close()
    }
  }
  const lab = async (name: string) => {
    const { labStatus } = await import('../../lab/status.ts')
    const stateDir = optionOf(words, ['--state-dir'])
    return labStatus({ name, ...(stateDir === undefined ? {} : { stateDir }) })
  }
  return {
    names: async (kind, namespace) => namesOf(await list(kind, { namespace })),
    namespaces: async () => namesOf(await list('namespaces')),
    contexts: async () => contextsOf(kubeconfigFile(choice, process.env)).map(({ name }) => name),
    ends: async () => {
      const both = await Promise.all([workloadEntryKind, serviceKind].map((it) => list(it.plural, { namespace: '' })))
      return both.flat().map(({ metadata }) => `${metadata.name}.${metadata.namespace}`)
    },
    labs: async () => (await import('../../lab/state.ts')).labNames(optionOf(words, ['--state-dir'])),
    labWorkloads: async (name) => (await lab(name)).workloads.map((it) => `${it.name}.${it.namespace}`),
    labProcesses: async (name) => (await lab(name)).processes.map((process) => process.name),
  }
}

function namesOf(objects: readonly MeshObject[]): readonly string[] {
  return objects.map(({ metadata }) => metadata.name)
}
